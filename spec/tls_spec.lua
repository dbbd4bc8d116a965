-- TLS: ends, STARTTLS, names, contexts. Handshakes that go wrong are in tls_handshake_spec,
-- whose certificates are taken in tls_certificates_spec; that a TLS stream is a stream in
-- everything say the specs of streams, which run over it, too.

local aside = require "spec.support.aside"
local closing = require "spec.support.connections".closing
local code_of = require "spec.support.code_of"
local folder = require "spec.support.folder"
local handshakes = require "spec.support.handshakes"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local tls = require "neap.tls"
local transports = require "spec.support.transports"

local cert, key, ours, theirs = handshakes.cert, handshakes.key, handshakes.ours, handshakes.theirs
local pass, shake, with_middle = handshakes.pass, handshakes.shake, handshakes.with_middle

for _, kind in ipairs {"tcp", "unix", "mem"} do
  describe(("a TLS stream over %s"):format(kind), function()
    local client, server

    transports.each_test("tls:" .. kind, function(a, b)
      client, server = a, b
    end)

    it("R3: ends with an error when it is cut", function()
      local a, near, far, b = with_middle()
      local there = aside(pass, near, far, 1 << 20, "close")
      local back = aside(pass, far, near, 1 << 20, "close")
      shake(a, b)
      b:write "half of the answ"
      assert.equal("half", a:read(4))
      far:reset()
      near:close()
      assert.equal(" of the answ", a:recv())
      for _ = 1, 2 do
        assert.equal("ETLSCUT", code_of(a:recv()))
      end
      assert.equal("ETLSCUT", code_of(a:read "a"))
      a:close()
      b:close()
      there:join()
      back:join()
    end)

    it("R4: is written to behind its peer's end, which is told once all is read", function()
      client:write "question"
      assert(client:shutdown())
      assert.equal("EPIPE", code_of(client:write "more"))
      assert.equal("question", server:read "a")
      assert.is_nil((server:read(1)))
      local writer = aside(function()
        assert(server:write(("answer"):rep(50000)))
        server:close()
      end)
      assert.equal(300000, #client:read "a")
      assert.is_nil((client:recv()))
      writer:join()
    end)

    it("makes one record of the small writes of a run", function()
      local before = {client:write("a"):flush(), server:recv()}
      assert.equal("a", before[2])
      local sent = require "neap.host".socket(client).sent
      for i = 1, 50 do
        client:write("line ", i, "\n")
      end
      client:flush()
      server:recv()
      assert.equal(sent + 391, require "neap.host".socket(client).sent)
    end)

    it("passes any sizes, in pieces of any size", function()
      local pieces, all = {}, {}
      for i = 1, 60 do
        pieces[i] = transports.pattern(i * i * (i % 3 == 0 and 40 or 1))
        all[i] = pieces[i]
      end
      local text = table.concat(all)
      local writer = task.spawn(function()
        assert(client:write(table.unpack(pieces)))
        assert(client:write(table.unpack(pieces)))
        client:close()
      end)
      assert.is_true(server:read "a" == text .. text)
      writer:join()
    end)

    it("says what it is", function()
      local about = client.tls
      assert.equal("TLSv1.3", about.version)
      assert.matches("^TLS_", about.cipher)
      assert.equal("localhost", about.server_name)
      assert.is_false(about.server)
      assert.is_boolean(about.resumed)
      assert.equal("CN=localhost", about.peer.subject)
      assert.equal(about.peer.fingerprint, about.chain[1].fingerprint)
      assert.is_true(server.tls.server)
      assert.is_nil(server.tls.peer)
      assert.is_nil(client.fd)
      assert.matches("TLSv1.3 TLS_", require "neap.host".socket(client).layer)
      assert.matches("tls TLSv1.3 TLS_[%w_]+ for localhost", require "neap.repl.lists".socks())
      client:close()
      assert.is_nil(client.tls)
    end)
  end)
end

it("a stream without TLS has no `tls`, and no handshake to do", function()
  local a, b = net.socketpair()
  local _ <close> = closing(a, b)
  assert.is_nil(a.tls)
  assert.equal(b, b:handshake())
end)

describe("STARTTLS", function()
  for _, kind in ipairs {"tcp", "unix", "mem"} do
    it("begins in the clear, and is the same stream behind it: " .. kind, function()
      local client, server = transports.pair(kind)
      local answering = task.spawn(function()
        assert.equal("STARTTLS", server:read())
        server:write "220 ready\n"
        assert.equal(server, server:starttls {context = ours, server = true})
        assert.equal("secret", server:read())
        server:write "secret, too\n"
        server:close()
      end)
      local text = tostring(client):match "stream %d+"
      client:write "STARTTLS\n"
      assert.equal("220 ready", client:read())
      assert.equal(client, client:starttls {context = theirs, server_name = "localhost"})
      assert.equal(text, tostring(client):match "stream %d+")
      client:write "secret\n"
      assert.equal("secret, too", client:read "a" :sub(1, -2))
      answering:join()
      client:close()
    end)
  end

  it("R13: refuses what came in the clear behind it, on either side", function()
    for _, kind in ipairs {"tcp", "mem"} do
      local client, server = transports.pair(kind)
      local _ <close> = closing(client, server)
      client:write "STARTTLS\nMAIL FROM:<evil>\n"
      client:flush()
      server:peek(26)
      assert.equal("STARTTLS", server:read())
      local ok, err = server:starttls {context = ours, server = true}
      assert.is_nil(ok)
      assert.equal("ETLSPLAIN", err.code)
      assert.equal("ETLSPLAIN", code_of(server:read()))
      assert.equal("ETLSPLAIN", code_of(server:write "x"))
      client, server = transports.pair(kind)
      server:write "220 ready\n250 injected\n"
      server:flush()
      client:peek(23)
      assert.equal("220 ready", client:read())
      ok, err = client:starttls {context = theirs, server_name = "localhost"}
      assert.is_nil(ok)
      assert.equal("ETLSPLAIN", err.code)
      assert.equal("ETLSPLAIN", code_of(client:read()))
      client:close()
      server:close()
    end
  end)

  it("R13: refuses what arrives in the clear behind it", function()
    local client, server = net.socketpair()
    local _ <close> = closing(client, server)
    local starting = aside(server.starttls, server, {context = ours, server = true})
    task.yield()
    client:write "MAIL FROM:<evil>\n"
    assert.equal("ETLSPROTO", code_of(starting:join()))
  end)

  it("takes a first record that was only looked at", function()
    local client, server = net.socketpair()
    local _ <close> = closing(client, server)
    local starting = aside(client.starttls, client, {context = theirs, server_name = "localhost"})
    assert.equal("\22", server:peek(1))
    assert(server:starttls {context = ours, server = true})
    assert.equal(client, starting:join())
  end)

  it("fails at once where nothing more can be said", function()
    local client, server = net.socketpair()
    local _ <close> = closing(client, server)
    client:shutdown()
    local code = code_of(client:write "x")
    assert.equal("EPIPE", code)
    assert.equal(code, code_of(client:starttls {context = theirs, server_name = "localhost"}))
  end)

  for _, kind in ipairs {"tls:tcp", "tls:tls:unix", "tls:mem"} do
    it("goes over another TLS stream, whose records may come together: " .. kind, function()
      local client, server = transports.pair(kind)
      local _ <close> = closing(client, server)
      assert.same({true, true}, {shake(client, server)})
      for i = 1, 40 do
        client:write(i, "\n")
        client:flush()
      end
      for i = 1, 40 do
        assert.equal(tostring(i), (server:read()))
      end
      client:close()
      assert.is_nil((server:read()))
    end)
  end

  it("raises for what makes no sense", function()
    local client, server = net.socketpair()
    local _ <close> = closing(client, server)
    local many = {}
    for i = 1, 100 do
      many[i] = ("x"):rep(255)
    end
    for options, what in pairs {
      [{context = theirs}] = "server_name",
      [{server = true}] = "'cert' expected",
      [{server = 1}] = "true or false",
      [{sever = true}] = "did you mean 'server'",
      [{context = theirs, ca = cert}] = "there is one",
      [{context = "x"}] = "tls.context",
      [{server_name = ""}] = "server_name",
      [{server_name = ("x"):rep(256)}] = "server_name",
      [{min_version = "1.1"}] = "1.2",
      [{alpn = {}}] = "alpn",
      [{alpn = {("x"):rep(256)}}] = "255 bytes",
      [{alpn = many}] = "in all",
      [{handshake_timeout = 0}] = "above 0",
    } do
      assert.error_matches(function()
        client:starttls(options)
      end, what)
    end
    client:write "still plain\n"
    assert.equal("still plain", server:read())
  end)
end)

describe("what both agree on", function()
  local function agreed(client, server)
    local a, b = net.socketpair "mem"
    local _ <close> = closing(a, b)
    client.ca, client.server_name = cert, client.server_name or "localhost"
    server.cert, server.key, server.server = cert, key, true
    local mine, other = shake(a, b, client, server)
    return mine == true and a.tls or mine, other == true and b.tls or other
  end

  it("R9: is the first protocol of the server's that the client has, too", function()
    local mine, other = agreed({alpn = {"http/1.1", "x"}}, {alpn = {"h2", "x", "http/1.1"}})
    assert.equal("x", mine.alpn)
    assert.equal("x", other.alpn)
    assert.is_nil(agreed({alpn = {"x"}}, {}).alpn)
    assert.is_nil(agreed({}, {alpn = {"x"}}).alpn)
    local long = ("y"):rep(255)
    assert.equal(long, agreed({alpn = {long}}, {alpn = {long}}).alpn)
    mine, other = agreed({alpn = {"x"}}, {alpn = {"z"}})
    assert.equal("ETLSALERT", mine.code)
    assert.equal("ETLSPROTO", other.code)
    assert.matches("no application protocol", mine.message)
  end)

  it("is the highest version, and a cipher of both", function()
    assert.equal("TLSv1.3", agreed({}, {}).version)
    local old = {min_version = "1.3"}
    assert.equal("TLSv1.3", agreed({}, old).version)
    local about = agreed({ciphers = "TLS_CHACHA20_POLY1305_SHA256"}, {})
    assert.equal("TLS_CHACHA20_POLY1305_SHA256", about.cipher)
    local _, err = agreed({ciphers = "TLS_AES_128_GCM_SHA256"},
      {ciphers = "TLS_AES_256_GCM_SHA384"})
    assert.equal("ETLSPROTO", err.code)
  end)

  it("R9: is a certificate by the name that the client calls", function()
    local names = {}
    for i, name in ipairs {"one.example", "*.two.example"} do
      local c, k = tls.selfsigned {names = {name}}
      names[name] = i == 1 and {cert = c, key = k} or assert(tls.context {cert = c, key = k})
    end
    local server = assert(tls.context {cert = cert, key = key, names = names})
    for called, subject in pairs {
      ["one.example"] = "CN=one.example",
      ["ONE.example"] = "CN=one.example",
      ["a.two.example"] = "CN=*.two.example",
      ["b.a.two.example"] = "CN=localhost",
      ["elsewhere"] = "CN=localhost",
    } do
      local a, b = net.socketpair "mem"
      local _ <close> = closing(a, b)
      assert.same({true, true}, {shake(a, b, {verify = false, server_name = called},
        {context = server, server = true})})
      assert.equal(subject, a.tls.peer.subject)
    end
  end)

  it("R9: or by a function, which may wait, refuse, and fail", function()
    local c, k = tls.selfsigned {names = {"one.example"}}
    local one = assert(tls.context {cert = c, key = k})
    local asked = {}
    local server = assert(tls.context {cert = cert, key = key, names = function(name, stream)
      asked[#asked + 1] = name or "none"
      assert.equal("tls", stream.protocol)
      task.sleep(0.001)
      if name == "wrong.example" then
        error "wrong"
      elseif name == "closed.example" then
        stream:close()
      elseif name == "odd.example" then
        return 7
      end
      if name == "refused.example" then
        return false
      end
      return name == "one.example" and one or nil
    end})
    local function try(name)
      local a, b = net.socketpair "mem"
      local _ <close> = closing(a, b)
      local client = task.spawn(function()
        local _, err = a:starttls {verify = false, server_name = name}
        return err or a.tls.peer.subject
      end)
      local ok, got, err = pcall(b.starttls, b, {context = server, server = true})
      b:close()
      return client:join(), ok, ok and err or got
    end
    assert.equal("CN=one.example", try "one.example")
    assert.equal("CN=localhost", try "elsewhere")
    assert.equal("CN=localhost", try "127.0.0.1")
    local subject, ok, err = try "refused.example"
    assert.equal("ETLSALERT", subject.code)
    assert.matches("unrecognized name", subject.message)
    assert.is_true(ok)
    assert.equal("ETLSPROTO", err.code)
    subject, ok, err = try "wrong.example"
    assert.equal("ETLSALERT", subject.code)
    assert.is_false(ok)
    assert.matches("wrong$", err)
    assert.is_nil(err:find "bad argument")
    ok, err = select(2, try "odd.example")
    assert.is_false(ok)
    assert.matches("returned a number", err)
    ok, err = select(2, try "closed.example")
    assert.is_true(ok)
    assert.equal("EBADF", err.code)
    assert.same({"one.example", "elsewhere", "none", "refused.example", "wrong.example",
      "odd.example", "closed.example"}, asked)
  end)

  it("R9: also where the hello has come before, and once for all who wait", function()
    for _, kind in ipairs {"mem", "unix"} do
      local asked = 0
      local a, b = net.socketpair(kind)
      local _ <close> = closing(a, b)
      local function choose()
        asked = asked + 1
        task.sleep(0.01)
      end
      local client = task.spawn(a.starttls, a, {context = theirs, server_name = "localhost"})
      b:wait "r"
      local server = task.spawn(b.starttls, b, {server = true, cert = cert, key = key, names = choose})
      task.sleep(0.001)
      assert(b:handshake())
      assert(server:join())
      assert(client:join())
      assert.equal(1, asked)
    end
  end)

  it("R9: but not by a function where a read does the handshake", function()
    local server = assert(tls.context {cert = cert, key = key, names = function() end})
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = server}))
    local connecting = task.spawn(net.connect, listener.endpoint, {context = theirs})
    local stream = assert(listener:accept())
    local _, err = stream:recv()
    assert.equal("ETLSPROTO", err.code)
    assert.matches("handshake%(%)", err.message)
    stream:close()
    assert.is_nil((connecting:join()))
  end)
