local child = require "spec.support.child"
local core = require "neap.net.core"
local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local process = require "neap.process"
local task = require "neap.task"
local trace = require "neap.trace"

--- What happens while f runs, as events.
local function events(opts, f)
  local tracer = assert(trace.events(opts))
  f()
  tracer:stop()
  local found = {}
  for event in tracer do
    found[#found + 1] = event
  end
  return found
end

--- One word an event: kind, and the bytes or the code behind it.
local function words(list)
  local found = {}
  for i, event in ipairs(list) do
    found[i] = event.kind .. (event.data and " " .. event.data or event.code and " " .. event.code or "")
  end
  return found
end

--- A file that a traced f leaves, whole.
local function traced(opts, f)
  local path = os.tmpname()
  opts.to = path
  local tracer = assert(trace.start(opts))
  f()
  assert(tracer:stop())
  local file <close> = assert(io.open(path, "rb"))
  local text = file:read "a"
  os.remove(path)
  return text
end

--- Its lines, with numbers that differ from run to run as N.
local function lines(text)
  local found = {}
  for line in text:gmatch "[^\n]+" do
    found[#found + 1] = line:gsub("^%d+%.%d%d%d%d%d%d  ", ""):gsub("127%.0%.0%.1:%d+", "127.0.0.1:N")
      :gsub("^(%a+) %d+ +", "%1 N "):gsub("listener %d+", "listener N")
  end
  return found
end

--- Each end's script runs, the server's first; both have closed at the end.
local function conversation(endpoint, server, client)
  local listener = assert(net.listen(endpoint))
  task.scope(function(scope)
    scope:spawn(function()
      local stream <close> = assert(listener:accept())
      server(stream)
    end)
    local stream <close> = assert(net.connect(listener.endpoint))
    client(stream)
  end)
  listener:close()
end

local function echo(stream)
  for chunk in stream:chunks() do
    stream:write(chunk)
  end
end

local function ask(stream)
  stream:write "hello"
  stream:read(5)
  stream:shutdown()
  stream:read "a"
end


describe("trace, as events", function()
  it("tells a conversation in its order, both ends of it", function()
    local list = events({filter = "tcp"}, function()
      conversation("tcp://127.0.0.1:0", echo, ask)
    end)
    local client, server
    for _, event in ipairs(list) do
      client = event.kind == "connect" and event.serial or client
      server = event.kind == "accept" and event.serial or server
    end
    local by = {[client] = {}, [server] = {}}
    for _, event in ipairs(list) do
      if by[event.serial] then
        table.insert(by[event.serial], event)
      end
    end
    assert.same({"connect", "connected", "write hello", "read hello", "shutdown", "end", "closed"},
      words(by[client]))
    assert.same({"accept", "read hello", "write hello", "end", "closed"}, words(by[server]))
    local first, accepted = by[client][1], by[server][1]
    assert.equal("tcp", first.type)
    assert.equal(first.localaddr, accepted.remoteaddr)
    assert.equal(first.remoteaddr, accepted.localaddr)
    assert.equal("listen", list[1].kind)
    assert.equal(list[1].serial, accepted.listener)
    for i = 2, #list do
      assert.is_true(list[i].time >= list[i - 1].time)
    end
  end)

  it("tells a write of mem: before its read", function()
    assert.same({"open", "open", "write hello", "read hello", "closed", "end", "closed"},
      words(events({filter = "mem"}, function()
        local a, b = net.socketpair "mem"
        a:write "hello"
        b:read(5)
        a:close()
        b:close()
      end)))
  end)

  it("tells messages with their peers, each of a batch", function()
    local a, b = assert(net.bind "udp://127.0.0.1:0"), assert(net.bind "udp://127.0.0.1:0")
    local list = events({filter = "udp"}, function()
      a:sendmany({"one", "two", ""}, b.localaddr)
      a:flush()
      for _ = 1, 3 do
        b:recv()
      end
    end)
    assert.same({"write one", "write two", "write ", "read one", "read two", "read "}, words(list))
    assert.equal(b.localaddr, list[1].remoteaddr)
    assert.equal(a.localaddr, list[4].remoteaddr)
    assert.equal("udp", list[1].type)
    a:close()
    b:close()
  end)

  it("tells that a message was cut, and what was refused", function()
    local a, b = net.socketpair "unixgram"
    local list = events({}, function()
      a:send(("x"):rep(100))
      b:recv()
      b:close()
      a:send "y"
      a:close()
    end)
    assert.equal("write " .. ("x"):rep(100), words(list)[1])
    local code
    for _, event in ipairs(list) do
      code = code or event.code
    end
    assert.equal("ECONNREFUSED", code)
  end)

  it("tells failures that have no socket", function()
    local missing = child.missing()
    local list = events({}, function()
      net.connect("unix:" .. missing)
      net.listen "mem:twice"
      net.bind "udp://192.0.2.1:5"
    end)
    assert.same({"error ENOENT", "listen", "error EADDRNOTAVAIL"}, words({list[1], list[2], list[3]}))
    assert.equal("connect", list[1].op)
    assert.equal("unix:" .. missing, list[1].endpoint)
    assert.equal("bind", list[3].op)
    collectgarbage()
  end)

  it("tells of a reset at both ends", function()
    local list = words(events({filter = "tcp"}, function()
      conversation("tcp://127.0.0.1:0", function(stream)
        stream:recv()
        stream:recv()
      end, function(stream)
        stream:write "x"
        task.sleep(0.01)
        stream:reset()
      end)
    end))
    local text = table.concat(list, ", ")
    assert.matches("reset.*error ECONNRESET.*closed", text)
  end)

  it("tells what a closed stream still has to send", function()
    local a, b = net.socketpair()
    local size = 1 << 20
    local list = events({bytes = 0}, function()
      task.spawn(a.write, a, ("x"):rep(size))
      task.yield()
      a:close()
      assert.equal(size, #b:read "a")
      b:close()
    end)
    local written, left = 0, nil
    for _, event in ipairs(list) do
      written = written + (event.kind == "write" and event.size or 0)
      if event.kind == "close" then
        left = size - written
        assert.equal(left, event.size)
      end
    end
    assert.equal(size, written)
    assert.is_true(left > 0)
  end)

  it("keeps `bytes` of the data, and tells its size", function()
    local list = events({bytes = 4, filter = "mem"}, function()
      local a, b <close> = net.socketpair "mem"
      a:write("abc", "defgh")
      b:read(8)
      a:close()
    end)
    assert.equal("abcd", list[3].data)
    assert.equal(8, list[3].size)
  end)

  it("sees the bytes of a relay, also of one that had begun to splice", function()
    local a, b = net.socketpair()
    local c, d = net.socketpair()
    local size = 8 << 20
    local relay = task.spawn(net.relay, b, c)
    local writer = task.spawn(function()
      for _ = 1, size // 65536 do
        a:write(("x"):rep(65536))
      end
      a:shutdown()
    end)
    assert.equal(size // 2, #d:read(size // 2))
    local tracer = assert(trace.events {filter = "unix", bytes = 1})
    assert.equal(size // 2, #d:read "a")
    d:shutdown()
    writer:join()
    relay:join()
    tracer:stop()
    local sums = {}
    for event in tracer do
      if event.kind == "read" or event.kind == "write" then
        local key = event.serial .. event.kind
        sums[key] = (sums[key] or 0) + event.size
        if event.kind == "write" and event.size > 0 then
          assert(event.data == "x" or event.data == "")
        end
      end
    end
    local number = tonumber(tostring(c):match "%d+")
    assert.is_true(sums[number .. "write"] > size // 4)
    for _, stream in ipairs {a, b, c, d} do
      stream:close()
    end
  end)

  it("knows what was open before", function()
    local a, b = net.socketpair "mem"
    local list = events({}, function()
      a:write "x"
      b:read(1)
    end)
    assert.same({"write x", "read x"}, words(list))
    assert.equal(tonumber(tostring(a):match "%d+"), list[1].serial)
    a:close()
    b:close()
  end)

  it("is bounded, and tells at the next event how many were dropped", function()
    local a, b = net.socketpair "mem"
    local tracer = assert(trace.events())
    for _ = 1, 3000 do
      a:write "x"
      a:flush()
      b:read(1)
    end
    assert.equal(6000, tracer.count)
    assert.equal(6000 - 4096, tracer.dropped)
    for _ = 1, 4096 do
      tracer()
    end
    a:write "last"
    a:flush()
    local event = tracer()
    assert.equal("last", event.data)
    assert.equal(6000 - 4096, event.dropped)
    tracer:stop()
    a:close()
    b:close()
  end)

  it("holds no more than a mebibyte", function()
    local a, b = net.socketpair "mem"
    local tracer = assert(trace.events {bytes = 1 << 20})
    for _ = 1, 40 do
      a:write(("x"):rep(60000))
      a:flush()
      b:read(60000)
    end
    assert.is_true(tracer.count >= 80)
    local held = 0
    for _ = 1, tracer.count - tracer.dropped do
      held = held + #tracer().data
    end
    assert.is_true(held >= 1 << 20 and held < (1 << 20) + 65536)
    tracer:stop()
    a:close()
    b:close()
  end)

  it("hides what is to be hidden, and what a hidden listener accepts", function()
    local list = events({}, function()
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      trace.hide(listener)
      task.scope(function(scope)
        scope:spawn(function()
          listener:accept():close()
        end)
        local stream = assert(net.connect(listener.endpoint))
        trace.hide(stream)
        stream:write "secret"
        stream:close()
      end)
      listener:close()
    end)
    assert.same({"listen", "connect", "connected"}, words(list))
    assert.has_error(function()
      trace.hide(1)
    end, "bad argument #1 to 'hide' (a socket expected)")
  end)

  it("calls a function from a task that keeps no program alive", function()
    local result = child.run [[
      local seen = {}
      trace.start {to = function(event) seen[#seen + 1] = event.kind end, filter = "mem"}
      local a, b = net.socketpair "mem"
      a:write "x"
      b:read(1)
      task.sleep(0.01)
      print(table.concat(seen, " "))
    ]]
    assert.same({0, "open open write read\n", ""}, {result.code, result.stdout, result.stderr})
  end)

  it("leaves a deadlock to be told", function()
    local result = child.run [[
      local tracer = trace.events()
      task.spawn(function() for _ in tracer do end print "over" end)
      task.channel(1):recv()
    ]]
    assert.equal("over\n", result.stdout)
    assert.matches("deadlock", result.stderr)
    assert.equal(1, result.code)
  end)

  it("gives a function bytes where a format is asked for", function()
    local text = ""
    local tracer = assert(trace.start {
      format = "text", filter = "mem", bytes = 0,
      to = function(bytes)
        text = text .. bytes
      end,
    })
    local a, b = net.socketpair "mem"
    a:write "x"
    b:read(1)
    tracer:stop()
    task.sleep(0)
    task.sleep(0)
    assert.same({"mem N open", "mem N open", "mem N -> 1 byte", "mem N <- 1 byte"}, lines(text))
    a:close()
    b:close()
  end)
end)

describe("a tracer", function()
  it("is one of eight", function()
    local list = {}
    for i = 1, 8 do
      list[i] = assert(trace.events())
    end
    local none, err = trace.events()
    assert.is_nil(none)
    assert.equal("EBUSY", err.code)
    for _, tracer in ipairs(list) do
      tracer:stop()
      assert.is_true(tracer:stop())
    end
    assert(trace.events()):stop()
  end)

  it("of a queue ends when nobody has it any more, and when it is closed", function()
    do
      local _ <close> = assert(trace.events())
    end
    for _ = 1, 20 do
      trace.events()
      collectgarbage()
    end
    assert(trace.events()):stop()
  end)

  it("of a file goes on when nobody has it any more", function()
    local path = os.tmpname()
    local result = child.run(([[
      trace.start {to = %q, bytes = 0}
      collectgarbage()
      local a, b = net.socketpair "mem"
      a:write "x"
      os.exit(0)
    ]]):format(path))
    assert.equal("", result.stderr)
    local file <close> = assert(io.open(path))
    assert.same({"mem N open", "mem N open", "mem N -> 1 byte", "mem N <- 1 byte"}, lines(file:read "a"))
    os.remove(path)
  end)

  it("refuses what it does not know", function()
    for message, opts in pairs {
      ["trace.start: options expected, a table, got string"] = "x",
      ["trace.start: unknown option 'file'"] = {file = "x"},
      ["trace.start: option 'to': a path or a function expected, got number"] = {to = 1},
      ['trace.start: option \'format\': "text" or "pcapng" expected'] = {format = "pcap"},
      ["trace.start: option 'bytes': a whole number from 0 to 1048576 expected"] = {bytes = 1.5},
      ["trace.start: option 'colour': true or false expected"] = {colour = "red"},
    } do
      assert.error_matches(function()
        trace.start(opts)
      end, message, nil, true)
    end
    local missing = child.missing()
    local none, err = trace.start {to = missing}
    assert.same({nil, "ENOENT", missing}, {none, err.code, err.endpoint})
  end)

  it("that can write no more tells so once, and the program goes on", function()
    local result = child.run [[
      local tracer = trace.start {to = "/dev/full"}
      for _ = 1, 100 do
        local a, b = net.socketpair "mem"
        a:write(("x"):rep(4000))
        a:close()
        b:close()
      end
      print(tracer.dropped > 0, tracer:stop())
    ]]
    assert.equal("true\tnil\ttrace /dev/full: no space left on device (ENOSPC)\n", result.stdout)
    assert.equal("neap: trace /dev/full: ENOSPC; the trace ends here\n", result.stderr)
  end)
end)

describe("trace, as text", function()
  it("has a line an event, and the bytes as hexdump", function()
    local text = traced({filter = "mem"}, function()
      local a, b = net.socketpair "mem"
      a:write "hello\n\27[31m, this is longer than a row"
      b:read(5)
      a:close()
      b:close()
    end)
    assert.same({
      "mem N open",
      "mem N open",
      "mem N -> 38 bytes",
      "  00000000  68 65 6c 6c 6f 0a 1b 5b  33 31 6d 2c 20 74 68 69  |hello..[31m, thi|",
      "  00000010  73 20 69 73 20 6c 6f 6e  67 65 72 20 74 68 61 6e  |s is longer than|",
      "  00000020  20 61 20 72 6f 77                                 | a row|",
    }, {table.unpack(lines(text), 1, 6)})
    assert.equal("mem N closed, 38 bytes in, 0 out", (table.remove(lines(text))))
    assert.is_nil(text:find("\27", 1, true))
  end)

  it("has the dumps that packet.hexdump makes, also of what is written in pieces", function()
    local bytes = {}
    for i = 0, 255 do
      bytes[i + 1] = string.char(i)
    end
    local text = traced({bytes = 300}, function()
      local a, b = net.socketpair "mem"
      a:write(table.unpack(bytes))
      a:close()
      b:close()
    end)
    local dump = {}
    for line in text:gmatch "  (%x%x%x%x%x%x%x%x  [^\n]+)\n" do
      dump[#dump + 1] = line
    end
    assert.equal(packet.hexdump(table.concat(bytes)), table.concat(dump, "\n", 1, 16))
  end)

  it("cuts what is long, and says how much is left", function()
    local text = traced({bytes = 20}, function()
      local a, b = net.socketpair "mem"
      a:write(("x"):rep(1000))
      a:close()
      b:close()
    end)
    assert.matches("|xxxx|\n  %.%.%. 980 bytes more\n", text)
  end)

  it("tells of a TCP conversation", function()
    local text = traced({bytes = 0, filter = "tcp"}, function()
      conversation("tcp://127.0.0.1:0", echo, ask)
    end)
    local list = lines(text)
    local found = {}
    for _, line in ipairs(list) do
      found[line] = (found[line] or 0) + 1
    end
    for _, line in ipairs {
      "listener N listens at tcp://127.0.0.1:N",
      "tcp N connects 127.0.0.1:N -> 127.0.0.1:N",
      "tcp N connected",
      "tcp N accepted 127.0.0.1:N <- 127.0.0.1:N, by listener N",
      "tcp N -> end", "listener N closed",
    } do
      assert(found[line] == 1, line .. " in\n" .. text)
    end
    for _, line in ipairs {"tcp N -> 5 bytes", "tcp N <- 5 bytes", "tcp N <- end",
      "tcp N closed, 5 bytes in, 5 out"} do
      assert(found[line] == 2, line .. " in\n" .. text)
    end
  end)

  it("tells of unix sockets and of messages", function()
    local path = os.tmpname()
    os.remove(path)
    local text = traced({bytes = 0}, function()
      conversation("unix:" .. path, echo, ask)
      local a, b = assert(net.bind "udp://127.0.0.1:0"), assert(net.bind "udp://127.0.0.1:0")
      a:send("hi", b.localaddr)
      b:recv()
      a:close()
      b:close()
    end)
    assert.matches("unix %d+ +open %-> " .. path, text)
    assert.matches("accepted " .. path .. " <%- unnamed, by listener", text)
    assert.matches("udp %d+ +%-> 2 bytes to 127%.0%.0%.1:%d+", text)
    assert.matches("udp %d+ +<%- 2 bytes from 127%.0%.0%.1:%d+", text)
  end)

  it("tells errors by their code", function()
    local missing = child.missing()
    local text = traced({}, function()
      net.connect "tcp://127.0.0.1:1"
      net.connect("unix:" .. missing)
    end)
    assert.matches("tcp %d+ +connect: ECONNREFUSED\n", text)
    assert.truthy(text:find("  connect unix:" .. missing .. ": ENOENT\n", 1, true))
    assert.is_nil(text:find "reset")
  end)

  it("has colours when it is told so", function()
    local function act()
      local a, b = net.socketpair "mem"
      a:write "x"
      a:close()
      b:close()
    end
    assert.matches("\27%[32m%-> 1 byte\27%[0m\n", traced({colour = true}, act))
    assert.is_nil(traced({}, act):find("\27", 1, true))
  end)
end)

describe("neap --trace", function()
  local script = "local a, b = net.socketpair 'mem' a:write 'hello' b:read(5) print 'done'"

  local function run(...)
    local command = {child.neap, ...}
    command[#command + 1] = "-e"
    command[#command + 1] = script
    return assert(process.run(command))
  end

  it("writes to stderr, and nothing without it", function()
    assert.equal("", run().stderr)
    local result = run "--trace"
    assert.equal("done\n", result.stdout)
    assert.same({"mem N open", "mem N open", "mem N -> 5 bytes",
      "  00000000  68 65 6c 6c 6f                                    |hello|", "mem N <- 5 bytes",
      "  00000000  68 65 6c 6c 6f                                    |hello|"},
      {table.unpack(lines(result.stderr), 1, 6)})
    assert.matches("mem N closed", table.concat(lines(result.stderr), "\n"))
  end)

  it("writes a file, filters and shortens", function()
    local path = os.tmpname()
    assert.same({"", "done\n"}, {run("--trace=" .. path, "--trace-filter=tcp").stderr, "done\n"})
    assert.equal(0, #assert(io.open(path)):read "a")
    local short = run("--trace-bytes=2", "--trace-filter=mem").stderr
    assert.matches("|he|\n  %.%.%. 3 bytes more", short)
    run("--trace=" .. path, "--trace-format=pcapng")
    assert.equal("\x0a\x0d\x0d\x0a", assert(io.open(path, "rb")):read(4))
    os.remove(path)
  end)

  it("refuses what makes no sense with status 2, and a file that cannot be with 1", function()
    for option, message in pairs {
      ["--trace-filter=foo://x"] = "neap: trace: filter 'foo://x': 'foo' is no kind of socket",
      ["--trace-bytes=many"] = "neap: --trace-bytes: a whole number expected",
      ["--trace-format=xml"] = 'neap: trace.start: option \'format\': "text" or "pcapng" expected',
    } do
      local result = run(option)
      assert.same({2, message .. "\n", ""}, {result.code, result.stderr, result.stdout})
    end
    local missing = child.missing()
    local result = run("--trace=" .. missing)
    assert.same({1, "neap: trace " .. missing .. ": no such file or directory (ENOENT)\n"},
      {result.code, result.stderr})
    result = run("-w", "2", "--trace")
    assert.equal(2, result.code)
    assert.matches("%-%-trace sees one thread", result.stderr)
  end)
end)

describe("filters of a trace", function()
  local function count(filter, f)
    return #events({filter = filter}, f)
  end

  local function mem()
    local a, b = net.socketpair "mem"
    a:close()
    b:close()
  end

  it("choose by kind", function()
    assert.is_true(count("mem", mem) > 0)
    assert.equal(0, count("tcp", mem))
    assert.is_true(count("tcp, mem", mem) > 0)
    assert.is_true(count({"udp", "mem:"}, mem) > 0)
  end)

  it("name terminals and files, which are not seen otherwise", function()
    local path = os.tmpname()
    local script = ([[
      local tracer = trace.events {filter = %s}
      local null = net.connect("fd:" .. 3)
      null:write "x"
      null:close()
      tracer:stop()
      print(tracer.count)
    ]])
    for filter, expected in pairs {["nil"] = "0\n", ["'file'"] = "3\n"} do
      local result = assert(process.run {"sh", "-c", 'exec "$0" -e "$1" 3>"$2"', child.neap,
        script:format(filter), path})
      assert.same({expected, ""}, {result.stdout, result.stderr})
    end
    os.remove(path)
  end)

  it("choose by address and port of either end", function()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local port = listener.port
    local function act()
      local stream = assert(net.connect(listener.endpoint))
      listener:accept():close()
      stream:close()
    end
    for _, good in ipairs {"tcp://127.0.0.1:%d", "tcp4://127.0.0.0/8:%d", "127.0.0.1", ":%d",
      "tcp://*:%d", "tcp://localhost", "*://127.0.0.1:%d", "tcp://", "127.0.0.0/8:%d"} do
      assert(count(good:format(port), act) >= 5, good)
    end
    for _, bad in ipairs {"udp://127.0.0.1:%d", "tcp6", "tcp://127.0.0.2:%d", "10.0.0.0/8", "tcp://:1",
      "[::1]:%d", "tcp://[::1]", "unix"} do
      assert(count(bad:format(port), act) == 0, bad)
    end
    listener:close()
  end)

  it("choose by the peer of each message", function()
    local a, b, c = assert(net.bind "udp://127.0.0.1:0"), assert(net.bind "udp://127.0.0.1:0"),
      assert(net.bind "udp://127.0.0.1:0")
    local list = events({filter = "udp://127.0.0.1:" .. b.localaddr.port}, function()
      a:send("to b", b.localaddr)
      a:send("to c", c.localaddr)
      b:recv()
      c:recv()
    end)
    assert.same({"write to b", "read to b"}, words(list))
    for _, socket in ipairs {a, b, c} do
      socket:close()
    end
  end)

  it("choose by path and name", function()
    local path = os.tmpname()
    os.remove(path)
    local function unix()
      conversation("unix:" .. path, echo, ask)
    end
    local function named()
      conversation("mem:trace", echo, ask)
    end
    assert.is_true(count("unix:" .. path, unix) >= 8)
    assert.is_true(count("unix:" .. path:sub(1, -2) .. "*", unix) >= 8)
    assert.equal(0, count("unix:" .. path .. "x", unix))
    assert.is_true(count("mem:trace", named) >= 8)
    assert.is_true(count("mem:tr*", named) >= 8)
    assert.equal(0, count("mem:race", named))
    assert.is_true(count("unix:@trace*", function()
      conversation("unix:@trace" .. tostring(os.time()), echo, ask)
    end) >= 8)
  end)

  it("raise for what is none", function()
    for filter, why in pairs {
      ["foo"] = "'foo' is no kind of socket",
      ["foo://127.0.0.1"] = "'foo' is no kind of socket",
      ["tcp://1.2.3:80"] = "an address, / and a length expected",
      ["tcp://127.0.0.1:99999"] = "'99999' is no port",
      ["tcp://example.org:80"] = "'example.org' is no address (names are not looked up here)",
      ["tcp://10.0.0.1/8"] = "bits are set behind the first 8",
      ["tcp://10.0.0.0/33"] = "a length of 32 at most expected",
      ["tcp6://127.0.0.1"] = "an address of the other family",
      ["unix://x"] = "unix:path expected",
      [""] = "a kind, an address or an endpoint expected",
    } do
      local good, message = pcall(trace.events, {filter = filter})
      assert.is_false(good)
      assert(message:find(("trace: filter '%s': %s"):format(filter, why), 1, true), message)
    end
    assert.has_error(function()
      trace.events {filter = 1}
    end)
    assert.has_error(function()
      trace.events {filter = {}}
    end)
  end)
end)

describe("trace, as a capture", function()
  --- The packets of a capture, dissected, each with its info; all of them right.
  local function packets(bytes)
    local file = assert(io.tmpfile())
    file:write(bytes)
    file:seek "set"
    local found = {}
    for data, info in assert(pcap.reader(file)) do
      local p = packet.dissect(data, info.linktype)
      if info.linktype ~= 1 then -- where loopback leaves sums out
        local good, wrong = p:verify()
        assert(good, wrong and table.concat(wrong, "\n"))
      end
      found[#found + 1] = {packet = p, info = info, size = #data}
    end
    return found
  end

  --- Each direction's bytes, by source port; raises where a number is not the next.
  local function directions(list)
    local next_seq, sent = {}, {}
    for _, entry in ipairs(list) do
      local tcp = entry.packet.tcp
      local raw = entry.packet.raw
      local data = raw and raw.data or ""
      local from, to = tcp.src_port, tcp.dst_port
      from = entry.packet.ip and entry.packet.ip.src .. ":" .. from or from
      to = entry.packet.ip and entry.packet.ip.dst .. ":" .. to or to
      assert(next_seq[from] == nil or next_seq[from] == tcp.seq,
        ("%s: %d, %s expected"):format(from, tcp.seq, next_seq[from]))
      if tcp.flags:find "ACK" then
        assert.equal(next_seq[to] or tcp.ack, tcp.ack)
      end
      local counts = tcp.flags:find "SYN" or tcp.flags:find "FIN"
      next_seq[from] = (tcp.seq + #data + (counts and 1 or 0)) & 0xffffffff
      sent[from] = (sent[from] or "") .. data
    end
    return sent
  end

  local function flags(list)
    local found = {}
    for i, entry in ipairs(list) do
      found[i] = entry.packet.tcp.flags
    end
    return table.concat(found, ", ")
  end

  local function random(size)
    local parts = {}
    for i = 1, size // 8 do
      parts[i] = ("%08d"):format(i)
    end
    return table.concat(parts)
  end

  for _, endpoint in ipairs {"tcp://127.0.0.1:0", "tcp://[::1]:0", "unix:@trace-capture"} do
    it("has handshake, bytes and ends, at " .. endpoint, function()
      local bytes = traced({format = "pcapng", filter = endpoint:match "^%a+"}, function()
        conversation(endpoint, echo, ask)
      end)
      local list = packets(bytes)
      local sent = directions(list)
      local hellos = 0
      for _, data in pairs(sent) do
        assert.equal("hello", data)
        hellos = hellos + 1
      end
      -- Unix sockets have nothing that tells which two belong together.
      assert.equal(endpoint:find "unix" and 4 or 2, hellos)
      if not endpoint:find "unix" then
        assert.equal("SYN, SYN ACK, ACK, PSH ACK, PSH ACK, FIN ACK, ACK, FIN ACK, ACK", flags(list))
      end
    end)
  end

  it("has large writes in order, in segments, both ways #slow", function()
    local large = random(1 << 20)
    local bytes = traced({format = "pcapng", filter = "tcp"}, function()
      conversation("tcp://127.0.0.1:0", function(stream)
        stream:write(stream:read(#large))
      end, function(stream)
        local writer = task.spawn(stream.write, stream, large)
        assert.equal(large, stream:read(#large))
        writer:join()
      end)
    end)
    local list = packets(bytes)
    for _, data in pairs(directions(list)) do
      assert.is_true(data == large)
    end
    for _, entry in ipairs(list) do
      assert.is_true(entry.size <= 65535)
    end
  end)

  it("has each end alone, where the other is another process", function()
    local path = os.tmpname()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local server = task.spawn(function()
      local stream <close> = assert(listener:accept())
      echo(stream)
    end)
    local result = assert(process.run {child.neap, "--trace=" .. path, "--trace-format=pcapng", "-e", ([[
      local stream = assert(net.connect %q)
      for i = 1, 5 do
        stream:write("ping " .. i)
        stream:read(6)
      end
      stream:shutdown()
      stream:read "a"
    ]]):format(listener.endpoint)})
    assert.equal("", result.stderr)
    server:join()
    listener:close()
    local list = packets(assert(io.open(path, "rb")):read "a")
    os.remove(path)
    local count = 0
    for _, data in pairs(directions(list)) do
      assert.equal("ping 1ping 2ping 3ping 4ping 5", data)
      count = count + 1
    end
    assert.equal(2, count)
    assert.matches("^SYN, SYN ACK, ACK, .*FIN ACK, ACK, FIN ACK, ACK$", flags(list))
  end)

  it("has what a client sent and left before it was accepted, once", function()
    local bytes = traced({format = "pcapng", filter = "tcp"}, function()
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      local client = assert(net.connect(listener.endpoint))
      client:write "early"
      client:close()
      task.sleep(0.01)
      local stream = assert(listener:accept())
      assert.equal("early", stream:read "a")
      stream:close()
      listener:close()
    end)
    local texts = {}
    for _, data in pairs(directions(packets(bytes))) do
      texts[#texts + 1] = data
    end
    assert.equal("early", table.concat(texts))
  end)

  it("begins in the middle of what was open before", function()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local client = assert(net.connect(listener.endpoint))
    local stream = assert(listener:accept())
    local bytes = traced({format = "pcapng"}, function()
      client:write "late"
      stream:read(4)
      client:close()
      stream:close()
    end)
    local list = packets(bytes)
    assert.equal("PSH ACK, FIN ACK, ACK, FIN ACK, ACK", flags(list))
    directions(list)
    listener:close()
    task.sleep(0.01) -- the client's close, which waits for the end, is not in the next one
  end)

  it("has a refused connection and a reset", function()
    local bytes = traced({format = "pcapng"}, function()
      net.connect "tcp://127.0.0.1:1"
    end)
    assert.equal("SYN, RST ACK", flags(packets(bytes)))
    bytes = traced({format = "pcapng"}, function()
      conversation("tcp://127.0.0.1:0", function(stream)
        stream:recv()
        stream:recv()
      end, function(stream)
        stream:write "x"
        task.sleep(0.01)
        stream:reset()
      end)
    end)
    assert.equal("SYN, SYN ACK, ACK, PSH ACK, RST ACK", flags(packets(bytes)))
  end)

  it("has datagrams, with both addresses, also of a socket that has all", function()
    for _, host in ipairs {"127.0.0.1", "[::1]", "*"} do
      local bytes = traced({format = "pcapng"}, function()
        local server = assert(net.bind("udp://" .. host .. ":0"))
        local peer = host == "*" and "127.0.0.1" or host
        local client = assert(net.connect(("udp://%s:%d"):format(peer, server.localaddr.port)))
        client:send "ping"
        local _, from = server:recv()
        server:send("pong", from)
        client:recv()
        client:close()
        server:close()
      end)
      local list = packets(bytes)
      assert.equal(4, #list) -- sent and received, each
      for i, entry in ipairs(list) do
        local p = entry.packet
        assert.equal(i <= 2 and "ping" or "pong", p.raw.data)
        assert.equal((p.ip or p.ipv6).src, (p.ip or p.ipv6).dst)
      end
      assert.equal(list[1].packet.udp.src_port, list[3].packet.udp.dst_port)
    end
  end)

  it("has messages of unix sockets", function()
    local bytes = traced({format = "pcapng"}, function()
      for _, kind in ipairs {"unixgram", "seqpacket"} do
        local a, b = net.socketpair(kind)
        a:send "hello"
        b:recv()
        a:close()
        b:close()
      end
    end)
    local list = packets(bytes)
    assert.equal(4, #list)
    for _, entry in ipairs(list) do
      assert.equal("hello", entry.packet.raw.data)
    end
  end)

  it("has frames of a packet socket, and raw packets", function()
    local frames, err = net.bind "packet://lo"
    if not frames then
      pending(tostring(err))
      return
    end
    local raw = assert(net.bind "raw://127.0.0.1/253")
    local bytes = traced({format = "pcapng"}, function()
      raw:send("payload", net.address "127.0.0.1")
      raw:recv()
      repeat
        local frame = frames:recv()
      until frame:find("payload", 1, true)
    end)
    local seen = {}
    for _, entry in ipairs(packets(bytes)) do
      local p = entry.packet
      if p.ip and p.ip.protocol == 253 then
        assert.equal("payload", p.raw.data)
        seen[entry.info.linktype] = (seen[entry.info.linktype] or 0) + 1
      end
    end
    assert.equal(2, seen[101])
    assert.is_true(seen[1] >= 1)
    frames:close()
    raw:close()
  end)

  it("keeps the numbers right past what was dropped", function()
    local tracer = assert(trace.events {format = "pcapng", filter = "mem"})
    local a, b = net.socketpair "mem"
    for _ = 1, 40 do
      a:write(("x"):rep(60000))
      a:flush()
      b:read(60000)
    end
    assert.is_true(tracer.dropped > 0)
    local bytes = tracer()
    a:write "last"
    a:flush()
    bytes = bytes .. tracer()
    tracer:stop()
    local last
    for _, entry in ipairs(packets(bytes)) do
      last = entry.packet.raw and entry.packet.raw.data == "last" and entry.packet or last
    end
    assert.equal(40 * 60000 + 1, last.tcp.seq)
    assert.matches("%d+ events were dropped before this", bytes)
    a:close()
    b:close()
  end)

  it("keeps `bytes` of each packet", function()
    local bytes = traced({format = "pcapng", bytes = 10, filter = "mem"}, function()
      local a, b = net.socketpair "mem"
      a:write(("x"):rep(1000))
      a:close()
      b:close()
    end)
    local file = assert(io.tmpfile())
    file:write(bytes)
    file:seek "set"
    local cut = 0
    for data, info in assert(pcap.reader(file)) do
      if info.original > #data then
        cut = cut + 1
        assert.same({50, 1040}, {#data, info.original})
      end
    end
    assert.equal(2, cut)
  end)

  describe("in tshark", function()
    local tshark = process.run {"sh", "-c", "command -v tshark"}.code == 0
    local path = os.tmpname()

    local function run(...)
      return assert(process.run {"tshark", "-r", path, "-o", "tcp.check_checksum:TRUE",
        "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", ...}).stdout
    end

    teardown(function()
      os.remove(path)
    end)

    it("opens without a warning, with each direction's bytes in order #slow", function()
      if not tshark then
        pending "tshark is not installed"
        return
      end
      local large = random(200000)
      local tracer = assert(trace.start {to = path, format = "pcapng"})
      conversation("tcp://127.0.0.1:0", echo, function(stream)
        local writer = task.spawn(stream.write, stream, large)
        assert.equal(large, stream:read(#large))
        writer:join()
        stream:shutdown()
        stream:read "a"
      end)
      conversation("unix:@trace-tshark", echo, ask)
      local a, b = net.socketpair "unixgram"
      a:send "message"
      b:recv()
      a:close()
      b:close()
      assert(tracer:stop())

      local expert = run("-q", "-z", "expert,warn")
      assert(not expert:find "Errors" and not expert:find "Warns", expert)
      assert.equal("", run("-Y", "_ws.malformed || tcp.analysis.flags || tcp.checksum.status == 0"))
      local followed = run("-q", "-z", "follow,tcp,raw,0")
      local sent, back = {}, {}
      for indent, data in followed:gmatch "\n(\t?)(%x+)%f[\n\0]" do
        table.insert(indent == "" and sent or back, data)
      end
      local hex = large:gsub(".", function(c)
        return ("%02x"):format(c:byte())
      end)
      assert.is_true(table.concat(sent) == hex)
      assert.is_true(table.concat(back) == hex)
    end)
  end)
end)

describe("off", function()
  it("a trace costs nothing: no watcher is left when the last has stopped", function()
    local tracer = assert(trace.events())
    tracer:stop()
    local a, b = net.socketpair "mem"
    a:write "x"
    b:read(1)
    assert.equal(0, tracer.count)
    assert.is_nil(tracer())
    assert.equal("tracer (events, stopped)", tostring(tracer))
    a:close()
    b:close()
    assert.is_function(core.dial)
  end)
end)
