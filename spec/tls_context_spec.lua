-- TLS contexts: what each name of a server goes by, what a context tells of itself, and how
-- wrong calls are told.

local certificates = require "spec.support.certificates"
local closing = require "spec.support.connections".closing
local folder = require "spec.support.folder"
local handshakes = require "spec.support.handshakes"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local tls = require "neap.tls"

local cert, key, ours = handshakes.cert, handshakes.key, handshakes.ours
local shake = handshakes.shake

--- What a client that calls that name comes to.
local function met(server, called, opts)
  local a, b = net.socketpair "mem"
  local _ <close> = closing(a, b)
  local client = {verify = false, server_name = called}
  for name, value in pairs(opts or {}) do
    client[name] = value
  end
  local mine, other = shake(a, b, client, {context = server, server = true})
  return mine == true and a.tls or mine, other == true and b.tls or other
end

describe("a context by name", function()
  it("R9: has its own ciphers, protocols and tickets, whichever way it is chosen", function()
    local other = assert(tls.context {
      cert = cert, key = key, ciphers = "TLS_CHACHA20_POLY1305_SHA256", alpn = {"b"},
    })
    local usual = assert(tls.context {cert = cert, key = key, alpn = {"a", "b"}})
    for _, names in ipairs {{["b.example"] = other, ["a.example"] = usual}, function(name)
      return name == "b.example" and other or usual
    end} do
      local server = assert(tls.context {
        cert = cert, key = key, names = names, ciphers = "TLS_AES_128_GCM_SHA256", alpn = {"c"},
      })
      local about = met(server, "b.example", {alpn = {"a", "b"}})
      assert.equal("TLS_CHACHA20_POLY1305_SHA256 b", about.cipher .. " " .. about.alpn)
      about = met(server, "a.example", {alpn = {"a", "b"}})
      assert.equal("TLS_AES_256_GCM_SHA384 a", about.cipher .. " " .. about.alpn)
    end
    local server = assert(tls.context {cert = cert, key = key,
      ciphers = "TLS_AES_128_GCM_SHA256", names = {}})
    assert.equal("TLS_AES_128_GCM_SHA256", met(server, "a.example").cipher)
  end)

  it("R9: has its own versions, and ciphers of TLS 1.2", function()
    if not certificates.possible() then
      return pending "the openssl command is not there"
    end
    local server = assert(tls.context {cert = cert, key = key, min_version = "1.3", names = {
      ["old.example"] = {cert = cert, key = key},
      ["older.example"] = {cert = cert, key = key, ciphers = "ECDHE-ECDSA-AES256-SHA384"},
      ["new.example"] = {cert = cert, key = key, min_version = "1.3"},
    }})
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = server}))
    for name, cipher in pairs {
      ["old.example"] = "ECDHE-ECDSA-AES256-GCM-SHA384",
      ["older.example"] = "ECDHE-ECDSA-AES256-SHA384", ["new.example"] = false, ["x.example"] = false,
    } do
      local peer <close> = assert(process.spawn {"openssl", "s_client", "-tls1_2", "-cipher",
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-SHA384", "-servername", name, "-connect",
        "127.0.0.1:" .. listener.port, stdin = "null", stdout = "null", stderr = "null"})
      local stream <close> = assert(listener:accept())
      local ok, err = stream:handshake()
      if cipher then
        assert.equal("TLSv1.2 " .. cipher, assert(ok, err).tls.version .. " " .. stream.tls.cipher)
      else
        assert.equal("ETLSPROTO", err.code)
        assert.matches("protocol", err.message)
      end
      peer:wait()
    end
  end)

  it("R9: gives tickets, or none, as it says", function()
    local with, without = {cert = cert, key = key}, {cert = cert, key = key, tickets = false}
    for _, server in ipairs {
      {tickets = false, cert = cert, key = key, names = {["a.example"] = with}},
      {cert = cert, key = key, names = {["a.example"] = without}},
    } do
      local listener <close> = assert(net.listen("tls://127.0.0.1:0", server))
      local client = assert(tls.context {ca = cert})
      local resumed
      for _ = 1, 2 do
        local connecting = task.spawn(net.connect, listener.endpoint,
          {context = client, server_name = "a.example"})
        local stream <close> = assert(listener:accept())
        stream:write "x"
        local other <close> = assert(connecting:join())
        other:read(1) -- behind the tickets
        resumed = other.tls.resumed
      end
      assert.equal(server.tickets == false, resumed)
    end
  end)

  -- The leak check of the sanitizers tells whether they are gone then.
  it("may name who names it, or itself", function()
    local a = assert(tls.context {cert = cert, key = key})
    local b = assert(tls.context {cert = cert, key = key, names = {["a.example"] = a}})
    assert(a:set {names = {["b.example"] = b, ["a.example"] = a}})
    assert.equal("TLSv1.3", met(a, "b.example").version)
    assert.equal("TLSv1.3", met(b, "a.example").version)
    local c, k = tls.selfsigned {names = {"new.example"}}
    assert(b:set {cert = c, key = k}) -- which who names it knows
    assert.equal("CN=new.example", met(a, "b.example").peer.subject)
  end)

  it("takes names with a dot at their end, which is none of theirs, on either side", function()
    local c, k = tls.selfsigned {names = {"dot.example"}}
    local server = assert(tls.context {cert = cert, key = key,
      names = {["dot.example."] = {cert = c, key = k}}})
    local mine, other = met(server, "dot.example.", {verify = true, ca = c})
    assert.equal("dot.example", mine.server_name)
    assert.equal("dot.example", other.server_name)
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
    local server_task = task.spawn(listener.serve, listener, function() end)
    local stream <close> = assert(net.connect("tls://localhost.:" .. listener.port, {ca = cert}))
    assert.equal("localhost", stream.tls.server_name)
    listener:close()
    server_task:join()
  end)
