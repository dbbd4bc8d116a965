-- What a trace tells, as events, and to whom.

local core = require "neap.net.core"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local trace = require "neap.trace"
local child = require "spec.support.child"
local traces = require "spec.support.traces"

local ask, conversation, echo, events = traces.ask, traces.conversation, traces.echo, traces.events
local lines, words = traces.lines, traces.words

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
    local list = words(events({filter = "tcp"}, traces.reset_tcp))
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
      null:flush()
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

describe("off", function()
  it("a trace costs nothing: no tap is left when the last has stopped", function()
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
