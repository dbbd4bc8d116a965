-- Every way to wait meets every way to be interrupted. Whatever ends a wait,
-- `<close>` variables run from the last to the first, nobody else notices, what
-- was received stays, and what was opened is gone. Streams and
-- connections have specs of their own: cancel_read_spec, cancel_write_spec,
-- cancel_connect_spec; here are the others, and the task that is interrupted.

local net = require "neap.net"
local process = require "neap.process"
local signal = require "neap.signal"
local task = require "neap.task"
local time = require "neap.time"
local worker = require "neap.worker"
local neap = require "spec.support.child".neap
local timed = require "spec.support.child".timed
local code_of = require "spec.support.code_of"
local interrupting = require "spec.support.interrupting"
local transports = require "spec.support.transports"

local SOON, assert_closed = interrupting.SOON, interrupting.assert_closed
local assert_usable, case = interrupting.assert_usable, interrupting.case
local guarded, interrupts = interrupting.guarded, interrupting.interrupts
local read_all, settle = interrupting.read_all, interrupting.settle
local narrow_pair, pattern, stuff = transports.narrow_pair, transports.pattern, transports.stuff

describe("interrupting a relay", function()
  for _, kind in ipairs(transports.names) do
    interrupts(kind, function()
      local client, a = transports.pair(kind)
      local b, server = transports.pair(kind)
      return function() return net.relay(a, b) end, function()
        assert_usable(client, a)
        assert_usable(b, server)
        for _, stream in ipairs {client, a, b, server} do
          stream:close()
        end
      end
    end)
  end
end)