end)

describe("a context", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("reads its files again", function()
    local path, key_path = folder.write("cert.pem", cert), folder.write("key.pem", key)
    local context = assert(tls.context {cert = path, key = key_path})
    local function subject()
      local a, b = net.socketpair "mem"
      local _ <close> = closing(a, b)
      assert.same({true, true}, {shake(a, b, {verify = false, server_name = "x"},
        {context = context, server = true})})
      return a.tls.peer.subject
    end
    assert.equal("CN=localhost", subject())
    local c, k = tls.selfsigned {names = {"new.example"}}
    folder.write("cert.pem", c)
    local ok, err = context:reload()
    assert.is_nil(ok)
    assert.equal("ETLSCERT", err.code)
    assert.equal("CN=localhost", subject())
    folder.write("key.pem", k)
    assert.equal(context, context:reload())
    assert.equal("CN=new.example", subject())
    assert(context:set {cert = cert, key = key})
    assert.equal("CN=localhost", subject())
  end)

  it("refuses unknown options, and says which may be meant", function()
    for options, what in pairs {
      [{cret = "x"}] = "'cret' %(did you mean 'cert'%?%)",
      [{verify = 1}] = "option 'verify'",
      [{verify = "required"}] = "'ca' expected, with 'verify' = \"required\"",
      [{cert = 1}] = "a string expected",
      [{names = {1}}] = "option 'names'",
      [{alpn = {}}] = "'alpn': one name at least",
      [{alpn = {("x"):rep(256)}}] = "'alpn': a list of names of 1 to 255 bytes",
      [{alpn = {""}}] = "'alpn': a list of names of 1 to 255 bytes",
      [7] = "table",
    } do
      assert.error_matches(function()
        tls.context(options)
      end, what)
    end
    for options, what in pairs {
      [{nodlay = true, context = theirs}] = "nodelay",
      [{verfy = true}] = "verify",
      [{tls = 1}] = "option 'tls'",
      [{timeout = -1}] = "timeout",
    } do
      assert.error_matches(function()
        net.connect("tls://127.0.0.1:1", options)
      end, what)
    end
    assert.error_matches(function()
      net.listen "tls://127.0.0.1:0"
    end, "option 'cert' expected")
    assert.equal("ECONNREFUSED", code_of(net.connect("tls://127.0.0.1:1", {nodelay = true})))
  end)

  it("is of other streams by the option `tls`", function()
    local path = folder.path .. "/socket"
    for _, endpoint in ipairs {"unix:" .. path, "mem:tls", "tcp://127.0.0.1:0"} do
      local listener <close> = assert(net.listen(endpoint, {tls = {cert = cert, key = key}}))
      local connecting = task.spawn(net.connect, (listener.endpoint:gsub("^tls", "tcp")), {
        tls = {ca = cert, server_name = "a.example"},
      })
      local stream <close> = assert(listener:accept())
      stream:write "hello"
      stream:close()
      assert.equal("hello", assert(connecting:join()):read "a")
    end
  end)

  it("gives no keys away but to SSLKEYLOGFILE", function()
    local log = folder.path .. "/keys"
    local script = [[
      local net, task, tls = require "neap.net", require "neap.task", require "neap.tls"
      local cert, key = tls.selfsigned {names = {"x"}}
      local a, b = net.socketpair()
      task.all {
        function() assert(a:starttls {ca = cert, server_name = "x"}) end,
        function() assert(b:starttls {server = true, cert = cert, key = key}) end,
      }
    ]]
    local result = assert(process.run {"env", "SSLKEYLOGFILE=" .. log, folder.neap, "-e", script})
    assert.equal("", result.stderr)
    local file <close> = assert(io.open(log))
    assert.matches("CLIENT_TRAFFIC_SECRET_0 ", file:read "a")

    local pipe = folder.path .. "/pipe"
    assert(process.run {"mkfifo", pipe})
    result = assert(process.run {"env", "SSLKEYLOGFILE=" .. pipe, folder.neap, "-e", script})
    assert.equal("", result.stderr)
  end)
end)

