-- net.relay joins two streams of any kinds: every byte arrives once and in order,
-- halves end one by one, and whoever ends a relay has both streams back.

local host = require "neap.host"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local code_of = require "spec.support.code_of"
local transports = require "spec.support.transports"

local pattern = transports.pattern

--- Less under sanitizers.
local megabytes = require "spec.support.child".sanitized and 4 or 64

local MIB = 1 << 20

local SOON = 0.002

local big = pattern(2 * MIB)

--- client <-> a, which is to be relayed to b <-> server.
local function bridge(left, right)
  local client, a = transports.pair(left)
  local b, server = transports.pair(right)
  return client, a, b, server
end

--- Let the kernel keep little of what nobody reads, so that it gets stuck.
local function narrow(...)
  for _, stream in ipairs {...} do
    stream:set {sndbuf = 65536, rcvbuf = 65536}
  end
end

--- What is open before a test.
local function stats()
  task.sleep(1e-4) -- what the last one closed goes
  return host.stats()
end

--- What is open, once what was closed is gone.
local function settled(before)
  local now
  for i = 1, 100 do
    now = host.stats()
    local same = true
    for kind, count in pairs(before) do
      same = same and count == now[kind]
    end
    if same then
      break
    end
    task.sleep(i * 1e-4)
  end
  return now
end

local function close_all(...)
  for _, stream in ipairs {...} do
    stream:reset()
  end
end

--- A test of bridged streams, which leaves nothing behind.
local function case(name, left, right, f, wide)
  it(name, function()
    local before = stats()
    local client, a, b, server = bridge(left, right)
    if not wide then
      narrow(client, a, b, server)
    end
    f(client, a, b, server)
    close_all(client, a, b, server)
    assert.same(before, settled(before))
  end)
end

--- Write all, then end.
local function pour(stream, bytes)
  assert(stream:write(bytes))
  assert(stream:shutdown())
end

--- What passes by hand what a relay has left, from one to the other, to the end.
local function pass(from, to)
  for chunk in from:chunks() do
    assert(to:write(chunk))
  end
  assert(to:shutdown())
end

local function assert_usable(x, y)
  assert(x:write "ping\n")
  assert.equal("ping", y:read "l")
  assert(y:write "pong\n")
  assert.equal("pong", x:read "l")
end

--- Write far more than the kernel takes; returns how many bytes that was.
local function stuff(stream)
  assert.equal("ETIMEDOUT", code_of(task.timeout(0.02, stream.write, stream, big)))
  return #big
end

--- A relay in a task of scope s, given time to begin.
local function begin(s, a, b)
  local t = s:spawn(net.relay, a, b)
  task.sleep(SOON)
  return t
end

--- Send `count` blocks that each know their place, and end.
local function send_blocks(stream, mark, count)
  local filler = big:sub(1, 65536 - 8)
  for i = 1, count do
    assert(stream:write(("%s%07d"):format(mark, i), filler))
  end
  assert(stream:shutdown())
end

local function check_blocks(stream, mark, count)
  local filler = big:sub(1, 65536 - 8)
  for i = 1, count do
    local block = assert(stream:read(65536))
    assert.is_true(block == ("%s%07d"):format(mark, i) .. filler, i)
  end
  assert.is_nil(stream:read(1))
end

