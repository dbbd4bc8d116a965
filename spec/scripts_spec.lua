-- The programs in scripts/, each run as its users would, with the clients and
-- servers that they have at hand. A test whose tool is missing is pending.

local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local child = require "spec.support.child"
local neap = child.neap

-- Where to listen, for each kind of stream; v6 only where there is some.
local has_v6 = net.listen "tcp://[::1]:0"
if has_v6 then
  has_v6:close()
end

local function command(script, ...)
  return {neap, "scripts/" .. script, ...}
end

--- A path where nothing is.
local function free_path()
  local path = os.tmpname()
  os.remove(path)
  return path
end

local function write_file(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- Text that differs everywhere, so that a loss or a swap shows.
local function pattern(n)
  local lines = {}
  for i = 1, n // 8 do
    lines[i] = ("%07x\n"):format(i)
  end
  return table.concat(lines)
end

--- Make the test pending unless the command is installed.
local function need(tool)
  if process.run({"sh", "-c", "command -v " .. tool}).code ~= 0 then
    pending(tool .. " is not installed")
  end
end

-- What is to end with this file, if a test failed to end it.
local started = {}

teardown(function()
  for _, p in ipairs(started) do
    p:close()
    p:wait()
  end
end)

--- Start a server script; returns it and the endpoints that it says it has.
local function start(script, ...)
  local options = command(script, ...)
  options.stdout, options.stderr = "pipe", "pipe"
  local p = assert(process.spawn(options))
  started[#started + 1] = p
  local endpoints = {}
  for i = 1, math.max(1, script == "echo.lua" and select("#", ...) or 1) do
    local line = assert(p.stdout:read "l", "it has ended")
    endpoints[i] = line:match "^listening at ([^%s,]+)"
  end
  return p, table.unpack(endpoints)
end

--- End a server as Ctrl-C would; returns what it said until then.
local function stop(p)
  assert.is_true(p:kill "SIGINT")
  local out, err = p.stdout:read "a", p.stderr:read "a"
  assert.equal(130, (p:wait()), err)
  p:close()
  return out, err
end

--- A server of our own beside the test, once a test.
local function serve(endpoint, handler)
  local listener = assert(net.listen(endpoint))
  local serving = task.spawn(listener.serve, listener, handler)
  finally(function()
    listener:close()
    serving:join()
  end)
  return listener.endpoint
end

-- How each client is told where to go.

local python_client = [[
import socket, sys, threading
kind, host, port = sys.argv[1:]
if kind == "unix":
    s = socket.socket(socket.AF_UNIX)
    s.connect(host.replace("@", "\0", 1) if host[0] == "@" else host)
else:
    s = socket.create_connection((host, int(port)))
data = sys.stdin.buffer.read()
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
while chunk := s.recv(65536):
    sys.stdout.buffer.write(chunk)
]]

--- A command that exchanges its input and output with the endpoint.
local function client(tool, endpoint)
  local path = endpoint:match "^unix:(.*)"
  local host, port = endpoint:match "^tcp://%[?(.-)%]?:(%d+)$"
  local name = path and path:match "^@(.*)"
  if tool == "python3" then
    return {"python3", "-c", python_client, path and "unix" or "tcp", path or host, port or ""}
  elseif tool == "ncat" then
    return path and {"ncat", "-U", path} or {"ncat", host, port}
  elseif tool == "socat" then
    local to = name and "ABSTRACT-CONNECT:" .. name
      or path and "UNIX-CONNECT:" .. path
      or ("TCP:%s:%s"):format(host:find ":" and "[" .. host .. "]" or host, port)
    return {"socat", "-t", "9", "-", to}
  end
end

--- Run a client; returns what came back.
local function exchange(tool, endpoint, input)
  need(tool)
  local options = client(tool, endpoint)
  options.input = input
  local result = assert(process.run(options))
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  return result.stdout
end

describe("each script", function()
  local wrong = {
    ["tour.lua"] = {{"x"}},
    ["echo.lua"] = {{"7000"}, {"tcp://127.0.0.1"}, {"udp://127.0.0.1:0"}},
    ["chat.lua"] = {{"x"}, {"unix:@", "unix:@"}},
    ["bus_chat.lua"] = {{}, {"mem:", "x"}, {"mem:", "unix:@", "x"}},
    ["jobs.lua"] = {{}, {"mem:", "x"}, {"mem:", "1", "2", "3"}},
    ["ws_chat.lua"] = {{"x"}, {"unix:@", "unix:@"}},
    ["proxy.lua"] = {{}, {"unix:@"}, {"x", "unix:@"}, {"unix:@", "x"}, {"unix:@", "unix:@", "x"}},
    ["nc.lua"] = {{}, {"-l"}, {"x"}, {"-l", "x"}, {"unix:@", "x"}},
    ["portscan.lua"] = {
      {}, {"-h"}, {"127.0.0.1", "x"}, {"127.0.0.1", "0-1"}, {"127.0.0.1", "9-8"}, {"127.0.0.1", "65536"},
      {"127.0.0.1", "1", "0"}, {"127.0.0.1", "1", "x"}, {"127.0.0.1", "1", "1", "1"},
    },
    ["udp_echo.lua"] = {{"x"}, {"udp://127.0.0.1"}},
    ["ping.lua"] = {{}, {"-c"}, {"-c", "0", "::1"}, {"-x", "1", "::1"}, {"-s", "1.5", "::1"}},
    ["dns_query.lua"] = {{}, {"-h"}, {"x", "NOTYPE"}, {"x", "A", "y"}},
    ["dnsd.lua"] = {{"x"}, {"127.0.0.1"}},
    ["syslogd.lua"] = {{"x"}},
    ["tftpd.lua"] = {{}, {free_path()}, {"/", "x"}, {"/", "udp://127.0.0.1:0", "x"}},
    ["traceroute.lua"] = {
      {}, {"-q", "::1"}, {"-q", "0", "::1"}, {"-q", "1.5", "::1"}, {"-m", "256", "::1"},
      {"-w", "0", "::1"}, {"-x", "1", "::1"}, {"::1", "::1"},
    },
    ["discover.lua"] = {
      {"-x", "1"}, {"-i"}, {"-t", "0"}, {"a b"}, {"a", "b"}, {"a", "b=c d"},
      {"a", "b=" .. ("x"):rep(1000)},
    },
    ["sniff.lua"] = {
      {}, {"-c", "0", "lo"}, {"-c", "x", "lo"}, {"-c"}, {"-x", "1", "lo"}, {"lo", "nonsense"},
      {"sixteen-letters-"},
    },
  }

  for script in lfs.dir "scripts" do
    if script:find "%.lua$" then
      it(script .. " is short, with its usage on the first line", function()
        local lines = 0
        for line in io.lines("scripts/" .. script) do
          lines = lines + 1
          if lines == 1 then
            assert.equal("-- usage: neap " .. script, line:match "^%-%- usage: neap [%w_]+%.lua")
          end
        end
        assert.is_true(lines <= 100, lines)
      end)
    end
  end

  for script, lists in pairs(wrong) do
    it(script .. " tells its usage when called wrongly", function()
      for _, arguments in ipairs(lists) do
        local result = process.run(command(script, table.unpack(arguments)))
        local what = table.concat(arguments, " ")
        assert.equal(2, result.code, what .. result.stderr)
        assert.equal("", result.stdout)
        assert.matches("\nusage: neap " .. script, "\n" .. result.stderr, 1, true)
      end
    end)
  end
end)

it("tour.lua shows every stop, in less than 3 seconds", function()
  local began = time.now()
  local result = process.run(command "tour.lua")
  assert.is_true(time.now() - began < 3)
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  local _, hellos = result.stdout:gsub("said hello over %w+, got hello\n", "")
  assert.equal(has_v6 and 4 or 3, hellos)
  for _, line in ipairs {
    "elsewhere: connect tcp://localhost:1: connection refused (ECONNREFUSED)",
    "server  got 12 bytes, and the end\n  client  got EBB AND FLOW",
    "client  got 3, 7, what?",
    "(ETIMEDOUT)\n  client  waited on, and got late",
    "the reader: nobody wants this line (ECANCELED)",
  } do
    assert.matches(line, result.stdout, 1, true)
  end
end)

describe("echo.lua", function()
  local kinds = {"TCP over IPv4", "TCP over IPv6", "a unix path", "an abstract name"}
  local places, server = {}, nil
  local megabyte = pattern(1 << 20)

  setup(function()
    local found = {start("echo.lua", "tcp://127.0.0.1:0", has_v6 and "tcp://[::1]:0" or "unix:@",
      "unix:" .. free_path(), "unix:@")}
    server = found[1]
    for i, kind in ipairs(kinds) do
      places[kind] = found[i + 1]
    end
  end)

  teardown(function()
    local out, err = stop(server)
    assert.equal("", out .. err)
  end)

  for _, tool in ipairs {"socat", "ncat", "python3"} do
    for _, kind in ipairs(kinds) do
      if tool ~= "ncat" or kind ~= "an abstract name" then -- ncat knows none
        it(("echoes to %s over %s"):format(tool, kind), function()
          if kind == "TCP over IPv6" and not has_v6 then
            pending "no IPv6 here"
          end
          assert.is_true(exchange(tool, places[kind], megabyte) == megabyte)
        end)
      end
    end
  end

  it("serves many at once", function()
    local streams = {}
    for i = 1, 50 do
      for _, kind in ipairs(kinds) do
        local stream = assert(net.connect(places[kind]))
        streams[stream] = ("%s %d\n"):format(kind, i)
        stream:write(streams[stream])
      end
    end
    for stream, line in pairs(streams) do
      assert.equal(line, stream:read "L")
      stream:close()
    end
  end)

  it("fails when one of its endpoints is taken, before it serves any", function()
    local result = process.run(command("echo.lua", "tcp://127.0.0.1:0", places[kinds[1]]))
    assert.equal(1, result.code)
    assert.equal("", result.stdout)
    assert.matches("listen tcp://127.0.0.1:%d+: address already in use", result.stderr)
  end)
end)

describe("chat.lua", function()
  local server, place

  before_each(function()
    server, place = start("chat.lua", "unix:@")
  end)

  after_each(function()
    local out, err = stop(server)
    assert.equal("", out .. err)
  end)

  local function join(name)
    local stream = assert(net.connect(place))
    assert.equal("your name?", stream:read "l")
    stream:write(name, "\n")
    return stream, stream:read "l"
  end

  it("passes lines on to all others, and tells who comes and goes", function()
    local ann, ann_sees = join "ann"
    local bob, bob_sees = join "bob"
    assert.equal("* here: nobody", ann_sees)
    assert.equal("* here: ann", bob_sees)
    assert.equal("* bob joined", ann:read "l")
    ann:write "hello\r\n"
    bob:write "hi \27[2J\n"
    assert.equal("<ann> hello", bob:read "l")
    assert.equal("<bob> hi [2J", ann:read "l")
    bob:close()
    assert.equal("* bob left", ann:read "l")
    ann:close()
  end)

  it("insists on good names that are free", function()
    local ann = join "ann"
    local other = join "ann"
    other:write("a b\n", ("x"):rep(21), "\n\n", "bob\n")
    for _ = 1, 3 do
      assert.equal("letters and digits, 20 at most, please", other:read "l")
    end
    assert.equal("* here: ann", other:read "l")
    ann:close()
    other:close()
  end)

  it("has socat for a client", function()
    need "socat"
    local ann = join "ann"
    local p <close> = assert(process.spawn {
      "socat", "-", "ABSTRACT-CONNECT:" .. place:match "@(.*)", stdin = "pipe", stdout = "pipe",
    })
    p.stdin:write "eve\n"
    assert.equal("* eve joined", ann:read "l")
    p.stdin:write "hi\n"
    assert.equal("<eve> hi", ann:read "l")
    ann:write "bye\n"
    assert.same({"your name?", "* here: ann", "<ann> bye"}, {p.stdout:read("l", "l", "l")})
    p.stdin:close()
    assert.equal("* eve left", ann:read "l")
    ann:close()
  end)

  it("disconnects who does not read, and holds up nobody for it", function()
    local fast, slow = join "fast", join "slow"
    local flood = join "flood"
    assert.equal("* slow joined* flood joined", fast:read "l" .. fast:read "l")
    local batch, seen = (("x"):rep(1000) .. "\n"):rep(50), {}
    for i = 1, 14 do
      flood:write(batch)
      seen[i] = fast:read(#batch + 50 * #"<flood> ")
    end
    seen[15] = fast:read "L"
    local text = table.concat(seen)
    local rest, lines = text:gsub("<flood> x+\n", "")
    assert.equal(700, lines)
    assert.equal("* slow left\n", rest)
    assert.is_true(#slow:read "a" < #text)
    for _, stream in ipairs {fast, slow, flood} do
      stream:close()
    end
  end)

  it("disconnects who sends no end of a line", function()
    local ann = join "ann"
    ann:write(("x"):rep(2000))
    assert.is_nil(ann:read "l")
    ann:close()
  end)
end)

describe("proxy.lua", function()
  local text = pattern(1 << 20)

  local function shout(stream)
    stream:write((stream:read "a":upper()))
  end

  for _, row in ipairs {
    {"TCP", "TCP", "tcp://127.0.0.1:0", "tcp://127.0.0.1:0"},
    {"TCP", "unix", "tcp://127.0.0.1:0", "unix:@"},
    {"unix", "TCP", "unix:@", "tcp://127.0.0.1:0"},
    {"unix", "unix", "unix:@", "unix:@"},
  } do
    local log = "^%%d%%d:%%d%%d:%%d%%d #1 from %%S+, %%d+%%.%%d%%d s: %d bytes there, %d back$"
    it(("relays %s to %s, half closes too, and logs it"):format(row[1], row[2]), function()
      local target = serve(row[4], shout)
      local proxy, place = start("proxy.lua", row[3], target)
      local stream <close> = assert(net.connect(place))
      stream:write(text)
      stream:shutdown()
      assert.is_true(stream:read "a" == text:upper())
      assert.matches(log:format(#text, #text), proxy.stdout:read "l")
      local out, err = stop(proxy)
      assert.equal("", out .. err)
    end)
  end

  it("has socat, ncat and python3 for clients", function()
    local target = serve("unix:@", shout)
    local proxy, place = start("proxy.lua", "tcp://127.0.0.1:0", target)
    for i, tool in ipairs {"socat", "ncat", "python3"} do
      assert.equal("HELLO", exchange(tool, place, "hello"))
      local line = ("#%d from 127.0.0.1:%%d+.*: 5 bytes there, 5 back$"):format(i)
      assert.matches(line, proxy.stdout:read "l")
    end
    stop(proxy)
  end)

  it("resets whom it cannot pass on, and logs why", function()
    local proxy, place = start("proxy.lua", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1")
    local stream, err = net.connect(place) -- the reset may be faster than we are
    if stream then
      err = select(2, stream:read "a")
      stream:close()
    end
    assert.equal("ECONNRESET", err.code)
    assert.matches("#1 .*: connect tcp://127.0.0.1:1: connection refused %(ECONNREFUSED%)$",
      proxy.stdout:read "l")
    stop(proxy)
  end)

  it("logs a connection that breaks", function()
    local target = serve("tcp://127.0.0.1:0", function(stream)
      stream:write(stream:read "l")
      stream:read "a"
    end)
    local proxy, place = start("proxy.lua", "tcp://127.0.0.1:0", target)
    local stream <close> = assert(net.connect(place))
    stream:write "hi\n"
    assert.equal("hi", stream:read(2))
    stream:reset()
    assert.matches("connection reset by peer %(ECONNRESET%) after 3 bytes there, 2 back$",
      proxy.stdout:read "l")
    stop(proxy)
  end)
end)

describe("nc.lua", function()
  local text = pattern(1 << 20)
  local path

  before_each(function()
    path = write_file(text)
  end)

  after_each(function()
    os.remove(path)
  end)

  --- Start it with these standard streams; where it listens with -l.
  local function nc(options, ...)
    options = options or {}
    for i, argument in ipairs(command("nc.lua", ...)) do
      options[i] = argument
    end
    options.stdout = options.stdout or "pipe"
    options.stderr = "pipe"
    local p = assert(process.spawn(options))
    started[#started + 1] = p
    return p, ... == "-l" and p.stderr:read "l":match "^listening at (.+)" or nil
  end

  --- What it wrote; it must have ended well.
  local function result(p)
    local out, err = p.stdout:read "a", p.stderr:read "a"
    assert.equal(0, (p:wait()), err)
    assert.equal("", err)
    p:close()
    return out
  end

  for _, place in ipairs {"tcp://127.0.0.1:0", "unix:@"} do
    it("copies a file over " .. place, function()
      local copy = os.tmpname()
      local from, to <close> = assert(io.open(path)), assert(io.open(copy, "w"))
      local l, endpoint = nc({stdout = to}, "-l", place)
      local c = nc({stdin = from}, endpoint)
      from:close()
      assert.equal("", result(c))
      assert.equal(0, (l:wait()))
      assert.equal("", l.stderr:read "a")
      assert.is_true(read_file(copy) == text)
      l:close()
      os.remove(copy)
    end)

    it("sends and receives pipes at the same time over " .. place, function()
      local l, endpoint = nc({stdin = "pipe"}, "-l", place)
      local c = nc({stdin = "pipe"}, endpoint)
      local got = task.all {
        function() l.stdin:write(text) l.stdin:close() end,
        function() c.stdin:write(text:upper()) c.stdin:close() end,
        function() return result(l) end,
        function() return result(c) end,
      }
      assert.is_true(got[3] == text:upper())
      assert.is_true(got[4] == text)
    end)
  end

  it("sends on after the other side has sent nothing but the end", function()
    local from = assert(io.open(path))
    local l, endpoint = nc({stdin = from}, "-l", "tcp://127.0.0.1:0")
    local c = nc({stdin = "null"}, endpoint)
    from:close()
    assert.is_true(result(c) == text)
    assert.equal("", result(l))
  end)

  it("passes the end of its input on, and waits for the answer", function()
    local endpoint = serve("tcp://127.0.0.1:0", function(stream)
      local all = stream:read "a"
      task.sleep(0.05)
      stream:write(#all, "\n")
    end)
    local p = nc({stdin = "pipe"}, endpoint)
    p.stdin:write "12345"
    p.stdin:close()
    assert.equal("5\n", result(p))
  end)

  for _, tool in ipairs {"socat", "ncat", "python3"} do
    it(("listens for %s"):format(tool), function()
      need(tool)
      local from = assert(io.open(path))
      local l, endpoint = nc({stdin = from}, "-l", "tcp://127.0.0.1:0")
      from:close()
      assert.is_true(exchange(tool, endpoint, "ping") == text)
      assert.equal("ping", result(l))
    end)
  end

  for tool, arguments in pairs {
    socat = {"socat", "-t", "9", "UNIX-LISTEN:%s", "-"},
    ncat = {"ncat", "-l", "-U", "%s"},
  } do
    it(("is a client of %s"):format(tool), function()
      need(tool)
      local at = free_path()
      for i, argument in ipairs(arguments) do
        arguments[i] = argument:gsub("%%s", at)
      end
      arguments.stdin, arguments.stdout = "pipe", "pipe"
      local server <close> = assert(process.spawn(arguments))
      for _ = 1, 500 do -- its file is there before it listens (__SO_ACCEPTCON)
        if read_file "/proc/net/unix":find(" 00010000 [^\n]* " .. at:gsub("%p", "%%%0") .. "\n") then
          break
        end
        task.sleep(0.01)
      end
      local p = nc({stdin = "pipe"}, "unix:" .. at)
      server.stdin:write "pong"
      assert.equal("pong", p.stdout:read(4))
      p.stdin:write "ping"
      assert.equal("ping", server.stdout:read(4))
      p.stdin:close() -- ncat ends then, socat when its own input has ended, too
      server.stdin:close()
      assert.equal("", result(p))
      server:wait()
      os.remove(at)
    end)
  end

  it("ends with the connection at a terminal", function()
    local endpoint = serve("tcp://127.0.0.1:0", function(stream)
      stream:write(stream:read "l")
    end)
    local p <close> = assert(process.spawn {
      "script", "-qec", ("'%s' scripts/nc.lua %s"):format(neap, endpoint), "/dev/null",
      stdin = "pipe", stdout = "pipe",
    })
    p.stdin:write "typed\n"
    assert.matches("typed\r?\ntyped$", (p.stdout:read "a"))
    assert.equal(0, (p:wait()))
  end)

  it("takes only one connection", function()
    local l, endpoint = nc({stdin = "null"}, "-l", "tcp://127.0.0.1:0")
    local stream <close> = assert(net.connect(endpoint))
    assert.is_nil(stream:read "l")
    assert.equal("ECONNREFUSED", select(2, net.connect(endpoint)).code)
    stream:close()
    assert.equal("", result(l))
  end)

  it("tells why it fails, with status 1", function()
    local endpoint = serve("tcp://127.0.0.1:0", function(stream)
      stream:write(text)
      stream:read "a"
    end)
    local full <close> = assert(io.open("/dev/full", "w"))
    for code, p in pairs {
      ECONNREFUSED = nc({stdin = "null"}, "tcp://127.0.0.1:1"),
      ENOSPC = nc({stdin = "pipe", stdout = full}, endpoint),
    } do
      assert.matches("(" .. code .. ")", p.stderr:read "a", 1, true)
      assert.equal(1, (p:wait()))
      p:close()
    end
  end)
end)

describe("portscan.lua", function()
  -- An address of our own: a scan must not knock at other tests' doors.
  local ip = ("127.9.%d.%d"):format(process.pid // 250 % 250, process.pid % 250 + 1)

  local function scan(...)
    return process.run(command("portscan.lua", ...))
  end

  it("finds what listens among thousands of ports", function()
    local listener <close> = assert(net.listen(("tcp://%s:0"):format(ip)))
    local first = math.max(1, math.min(listener.port - 2000, 65535 - 4000))
    -- What answers while a slow build is busy with the others is not heard in time.
    local at_once = child.sanitized and "50" or "500"
    local result = scan(ip, ("%d-%d"):format(first, first + 4000), at_once)
    assert.equal(0, result.code, result.stderr)
    assert.matches(("%5d  \n"):format(listener.port), result.stdout, 1, true)
    local _, lines = result.stdout:gsub("\n", "")
    assert.matches(("\n%s: %d of 4001 ports open, 0 gave no answer\n$"):format(ip, lines),
      result.stderr)
    assert.equal(4, select(2, result.stderr:gsub("\n", ""))) -- three quarters, and the end
  end)

  it("names the services", function()
    local listener
    for _, name in ipairs {"amqp", "postgresql", "mysql", "sip", "xmpp-client"} do
      listener = listener or net.service(name, "tcp") and net.listen("tcp://127.0.0.1:" .. name)
    end
    if not listener then
      pending "no services(5) here (Debian: netbase)"
    end
    local result = scan("localhost", tostring(listener.port))
    assert.matches(("%5d  %s\n"):format(listener.port, net.service(listener.port, "tcp")),
      result.stdout, 1, true)
    listener:close()
  end)

  it("opens no more sockets at a time than it is told", function()
    local limited = {"sh", "-c", 'ulimit -n 30; exec "$0" "$@"'}
    local function run(concurrency)
      local all = table.move(command("portscan.lua", ip, "1-1000", concurrency), 1, 5, 4,
        {table.unpack(limited)})
      return process.run(all)
    end
    assert.matches(" of 1000 ports open, 0 gave no answer\n$", run("10").stderr)
    local result = run "500"
    assert.equal(1, result.code)
    assert.matches("^portscan: connect tcp://127.9.%d+.%d+:%d+: too many open files %(EMFILE%)\n",
      result.stderr)
  end)

  it("waits a second for an answer, not longer", function()
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0", {backlog = 0}))
    local waiting = {}
    repeat -- until nobody more can wait for accept
      local stream = net.connect(listener.endpoint, {timeout = 0.05})
      waiting[#waiting + 1] = stream
    until not stream
    local began = time.now()
    local result = scan("127.0.0.1", tostring(listener.port))
    assert.equal("127.0.0.1: 0 of 1 ports open, 1 gave no answer\n", result.stderr)
    assert.is_true(time.now() - began < 3)
    for _, stream in ipairs(waiting) do
      stream:close()
    end
  end)

  it("scans IPv6", function()
    if not has_v6 then
      pending "no IPv6 here"
    end
    local listener <close> = assert(net.listen "tcp://[::1]:0")
    local result = scan("::1", tostring(listener.port))
    assert.equal("::1: 1 of 1 ports open, 0 gave no answer\n", result.stderr)
  end)

  it("tells of a host that does not exist", function()
    local result = scan "no-such-host.invalid"
    assert.equal(1, result.code)
    assert.matches("^portscan: resolve no%-such%-host.invalid: .*%(EAI_%w+%)\n$", result.stderr)
  end)
end)
