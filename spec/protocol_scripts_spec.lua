-- The scripts that speak SOCKS5, SMTP, Redis' protocol and MQTT, run as their users would run
-- them: against the programs that speak these otherwise, and against anything else.

local child = require "spec.support.child"
local folder = require "spec.support.folder"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local tls = require "neap.tls"

local closers = {}

before_each(folder.make)
after_each(function()
  for i = #closers, 1, -1 do
    closers[i]()
  end
  closers = {}
  folder.remove()
end)

local here = process.run({"pwd"}).stdout:match "[^\n]+"

local function command(name, ...)
  return {folder.neap, here .. "/scripts/" .. name .. ".lua", cwd = folder.path, ...}
end

local function run(name, ...)
  return assert(process.run(command(name, ...)))
end

--- A program beside the test, which ends with it.
local function start(options)
  local started = assert(process.spawn(options))
  table.insert(closers, function()
    started:kill "SIGTERM"
    started:wait()
    started:close()
  end)
  return started
end

--- A script that serves; and where.
local function serving(name, ...)
  local options = command(name, ...)
  options.stdout, options.stderr = "pipe", "pipe"
  local started = start(options)
  local place = (started.stdout:read "l" or started.stderr:read "a"):match "^listening at (.*)$"
  return started, place, place:match "%d+$"
end

--- A server of our own beside the test.
local function serve(endpoint, handler, options)
  local listener = assert(net.listen(endpoint, options))
  local task_of = task.spawn(listener.serve, listener, handler, {onerror = function() end})
  table.insert(closers, function()
    task_of:cancel()
    task_of:join()
    listener:close()
  end)
  return listener.endpoint
end

local function need(...)
  for _, tool in ipairs {...} do
    if process.run {"sh", "-c", "command -v " .. tool}.code ~= 0 then
      pending(tool .. " is not installed")
    end
  end
end

--- Wait until somebody listens there.
local function await(endpoint)
  local limit = time.now() + 30
  local stream, err
  repeat
    task.sleep(0.01)
    stream, err = net.connect(endpoint)
  until stream or time.now() > limit
  assert(stream, err):close()
end

--- What comes back for these bytes, up to the end that the peer makes.
local function exchange(endpoint, bytes)
  local stream <close> = assert(net.connect(endpoint))
  stream:settimeout(30):write(bytes)
  stream:shutdown()
  return stream:read "a"
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

