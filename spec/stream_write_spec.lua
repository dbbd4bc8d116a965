-- Writing to streams; what leaves when, and what is said to who cannot.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local aside = require "spec.support.aside"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local streams = require "spec.support.streams"
local transports = require "spec.support.transports"

local pour, pattern, narrow = streams.pour, transports.pattern, streams.narrow

for _, kind in ipairs(transports.names) do
  describe(("a stream (%s)"):format(kind), function()
    local ours, theirs

    transports.each_test(kind, function(a, b)
      ours, theirs = a, b
    end)

    describe("write", function()
      it("B10: takes nothing, the empty string, and numbers", function()
        assert.equal(ours, ours:write())
        assert.equal(ours, ours:write "")
        assert.equal(ours, ours:write("", "a", "", 1, " ", 2.5, ""))
        ours:shutdown()
        assert.equal("a1 2.5", theirs:read "a")
      end)

      it("B10: keeps a million small strings in order", function()
        local pieces = {}
        for j = 1, 1000 do
          pieces[j] = j .. "\n"
        end
        local expected = table.concat(pieces)
        local writer = aside(function()
          for i = 1, 1000 do
            pieces[1] = i .. "\n"
            assert(ours:write(table.unpack(pieces)))
          end
          ours:shutdown()
        end)
        for i = 1, 1000 do
          local want = i .. expected:sub(2)
          assert(theirs:read(#want) == want, i)
        end
        assert.is_nil(theirs:recv())
        writer:join()
      end)

      it("B10: keeps a hundred thousand pieces of one call in order", function()
        local pieces = {}
        for i = 1, 100000 do
          pieces[i] = i % 7 == 0 and "" or i .. ","
        end
        local writer = aside(function()
          ours:write(table.unpack(pieces))
          ours:shutdown()
        end)
        assert.is_true(theirs:read "a" == table.concat(pieces))
        writer:join()
      end)

      it("keeps small and large ones in order", function()
        local writes, n = {}, 0
        for i = 1, 300 do
          n = (n * 7919 + 13) % 40009
          writes[i] = ("%06d"):format(i) .. ("-"):rep(n)
        end
        local writer = aside(function()
          for i, bytes in ipairs(writes) do
            assert(ours:write(bytes))
            if i % 11 == 0 then
              ours:flush()
            elseif i % 5 == 0 then
              task.yield()
            end
          end
          ours:shutdown()
        end)
        assert.is_true(theirs:read "a" == table.concat(writes))
        writer:join()
      end)

      it("B11: never interleaves the writes of several tasks", function()
        local size, count = 150000, 8
        local writers = {}
        for i, letter in ipairs {"a", "b", "c", "d"} do
          writers[i] = aside(function()
            for _ = 1, count do
              assert(ours:write(letter:rep(size), letter:upper()))
            end
          end)
        end
        local seen = {}
        for _ = 1, 4 * count do
          local block = theirs:read(size + 1)
          local letter = block:sub(1, 1)
          assert.is_true(block == letter:rep(size) .. letter:upper())
          seen[letter] = (seen[letter] or 0) + 1
        end
        assert.same({a = count, b = count, c = count, d = count}, seen)
        for _, writer in ipairs(writers) do
          writer:join()
        end
      end)

      it("B11: of tasks that wait comes in the order in which they came", function()
        narrow(ours)
        ours:settimeout(0.001)
        local stuffing = ("s"):rep(12 * 65536 + 50000) -- over mem, 50,000 are left at last
        assert.equal(#stuffing, select(2, ours:write(stuffing)).accepted)
        ours:settimeout(nil)
        local writers, expected = {}, {}
        for i = 1, 9 do
          expected[i] = tostring(i):rep(16000)
          writers[i] = aside(ours.write, ours, expected[i])
          task.yield()
        end
        assert.is_true(theirs:read(#stuffing) == stuffing)
        assert.is_true(theirs:read(9 * 16000) == table.concat(expected))
        for _, writer in ipairs(writers) do
          writer:join()
        end
      end)

      it("B11: gives several tasks their turns", function()
        local turns = {}
        local block = ("x"):rep(100000)
        narrow(ours)
        local writers = {}
        for i = 1, 3 do
          turns[i] = 0
          writers[i] = aside(function()
            while ours:write(block) do
              turns[i] = turns[i] + 1
            end
          end)
        end
        assert(theirs:read(3000000))
        turns = {0, 0, 0}
        assert(theirs:read(6000000))
        local least, most = math.min(table.unpack(turns)), math.max(table.unpack(turns))
        assert.is_true(most <= least + 2, table.concat(turns, " "))
        ours:reset()
        for _, writer in ipairs(writers) do
          writer:join()
        end
      end)

      it("goes out when the task suspends, not later", function()
        ours:write "a"
        assert.equal("a", theirs:recv())
        ours:write("b", "c")
        assert.equal("bc", theirs:recv())
      end)

      it("goes out at flush", function()
        for i = 1, 5 do
          ours:write(i)
        end
        assert.equal(ours, ours:flush())
        assert.equal("12345", theirs:recv())
      end)

      it("flush waits for a peer that does not read", function()
        local bytes = pattern(4 << 20)
        narrow(ours)
        local flushed
        local writer = aside(function()
          assert(ours:write(bytes))
          assert(ours:flush())
          flushed = true
        end)
        task.sleep(0.005)
        assert.is_nil(flushed)
        assert.is_true(theirs:read(#bytes) == bytes)
        writer:join()
        assert.is_true(flushed)
      end)
    end)

    describe("shutdown", function()
      it("B1: ends what the peer reads, and reading goes on", function()
        local echo = aside(function()
          for chunk in theirs:chunks() do
            theirs:write(chunk)
          end
          theirs:shutdown()
        end)
        local bytes = pattern(300000)
        local writer = aside(function()
          assert(ours:write(bytes))
          assert.is_true(ours:shutdown())
        end)
        assert.is_true(ours:read "a" == bytes)
        writer:join()
        echo:join()
        local result, err = ours:write "more"
        assert.is_nil(result)
        assert.equal("EPIPE", err.code)
        assert.equal(0, err.accepted)
        assert.is_true(ours:shutdown())
      end)

      it("B2: of the peer leaves our writing alone", function()
        theirs:shutdown()
        assert.is_nil(ours:recv())
        local bytes = pattern(1 << 20)
        local writer = aside(pour, ours, bytes)
        assert.is_true(theirs:read "a" == bytes)
        writer:join()
      end)

      it("comes behind what is still on its way", function()
        local bytes = pattern(1 << 21)
        narrow(ours)
        local writer = aside(function()
          ours:settimeout(0.005)
          assert.equal("ETIMEDOUT", code_of(ours:write(bytes)))
          assert.is_true(ours:shutdown())
          assert.equal("EPIPE", code_of(ours:write "x"))
        end)
        writer:join()
        assert.is_true(theirs:read "a" == bytes)
      end)
    end)
  end)
end

describe("a stream over tcp", function()
  it("B17: resets where it should not linger", function()
    local ours, theirs = transports.pair "tcp"
    assert(ours:set {linger = 0})
    assert.equal(0, ours:get "linger")
    ours:write "lost"
    ours:flush()
    ours:close()
    theirs:recv()
    assert.equal("ECONNRESET", code_of(theirs:recv()))
    theirs:close()
  end)

  it("B17: does not hold up the loop where it should linger", function()
    local ours, theirs = transports.pair "tcp"
    narrow(ours)
    assert(ours:set {linger = 5})
    local bytes = pattern(1 << 20)
    ours:settimeout(0.001)
    ours:write(bytes)
    local took, waited = child.timed(ours.close, ours)
    assert.is_true(took - waited < 0.1, took)
    assert.is_true(theirs:read "a" == bytes)
    theirs:close()
  end)

  it("B17: sends all that was written when its program ends", function()
    for _, ending in ipairs {"stream:close()", "", "os.exit(0, true)", "stream = nil"} do
      local p <close> = assert(process.spawn {child.neap, "-e", ([[
        local listener = net.listen "tcp://127.0.0.1:0"
        print(listener.port)
        io.stdout:flush()
        stream = listener:accept()
        task.sleep(0.01) -- the request is there, unread
        stream:settimeout(0.01)
        stream:write(("x"):rep(%d))
        %s
      ]]):format(1 << 21, ending), stdout = "pipe"})
      local stream <close> = assert(net.connect("tcp://127.0.0.1:" .. p.stdout:read "l"))
      stream:write "a request"
      stream:flush()
      task.sleep(0.05)
      assert.equal(1 << 21, #assert(stream:read "a"), ending)
      stream:close()
      assert.equal(0, (p:wait()))
    end
  end)
end)

describe("a peer that is killed", function()
  it("B5: while another process holds its socket keeps a writer waiting, not busy #slow", function()
    local ours, theirs = net.socketpair()
    local p <close> = assert(process.spawn {"sleep", "10", stdin = theirs})
    theirs:close()
    ours:settimeout(0.2)
    local block = ("x"):rep(1 << 22)
    local cpu, before = os.clock(), time.now()
    local result, err = ours:write(block)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(os.clock() - cpu < (time.now() - before) / 2)
    ours:settimeout(nil)
    local writer = aside(ours.flush, ours)
    p:kill "SIGKILL"
    local flushed, flush_err = writer:join()
    assert.is_nil(flushed)
    assert.is_true(flush_err.code == "EPIPE" or flush_err.code == "ECONNRESET", flush_err.code)
    p:wait()
    ours:close()
  end)
end)

describe("the system calls of a stream", function()
  it("B1: a write after shutdown makes none", function()
    local calls = child.strace({"-e", "trace=shutdown,sendto,sendmsg"}, [[
      local a, b = net.socketpair()
      a:shutdown()
      local _, err = a:write(("x"):rep(100000))
      b:write(err.code)
      b:flush()
    ]]).calls
    assert.matches("SHUT_WR", calls[1])
    assert.matches('"EPIPE"', calls[2])
    assert.equal(2, #calls)
  end)

  it("small writes of one run leave in one", function()
    local calls = child.strace({"-e", "trace=sendto,sendmsg"}, [[
      local a, b = net.socketpair()
      task.yield() -- a turn of its own, which is long enough also for who traces
      for i = 1, 50 do
        a:write("line ", i, "\n")
      end
      task.yield()
      a:write(("x"):rep(9000))
      a:write(("y"):rep(9000))
      task.yield()
      a:write("small", ("z"):rep(20000), "more")
    ]]).calls
    local sizes = {}
    for i, line in ipairs(calls) do
      sizes[i] = line:match "= (%d+)$"
    end
    assert.same({"391", "9000", "9000", "20009"}, sizes)
  end)

  for _, name in ipairs {"recvfrom", "sendto", "sendmsg", "epoll_wait", "epoll_pwait2"} do
    it("D10: an interrupted one is made again: " .. name, function()
      local result = child.strace({
        "-e", "trace=" .. name, "-e", ("inject=%s:error=EINTR:when=1..3"):format(name),
      }, [[
        local a, b = net.socketpair()
        task.spawn(function()
          a:write "small"
          task.sleep(0.001)
          a:write("head", ("x"):rep(100000))
          a:close()
        end)
        print(#b:read "a")
      ]])
      assert.same({0, "100009\n", ""}, {result.code, result.stdout, result.stderr})
    end)
  end

  for _, name in ipairs {"ENOBUFS", "ENOMEM"} do
    it("D6: a lack of buffers is as if there were no room: " .. name, function()
      local result = child.strace({
        "-e", "trace=sendto", "-e", ("inject=sendto:error=%s:when=1..3"):format(name),
      }, [[
        local a, b = net.socketpair()
        local t = task.spawn(function()
          a:write "x"
          print(a:flush() == a, a:write "y" == a)
          print(a:read "l")
        end)
        print(b:read(2))
        b:write "z\n"
        t:join()
      ]])
      assert.same({0, "", "true\ttrue\nxy\nz\n"}, {result.code, result.stderr, result.stdout})
    end)
  end

  it("D6: a relay waits out a lack of buffers, too, and does not spin", function()
    local relay = [[
      local a, near = net.socketpair()
      local far, b = net.socketpair()
      task.background(net.relay, near, far)
      a:write "bytes"
    ]]
    local result = child.strace({
      "-e", "trace=sendto", "-e", "inject=sendto:error=ENOBUFS:when=2..4",
    }, relay .. "print(b:read(5))")
    assert.same({0, "", "bytes\n"}, {result.code, result.stderr, result.stdout})
    result = child.strace({
      "-e", "trace=sendto", "-e", "inject=sendto:error=ENOBUFS:when=2+",
    }, relay .. "task.sleep(0.5) signal.raise 'SIGKILL'")
    assert.equal("", result.stderr)
    assert.is_true(#result.calls >= 3 and #result.calls < 80, #result.calls .. " calls")
  end)

  it("D6: a relay that splices waits them out, too", function()
    local result = child.strace({
      "-e", "trace=splice", "-e", "inject=splice:error=ENOBUFS:when=2..4",
    }, [[
      local a, near = net.socketpair()
      local far, b = net.socketpair()
      task.background(net.relay, near, far)
      task.background(function() a:write(("x"):rep(4 << 20)) a:shutdown() end)
      print(#b:read "a")]])
    assert.same({0, "", "4194304\n"}, {result.code, result.stderr, result.stdout})
    assert.is_true(#result.calls > 4, #result.calls .. " calls")
  end)

  it("D6: a descriptor that is sent waits them out, too", function()
    local result = child.strace({
      "-e", "trace=sendmsg", "-e", "inject=sendmsg:error=ENOBUFS:when=1..3",
    }, [[
      local a, b = net.socketpair()
      print(a:sendfd("x", {a}) == a, (b:recvfd()))]])
    assert.equal("", result.stderr)
    assert.equal("true\tx\n", result.stdout)
    assert.is_true(#result.calls >= 4, #result.calls .. " calls")
  end)
end)
