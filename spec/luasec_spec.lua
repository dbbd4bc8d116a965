-- LuaSec's API on neap's TLS: what its scripts rely on.

local certificates = require "spec.support.certificates"
local folder = require "spec.support.folder"
local net = require "neap.net"
local socket = require "neap.luasocket.socket"
local task = require "neap.task"
local tls = require "neap.tls"

local modules = require "neap.luasocket.ssl"
local ssl = modules.ssl

--- A certificate that signs itself, its key, and both as files: for all tests.
local cert, key = tls.selfsigned {names = {"localhost", "127.0.0.1"}}
local other_cert, other_key = tls.selfsigned {names = {"other.example"}}
local files = {}

before_each(function()
  folder.make()
  for name, text in pairs {cert = cert, key = key, other_cert = other_cert, other_key = other_key} do
    files[name] = folder.write(name .. ".pem", text)
  end
end)
after_each(folder.remove)

local function server_params(more)
  local params = {mode = "server", protocol = "any", key = files.key, certificate = files.cert}
  for name, value in pairs(more or {}) do
    params[name] = value
  end
  return params
end

local function client_params(more)
  local params = {mode = "client", protocol = "any"}
  for name, value in pairs(more or {}) do
    params[name] = value
  end
  return params
end

--- Both ends of a connection, which is plain as yet.
local function plain()
  local server = assert(socket.bind("127.0.0.1", 0))
  local host, port = server:getsockname()
  local client = assert(socket.connect(host, port))
  local other = assert(server:accept())
  server:close()
  finally(function()
    client:close()
    other:close()
  end)
  return client, other
end

--- Both ends with TLS, before their handshakes.
local function wrapped(of_client, of_server)
  local a, b = plain()
  local client = assert(ssl.wrap(a, client_params(of_client)))
  local server = assert(ssl.wrap(b, server_params(of_server)))
  finally(function()
    client:close()
    server:close()
  end)
  return client, server
end

--- What both handshakes give.
local function shake(client, server)
  local theirs = task.spawn(function()
    return {server:dohandshake()}
  end)
  local ours = {client:dohandshake()}
  return ours, theirs:join()
end

local function pair(of_client, of_server)
  local client, server = wrapped(of_client, of_server)
  assert.same({{true}, {true}}, {shake(client, server)})
  return client, server
end

describe("ssl.wrap", function()
  it("takes the socket over, whose calls tell that it has none", function()
    local a, b = plain()
    local client = assert(ssl.wrap(a, client_params()))
    assert.same({nil, "closed", ""}, {a:receive()})
    assert.equal(-1, a:getfd())
    assert.is_true(client:getfd() >= 0)
    assert.matches("^SSL connection: %S+$", tostring(client))
    assert.same({nil, "closed", ""}, {client:receive()})
    assert.same({nil, "closed", 0}, {client:send "x"})
    assert.same({false, "closed"}, {client:getpeerverification()})
    assert.same({nil, "closed"}, {client:info()})
    client:close()
    assert.matches("%(closed%)$", tostring(client))
    assert.same({false, "closed"}, {client:dohandshake()})
    assert.same({nil, "closed", ""}, {b:receive()})
  end)

  it("keeps its descriptor until it is closed, for loops that know no more than that", function()
    local client, server = wrapped()
    local fd = server:getfd()
    assert.same({{true}, {true}}, {shake(client, server)})
    assert.equal(fd, server:getfd())
    server:settimeout(0)
    assert.same({nil, "wantread", ""}, {server:receive()})
    local number = {getfd = function() return fd end}
    for _, case in ipairs {{"x\n", "x"}, {nil, nil, "closed"}} do
      if case[1] then
        client:send(case[1])
      else
        client:close()
      end
      assert.equal(number, socket.select({number}, nil, 20)[1])
      local line, text = server:receive()
      assert.same({case[2], case[3]}, {line, text})
      assert.equal(fd, server:getfd())
    end
    server:close()
    assert.equal(-1, server:getfd())
  end)

  it("keeps its descriptor when its handshake has failed", function()
    local a, b = plain()
    local server <close> = assert(ssl.wrap(b, server_params()))
    local fd = server:getfd()
    a:send "no TLS\n\n"
    assert.is_false((server:dohandshake()))
    assert.equal(fd, server:getfd())
  end)

  it("takes one that is still connecting", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local raw = socket.tcp()
    raw:settimeout(0)
    raw:connect("127.0.0.1", port)
    local client = assert(ssl.wrap(raw, client_params()))
    client:settimeout(0)
    local serving = task.spawn(function()
      local server = assert(ssl.wrap(assert(listener:accept()), server_params()))
      assert(server:dohandshake())
      server:send "hello\n"
      server:close()
    end)
    local ok, why
    repeat
      ok, why = client:dohandshake()
      if why == "wantread" then
        socket.select({client})
      elseif why == "wantwrite" then
        socket.select(nil, {client})
      else
        assert.is_nil(why)
      end
    until ok
    client:settimeout(5)
    assert.equal("hello", client:receive())
    serving:join()
    client:close()
    listener:close()
  end)

  it("raises for what is no connected socket, and no parameters", function()
    local a = plain()
    for _, case in ipairs {
      {function() ssl.wrap(socket.tcp(), client_params()) end, "#1 to 'wrap' %(a connected socket expected"},
      {function() ssl.wrap(a, 5) end, "#2 to 'wrap' %(a table of parameters expected, got number"},
      {function() ssl.newcontext {mode = "client"} end, "#1 to 'newcontext' %(parameter 'protocol'"},
      {function() modules["ssl.context"].setdepth({}, 1) end, "#1 to 'setdepth' %(SSL:Context expected"},
    } do
      local ok, err = pcall(case[1])
      assert.is_false(ok)
      assert.matches("luasec_spec.lua:%d+: bad argument " .. case[2], err)
    end
  end)
end)

