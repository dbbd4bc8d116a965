-- The scripts that speak TLS, run as their users would run them.

local folder = require "spec.support.folder"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local tls = require "neap.tls"

local neap = folder.neap
local cert, key = tls.selfsigned {names = {"localhost", "127.0.0.1"}}
local ours = assert(tls.context {cert = cert, key = key})

local closers = {}

before_each(function()
  folder.make()
  folder.write("cert.pem", cert)
  folder.write("key.pem", key)
end)
after_each(function()
  folder.remove()
  for _, close in ipairs(closers) do
    close()
  end
  closers = {}
end)

--- Run a script that trusts our certificate.
local function run(name, ...)
  return assert(process.run {"env", "SSL_CERT_FILE=" .. folder.path .. "/cert.pem", neap,
    "scripts/" .. name .. ".lua", ...})
end

--- A server of our own beside the test.
local function serve(endpoint, options, handler)
  local listener = assert(net.listen(endpoint, options))
  local serving = task.spawn(listener.serve, listener, handler, {onerror = function() end})
  table.insert(closers, function()
    listener:close()
    serving:join()
  end)
  return listener.endpoint:match "//(.*)"
end

describe("each script", function()
  for script, lists in pairs {
    tls_echo = {{"x"}, {"-c"}, {"-k", "x"}, {"-x", "y"}, {"tls://127.0.0.1:0", "x"}},
    certs = {{}, {"a b"}, {"host", ""}, {"x:y:1"}},
    nc = {{"--ca"}, {"-l", "tls://127.0.0.1:0"}, {"--insecure", "tcp://127.0.0.1:1"}, {"-x", "mem:x"}},
    proxy = {
      {"tls://127.0.0.1:0", "tcp://127.0.0.1:1"}, {"--cert", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1"},
      {"--cert", "x", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1"},
      {"--insecure", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1"},
    },
    starttls_probe = {{}, {"smtp"}, {"x", "localhost"}, {"smtp", "a b"}, {"smtp", "x", "y"}},
  } do
    it(script .. ".lua tells its usage when called wrongly", function()
      for _, arguments in ipairs(lists) do
        local result = run(script, table.unpack(arguments))
        assert.equal(2, result.code, table.concat(arguments, " ") .. result.stderr)
        assert.equal("", result.stdout)
        assert.matches("\nusage: neap " .. script, "\n" .. result.stderr, 1, true)
      end
    end)
  end
end)

describe("http_get.lua", function()
  local ok = "HTTP/1.1 200 OK\r\n"

  local function get(answer, cuts)
    local at = serve("tls://127.0.0.1:0", {context = ours}, function(stream)
      stream:readuntil "\r\n\r\n"
      stream:write(answer)
      stream:flush()
      if cuts then
        stream:reset()
      end
    end)
    return run("http_get", "https://" .. at .. "/")
  end

  it("gets by https, and knows what was cut", function()
    assert.same({stdout = "hello", stderr = "", code = 0}, get(ok .. "Content-Length: 5\r\n\r\nhello"))
    assert.same({stdout = "hello", stderr = "", code = 0}, get(ok .. "\r\nhello"))
    local result = get(ok .. "\r\nhello", true)
    assert.equal(1, result.code)
    assert.is_truthy(result.stderr:find "ETLSCUT" or result.stderr:find "ECONNRESET")
  end)

  it("refuses whom it does not know", function()
    local c, k = tls.selfsigned {names = {"127.0.0.1"}}
    local at = serve("tls://127.0.0.1:0", {cert = c, key = k}, print)
    local result = run("http_get", "https://" .. at .. "/")
    assert.equal(1, result.code)
    assert.matches("ETLSVERIFY", result.stderr)
  end)
end)

describe("certs.lua", function()
  it("shows the chain, and whether it is taken", function()
    local at = serve("tls://127.0.0.1:0", {context = ours}, function() end)
    local result = run("certs", at)
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
    assert.matches("^tls://" .. at:gsub("%p", "%%%0") .. "  TLSv1.3  TLS_", result.stdout)
    assert.matches("  1 CN=localhost\n    names   localhost, 127.0.0.1\n    issuer  CN=localhost\n",
      result.stdout)
    assert.matches("36%d days left", result.stdout)
    assert.matches("  verified\n$", result.stdout)
    local c, k = tls.selfsigned {names = {"elsewhere.example"}, days = 3}
    at = serve("tls://127.0.0.1:0", {cert = c, key = k}, function() end)
    result = run("certs", at, "127.0.0.1:1")
    assert.equal(2, result.code)
    assert.matches("CN=elsewhere.example.*2 days left.*REFUSED.*self%-signed", result.stdout)
    assert.matches("ECONNREFUSED", result.stderr)
  end)
end)

describe("starttls_probe.lua", function()
  local starts = {server = true, context = ours}

  local function answering(stream, replies)
    for line in stream:lines() do
      local reply = replies[line:gsub("\r$", "")]
      stream:write(reply or "500 what?\r\n")
      if reply and reply:find "go" then
        assert(stream:starttls(starts))
        stream:read "a"
      end
    end
  end

  local dialogues = {
    smtp = function(stream)
      stream:write "220 mail.example\r\n"
      answering(stream, {["EHLO localhost"] = "250-mail.example\r\n250 STARTTLS\r\n",
        STARTTLS = "220 go\r\n"})
    end,
    imap = function(stream)
      stream:write "* OK ready\r\n"
      answering(stream, {["a CAPABILITY"] = "* CAPABILITY STARTTLS\r\na OK\r\n",
        ["b STARTTLS"] = "b OK go\r\n"})
    end,
    pop3 = function(stream)
      stream:write "+OK ready\r\n"
      answering(stream, {CAPA = "+OK\r\nSTLS\r\n.\r\n", STLS = "+OK go\r\n"})
    end,
    ftp = function(stream)
      stream:write "220 ready\r\n"
      answering(stream, {["AUTH TLS"] = "234 go\r\n"})
    end,
    xmpp = function(stream)
      stream:readuntil "streams'>"
      stream:write "<stream:stream><stream:features><starttls/></stream:features>"
      stream:readuntil "/>"
      stream:write "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
      stream:flush()
      assert(stream:starttls(starts))
      stream:read "a"
    end,
    postgres = function(stream)
      assert.same({8, 80877103}, {stream:unpack ">I4 I4"})
      stream:write "S"
      stream:flush()
      assert(stream:starttls(starts))
      stream:read "a"
    end,
  }

  for name, dialogue in pairs(dialogues) do
    it("asks by " .. name, function()
      local at = serve("tcp://127.0.0.1:0", nil, dialogue)
      local result = run("starttls_probe", name, at)
      assert.equal("", result.stderr)
      assert.equal(0, result.code)
      assert.matches("TLSv1.3  TLS_[%w_]+\nCN=localhost  until 2%d%d%d%-%d%d%-%d%d\n$", result.stdout)
    end)
  end

  it("tells where there is none, or somebody speaks in between", function()
    local at = serve("tcp://127.0.0.1:0", nil, function(stream)
      stream:write "220 mail.example\r\n"
      answering(stream, {["EHLO localhost"] = "250 nothing\r\n"})
    end)
    local result = run("starttls_probe", "smtp", at)
    assert.equal(1, result.code)
    assert.equal("starttls_probe: the server offers no TLS\n", result.stderr)
    at = serve("tcp://127.0.0.1:0", nil, function(stream)
      stream:read(8)
      stream:write "Sand more"
      stream:flush()
      stream:read "a"
    end)
    result = run("starttls_probe", "postgres", at)
    assert.equal(1, result.code)
    assert.is_truthy(result.stderr:find "ETLSPLAIN" or result.stderr:find "ETLSPROTO")
  end)
end)

describe("tls_echo.lua", function()
  local function start(...)
    local p = assert(process.spawn {neap, "scripts/tls_echo.lua", stdout = "pipe", stderr = "pipe",
      ...})
    table.insert(closers, function()
      p:kill "SIGINT"
      p:wait()
      p:close()
    end)
    local made = ""
    for line in p.stdout:lines() do
      local at = line:match "^listening at tls://(.*)"
      if at then
        return at, made, p
      end
      made = made .. line .. "\n"
    end
    error(p.stderr:read "a")
  end

  it("echoes to who trusts what it made", function()
    local at, made = start "tls://127.0.0.1:0"
    local stream <close> = assert(net.connect("tls://" .. at, {ca = made}))
    stream:write "echo"
    assert.equal("echo", stream:read(4))
  end)

  it("echoes to openssl s_client, if that has a certificate", function()
    if process.run({"sh", "-c", "command -v openssl"}).code ~= 0 then
      pending "the openssl command is not there"
      return
    end
    local at, _, p = start("-c", folder.path .. "/cert.pem", "-k", folder.path .. "/key.pem", "-a",
      folder.path .. "/cert.pem", "tls://127.0.0.1:0")
    local client = assert(process.spawn {"openssl", "s_client", "-quiet", "-CAfile",
      folder.path .. "/cert.pem", "-cert", folder.path .. "/cert.pem", "-key",
      folder.path .. "/key.pem", "-connect", at, stdin = "pipe", stdout = "pipe", stderr = "null"})
    client.stdin:write "hello\n"
    assert.equal("hello", client.stdout:read())
    client:kill()
    client:wait()
    client:close()
    assert.matches("TLSv1.3, TLS_.*, CN=localhost", p.stderr:read())
    local stream <close> = assert(net.connect("tls://" .. at, {ca = cert}))
    assert.equal("ETLSALERT", select(2, stream:read()).code)
    local line
    repeat
      line = assert(p.stderr:read())
    until not line:find "ETLSCUT" -- of the client that was killed
    assert.matches("ETLSVERIFY", line)
    p:kill "SIGHUP"
    assert.equal("the files were read again", p.stderr:read())
  end)
end)

--- Start a script that tells where it listens, on one of its outputs.
local function start(output, ...)
  local options = {neap, ...}
  options[2] = "scripts/" .. options[2]
  options.stdin, options.stdout, options.stderr = "pipe", "pipe", "pipe"
  local child = assert(process.spawn(options))
  local line = assert(child[output]:read())
  return child, line:match "^listening at ([^%s,]+)"
end

describe("nc.lua", function()
  it("speaks TLS at either end, and looks at the server's certificate", function()
    local path = folder.path .. "/cert.pem"
    local serving, place = start("stderr", "nc.lua", "-l", "--cert", path, "--key",
      folder.path .. "/key.pem", "tls://127.0.0.1:0")
    local child = assert(process.spawn {neap, "scripts/nc.lua", "--ca", path, place, stdin = "pipe",
      stdout = "pipe", stderr = "null"})
    child.stdin:write "hello\n"
    assert.equal("hello", serving.stdout:read())
    serving.stdin:write "HELLO\n"
    assert.equal("HELLO", child.stdout:read())
    child.stdin:close()
    serving.stdin:close()
    assert.equal(0, child:wait())
    assert.equal(0, serving:wait())
    child:close()
    serving:close()
    local at = serve("tls://127.0.0.1:0", {context = ours}, function(stream)
      stream:write "x"
    end)
    local result = assert(process.run {neap, "scripts/nc.lua", "tls://" .. at})
    assert.equal(1, result.code)
    assert.matches("ETLSVERIFY", result.stderr)
    result = assert(process.run {neap, "scripts/nc.lua", "--insecure", "tls://" .. at})
    assert.same({"x", 0}, {result.stdout, result.code})
    assert.matches("not verified", result.stderr)
  end)
end)

describe("proxy.lua", function()
  it("begins and ends TLS", function()
    local path = folder.path .. "/cert.pem"
    local ending, place = start("stdout", "proxy.lua", "--ca", path, "tcp://127.0.0.1:0",
      "tls://" .. serve("tls://127.0.0.1:0", {context = ours}, function(stream)
        stream:write(stream:read "a":upper(), " over ", stream.tls.version)
      end))
    local begun, safe = start("stdout", "proxy.lua", "--cert", path, "--key", folder.path .. "/key.pem",
      "tls://127.0.0.1:0", place)
    local stream <close> = assert(net.connect(safe, {ca = cert}))
    stream:write "hello"
    stream:shutdown()
    assert.equal("HELLO over TLSv1.3", stream:read "a")
    for _, child in ipairs {ending, begun} do
      assert.matches("5 bytes there, 18 back$", child.stdout:read())
      child:kill()
      child:wait()
      child:close()
    end
  end)
end)
