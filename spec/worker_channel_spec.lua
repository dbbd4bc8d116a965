-- Channels between workers, which live as long as somebody reaches them.

local core = require "neap.worker.core"
local errors = require "neap.error"
local task = require "neap.task"
local worker = require "neap.worker"
local child = require "spec.support.child"
local left_by_block = require "spec.support.tasks".left_by_block

describe("a channel between workers", function()
  it("is bounded, in order, and makes a sender wait", function()
    local channel = worker.channel(nil, 2)
    local sent = 0
    local sender = task.spawn(function()
      for i = 1, 5 do
        assert.is_true(channel:send(i))
        sent = i
      end
      channel:close()
    end)
    task.sleep(0.01)
    assert.equal(2, sent)
    assert.equal(2, #channel)
    local got = {}
    for value in channel:each() do
      got[#got + 1] = value
    end
    assert.same({1, 2, 3, 4, 5}, got)
    sender:join()
    assert.is_true(channel.closed)
    assert.is_nil(channel:send "late")
    assert.is_nil((channel:recv()))
  end)

  it("is one by its name", function()
    local a, b = worker.channel "spec.one", worker.channel "spec.one"
    assert.is_true(a == b)
    assert.is_false(a == worker.channel())
    a:send "x"
    assert.equal("x", b:recv())
    assert.equal("spec.one", a.name)
    assert.equal("channel spec.one of workers", tostring(a))
    assert.equal(64, b.capacity)
    assert.error_matches(function()
      worker.channel("spec.one", 3)
    end, "channel 'spec.one' has a capacity of 64")
    for _, bad in ipairs {{"a\0b"}, {"x", 0}, {"x", 2 ^ 40}, {"x", 1.5}, {{}}} do
      assert.has_error(function()
        worker.channel(table.unpack(bad))
      end)
    end
  end)

  it("passes in messages", function()
    local jobs = worker.channel()
    local done = task.spawn(worker.run, function(all)
      for job in all:each() do
        job.answer:send(job.n * 2)
      end
    end, jobs)
    for n = 1, 3 do
      local answer = worker.channel(nil, 1)
      jobs:send {n = n, answer = answer}
      assert.equal(2 * n, answer:recv())
    end
    jobs:close()
    done:join()
  end)

  it("gives each value to one of many, and loses none when receivers are cancelled", function()
    local jobs, results = worker.channel(nil, 4), worker.channel(nil, 4)
    local workers = {}
    for i = 1, 3 do
      workers[i] = task.spawn(worker.run, function(from, to)
        local tasks = require "neap.task"
        tasks.scope(function(scope)
          for _ = 1, 3 do
            scope:spawn(function()
              while true do
                -- A deadline now and then strikes between the call and the taking.
                local value = tasks.timeout(0.0005, from.recv, from)
                if value then
                  to:send(value)
                elseif from.closed and #from == 0 then
                  break
                end
              end
            end)
          end
        end)
      end, jobs, results)
    end
    local count = tonumber(os.getenv "NEAP_MESSAGES" or 500)
    local seen = {}
    task.all {
      function()
        for n = 1, count do
          jobs:send(n)
        end
        jobs:close()
      end,
      function()
        for _ = 1, count do
          local n = results:recv()
          assert(not seen[n])
          seen[n] = true
        end
      end,
    }
    for _, t in ipairs(workers) do
      t:join()
    end
    assert.equal(count, #seen)
  end)

  it("wakes all that wait when it is closed, wherever they are (L3)", function()
    local channel = worker.channel(nil, 1)
    local waiting = {}
    for i = 1, 3 do
      waiting[i] = task.spawn(worker.run, function(c)
        return (c:recv()) == nil
      end, channel)
    end
    local here = task.spawn(channel.recv, channel)
    task.sleep(0.02)
    channel:close()
    assert.is_nil(here:join())
    for _, t in ipairs(waiting) do
      assert.is_true(t:join())
    end
    local full = worker.channel(nil, 1)
    full:send(1)
    local sender = task.spawn(full.send, full, 2)
    task.yield()
    full:close()
    assert.is_nil(sender:join())
    assert.equal(1, full:recv())
    assert.is_nil((full:recv()))
  end)

  it("closed with an error gives each a copy of it, behind what is in it (L3)", function()
    local channel = worker.channel()
    local there = task.spawn(worker.run, function(c)
      local value, err = c:recv()
      return value, err.code, err.message
    end, channel)
    local here = task.spawn(channel.recv, channel)
    task.sleep(0.02)
    assert.is_false((pcall(channel.close, channel, print)))
    assert.is_false((pcall(channel.close, channel, {channel})))
    assert.is_false(channel.closed)
    channel:close(errors.new {code = "EPIPE", message = "the source has ended"})
    channel:close "a later one"
    assert.same({n = 3, nil, "EPIPE", "the source has ended"}, table.pack(there:join()))
    for _, result in ipairs {
      table.pack(here:join()), table.pack(channel:recv()), table.pack(channel:send(1)),
      table.pack(channel:try_recv()), table.pack(channel:try_send(1)), table.pack(pcall(channel:each(), channel)),
    } do
      assert.is_falsy(result[1])
      assert.equal("EPIPE", result[2].code)
    end
    local full = worker.channel(nil, 1)
    full:send(1)
    full:close()
    assert.equal(1, full:recv())
    assert.same({n = 1}, table.pack(full:recv()))
  end)

  it("tries, and never waits", function()
    local channel = worker.channel(nil, 1)
    assert.equal("channel recv: the channel is empty (EAGAIN)", tostring(select(2, channel:try_recv())))
    assert.is_true(channel:try_send {"a"})
    assert.equal("channel send: the channel is full (EAGAIN)", tostring(select(2, channel:try_send "b")))
    assert.same({"a"}, channel:try_recv())
    assert.is_false((pcall(channel.try_send, channel)))
    assert.is_false((pcall(channel.try_send, channel, print)))
  end)

  it("is closed by the end of its block", function()
    assert.is_true(left_by_block(worker.channel).closed)
  end)

  it("with a name keeps what it holds until somebody takes it", function()
    worker.run(function()
      require "neap.worker".channel "spec.kept":send "left"
    end)
    collectgarbage()
    assert.equal("left", worker.channel "spec.kept":recv())
  end)

  it("is no reason to report a deadlock, and none to live on", function()
    local result = child.run([[
      task.spawn(function() worker.channel():recv() end)
      task.sleep(0.01)
      os.exit(0, true)
    ]])
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
  end)
end)

describe("a channel that is in a channel", function()
  --- How many channels there are, when those have gone that nobody reaches.
  local function count()
    collectgarbage()
    return core.channels()
  end

  --- What `build` makes and drops leaves nothing.
  local function leaves_nothing(build)
    local before = count()
    build()
    assert.equal(before, count())
  end

  it("goes with its last end when it is in itself", function()
    leaves_nothing(function()
      local once = worker.channel()
      once:send(once)
      local often = worker.channel()
      for _ = 1, 3 do
        often:send {often, {"x", inner = {often}}}
      end
      often:close()
    end)
  end)

  it("goes with all that are in each other", function()
    leaves_nothing(function()
      local a, b, c = worker.channel(), worker.channel(), worker.channel()
      a:send {b, worker.channel()}
      b:send {a, b}
      c:send(a)
      b:send(c)
    end)
  end)

  it("stays with all that it leads to while one of them is held", function()
    leaves_nothing(function()
      local before = count()
      local function three()
        local a, b = worker.channel(), worker.channel()
        a:send {b, "in a"}
        b:send {a, "in b"}
        b:send {worker.channel(), "in b, too"}
        return b
      end
      local function take(b)
        local a, text = table.unpack(b:recv())
        assert.equal("in b", text)
        assert.equal("in a", a:recv()[2])
        assert.equal("in b, too", b:recv()[2])
        a:send(b)
        b:send(a)
      end
      local b = three()
      assert.equal(before + 3, count())
      take(b)
      assert.equal(before + 2, count())
      assert.is_true(b == b:recv():recv())
    end)
  end)

  it("stays with a name, until it is taken", function()
    local before = count()
    local function send()
      local named, empty = worker.channel "spec.loop", worker.channel "spec.empty"
      local other = worker.channel()
      named:send(other)
      other:send(named)
      other:send(empty)
    end
    local function take()
      local other = worker.channel "spec.loop":recv()
      assert.equal("spec.loop", other:recv().name)
      assert.equal("spec.empty", other:recv().name)
      other:send(worker.channel "spec.loop")
      other:send(other)
    end
    send()
    assert.equal(before + 3, count())
    take()
    assert.equal(before, count())
  end)

  it("goes with the worker that held it", function()
    leaves_nothing(function()
      local given = worker.channel()
      given:send(worker.run(function(outer)
        local channel = require "neap.worker".channel
        local a, b = channel(), channel()
        a:send {a, b}
        b:send {a, outer}
        outer:send(a)
        return b
      end, given))
    end)
  end)

  it("goes with a message that found no room, and with one that nobody took", function()
    leaves_nothing(function()
      local full = worker.channel(nil, 1)
      full:send(full)
      local sender = task.spawn(full.send, full, {full})
      task.yield()
      sender:cancel()
      pcall(sender.join, sender)
      full:close()
      assert.is_nil(full:send {full})
    end)
    leaves_nothing(function()
      local lost = worker.channel()
      lost:send(lost)
      task.timeout(0, worker.run, function(c)
        return c, c:recv()
      end, lost)
    end)
  end)

  it("goes with a message that was refused, whatever for", function()
    local c, deep = worker.channel(), {}
    for _ = 1, 200 do
      deep = {deep}
    end
    local nameless, file = assert(io.tmpfile()), getmetatable(io.stdout)
    local _ <close> = setmetatable({}, {__close = function()
      debug.setmetatable(nameless, file)
      nameless:close()
    end})
    debug.setmetatable(nameless, {__tostring = function() error "no text" end})
    for expected, value in pairs {
      ["inside each other"] = deep,
      ["with a metatable"] = setmetatable({}, {}),
      ["a function cannot be sent"] = print,
      ["cannot be sent"] = io.stdout,
      ["no text"] = nameless,
    } do
      leaves_nothing(function()
        assert.error_matches(function()
          c:send {worker.channel(), worker.channel(), value}
        end, expected)
      end)
    end
  end)

  it("goes without a deep stack, however long their chain is", function()
    local p <close> = child.start('ulimit -s 1024; exec "$@"', [[
      local count = require "neap.worker.core".channels
      local chain
      for _ = 1, 100000 do
        local c = worker.channel(nil, 1)
        c:send(chain or "the end")
        chain = c
      end
      collectgarbage()
      print(count())
      chain = nil
      collectgarbage()
      print(count())
    ]], "pipe")
    assert.equal("100000\n0\n", p.stdout:read "a")
    assert.equal("", p.stderr:read "a")
    assert.equal(0, p:wait())
  end)

  it("lives just as long as it can be reached", function()
    local rounds, seed = tonumber(os.getenv "NEAP_GRAPHS" or 200), os.time()
    leaves_nothing(function()
      assert.equal("as many as in the model", worker.run(function(start, last)
        local channel, channels = require "neap.worker".channel, require "neap.worker.core".channels
        local random = math.random
        math.randomseed(start)
        local before = channels()
        local queues = {} -- by number: lists of messages, which are lists of numbers
        local names = {}  -- by number
        local held = {}   -- by number: an end

        local function any()
          local numbers = {}
          for number in pairs(held) do
            numbers[#numbers + 1] = number
          end
          return numbers[#numbers > 0 and random(#numbers)], #numbers
        end

        local function make()
          local number = #queues + 1
          queues[number] = {}
          names[number] = random(8) == 1 and "spec.graph." .. number or nil
          held[number] = channel(names[number])
        end

        local function send(to)
          local message = {numbers = {}, channels = {}}
          for i = 1, random(0, 3) do
            local number = any()
            message.numbers[i], message.channels[i] = number, held[number]
          end
          if #queues[to] < 64 then
            table.insert(queues[to], message.numbers)
            held[to]:send(message)
          end
        end

        local function recv(from)
          if table.remove(queues[from], 1) then
            local message = held[from]:recv()
            for i, number in ipairs(message.numbers) do
              held[number] = message.channels[i]
            end
          end
        end

        local function drop(number)
          held[number] = nil
        end

        local function reachable()
          local seen, n = {}, 0
          local function see(number)
            if seen[number] then
              return
            end
            seen[number], n = true, n + 1
            for _, numbers in ipairs(queues[number]) do
              for _, inner in ipairs(numbers) do
                see(inner)
              end
            end
          end
          for number in pairs(held) do
            see(number)
          end
          for number in pairs(names) do
            if #queues[number] > 0 then
              see(number)
            end
          end
          return n
        end

        local verbs = {send, send, send, recv, drop}
        for round = 1, last do
          for _ = 1, 10 do
            local number, of = any()
            if of < random(8) then
              make()
            else
              verbs[random(#verbs)](number)
            end
          end
          collectgarbage()
          local now, expected = channels() - before, reachable()
          if now ~= expected then
            return ("%d channels, not %d, in round %d of seed %d"):format(now, expected, round, start)
          end
        end
        for _, name in pairs(names) do
          local c = channel(name)
          while #c > 0 do
            c:recv()
          end
        end
        return "as many as in the model"
      end, seed, rounds))
    end)
  end)

  --- Graphs of channels in four workers that trade with each other.
  local function trade_graphs(graphs, part)
    leaves_nothing(function()
      local mail = worker.channel(nil, 16)
      local function trade(common, n, seed)
        local channel, timeout = require "neap.worker".channel, require "neap.task".timeout
        local random = math.random
        math.randomseed(seed)
        for _ = 1, n do
          local nodes = {}
          for i = 1, random(5) do
            nodes[i] = channel(nil, 8)
          end
          local foreign = #common > 0 and timeout(0, common.recv, common)
          for _, c in ipairs(foreign or {}) do
            nodes[#nodes + 1] = c
          end
          for _ = 1, random(10) do
            local from, to = nodes[random(#nodes)], nodes[random(#nodes)]
            if random(4) == 1 then
              nodes[#nodes + 1] = timeout(0, from.recv, from)
            else
              timeout(0, from.send, from, to)
            end
          end
          if random(2) == 1 then
            timeout(0, common.send, common, {nodes[1], nodes[random(#nodes)]})
          end
        end
        return true
      end
      local traders = {}
      for i = 1, 4 do
        traders[i] = function()
          assert(worker.run(trade, mail, graphs // 4, os.time() + 4 * part + i))
        end
      end
      task.all(traders)
    end)
  end

  for part = 1, 5 do -- each has its time
    it("is freed in the end, whoever passes it to whom: part " .. part, function()
      trade_graphs(2000, part)
    end)
  end
end)