describe("a connection", function()
  it("sends and receives as LuaSocket's do", function()
    local client, server = pair()
    assert.equal(6, client:send "hello\n")
    assert.equal("hello", server:receive())
    server:send "a\rb\r\nbytes and rest"
    assert.equal("ab", client:receive())
    assert.equal("> byte", client:receive(6, "> "))
    local text = ("x"):rep(300000)
    local writer = task.spawn(server.send, server, text)
    assert.equal("s and rest" .. text, client:receive(300010))
    assert.equal(#text, writer:join())
    server:close()
    assert.same({nil, "closed", ""}, {client:receive "*a"})
    local received, sent = client:getstats()
    assert.same({300019, 6}, {received, sent})
  end)

  it("says for what it waits when its time is up", function()
    local client, server = wrapped()
    client:settimeout(0)
    assert.same({false, "wantread"}, {client:dohandshake()})
    assert.equal("read", client:want())
    client:settimeout(nil)
    shake(client, server)
    assert.equal("nothing", client:want())
    client:settimeout(0.01)
    server:send "part"
    local _, why, part = client:receive()
    while part == "" do -- on its way
      _, why, part = client:receive()
    end
    assert.same({"wantread", "part", "read"}, {why, part, client:want()})
    client:settimeout(0.01, "t")
    assert.equal("wantread", (select(2, client:receive(10))))
  end)

  it("says how much it has sent when its peer takes no more #slow", function()
    local _, server = pair()
    server:settimeout(0)
    local why, last
    repeat
      _, why, last = server:send(("x"):rep(2 ^ 23))
    until why
    assert.same({"wantwrite", "write"}, {why, server:want()})
    assert.is_true(last < 2 ^ 23)
  end)

  it("tells select what can be read, also in a handshake", function()
    local client, server = wrapped()
    client:settimeout(0)
    local serving = task.spawn(server.dohandshake, server)
    while not client:dohandshake() do
      socket.select({client})
    end
    serving:join()
    assert.same({{}, {}, "timeout"}, {socket.select({client}, nil, 0)})
    assert.equal(client, select(2, socket.select(nil, {client}))[1])
    server:send "xy"
    assert.equal(client, socket.select({client})[1])
    client:receive(1)
    assert.is_true(client:dirty())
    assert.equal(client, socket.select({client}, nil, 0)[1])
  end)

  it("suspends its own task only", function()
    local client, server = pair()
    local reader = task.spawn(client.receive, client)
    task.yield()
    server:send "late\n"
    assert.equal("late", reader:join())
  end)

  it("tells who its peer is, and how they speak", function()
    local client, server = pair({protocol = "tlsv1_2"}, {protocol = "any"})
    local about = client:info()
    assert.same({"TLSv1.2", false, 256, 256, "AEAD"},
      {about.protocol, about.export, about.bits, about.algbits, about.mac})
    assert.same({about.cipher, "TLSv1.2"}, {server:info "cipher", server:info "protocol"})
    local peer = client:getpeercertificate()
    assert.equal(cert, peer:pem())
    assert.equal(cert, server:getlocalcertificate():pem())
    assert.same({1, 1}, {#client:getpeerchain(), #server:getlocalchain()})
    assert.is_nil(client:getpeercertificate(2))
    assert.same({nil, "invalid certificate index"}, {client:getpeercertificate(0)})
    assert.is_nil(server:getpeercertificate())
    assert.equal(client:getfinished(), server:getpeerfinished())
    assert.equal(server:getfinished(), client:getpeerfinished())
    assert.equal(12, #client:getfinished())
    assert.equal(client:exportkeyingmaterial("EXPERIMENTAL x", 20), server:exportkeyingmaterial("EXPERIMENTAL x", 20))
    assert.not_equal(client:exportkeyingmaterial("EXPERIMENTAL x", 20),
      client:exportkeyingmaterial("EXPERIMENTAL x", 20, "y"))
  end)

  it("verifies if it is told to, but not whom a certificate names", function()
    local client, server = wrapped {verify = "peer", cafile = files.cert}
    client:sni "another.example"
    assert.same({{true}, {true}}, {shake(client, server)})
    assert.is_true(client:getpeerverification())
    assert.same({"another.example", "another.example"}, {client:getsniname(), server:getsniname()})

    client, server = wrapped {verify = "peer", cafile = files.other_cert}
    local ours, theirs = shake(client, server)
    assert.same({false, "certificate verify failed"}, ours)
    assert.matches("^The peer refuses: ", theirs[2])
  end)

  it("verifies nobody if it is not, and says what it thinks of it", function()
    local client = pair()
    local ok, why = client:getpeerverification()
    assert.is_false(ok)
    assert.matches("self.signed certificate", why)
  end)

  it("goes on with one that is refused, and tells why, place by place", function()
    local client, server = pair({key = files.other_key, certificate = files.other_cert},
      {verify = {"peer", "fail_if_no_peer_cert"}, verifyext = {"lsec_continue"}})
    local ok, why = server:getpeerverification()
    assert.is_false(ok)
    assert.matches("self.signed certificate", why[1][1])
    assert.equal(other_cert, server:getpeercertificate():pem())
    assert.equal(1, #server:getpeerchain())
    assert.is_false((client:getpeerverification()))
  end)

  it("wants a certificate of its client if it is told to", function()
    local client, server = wrapped({protocol = "tlsv1_2"}, {verify = {"peer", "fail_if_no_peer_cert"}})
    local ours, theirs = shake(client, server)
    assert.is_false(ours[1])
    assert.same({false, "certificate verify failed"}, theirs)
  end)

  it("has another context for a name, and may refuse those that it does not know", function()
    local other = assert(ssl.newcontext(server_params {key = files.other_key, certificate = files.other_cert}))
    for name, wanted in pairs {["other.example"] = other_cert, ["any.example"] = cert} do
      local client, server = wrapped()
      client:sni(name)
      server:sni {["other.example"] = other}
      shake(client, server)
      assert.equal(wanted, client:getpeercertificate():pem())
    end
    local client, server = wrapped()
    client:sni "any.example"
    server:sni({["other.example"] = other}, true)
    local ours, theirs = shake(client, server)
    assert.same({false, false}, {ours[1], theirs[1]})
    assert.matches("unrecognized name", ours[2])
  end)

  it("agrees on a protocol by a list, or a function, or on none", function()
    local asked
    local function choose(theirs)
      asked = table.concat(theirs, " ")
      return asked:find "b" and "b" or nil
    end
    for _, case in ipairs {
      {{"a", "b"}, {"c", "b"}, "b"}, {"a", {"b"}, nil}, {{"a", "b"}, choose, "b"}, {{"a"}, choose, nil},
    } do
      local client, server = pair({alpn = case[1]}, {alpn = case[2]})
      assert.same({case[3], case[3]}, {client:getalpn(), server:getalpn()})
    end
    assert.equal("a", asked)
  end)

  it("is cut: an error, which is not an end", function()
    local client, server = pair()
    server:send "half"
    assert.equal("half", client:receive(4))
    server.lower.stream:reset()
    local _, why = client:receive "*a"
    assert.is_true(why == "closed" or why == "unexpected eof while reading")
  end)
end)

describe("ssl.newcontext", function()
  it("says what is wrong with a parameter", function()
    for _, case in ipairs {
      {{mode = "x"}, "^invalid mode %(x%)$"}, {{protocol = "sslv3"}, "^invalid protocol %(sslv3%)$"},
      {{key = "/none"}, "^error loading private key %(.*no such file"},
      {{certificate = files.key}, "^error loading certificate %(no start line"},
      {{key = files.other_key, certificate = files.cert}, "^private key does not match public key$"},
      {{cafile = "/none"}, "^error loading CA locations"}, {{ciphers = "x"}, "^error setting cipher list"},
      {{ciphersuites = "x"}, "^error setting cipher list"}, {{verify = "x"}, "^invalid verify option %(x%)$"},
      {{options = {"all", "x"}}, "^invalid option %(x%)$"}, {{curve = "x"}, "^elliptic curve 'x' not supported$"},
      {{curveslist = "P-256:x"}, "^unknown elliptic curve in \"P%-256:x\"$"},
      {{verifyext = "x"}, "^invalid verify option %(x%)$"}, {{alpn = {}}, "^invalid ALPN list %(empty%)$"},
      {{alpn = {""}}, "^invalid ALPN name"}, {{alpn = 5}, "^invalid ALPN parameter$"},
      {{dhparam = 5}, "^invalid DH parameter type$"}, {{key = files.key, password = 5}, "^invalid password type$"},
    } do
      local ctx, why = ssl.newcontext(client_params(case[1]))
      assert.is_nil(ctx)
      assert.matches(case[2], why)
    end
  end)

  it("takes the rest of LuaSec's parameters", function()
    local ctx = assert(ssl.newcontext(server_params {
      cafile = files.cert, capath = folder.path, verify = {"peer", "client_once"}, options = {"all", "no_ticket"},
      ciphers = "HIGH:!aNULL", ciphersuites = "TLS_AES_128_GCM_SHA256", depth = 3, curveslist = "X25519:P-256",
      dhparam = function() end, verifyext = {"crl_check", "crl_check_chain", "lsec_ignore_purpose"},
    }))
    assert.matches("^SSL context: ", tostring(ctx))
    local client = pair({options = "no_tlsv1_3", curve = "P-256"}, {
      certificates = {{key = files.other_key, certificate = files.other_cert}},
      ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"})
    assert.equal("ECDHE-ECDSA-AES128-GCM-SHA256", client:info "cipher")
    assert.equal(other_cert, client:getpeercertificate():pem())
  end)

  it("asks for a key's password where it has one", function()
    if not certificates.possible() then
      pending "no openssl"
    end
    local process = require "neap.process"
    assert(process.run {"openssl", "pkcs8", "-topk8", "-in", files.key, "-out", folder.path .. "/locked.pem",
      "-passout", "pass:secret"})
    local asked = 0
    local function password()
      asked = asked + 1
      return "secret"
    end
    local locked = folder.path .. "/locked.pem"
    assert(ssl.newcontext(server_params {key = locked, password = password}))
    assert(ssl.newcontext(server_params {key = locked, password = "secret"}))
    assert(ssl.newcontext(server_params {password = password}))
    assert.equal(1, asked)
    for _, wrong in ipairs {{key = locked}, {key = locked, password = "x"}} do
      assert.matches("^error loading private key", select(2, ssl.newcontext(server_params(wrong))))
    end
  end)
end)

describe("ssl.loadcertificate", function()
  it("gives what a certificate says", function()
    local one = ssl.loadcertificate(cert)
    local info = require "neap.crypto.core".certificate(cert)
    assert.same({{oid = "2.5.4.3", name = "commonName", value = "localhost"}}, one:subject())
    assert.same(one:subject(), one:issuer())
    assert.same({["2.5.29.17"] = {name = "X509v3 Subject Alternative Name", dNSName = {"localhost"},
      iPAddress = {"127.0.0.1"}}}, one:extensions())
    assert.equal(info.fingerprint, one:digest "sha256")
    assert.same({40, 128}, {#one:digest(), #one:digest "sha512"})
    assert.same({nil, "digest algorithm not supported (md5)"}, {one:digest "md5"})
    assert.equal(info.serial:upper():gsub("^0+", ""), (one:serial():gsub("^0+", "")))
    assert.matches("^%a%a%a [ %d]%d %d%d:%d%d:%d%d %d%d%d%d GMT$", one:notbefore())
    assert.matches(" GMT$", one:notafter())
    assert.same({true, false}, {one:validat(os.time()), one:validat(info.not_after + 1)})
    local public, kind, bits = one:pubkey()
    assert.matches("^%-%-%-%-%-BEGIN PUBLIC KEY", public)
    assert.same({"EC", 256}, {kind, bits})
    assert.equal("ecdsa-with-SHA256", one:getsignaturename())
    assert.same({true, true, false}, {one:setencode "utf8", one:setencode "ai5", one:setencode "x"})
    assert.is_true(one:issued(one))
    assert.is_nil((one:issued(ssl.loadcertificate(other_cert))))
    assert.matches("^X509 certificate: ", tostring(one))
    assert.is_nil(ssl.loadcertificate "none")
    getmetatable(one).__gc(one)
    assert.has_error(function() one:pem() end)
  end)

  it("gives names of other kinds, as they lie there or as UTF-8", function()
    if not certificates.possible() then
      pending "no openssl"
    end
    certificates.begin(folder.path)
    certificates.openssl("req", "-x509", "-config", "config", "-key", "key.pem", "-subj", "/CN=x", "-out", "names.pem",
      "-addext", "subjectAltName=email:a@b.c,URI:http://x/,otherName:1.3.6.1.5.5.7.8.5;BMP:e,RID:1.2.3")
    local one = ssl.loadcertificate(certificates.read(folder.path .. "/names.pem"))
    one:setencode "utf8"
    assert.same({name = "X509v3 Subject Alternative Name", rfc822Name = {"a@b.c"},
      uniformResourceIdentifier = {"http://x/"}, ["1.3.6.1.5.5.7.8.5"] = {"e", name = "XmppAddr"}},
      one:extensions()["2.5.29.17"])
    one:setencode "ai5"
    assert.same({"\0e", name = "XmppAddr"}, one:extensions()["2.5.29.17"]["1.3.6.1.5.5.7.8.5"])
  end)
end)

describe("neap --luasocket", function()
  it("lets require give it, and its own ssl.https where LuaSec has none", function()
    local result = folder.run("--luasocket", "-e", [[
      local path = package.path
      package.path, package.cpath = "", ""
      local ssl = require "ssl"
      print(ssl.wrap == require "neap.luasocket.ssl".ssl.wrap, require "ssl.config" == ssl.config)
      print(require "ssl.core".SOCKET_INVALID, type(require "ssl.context".create), type(require "ssl.x509".load))
      print(select(2, pcall(require, "ssl.https")):match "apt%-get install lua%-socket")]])
    assert.same(folder.says "true\ttrue\n-1\tfunction\tfunction\napt-get install lua-socket\n", result)
  end)
end)

describe("a plain listener of neap's and LuaSec's client", function()
  it("understand each other", function()
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {cert = cert, key = key}))
    local serving = task.spawn(function()
      local stream <close> = listener:accept()
      stream:write(stream:read(), "!\n")
    end)
    local client = assert(ssl.wrap(assert(socket.connect("127.0.0.1", listener.port)), client_params()))
    assert(client:dohandshake())
    client:send "hello\n"
    assert.equal("hello!", client:receive())
    client:close()
    serving:join()
  end)
end)
