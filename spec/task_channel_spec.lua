-- Channels between the tasks of one host.

local task = require "neap.task"
local many = require "spec.support.child".many
local left_by_block = require "spec.support.tasks".left_by_block

describe("task.channel", function()
  it("hands values over in order, one sender suspended when it is full", function()
    local c = task.channel(2)
    local sent = 0
    local sender = task.spawn(function()
      for i = 1, 5 do
        assert(c:send(i))
        sent = i
      end
      c:close()
    end)
    repeat -- it may have to let others come first
      task.yield()
    until sender.status == "waiting"
    assert.equal(2, sent)
    assert.equal(2, #c)
    local got = {}
    for value in c:each() do
      got[#got + 1] = value
    end
    assert.same({1, 2, 3, 4, 5}, got)
    assert.is_nil(c:recv())
    sender:join()
  end)

  it("serves senders and receivers in the order of their coming", function()
    local c = task.channel()
    local order = {}
    task.scope(function(s)
      for i = 1, 4 do
        s:spawn(function()
          c:send(i)
          order[#order + 1] = "sent " .. i
        end)
      end
      task.yield()
      for i = 1, 4 do
        s:spawn(function()
          local value = c:recv()
          order[#order + 1] = i .. " got " .. value
        end)
      end
    end)
    table.sort(order)
    assert.same({
      "1 got 1", "2 got 2", "3 got 3", "4 got 4", "sent 1", "sent 2", "sent 3", "sent 4",
    }, order)
  end)

  it("carries false, and not nil", function()
    local c = task.channel()
    assert.is_true(c:send(false))
    assert.is_false(c:recv())
    assert.is_false(pcall(c.send, c, nil))
    assert.is_false(pcall(c.send, c))
  end)

  it("closed wakes all who wait, and still gives what it has (L3)", function()
    local empty, full = task.channel(), task.channel()
    full:send "kept"
    local results = {}
    task.scope(function(s)
      for i = 1, 3 do
        s:spawn(function()
          results[i] = table.pack(empty:recv())
        end)
        s:spawn(function()
          results[3 + i] = table.pack(full:send(i))
        end)
      end
      task.yield()
      empty:close()
      full:close()
    end)
    for i = 1, 6 do
      assert.is_nil(results[i][1])
    end
    assert.equal("kept", full:recv())
    assert.is_nil(full:recv())
    assert.is_nil(full:send "late")
    full:close()
    assert.is_true(full.closed)
  end)

  it("closed says no to a sender that was to have room but has not run (L3)", function()
    local c = task.channel()
    c:send(1)
    local sender = task.spawn(c.send, c, 2)
    task.yield()
    assert.equal(1, c:recv()) -- wakes the sender
    c:close()
    assert.is_nil(c:recv())
    assert.is_nil(sender:join())
    assert.is_nil(c:recv())
  end)

  it("closed with an error gives it to all, behind what is in it (L3)", function()
    local empty, full, cause = task.channel(), task.channel(), {}
    full:send "kept"
    local receiver, sender = task.spawn(empty.recv, empty), task.spawn(full.send, full, "late")
    task.yield()
    empty:close(cause)
    full:close(cause)
    empty:close "a later one"
    for _, results in ipairs {
      {receiver:join()}, {sender:join()}, {empty:recv()}, {empty:try_recv()}, {empty:send(1)},
      {empty:try_send(1)}, {full:send(1)},
    } do
      assert.is_nil(results[1])
      assert.equal(cause, results[2])
    end
    assert.equal("kept", full:recv())
    local ok, err = pcall(function()
      for _ in full:each() do
        error "there was no value"
      end
    end)
    assert.is_false(ok)
    assert.equal(cause, err)
  end)

  it("tries, and never waits", function()
    local c = task.channel(2)
    local function failure(value, err)
      assert.is_nil(value)
      return tostring(err)
    end
    assert.equal("channel recv: the channel is empty (EAGAIN)", failure(c:try_recv()))
    assert.is_true(c:try_send(false))
    assert.is_true(c:try_send "b")
    assert.equal("channel send: the channel is full (EAGAIN)", failure(c:try_send "c"))
    assert.is_false((c:try_recv()))
    assert.equal("b", c:try_recv())
    assert.has_error(function() c:try_send(nil) end, "channel: nil cannot be sent")
    local from_finalizer
    setmetatable({}, {__gc = function() from_finalizer = c:try_send "d" and c:try_recv() end})
    collectgarbage()
    assert.equal("d", from_finalizer)
    c:close()
    assert.same({n = 1}, table.pack(c:try_recv()))
    assert.same({n = 1}, table.pack(c:try_send "e"))
  end)

  it("tries for nothing that is promised", function()
    local c = task.channel()
    local receiver = task.spawn(c.recv, c)
    task.yield()
    assert.is_true(c:try_send(1))
    assert.is_nil((c:try_recv()))
    assert.equal(1, receiver:join())
    c:send(2)
    local sender = task.spawn(c.send, c, 3)
    task.yield()
    assert.equal(2, c:try_recv())
    assert.is_nil((c:try_send(4)))
    assert.is_true(sender:join())
    assert.equal(3, c:try_recv())
  end)

  it("is closed at the end of a block", function()
    assert.is_true(left_by_block(task.channel).closed)
  end)

  it("keeps a value whose receiver is cancelled (I1)", function()
    local c = task.channel()
    local receiver = task.spawn(c.recv, c)
    task.yield()
    receiver:cancel()
    c:send "kept"
    assert.equal("ECANCELED", select(2, receiver:join()).code)
    assert.equal("kept", c:recv())
  end)

  it("keeps a value whose promised receiver is cancelled (I1)", function()
    local c = task.channel()
    local got
    local receiver = task.spawn(function()
      got = c:recv()
    end)
    task.yield()
    c:send "promised"
    receiver:cancel()
    receiver:join()
    assert.is_nil(got)
    assert.equal(1, #c)
    assert.equal("promised", c:recv())
    c:send "next"
    assert.equal("next", c:recv())
  end)

  it("closed tells nobody that it is empty while a promised value may be given up", function()
    for _, others in ipairs {1, 3} do
      local c = task.channel()
      local got = {}
      local first = task.spawn(c.recv, c)
      task.yield()
      for i = 1, others do
        task.spawn(function()
          got[i] = c:recv() or "empty"
        end)
      end
      task.yield()
      c:send "value"
      c:close()
      first:cancel()
      local late = c:recv() or "empty"
      first:join()
      assert.equal("cancelled", first.status)
      assert.equal(0, #c)
      assert.same({"value", others > 1 and "empty" or nil, others > 1 and "empty" or nil}, got)
      assert.equal("empty", late)
    end
  end)

  it("keeps room whose sender is cancelled", function()
    local c = task.channel()
    c:send(1)
    local sender = task.spawn(c.send, c, 2)
    task.yield()
    sender:cancel()
    sender:join()
    assert.equal(1, c:recv())
    assert.is_true(c:send(3))
    assert.equal(3, c:recv())
  end)

  it("gives one value to one receiver under random cancelling", function()
    math.randomseed(7)
    local c = task.channel(3)
    local sent, got = 0, 0
    task.scope(function(s)
      local receivers = {}
      local function receive()
        while c:recv() do
          got = got + 1
        end
      end
      for i = 1, 5 do
        receivers[i] = s:spawn(receive)
      end
      for _ = 1, 2000 do
        if math.random(3) > 1 then
          c:send(true)
          sent = sent + 1
        else
          local i = math.random(5)
          receivers[i]:cancel()
          receivers[i] = s:spawn(receive)
        end
        if math.random(4) == 1 then
          task.yield()
        end
      end
      c:close()
    end)
    assert.equal(sent, got + #c)
  end)

  it("passes a million values with the memory of ten (C8) #slow", function()
    local values = many * 100
    local c = task.channel(10)
    local producer = task.spawn(function()
      for i = 1, values do
        c:send(i)
      end
      c:close()
    end)
    local sum, most = 0, 0
    collectgarbage()
    local before = collectgarbage "count"
    for value in c:each() do
      sum = sum + value
      most = math.max(most, #c)
      if value % (values / 10) == 0 then
        collectgarbage()
        assert.is_true(collectgarbage "count" - before < 64)
      end
    end
    producer:join()
    assert.equal(values * (values + 1) / 2, sum)
    assert.equal(9, most) -- behind each recv
  end)

  it("raises for a capacity that is none", function()
    for _, value in ipairs {0, -1, 1.5, "2", {}, math.huge} do
      assert.is_false(pcall(task.channel, value))
    end
    assert.equal(1, task.channel().capacity)
  end)
end)