describe("traces of TLS streams", function()
  it("show what is written and read, in the clear", function()
    local trace = require "neap.trace"
    local tracer = assert(trace.events())
    local client, server = transports.pair "tls:tcp"
    local _ <close> = closing(client, server)
    client:write "in the clear"
    client:flush()
    server:recv()
    tracer:stop()
    local seen = {}
    for event in tracer do
      if event.data then
        seen[#seen + 1] = event.kind .. " " .. event.data
      end
    end
    assert.same({"write in the clear", "read in the clear"}, seen)
  end)

  it("are seen through filters of TLS and of what is below it, whenever those began", function()
    local trace = require "neap.trace"
    for filter, types in pairs {tls = "tls tls", tcp = "tls tls", ["tls://127.0.0.1"] = "tls tls",
      ["tcp://127.0.0.1"] = "tls tls", unix = ""} do
      for _, first in ipairs {true, false} do
        local tracer = first and assert(trace.events {filter = filter})
        local client, server = transports.pair "tls:tcp"
        local _ <close> = closing(client, server)
        assert(client:handshake())
        tracer = tracer or assert(trace.events {filter = filter})
        client:write "in the clear"
        client:flush()
        server:recv()
        tracer:stop()
        local seen = {}
        for event in tracer do
          if event.data == "in the clear" then
            seen[#seen + 1] = event.type
          end
        end
        assert.equal(types, table.concat(seen, " "), filter)
      end
    end
    local tracer = assert(trace.events {filter = "tcp"})
    net.listen("tls://127.0.0.1:0", {context = ours}):close()
    tracer:stop()
    assert.equal("listen", tracer().kind)
  end)
end)