describe("interrupting", function()
  interrupts("net.wait", function()
    local fd, theirs, close = transports.foreign()
    return function() return net.wait(fd) end, function()
      assert.equal("ETIMEDOUT", code_of(net.wait(fd, "r", 0)))
      theirs:write "x"
      assert.equal("r", net.wait(fd))
      theirs:close()
      close()
    end
  end)

  for _, kind in ipairs {"unixgram", "seqpacket"} do
    interrupts(("a wait for a message (%s)"):format(kind), function()
      local ours, theirs = assert(net.socketpair(kind))
      return function() return ours:wait() end, function()
        theirs:send "message"
        assert.equal("r", ours:wait())
        assert.equal("message", (ours:recv()))
        theirs:close()
        ours:close()
      end
    end)

    interrupts(("a wait for room (%s)"):format(kind), function()
      local ours, theirs = assert(net.socketpair(kind))
      repeat
        local sent = task.timeout(SOON, ours.send, ours, "message")
      until not sent
      return function() return ours:wait(kind == "unixgram" and "w" or "rw") end, function()
        assert.equal("ETIMEDOUT", code_of(ours:wait("w", 0)))
        repeat
          local taken = task.timeout(SOON, theirs.recvmany, theirs)
        until not taken
        assert.equal("w", ours:wait "w")
        theirs:close()
        ours:close()
      end
    end)
  end

  interrupts("sleep", function()
    return function() return task.sleep(10) end
  end)

  interrupts("join", function()
    local gate = task.event()
    local t = task.spawn(function()
      gate:wait()
      return "result"
    end)
    return function() return t:join() end, function()
      assert.equal("waiting", t.status) -- a joiner does not end whom it joins
      gate:set()
      assert.equal("result", t:join())
    end
  end)

  interrupts("a channel's send", function()
    local channel = task.channel(2)
    channel:send "a"
    channel:send "b"
    return function() return channel:send "cancelled" end, function()
      channel:close()
      local got = {}
      for value in channel:each() do
        got[#got + 1] = value
      end
      assert.same({"a", "b"}, got)
    end
  end)

  interrupts("a channel's recv", function()
    local channel = task.channel()
    return function() return channel:recv() end, function()
      assert.is_true(channel:send "value")
      assert.equal("value", channel:recv())
    end
  end)

  interrupts("a channel's each", function()
    local channel = task.channel()
    return function() return channel:each()() end, function()
      assert.is_true(channel:send "value")
      assert.equal("value", channel:recv())
    end
  end)

  interrupts("a semaphore's acquire", function()
    local slots = task.semaphore(1)
    local permit = slots:acquire()
    return function() return slots:acquire() end, function()
      permit:release()
      assert.equal(1, slots.count)
    end
  end)

  interrupts("a mutex's lock", function()
    local mutex = task.mutex()
    local gate = task.event()
    local holder = task.spawn(function()
      mutex:lock()
      gate:wait()
      mutex:unlock()
    end)
    task.yield()
    return function() return mutex:lock() end, function()
      gate:set()
      holder:join()
      assert.is_nil(mutex.owner)
      mutex:lock()
      mutex:unlock()
    end
  end)

  interrupts("an event's wait", function()
    local event = task.event()
    return function() return event:wait() end, function()
      event:set()
      event:wait()
    end
  end)

  interrupts("a future's wait", function()
    local future = task.future()
    return function() return future:wait() end, function()
      assert.is_true(future:set "result")
      assert.equal("result", future:wait())
    end
  end)

  for name, make in pairs {
    channels = function() return task.channel(1) end,
    ["channels of workers"] = function() return worker.channel(nil, 1) end,
  } do
    interrupts("a select of " .. name, function()
      local empty, full = make(), make()
      local event, future = task.event(), task.future()
      full:send "full"
      return function()
        return task.select(empty:receiving(), full:sending "cancelled", event:waiting(),
          future:waiting())
      end, function()
        assert.is_true(empty:send "value")
        assert.equal("value", empty:recv())
        assert.equal("full", full:recv())
        assert.equal("EAGAIN", code_of(full:try_recv()))
        event:set()
        assert.same({2}, {task.select(future:waiting(), event:waiting())})
      end
    end)
  end

  interrupts("the end of a scope", function()
    local closed, child = {}, nil
    return function()
      return task.scope(function(s)
        child = s:spawn(guarded, closed, task.sleep, 10)
      end)
    end, function()
      assert.equal("cancelled", child.status)
      assert_closed(closed)
    end
  end)

  interrupts("a scope's wait", function()
    local closed = {}
    return function()
      return task.scope(function(s)
        s:spawn(guarded, closed, task.sleep, 10)
        s:wait()
      end)
    end, function()
      assert_closed(closed)
    end
  end)

  for _, name in ipairs {"all", "race"} do
    interrupts("task." .. name, function()
      local first, second = {}, {}
      return function()
        return task[name] {
          function() guarded(first, task.sleep, 10) end,
          function() guarded(second, task.sleep, 10) end,
        }
      end, function()
        assert_closed(first)
        assert_closed(second)
      end
    end)
  end

  interrupts("idle time", function()
    return function() return task.idle(task.sleep, 20) end
  end)

  interrupts("a timeout that is longer", function()
    return function() return task.timeout(10, task.sleep, 20) end
  end)

  interrupts("time.every", function()
    return function()
      for _ in time.every(10) do
        error "too early"
      end
    end
  end)

  interrupts("signal.wait", function()
    return function() return signal.wait("SIGUSR1", "SIGUSR2") end, function()
      signal.raise "SIGUSR2"
      assert.equal("SIGUSR2", signal.wait("SIGUSR1", "SIGUSR2"))
      signal.default "SIGUSR1"
      signal.default "SIGUSR2"
    end
  end)

  interrupts("signal.each", function()
    return function()
      for _ in signal.each "SIGUSR1" do
        error "no signal was sent"
      end
    end, function()
      signal.raise "SIGUSR1"
      assert.equal("SIGUSR1", signal.wait "SIGUSR1")
      signal.default "SIGUSR1"
    end
  end)

  interrupts("a child's wait", function()
    local child = assert(process.spawn {"cat", stdin = "pipe"})
    return function() return child:wait() end, function()
      assert.equal("running", child.status)
      child.stdin:close()
      assert.equal(0, child:wait())
    end
  end)

  interrupts("process.run", function()
    return function() return process.run {"sleep", "10"} end
  end)

  interrupts("a read of a child's terminal", function()
    local child = assert(process.spawn {"cat", pty = true})
    child.pty:write "half "
    return function() return child.pty:read "l" end, function()
      child.pty:write "a line\n"
      assert.equal("half a line\r", child.pty:read "l")
      child.pty:close()
      assert.equal("SIGHUP", select(2, child:wait()))
    end
  end)

  interrupts("a read of a pipe", function()
    local child = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
    child.stdin:write "half "
    return function() return child.stdout:read "l" end, function()
      child.stdin:write "a line\n"
      assert.equal("half a line", child.stdout:read "l")
      child.stdin:close()
      assert.is_nil(child.stdout:read "l")
      child.stdout:close()
      assert.equal(0, child:wait())
    end
  end)

  interrupts("a write to a pipe", function()
    local child = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
    local big = pattern(1024 * 1024)
    return function() return child.stdin:write(big) end, function()
      task.scope(function(s)
        s:spawn(function()
          assert(child.stdin:write " and more")
          child.stdin:close()
        end)
        assert.is_true(read_all(child.stdout) == big .. " and more")
      end)
      child.stdout:close()
      assert.equal(0, child:wait())
    end
  end)

  case("I1: a read of stdin, in a program", function()
    local child <close> = assert(process.spawn {
      neap, "-e", [[
        local stdin = require "neap.stdio".stdin
        local line, err = task.timeout(0.05, stdin.read, stdin, "l")
        print(line, err.code)
        local t = task.spawn(stdin.read, stdin, "l")
        task.sleep(0.01)
        t:cancel()
        print(select(2, t:join()).code)
        print "go"
        io.stdout:flush()
        print(stdin:read "l")
      ]], stdin = "pipe", stdout = "pipe",
    })
    child.stdin:write "half "
    assert.equal("nil\tETIMEDOUT", child.stdout:read())
    assert.equal("ECANCELED", child.stdout:read())
    assert.equal("go", child.stdout:read())
    child.stdin:write "a line\n"
    assert.equal("half a line", child.stdout:read())
    assert.equal(0, child:wait())
  end)

  case("the other waiters are served when one of them is interrupted", function()
    local channel, slots, mutex, event =
      task.channel(), task.semaphore(0), task.mutex(), task.event()
    local got = {}
    mutex:lock()
    local function wait_for_all(i)
      local values = {}
      task.scope(function(s)
        s:spawn(function() values[1] = channel:recv() end)
        s:spawn(function()
          slots:acquire()
          values[2] = "permit"
        end)
        s:spawn(function()
          mutex:lock()
          values[3] = "lock"
          mutex:unlock()
        end)
        s:spawn(function()
          event:wait()
          values[4] = "event"
        end)
      end)
      got[i] = table.concat(values, " ")
    end
    task.scope(function(s)
      local waiters = {}
      for i = 1, 3 do
        waiters[i] = s:spawn(wait_for_all, i)
        settle()
      end
      waiters[1]:cancel()
      waiters[1]:join()
      waiters[2]:cancel()
      waiters[2]:join()
      channel:send "value"
      slots:release()
      mutex:unlock()
      event:set()
    end)
    assert.same({[3] = "value permit lock event"}, got)
    assert.equal(0, slots.count)
    assert.is_nil(mutex.owner)
  end)

  case("what is handed over in the turn of the interruption is not lost", function()
    local channel, slots = task.channel(), task.semaphore(0)
    local got = {}
    task.scope(function(s)
      for _ = 1, 20 do
        local a = s:spawn(function() got[#got + 1] = channel:recv() end)
        local b = s:spawn(function()
          slots:acquire():release()
        end)
        task.yield()
        channel:send "value"
        slots:release()
        a:cancel()
        b:cancel()
        task.yield()
        task.yield()
        if #channel > 0 then
          got[#got + 1] = channel:recv()
        end
        assert.equal(1, slots.count)
        slots:acquire()
      end
    end)
    assert.equal(20, #got)
  end)
end)

describe("a task that is interrupted", function()
  case("I2: may wait in its <close> variables, under a shield", function()
    local ours, theirs <close> = transports.pair "tcp"
    local said
    task.scope(function(s)
      local t = s:spawn(function()
        local farewell <close> = setmetatable({}, {__close = function()
          task.shield(function()
            ours:write "bye\n"
            said = ours:read "l"
          end)
        end})
        ours:read "l"
        return farewell
      end)
      settle()
      t:cancel()
      assert.equal("bye", theirs:read "l")
      theirs:write "farewell\n"
      t:join()
      assert.equal("cancelled", t.status)
    end)
    assert.equal("farewell", said)
    ours:close()
  end)

  case("I1: is interrupted at every wait from then on, and can still close", function()
    local codes = {}
    local ours, theirs <close> = transports.pair "unix"
    local listener = assert(net.listen "unix:@")
    local message <close> = assert(net.bind "udp://127.0.0.1:0")
    local channel, between <close> = task.channel(), worker.channel()
    local event = task.event()
    local done = task.spawn(settle)
    event:set()
    channel:send "value"
    between:send "value"
    message:send("message", message.localaddr)
    ours:write "bytes"
    settle()
    task.scope(function(s)
      local t = s:spawn(function()
        pcall(task.sleep, 10)
        for name, f in pairs {
          sleep = function() task.sleep(1) end,
          yield = task.yield,
          ["sleep of 0"] = function() task.sleep(0) end,
          recv = function() ours:recv() end,
          wait = function() ours:wait "w" end,
          wait_for_connection = function() listener:wait() end,
          wait_for_descriptor = function() net.wait(0, "r", 0) end,
          ["recv of what is there"] = function() theirs:recv(1) end,
          ["message recv"] = function() message:recv() end,
          join = function() done:join() end,
          scope = function() task.scope(print) end,
          accept = function() listener:accept() end,
          connect = function() net.connect(listener.endpoint) end,
          resolve = function() net.resolve "localhost" end,
          relay = function() net.relay(ours, theirs) end,
          channel = function() channel:recv() end,
          ["channel of a worker"] = function() between:recv() end,
          mutex = function() task.mutex():lock() end,
          semaphore = function() task.semaphore(1):acquire() end,
          event = function() event:wait() end,
          timeout = function() task.timeout(1, print) end,
        } do
          codes[name] = select(2, pcall(f)).code
        end
        codes.close = ours:close()
        codes.listener = listener:close()
      end)
      settle()
      t:cancel()
    end)
    assert.is_true(codes.close)
    assert.is_true(codes.listener)
    codes.close, codes.listener = nil, nil
    for name, code in pairs(codes) do
      assert.equal("ECANCELED", code, name)
    end
    assert.equal("bytes", theirs:read "a")
    assert.equal("value", channel:recv())
    assert.equal("value", between:recv())
    assert.equal("message", message:recv())
  end)

  --- Call f in a task that was cancelled, as its <close>; is it `cancelled` after?
  local function when_cancelled(f)
    local t = task.spawn(function()
      local _ <close> = setmetatable({}, {__close = f})
      task.sleep(10)
    end)
    task.yield()
    t:cancel()
    local _, err = task.timeout(20, t.join, t)
    assert.equal("ECANCELED", err.code)
    assert.equal("cancelled", t.status)
  end

  for _, kind in ipairs(transports.names) do
    case("says goodbye in its <close>: " .. kind, function()
      local ours, theirs <close> = transports.pair(kind)
      when_cancelled(function()
        assert(ours:write("bye", " ", "now\n"))
        assert(ours:flush())
        assert(ours:write(("x"):rep(16 * 1024)))
        assert(ours:shutdown())
      end)
      assert.equal("bye now", theirs:read "l")
      assert.equal(16 * 1024, #theirs:read "a")
      ours:close()
    end)

    case("cannot write to who does not read: " .. kind, function()
      local ours, theirs = narrow_pair(kind)
      local size = stuff(ours)
      local code, flush_code
      when_cancelled(function()
        code = select(2, pcall(ours.write, ours, "no room")).code
        flush_code = select(2, pcall(ours.flush, ours)).code
      end)
      assert.equal("ECANCELED", code)
      assert.equal("ECANCELED", flush_code)
      ours:close()
      assert.equal(size, #read_all(theirs))
      theirs:close()
    end)
  end

  case("says goodbye by messages, descriptors and channels", function()
    local a <close> = assert(net.bind "udp://127.0.0.1:0")
    local b <close> = assert(net.bind "udp://127.0.0.1:0")
    local ours, theirs <close> = transports.pair "unix"
    local channel, between <close> = task.channel(), worker.channel(nil, 1)
    local refused = {}
    when_cancelled(function()
      assert(a:send("one", b.localaddr))
      assert(a:sendmany({"two", "three"}, b.localaddr))
      assert(a:flush())
      assert(ours:sendfd("four", {ours}))
      assert(channel:send "five")
      assert(between:send "six")
      refused[1] = select(2, pcall(channel.send, channel, "full"))
      refused[2] = select(2, pcall(between.send, between, "full"))
    end)
    assert.equal("one two three", ("%s %s %s"):format((b:recv()), (b:recv()), (b:recv())))
    local bytes, fds = theirs:recvfd()
    assert.equal("four", bytes)
    fds[1]:close()
    assert.equal("five", channel:recv())
    assert.equal("six", between:recv())
    assert.equal("ECANCELED", refused[1].code)
    assert.equal("ECANCELED", refused[2].code)
    ours:close()
  end)

  it("ends, though what it puts is always taken", function()
    local result = assert(process.run {neap, "-e", [[
      local channel, between = task.channel(4), worker.channel(nil, 8)
      local message = assert(net.bind "udp://127.0.0.1:0")
      local ours, theirs = net.socketpair "mem"
      local function flood(name, put)
        local done = 0
        local g <close> = setmetatable({}, {__close = function()
          print(name, done)
        end})
        pcall(task.sleep, 10)
        while true do
          put()
          done = done + 1
          if done % 4 == 0 then
            task.shield(task.sleep, 1e-5) -- it is taken meanwhile
          end
        end
      end
      task.scope(function(s)
        for _, take in ipairs {
          function() channel:recv() end,
          function() between:recv() end,
          function() theirs:recv() end,
          function() message:recv() end,
        } do
          s:spawn(function()
            while true do take() end
          end)
        end
        for name, put in pairs {
          channel = function() channel:send(1) end,
          ["channel of a worker"] = function() between:send(1) end,
          stream = function() ours:write "x" end,
          messages = function() message:send("x", message.localaddr) end,
        } do
          local t = task.spawn(flood, name, put)
          task.yield()
          t:cancel()
          print(t:join())
        end
        s:cancel()
      end)
    ]]})
    for _, name in ipairs {"channel", "channel of a worker", "stream", "messages"} do
      assert.matches(("%s\t99\nnil\tcancelled (ECANCELED)\n"):format(name), result.stdout, 1, true)
    end
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
  end)

  case("lets others run before each wait raises", function()
    local channel = task.channel(1)
    channel:send "full"
    for _, wait in ipairs {
      task.yield,
      function() task.sleep(1) end,
      function() channel:recv() end,
      function() channel:send "value" end,
    } do
      local turns, caught = 0, 0
      local other = task.spawn(function()
        while true do
          turns = turns + 1
          task.yield()
        end
      end)
      when_cancelled(function()
        for _ = 1, 50 do
          caught = caught + (pcall(wait) and 0 or 1)
        end
      end)
      other:cancel()
      assert.equal(50, caught)
      assert.is_true(turns >= 50, turns)
    end
  end)

  case("I8: by nested deadlines, the earliest one counts", function()
    local ours, theirs <close> = transports.pair "unix"
    local inner_err
    local took, waited, result, err = timed(task.timeout, 0.01, function()
      local _
      _, inner_err = task.timeout(5, ours.recv, ours)
      return "not reached"
    end)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_nil(inner_err)
    assert.is_true(took - waited < 0.2, took)
    result, err = task.timeout(5, function()
      local _
      _, inner_err = task.timeout(0.01, ours.recv, ours)
      return "reached"
    end)
    assert.equal("reached", result)
    assert.is_nil(err)
    assert.equal("ETIMEDOUT", inner_err.code)
    assert_usable(ours, theirs)
  end)
end)