for _, left in ipairs(transports.names) do
  for _, right in ipairs(transports.names) do
    describe(("relay (%s to %s)"):format(left, right), function()
      local function test(name, f, wide)
        case(name, left, right, f, wide)
      end

      test("passes bytes on as they come, both ways", function(client, a, b, server)
        task.scope(function(s)
          local relay = begin(s, a, b)
          for i = 1, 20 do
            client:write(i, "\n")
            assert.equal(tostring(i), server:read "l")
            server:write(-i, "\n")
            assert.equal(tostring(-i), client:read "l")
          end
          client:shutdown()
          server:shutdown()
          assert.same({51, 71}, {relay:join()})
        end)
      end)

      test("passes each end on, the left one first", function(client, a, b, server)
        task.scope(function(s)
          local relay = begin(s, a, b)
          pour(client, "question")
          assert.equal("question", server:read "a")
          task.sleep(SOON)
          assert.equal("waiting", relay.status)
          pour(server, "the answer")
          assert.equal("the answer", client:read "a")
          assert.same({8, 10}, {relay:join()})
        end)
        assert.is_nil(a:recv())
        assert.is_nil(b:recv())
      end)

      test("passes each end on, the right one first", function(client, a, b, server)
        task.scope(function(s)
          local relay = begin(s, a, b)
          pour(server, "greeting")
          assert.equal("greeting", client:read "a")
          task.sleep(SOON)
          assert.equal("waiting", relay.status)
          pour(client, "reply")
          assert.equal("reply", server:read "a")
          assert.same({5, 8}, {relay:join()})
        end)
      end)

      test("has both ends at once, before it begins", function(client, a, b, server)
        pour(client, "question")
        pour(server, "the answer")
        assert.same({8, 10}, {net.relay(a, b)})
        assert.equal("the answer", client:read "a")
        assert.equal("question", server:read "a")
      end)

      test("passes on what was read, and sends what was gathered", function(client, a, b, server)
        client:write "one\ntwo "
        server:write "uno\ndos "
        client:flush()
        server:flush()
        assert.equal("one", a:read "l")
        assert.equal("do", b:read "l" == "uno" and b:peek(2))
        b:write "before "
        a:write "antes "
        task.scope(function(s)
          local relay = s:spawn(net.relay, a, b)
          assert.equal("before two ", server:read(11))
          assert.equal("antes dos ", client:read(10))
          pour(client, "three")
          pour(server, "tres")
          assert.equal("three", server:read "a")
          assert.equal("tres", client:read "a")
          assert.same({9, 8}, {relay:join()})
        end)
      end)

      test("passes on what was read together with the end", function(client, a, b, server)
        pour(client, "all of it")
        assert.equal("all of it", a:peek(100))
        pour(server, "")
        assert.same({9, 0}, {net.relay(a, b)})
        assert.equal("all of it", server:read "a")
        assert.equal("", client:read "a")
      end)

      test("waits for what was written before", function(client, a, b, server)
        local stuffed = stuff(b)
        client:write "behind it"
        client:shutdown()
        task.scope(function(s)
          local relay = begin(s, a, b)
          assert.equal("waiting", relay.status)
          assert.equal(stuffed, #server:read(stuffed))
          assert.equal("behind it", server:read "a")
          server:close()
          assert.same({9, 0}, {relay:join()})
        end)
        assert.is_nil(client:recv())
      end)

      test("refuses others, and what is in use", function(client, a, b, server)
        task.scope(function(s)
          local relay = begin(s, a, b)
          for _, stream in ipairs {a, b} do
            local ok, err = pcall(stream.recv, stream)
            assert.is_false(ok)
            assert.matches("EBUSY", err)
          end
          local ok, err = pcall(net.relay, b, a)
          assert.is_false(ok)
          assert.matches("EBUSY", err)
          relay:cancel()
        end)
        task.scope(function(s)
          local reader = s:spawn(a.read, a, 14)
          task.sleep(SOON)
          local ok, err = pcall(net.relay, a, b)
          assert.is_false(ok)
          assert.matches("EBUSY", err)
          client:write "for the reader"
          assert.equal("for the reader", reader:join())
        end)
        assert.is_false(pcall(net.relay, a, a))
        assert.is_false(pcall(net.relay, a))
        assert_usable(client, a)
        assert_usable(b, server)
        a:close()
        assert.equal("EBADF", code_of(net.relay(a, b)))
        assert.equal("EBADF", code_of(net.relay(b, a)))
        assert_usable(b, server)
      end)

      test("refuses a stream to which others wait to write", function(client, a, b, server)
        local stuffed = stuff(b)
        task.scope(function(s)
          local writer = s:spawn(function()
            assert(b:write "queued")
          end)
          task.sleep(SOON)
          local ok, err = pcall(net.relay, a, b)
          assert.is_false(ok)
          assert.matches("EBUSY", err)
          local got = server:read(stuffed + #"queued")
          assert.equal("queued", got:sub(-6))
          writer:join()
        end)
        assert_usable(client, a)
        assert_usable(b, server)
      end)

      for _, way in ipairs {"cancel", "timeout"} do
        test(("can be ended by a %s while bytes are under way, and none is lost"):format(way),
          function(client, a, b, server)
          task.scope(function(s)
            s:spawn(pour, client, big)
            s:spawn(pour, server, big .. "!")
            local relay
            if way == "cancel" then
              relay = begin(s, a, b) -- nobody reads: it is stuck with what it holds
              task.sleep(SOON)
              relay:cancel()
              assert.equal("ECANCELED", code_of(relay:join()))
            else
              assert.equal("timeout", select(2, task.timeout(2 * SOON, net.relay, a, b)).op)
            end
            s:spawn(pass, a, b)
            s:spawn(pass, b, a)
            s:spawn(function()
              assert.is_true(server:read "a" == big)
            end)
            assert.is_true(client:read "a" == big .. "!")
          end)
        end)
      end

      test("can be ended and begun again at any moment", function(client, a, b, server)
        local times = 0
        task.scope(function(s)
          s:spawn(pour, client, big)
          s:spawn(pour, server, big .. "!")
          s:spawn(function()
            local parts = {}
            for chunk in server:chunks() do
              parts[#parts + 1] = chunk
              if #parts % 3 == 0 then
                task.sleep(0.0003)
              end
            end
            assert.is_true(table.concat(parts) == big)
          end)
          s:spawn(function()
            assert.is_true(client:read "a" == big .. "!")
          end)
          repeat
            local done, err = task.timeout(0.0002 * (times % 7), net.relay, a, b)
            times = times + 1
            assert.is_true(done ~= nil or err.op == "timeout")
          until done
        end)
        assert.is_true(times > 1)
      end)

      test("I5: loses no byte that comes when it is cancelled", function(client, a, b, server)
        for i = 1, 30 do
          task.scope(function(s)
            local relay = s:spawn(net.relay, a, b)
            task.sleep(0.0003)
            client:write(i, "\n")
            client:flush()
            server:write(-i, "\n")
            server:flush()
            for _ = 1, i % 5 do
              task.yield()
            end
            if i % 3 == 0 then
              task.sleep(i * 2e-6)
            end
            relay:cancel()
          end)
        end
        client:shutdown()
        server:shutdown()
        assert(net.relay(a, b))
        local expected, back = {}, {}
        for i = 1, 30 do
          expected[i], back[i] = i .. "\n", -i .. "\n"
        end
        assert.equal(table.concat(expected), server:read "a")
        assert.equal(table.concat(back), client:read "a")
      end)

      for _, side in ipairs {"a", "b"} do
        test(("ends when %s is closed under it"):format(side), function(client, a, b, server)
          local near, far, own, other = a, client, b, server
          if side == "b" then
            near, far, own, other = b, server, a, client
          end
          task.scope(function(s)
            local relay = begin(s, a, b)
            client:write "12345"
            server:write "123"
            assert.equal("12345", server:read(5))
            assert.equal("123", client:read(3))
            near:close()
            local ok, err, ab, ba = relay:join()
            assert.is_nil(ok)
            assert.equal("ECANCELED", err.code)
            assert.same({5, 3}, {ab, ba})
          end)
          assert.is_nil(far:recv())
          assert_usable(own, other)
        end)
      end

      test("sends on what it had when one of the two is closed", function(client, a, b, server)
        task.scope(function(s)
          s:spawn(function()
            client:write(big) -- fails at last, when a is closed
          end)
          local relay = begin(s, a, b)
          task.sleep(SOON)
          a:close()
          local ok, err, ab, ba = relay:join()
          assert.is_nil(ok)
          assert.equal("ECANCELED", err.code)
          assert.equal(0, ba)
          b:shutdown()
          local got = server:read "a"
          assert.equal(ab, #got)
          assert.is_true(#got > 0 and got == big:sub(1, #got))
        end)
      end)

      test("ends with the error of a side that is reset", function(client, a, b, server)
        if transports.bottom(left) == "unix" then
          return -- a reset is an end there
        end
        task.scope(function(s)
          local relay = begin(s, a, b)
          client:write "last words"
          assert.equal("last words", server:read(10))
          server:write "yes?"
          assert.equal("yes?", client:read(4))
          client:reset()
          local ok, err, ab, ba = relay:join()
          assert.is_nil(ok)
          assert.equal("ECONNRESET", err.code)
          assert.equal("relay", err.op)
          assert.same({10, 4}, {ab, ba})
        end)
        assert.equal("ECONNRESET", code_of(a:recv()))
        assert_usable(b, server)
      end)

      test("ends with the error of a side that was reset before", function(client, a, b, server)
        if transports.bottom(left) == "unix" then
          return
        end
        client:write "last words"
        assert.equal("last", a:read(4))
        client:reset()
        task.sleep(SOON)
        local ok, err = net.relay(a, b)
        assert.is_nil(ok)
        assert.equal("ECONNRESET", err.code)
        if transports.bottom(left) == "mem" then -- elsewhere a reset may take back what came before it
          assert.equal(" words", server:read(6))
        end
        b:shutdown()
        server:write "still there\n"
        assert.equal("still there", b:read "l")
      end)

      test("ends when a side is gone to which it sends", function(client, a, b, server)
        task.scope(function(s)
          local relay = begin(s, a, b)
          s:spawn(function()
            client:write(big) -- fails, or is taken and dropped
          end)
          assert.equal(big:sub(1, 1000), server:read(1000))
          server:reset()
          local ok, err, ab = relay:join()
          assert.is_nil(ok)
          assert.is_truthy(err.code == "EPIPE" or err.code == "ECONNRESET")
          assert.is_true(ab >= 1000)
          a:reset()
        end)
      end)

      test("is not ended by a settimeout of its streams", function(client, a, b, server)
        a:settimeout(SOON)
        b:settimeout(SOON)
        task.scope(function(s)
          local relay = s:spawn(net.relay, a, b)
          task.sleep(5 * SOON)
          pour(client, "late")
          pour(server, "later")
          assert.same({4, 5}, {relay:join()})
        end)
        assert.equal("late", server:read "a")
        assert.equal("later", client:read "a")
      end)

      test("works in a coroutine, and again and again", function(client, a, b, server)
        for i = 1, 100 do
          client:write(i, "\n")
          local err = select(2, task.timeout(0.0001, coroutine.wrap(net.relay), a, b))
          assert.equal("ETIMEDOUT", err.code)
        end
        client:close()
        server:shutdown()
        assert(net.relay(a, b))
        local i = 0
        for line in server:lines() do
          i = i + 1
          assert.equal(tostring(i), line)
        end
        assert.equal(100, i)
      end)

      local function is_copied(kind)
        return kind == "mem" or kind ~= transports.bottom(kind)
      end
      local copied = is_copied(left) or is_copied(right)
      local size = copied and megabytes // 8 + 1 or megabytes

      test(("moves %d MiB each way at once"):format(size), function(client, a, b, server)
        local blocks = size * 16
        local before = host.stats().descriptors
        task.scope(function(s)
          local relay = s:spawn(net.relay, a, b)
          s:spawn(send_blocks, client, "c", blocks)
          s:spawn(send_blocks, server, "s", blocks)
          s:spawn(check_blocks, client, "s", blocks)
          check_blocks(server, "c", blocks)
          assert.same({blocks * 65536, blocks * 65536}, {relay:join()})
        end)
        assert.equal(before, host.stats().descriptors)
      end, true)

      if not copied then
        test("splices what is bulk, and only that", function(client, a, b, server)
          local before = host.stats().descriptors
          task.scope(function(s)
            local relay = begin(s, a, b)
            for i = 1, 20 do
              client:write(i, "\n")
              assert.equal(tostring(i), server:read "l")
            end
            assert.equal(before, host.stats().descriptors)
            local most = 0
            s:spawn(send_blocks, client, "c", 512)
            for chunk in server:chunks() do
              most = math.max(most, host.stats().descriptors)
              assert.is_string(chunk)
            end
            assert.equal(before + 2, most) -- the pipe of one flow
            server:shutdown()
            assert(relay:join())
          end)
          assert.equal(before, host.stats().descriptors)
        end, true)
      end
    end)
  end
end

describe("relay", function()
  for _, kinds in ipairs {{"mem", "mem"}, {"mem", "tcp"}, {"unix", "mem"}} do
    local left, right = table.unpack(kinds)
    case(("goes one way while what was to go the other is stuck (%s to %s)"):format(left, right),
      left, right, function(client, a, b, server)
        stuff(b)
        task.scope(function(s)
          local t = begin(s, a, b)
          server:write "answer"
          assert.equal("answer", task.timeout(10, client.readexactly, client, 6))
          t:cancel()
        end)
      end)
  end

  for _, kind in ipairs(transports.names) do
    it(("goes round between the two ends of one pair (%s)"):format(kind), function()
      local a <close>, b = transports.pair(kind)
      assert.equal("ETIMEDOUT", code_of(task.timeout(SOON, net.relay, a, b)))
      assert_usable(a, b)
      a:write "round\n"
      assert.equal("round", b:peek(5))
      local ticks = 0
      task.race { -- others have their turns: the relay has no end of its own
        function()
          net.relay(a, b)
        end,
        function()
          for _ = 1, 10 do
            task.sleep(0.001)
            ticks = ticks + 1
          end
        end,
      }
      assert.equal(10, ticks)
      assert(a:shutdown())
      assert(b:shutdown())
      local rest = a:read "a" .. b:read "a"
      assert.equal(6, #rest)
      assert.is_truthy(("round\nround\n"):find(rest, 1, true)) -- it may have been on its way
      b:close()
    end)
  end

  for _, kind in ipairs(transports.names) do
    it(("feeds a child, and carries its output away (%s)"):format(kind), function()
      local before = stats()
      do
        local child <close> = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
        local client, a, b, server = bridge(kind, kind)
        local counts = {}
        task.scope(function(s)
          s:spawn(function()
            counts.into = {net.relay(a, child.stdin)}
          end)
          s:spawn(function()
            counts.out = {net.relay(child.stdout, b)}
          end)
          s:spawn(pour, client, big)
          assert.is_true(server:read "a" == big)
          server:shutdown()
        end)
        assert.same({#big, 0}, counts.into)
        assert.same({#big, 0}, counts.out)
        assert.equal(0, child:wait())
        close_all(client, a, b, server)
      end
      assert.same(before, settled(before))
    end)
  end

  it("carries many pairs at once", function()
    local count = 50
    local before = stats()
    task.scope(function(s)
      for i = 1, count do
        s:spawn(function()
          local names = transports.names
          local client, a, b, server = bridge(names[i % #names + 1], names[i // #names % #names + 1])
          task.scope(function(inner)
            inner:spawn(net.relay, a, b)
            inner:spawn(pour, client, big:sub(1, i * 4000))
            inner:spawn(pour, server, big:sub(i, i * 3000))
            assert.is_true(server:read "a" == big:sub(1, i * 4000))
            assert.is_true(client:read "a" == big:sub(i, i * 3000))
          end)
          close_all(client, a, b, server)
        end)
      end
    end)
    assert.same(before, settled(before))
  end)
end)