describe("each script", function()
  for script, lists in pairs {
    socks5 = {{"x"}, {"-u"}, {"-u", "x"}, {"-u", ":x"}, {"tcp://127.0.0.1:0", "x"}},
    smtp_sink = {{"x"}, {"-s", "0"}, {"-o"}, {"-x"}, {"tcp://127.0.0.1:0", "x"}},
    redis = {{"-e"}, {"-e", "x"}, {"-x"}},
    mqtt_sub = {{}, {"tcp://x:1"}, {"x", "y"}, {"-q", "2", "tcp://x:1", "y"}, {"-k", "0", "tcp://x:1", "y"}},
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

  it("tells who is not there", function()
    for script, topic in pairs {redis = {"-e", "tcp://127.0.0.1:1", "ping"}, mqtt_sub = {"tcp://127.0.0.1:1", "x"}} do
      assert.same({
        stdout = "", code = 1,
        stderr = script .. ": connect tcp://127.0.0.1:1: connection refused (ECONNREFUSED)\n",
      }, run(script, table.unpack(topic)))
    end
  end)
end)

describe("socks5.lua", function()
  local function answering(endpoint)
    return serve(endpoint, function(stream)
      stream:readuntil "\r\n\r\n"
      stream:write "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    end)
  end

  local function curl(...)
    return assert(process.run {"curl", "-s", "-S", "--max-time", "50", ...})
  end

  it("lets curl get to names and addresses", function()
    need "curl"
    local _, _, port = serving("socks5", "tcp://127.0.0.1:0")
    local v4 = answering "tcp://127.0.0.1:0":match "%d+$"
    for _, row in ipairs {
      {"--socks5", "127.0.0.1:" .. v4}, {"--socks5-hostname", "127.0.0.1:" .. v4},
      {"--socks5-hostname", "localhost:" .. v4},
    } do
      assert.same(folder.says "hello", curl(row[1], "127.0.0.1:" .. port, "http://" .. row[2] .. "/"))
    end
    local has_v6 <close> = net.listen "tcp://[::1]:0"
    if has_v6 then
      local v6 = answering "tcp://[::1]:0":match "%d+$"
      assert.same(folder.says "hello", curl("--socks5-hostname", "127.0.0.1:" .. port, "http://[::1]:" .. v6 .. "/"))
    end
    local result = curl("--socks5-hostname", "127.0.0.1:" .. port, "http://127.0.0.1:1/")
    assert.equal(97, result.code)
    assert.matches("(5)", result.stderr, 1, true) -- refused
  end)

  it("lets nobody in who does not know the password", function()
    need "curl"
    local _, _, port = serving("socks5", "-u", "me:se:cret", "tcp://127.0.0.1:0")
    local url = "http://" .. answering "tcp://127.0.0.1:0":match "//(.*)"
    local proxy = "127.0.0.1:" .. port
    assert.same(folder.says "hello", curl("--proxy-user", "me:se:cret", "--socks5", proxy, url))
    assert.equal(97, curl("--proxy-user", "me:se:cre", "--socks5", proxy, url).code)
    assert.equal(97, curl("--socks5", proxy, url).code)
  end)

  it("relays both ways, and tells how much", function()
    local got
    local target = serve("tcp://127.0.0.1:0", function(stream)
      got = stream:read "a"
      stream:write(("x"):rep(300000))
    end)
    local server, place = serving("socks5", "tcp://127.0.0.1:0")
    local port = tonumber(target:match "%d+$")
    local hello = "\5\1\0" .. string.pack(">BBBBBBBBI2", 5, 1, 0, 1, 127, 0, 0, 1, port)
    local answer = exchange(place, hello .. ("y"):rep(200000))
    assert.equal("\5\0\5\0\0\1\0\0\0\0\0\0", answer:sub(1, 12))
    assert.equal(300012, #answer)
    assert.equal(200000, #got)
    assert.matches("%s200000%s+300000$", server.stdout:read "l")
  end)

  it("answers whatever else comes, and ends", function()
    local server, place = serving("socks5", "tcp://127.0.0.1:0")
    local function refused(code)
      return "\5\0\5" .. string.char(code) .. "\0\1\0\0\0\0\0\0"
    end
    for bytes, answer in pairs {
      [""] = "", ["\5"] = "", ["\5\3\0"] = "", ["\5\0"] = "\5\xff", ["\5\1\2"] = "\5\xff",
      ["GET / HTTP/1.1\r\n\r\n"] = "", ["\4\1\0\x50\1\2\3\4\0"] = "", ["\5\1\0"] = "\5\0",
      ["\5\1\0\4"] = "\5\0", ["\5\1\0\5\1\0\1\1\2"] = "\5\0", ["\5\1\0\5\1\0\3\9abc"] = "\5\0",
      ["\5\1\0\5\1\0\7"] = refused(8), ["\5\1\0\5\2\0\1\127\0\0\1\0\1"] = refused(7),
      ["\5\1\0\5\3\0\1\127\0\0\1\0\1"] = refused(7), ["\5\1\0\5\1\0\3\3a b\0\1"] = refused(1),
      ["\5\1\0\5\1\0\3\0\0\1"] = refused(1), ["\5\1\0\5\1\0\3\1*\0\1"] = refused(1),
      ["\5\1\0\5\1\0\3\4a:1/\0\1"] = refused(1), ["\5\1\0\5\1\0\3\4a\0b\27\0\1"] = refused(1),
      ["\5\1\0\5\1\0\1\127\0\0\1\0\1"] = refused(5),
    } do
      assert.equal(answer, exchange(place, bytes), ("%q"):format(bytes))
    end
    server:kill "SIGTERM"
    local told = server.stderr:read "a"
    assert.matches("EPROTO", told)
    assert.not_matches("traceback", told)
  end)
end)

describe("smtp_sink.lua", function()
  local function swaks(place, ...)
    return assert(process.run {"swaks", "--server", place:match "//(.*)", "--timeout", "30", ...})
  end

  --- The one mail in a folder.
  local function mail_in(path)
    return read(process.run {"sh", "-c", 'ls "$0"/*.eml', path}.stdout:match "^([^\n]+)\n$")
  end

  it("takes what swaks sends, prints what it is, and saves it", function()
    need "swaks"
    local server, place = serving("smtp_sink", "-o", ".", "tcp://127.0.0.1:0")
    local result = swaks(place, "--from", "ann@here", "--to", "bob@there,eve@there", "--h-Subject",
      "grapes\n  and\27[1m plums", "--body", ".one\n..two\n.\nend", "--pipeline")
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.matches("PIPELINING", result.stdout)
    local text = mail_in(folder.path)
    assert.equal(("ann@here to bob@there eve@there, %d bytes: grapes and?[1m plums"):format(#text),
      server.stdout:read "l")
    assert.matches("\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n", text, 1, true)
  end)

  it("speaks TLS to swaks where it has a certificate", function()
    need "swaks"
    local cert, key = tls.selfsigned {names = {"localhost"}}
    folder.write("cert.pem", cert)
    folder.write("key.pem", key)
    local server, place = serving("smtp_sink", "--cert", "cert.pem", "--key", "key.pem", "tcp://127.0.0.1:0")
    local result = swaks(place, "--tls", "--from", "ann@here", "--to", "bob@there")
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.matches("TLS started with cipher TLSv1.3", result.stdout)
    assert.matches("^ann@here to bob@there, %d+ bytes: test ", server.stdout:read "l")
  end)

  --- The codes of the answers to this, all at once.
  local function codes(place, ...)
    local list = {}
    for code in exchange(place, table.concat({...}, "\r\n") .. "\r\n"):gmatch "(%d%d%d) [^\r]*\r\n" do
      list[#list + 1] = code
    end
    return table.concat(list, " ")
  end

  it("answers each command, also those that came with others", function()
    local server, place = serving("smtp_sink", "-s", "1000", "tcp://127.0.0.1:0")
    assert.equal("220 250 250 252 250 250 221",
      codes(place, "EHLO x", "noop", "VRFY x", "RSET", "helo x", "QUIT", "NOOP"))
    assert.equal("220 503 503 503 503 500 500 221", codes(place, "RCPT TO:<a>", "DATA", "MAIL FROM:a",
      "STARTTLS", "ETRN x", "\0\255"))
    assert.equal("220 250 503 503 250 503 250 354 250 503 221",
      codes(place, "MAIL FROM:<>", "MAIL FROM:<a>", "DATA", "RCPT TO:<a>", "RCPT TO:<>", "RCPT TO: <b>", "DATA",
        ".", "DATA", "QUIT"))
    assert.equal(" to a b, 2 bytes: no subject", server.stdout:read "l")
    local many = {"MAIL FROM:<a>"}
    for i = 2, 103 do
      many[i] = "RCPT TO:<b>"
    end
    assert.equal("220 " .. ("250 "):rep(101) .. "452 452 221", codes(place, table.unpack(many)))
  end)

  it("takes no part of a mail for a command, nor what is too long", function()
    local server, place = serving("smtp_sink", "-s", "1000", "tcp://127.0.0.1:0")
    local begins = {"MAIL FROM:<a>", "RCPT TO:<b>", "DATA"}
    local function send(text)
      return codes(place, table.concat(begins, "\r\n"), text)
    end
    -- What other servers have taken for the end of a text (SMTP smuggling).
    for _, dot in ipairs {"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r"} do
      assert.equal("220 250 250 354 250 221", send("x" .. dot .. "MAIL FROM:<c>\r\n."))
      assert.matches("^a to b, ", server.stdout:read "l")
    end
    assert.equal("220 250 250 354 250 221", send(("x"):rep(1000) .. "\r\n."))
    assert.equal("a to b, 1002 bytes: no subject", server.stdout:read "l")
    assert.equal("220 250 250 354 552", send(("x"):rep(1001) .. "\r\n.\r\nNOOP"))
    assert.matches("552 [^\n]*\n$", exchange(place, table.concat(begins, "\r\n") .. "\r\nx\r\n."))
    assert.equal("220 221", codes(place, ("x"):rep(3000)))
  end)

  it("refuses what came in the clear before TLS", function()
    folder.write("cert.pem", table.concat {tls.selfsigned {names = {"localhost"}}})
    local server, place = serving("smtp_sink", "-c", "cert.pem", "tcp://127.0.0.1:0")
    assert.equal("220 250 220", codes(place, "EHLO x", "STARTTLS", "MAIL FROM:<a>", "RCPT TO:<b>", "DATA"))
    server:kill "SIGTERM"
    assert.matches("ETLS", server.stderr:read "a")
  end)
end)

describe("redis.lua", function()
  --- An answer that is given to whatever comes, and what the script makes of it.
  local function answered(text)
    return run("redis", "-e", serve("unix:@", function(stream)
      stream:recv()
      stream:write(text)
    end), "x")
  end

  local function failed(result, why)
    assert.equal(1, result.code)
    assert.matches("^redis: [^\n]*" .. why .. "[^\n]*\n$", result.stderr)
    return result.stdout
  end

  describe("at redis-server", function()
    local at

    before_each(function()
      need "redis-server"
      at = "unix:" .. folder.path .. "/redis"
      start {"redis-server", "--port", "0", "--unixsocket", "redis", "--save", "", "--dir", folder.path,
        "--enable-debug-command", "yes", cwd = folder.path, stdout = "null"}
      await(at)
    end)

    local function lines(text)
      local options = command("redis", "-e", at)
      options.input = text
      return assert(process.run(options))
    end

    it("sends one command, and shows what is answered", function()
      assert.same(folder.says "OK\n", run("redis", "-e", at, "set", "k", "\r\n$5\r\n \255"))
      assert.same(folder.says "\r\n$5\r\n \255\n", run("redis", "-e", at, "get", "k"))
      assert.same(folder.says "\n", run("redis", "-e", at, "get", "none"))
      assert.same(folder.says "-3\n", run("redis", "-e", at, "--", "incrby", "n", "-3"))
      local result = run("redis", "-e", at, "incr", "k")
      assert.same({stdout = "", stderr = "redis: ERR value is not an integer or out of range\n", code = 1}, result)
    end)

    it("shows what redis-cli shows", function()
      need "redis-cli"
      local text = 'rpush l 1 2 "3 4"\nlrange l 0 -1\nlpos l 9\nset s "a\\x00b"\nget s\nhset h a 1 b 2\nhgetall h\n'
        .. 'multi\nlrange l 0 0\nget s\nexec\nping\n'
      local theirs = process.run {"redis-cli", "-s", folder.path .. "/redis", input = text}
      assert.equal(0, process.run {"redis-cli", "-s", folder.path .. "/redis", "flushall"}.code)
      assert.same(folder.says(theirs.stdout), lines(text))
    end)

    it("understands all kinds of RESP3", function()
      local kinds = "string integer double null array set map bignum true false verbatim attrib push"
      local result = lines("hello 3\n\n" .. kinds:gsub("%a+ ?", "debug protocol %0\n"))
      assert.equal("", result.stderr)
      assert.matches("\nHello World\n12345\n3.141[%d]*\n\n0\n1\n2\n0\n1\n2\n0\nf\n1\nt\n2\nf\n"
        .. "1234567999999999999999999999999999999\nt\nf\ntxt:This is a verbatim\nstring\n", result.stdout)
      assert.matches("key%-popularity.*Some real reply following the attribute.*server%-cpu%-usage\n42\n",
        result.stdout)
    end)

    it("asks much without waiting for the answers, in their order (U4)", function()
      local n = child.sanitized and 20000 or 100000
      local asked, told = {}, {}
      for i = 1, n do
        asked[i], told[i] = "echo " .. i, i
      end
      assert.is_true(lines(table.concat(asked, "\n")).stdout == table.concat(told, "\n") .. "\n")
    end)
  end)

  it("ends at answers that are malformed or too deep (U4)", function()
    for _, text in ipairs {
      "SSH-2.0-x\r\n", "\r\n", "$x\r\n", "$-2\r\n", "$0x1\r\n", "$536870913\r\n", "*-2\r\n",
      "*99999999999999999999999\r\n",
      "$?\r\n", ("*1\r\n"):rep(10000), ("%1\r\n+x\r\n"):rep(33),
    } do
      failed(answered(text), "malformed, too long or too deep")
    end
    failed(answered "$1\r\nabc", "does not end")
    failed(answered(("x"):rep(70000)), "EMSGSIZE")
    local result = answered(("*1\r\n"):rep(32) .. ":7\r\n")
    assert.same(folder.says "7\n", result)
  end)

  it("tells that an answer was cut, behind what had come of it (U4)", function()
    for text, told in pairs {
      [""] = "", ["+OK"] = "", ["$5\r\nab"] = "ab", ["*2\r\n:1\r\n"] = "1\n", ["$2\r\nab\r"] = "ab",
    } do
      assert.equal(told, failed(answered(text), text:find "[K\r]$" and "ENODATA" or "has ended"))
    end
  end)

  it("passes a long value on as it comes (U4)", function()
    local size = child.sanitized and 20 << 20 or 200 << 20
    local piece = ("x"):rep(1 << 20)
    local go = task.future()
    local endpoint = serve("unix:" .. folder.path .. "/s", function(stream)
      stream:recv()
      stream:write "$536870912\r\n"
      for _ = 1, size >> 20 do
        stream:write(piece)
      end
      stream:flush()
      go:wait()
    end)
    local options = command("redis", "-e", endpoint, "get", "x")
    options.stdout, options.stderr = "pipe", "pipe"
    local client = start(options)
    client.stdout:readexactly(1 << 20)
    local before, left = child.memory(client.pid), size - (1 << 20)
    while left > 0 do
      left = left - #client.stdout:recv(1 << 20)
    end
    local grown = child.memory(client.pid) - before
    go:set(true)
    assert.is_true(child.sanitized or grown < 4 << 20, grown)
    assert.equal("", client.stdout:read "a")
    assert.matches("^redis: ", client.stderr:read "a")
  end)
end)

describe("mqtt_sub.lua", function()
  describe("at mosquitto", function()
    local at

    before_each(function()
      need("mosquitto", "mosquitto_pub", "mosquitto_passwd")
      at = folder.path .. "/broker"
      assert(process.run {"mosquitto_passwd", "-b", "-c", folder.path .. "/users", "ann", "secret"}.code == 0)
      folder.write("mosquitto.conf", ("user root\nlistener 0 %s\npassword_file %s/users\n"):format(at, folder.path))
      start {"mosquitto", "-c", folder.path .. "/mosquitto.conf", stdout = "null", stderr = "null"}
      await("unix:" .. at)
      for topic, text in pairs {
        ["a/1"] = "grapes", ["a/2/x"] = ("x"):rep(200000), ["b/1"] = "none", ["c"] = "\27[1m\n",
      } do
        local result = process.run {"mosquitto_pub", "--unix", at, "-u", "ann", "-P", "secret", "-r", "-q", "1",
          "-t", topic, "-s", input = text}
        assert.equal(0, result.code, result.stderr)
      end
    end)

    local function sorted(result)
      local lines = {}
      for line in result.stdout:gmatch "[^\n]+" do
        lines[#lines + 1] = line
      end
      table.sort(lines)
      result.stdout = lines
      return result
    end

    local told = {"a/1 grapes", "a/2/x " .. ("x"):rep(200000), "c ?[1m?"}

    for qos = 0, 1 do
      it("prints what was published, as who has the password, with QoS " .. qos, function()
        local result = run("mqtt_sub", "-q", qos, "-n", "3", "-u", "ann", "-P", "secret", "unix:" .. at, "a/#", "c")
        assert.same({stdout = told, stderr = "", code = 0}, sorted(result))
      end)
    end

    it("is told that it is refused", function()
      for _, words in ipairs {{"-u", "ann", "-P", "wrong"}, {}} do
        table.move({"unix:" .. at, "#"}, 1, 2, #words + 1, words)
        assert.same({stdout = "", stderr = "mqtt_sub: refused, with 5\n", code = 1},
          run("mqtt_sub", table.unpack(words)))
      end
    end)

    it("speaks TLS to brokers that it trusts", function()
      local cert, key = tls.selfsigned {names = {"localhost"}}
      folder.write("cert.pem", cert)
      local port = serve("tls://127.0.0.1:0", function(stream)
        local broker <close> = net.connect("unix:" .. at)
        net.relay(stream, broker)
      end, {cert = cert, key = key}):match "%d+$"
      local function from(...)
        return run("mqtt_sub", "-u", "ann", "-P", "secret", "-n", "1", "tls://localhost:" .. port, "a/1", ...)
      end
      assert.same(folder.says "a/1 grapes\n", from "--ca=cert.pem")
      local result = from()
      assert.equal(1, result.code)
      assert.matches("ETLSVERIFY", result.stderr)
      assert.equal("a/1 grapes\n", from "--insecure".stdout)
    end)
  end)

  local GREETING = "\x20\2\0\0\x90\3\0\1\0"

  it("acknowledges, pings and says goodbye", function()
    local heard
    local at = serve("unix:@", function(stream)
      heard = {stream:read(20), stream:read(10)}
      stream:write("\x20\2\0\0\x90\3\0\1\1", "\x3a\7\0\1t\1\2hi", "\x32\5\0\1t\0\7", "\x30\4\0\1tx")
      heard[3] = stream:read(8)
      heard[4] = stream:read(2)
      stream:write("\xd0\0", "\x30\3\0\1t")
      heard[5] = stream:read "a"
    end)
    assert.same(folder.says "t hi\nt \nt x\nt \n",
      run("mqtt_sub", "-q", "1", "-k", "1", "-n", "4", "-u", "u", "-P", "p", at, "a/#"))
    assert.same({"\x10\x12\0\4MQTT\4\xc2\0\1\0\0\0\1u\0\1p", "\x82\8\0\1\0\3a/#\1", "\x40\2\1\2\x40\2\0\7", "\xc0\0",
      "\xe0\0"}, heard)
  end)

  for what, row in pairs {
    ["another protocol"] = {"SSH-2.0-x\r\n", "this is no broker"},
    ["HTTP"] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "this is no broker"},
    ["an end"] = {"", "the broker has ended"},
    ["half a packet"] = {"\x20\2\0", "ENODATA"},
    ["no length"] = {GREETING .. "\x30\xff\xff\xff", "the broker has ended"},
    ["too long a length"] = {GREETING .. "\x30\xff\xff\xff\xff\1", "too long a packet"},
    ["too long a packet"] = {GREETING .. "\x30\x81\x80\x40" .. ("x"):rep(100), "too long a packet"},
    ["no topic"] = {GREETING .. "\x30\0", "a malformed message"},
    ["too short a topic"] = {GREETING .. "\x30\3\0\2t", "a malformed message"},
    ["no identifier"] = {GREETING .. "\x32\4\0\1t\0", "a malformed message"},
    ["more than was asked for"] = {GREETING .. "\x34\5\0\1t\0\1", "a malformed message"},
    ["a refusal"] = {"\x20\2\0\2", "refused, with 2"},
    ["an empty refusal"] = {"\x20\0", "refused, with -1"},
    ["a topic refused"] = {"\x20\2\0\0\x90\3\0\1\x80", "refused, with 128"},
  } do
    it("ends at " .. what, function()
      local at = serve("unix:@", function(stream)
        stream:recv()
        stream:write(row[1])
        stream:shutdown()
        stream:read "a"
      end)
      local result = run("mqtt_sub", "-q", "1", at, "x")
      assert.equal(1, result.code)
      assert.equal("", result.stdout)
      assert.matches("^mqtt_sub: [^\n]*" .. row[2]:gsub("%-", "%%-") .. "[^\n]*\n$", result.stderr)
    end)
  end

  it("ends where the broker falls silent", function()
    local at = serve("unix:@", function(stream)
      stream:write(GREETING)
      stream:read "a"
    end)
    local result = run("mqtt_sub", "-k", "1", at, "x")
    assert.equal(1, result.code)
    assert.matches("ETIMEDOUT", result.stderr)
  end)
end)