end)

describe("a context", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("tells what it has, and neither its key nor its password", function()
    local path = folder.write("both.pem", cert .. key)
    local context = assert(tls.context {
      cert = path, ca = cert, verify = "optional", alpn = {"http/1.1"}, min_version = "1.3",
      names = {["x.example"] = {cert = cert, key = key}}, tickets = false, password = "secret",
    })
    local about = context:about()
    assert.equal("CN=localhost", about.cert.subject)
    assert.equal(about.cert.pem, about.chain[1].pem)
    assert.same({cert = path}, about.files)
    assert.same({"optional", "1.3", false, 10},
      {about.verify, about.min_version, about.tickets, about.handshake_timeout})
    assert.same({{"http/1.1"}, {"x.example"}}, {about.alpn, about.names})
    assert.matches("^TLS_", about.ciphers[#about.ciphers])
    assert.is_nil(about.password)
    assert.is_nil(about.key)
    assert(context:set {alpn = {"other"}, min_version = "1.2"})
    assert.same({"other"}, context:about().alpn)
    assert.matches("^E?C?DHE", context:about().ciphers[#context:about().ciphers])
    about = assert(tls.context {}):about()
    assert.same({true, "1.2", true}, {about.verify, about.min_version, about.tickets})
    assert.is_nil(about.cert)
    assert.is_nil(about.names)
  end)

  it("takes no zero bytes in names of files, ciphers and hosts", function()
    for name, value in pairs {
      cert = "a\0b", key = "a\0b", ca = "a\0b", crl = "a\0b", ciphers = "HIGH\0x",
      names = {["a\0.example"] = {}},
    } do
      assert.error_matches(function()
        tls.context {[name] = value}
      end, "option '" .. name .. "'.*zero bytes")
    end
  end)

  it("that is called wrongly, and streams that are, say so at the caller's line", function()
    local a, b = net.socketpair "mem"
    local _ <close> = closing(a, b)
    local reading = task.spawn(a.read, a)
    task.yield()
    for what, call in pairs {
      ["another task reads this stream %(EBUSY%)$"] = function() a:starttls {ca = cert, server_name = "x"} end,
      ["bad argument #1 to 'starttls' %(unknown option 'cart'"] = function() b:starttls {cart = ""} end,
      ["bad argument #1 to 'starttls' %(neap.Stream expected, got table%)"] = function() a.starttls {} end,
      ["bad argument #1 to 'handshake' %(neap.Stream expected, got nil%)"] = function() a.handshake() end,
      ["bad argument #1 to 'selfsigned' %(option 'names'"] = function() tls.selfsigned {} end,
      ["bad argument #1 to 'context' %(a table of options expected, got nil%)"] = function() tls.context() end,
      ["bad argument #1 to 'set' %(option 'alpn'"] = function() ours:set {alpn = {}} end,
      ["bad argument #1 to 'set' %(neap.tls.Context expected, got table%)"] = function() ours.set({}, {}) end,
      ["bad argument #1 to 'reload' %(neap.tls.Context expected, got nil%)"] = function() ours.reload() end,
      ["bad argument #1 to 'about' %(neap.tls.Context expected, got nil%)"] = function() ours.about() end,
      ["bad argument #2 to 'connect' %(option 'nodelay'"] = function()
        net.connect("tls://127.0.0.1:1", {nodelay = "x"})
      end,
      ["option 'backlog': a whole number"] = function()
        net.listen("tls://127.0.0.1:0", {context = ours, backlog = "x"})
      end,
    } do
      local ok, err = pcall(call)
      local place = debug.getinfo(call, "S")
      local line, why = err:match "^spec/tls_context_spec%.lua:(%d+): (.*)$"
      assert.is_false(ok)
      assert.matches("^" .. what, why)
      line = tonumber(line)
      assert.is_true(line >= place.linedefined and line <= place.lastlinedefined, err)
    end
    reading:cancel()
    pcall(reading.join, reading)
  end)
end)
