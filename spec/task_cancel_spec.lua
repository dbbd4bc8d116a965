-- Cancelling a task, and what puts that off. (Every way to wait meets every way to be
-- interrupted: cancel_spec.)

local net = require "neap.net"
local process = require "neap.process"
local signal = require "neap.signal"
local task = require "neap.task"
local time = require "neap.time"
local many = require "spec.support.child".many
local support = require "spec.support.tasks"

local cancelled, closing, failure_of = support.cancelled, support.closing, support.failure_of

describe("t:cancel", function()
  --- What a task can wait for, and what else it needs.
  local waits = {
    sleep = function() task.sleep(10) end,
    ["endless sleep"] = function() task.sleep(math.huge) end,
    yield = function() while true do task.yield() end end,
    tick = function() for _ in time.every(10) do end end, -- luacheck: ignore 542
    join = function(scope)
      scope:spawn(task.sleep, 10):join()
    end,
    ["channel recv"] = function() task.channel():recv() end,
    ["channel send"] = function()
      local c = task.channel()
      c:send(1)
      c:send(2)
    end,
    semaphore = function() task.semaphore(0):acquire() end,
    mutex = function(scope)
      local m = task.mutex()
      scope:spawn(function()
        local _ <close> = m:lock()
        task.sleep(10)
      end)
      task.yield()
      m:lock()
    end,
    event = function() task.event():wait() end,
    ["end of a scope"] = function()
      task.scope(function(s) s:spawn(task.sleep, 10) end)
    end,
    ["wait of a scope"] = function()
      task.scope(function(s)
        s:spawn(task.sleep, 10)
        s:wait()
      end)
    end,
    all = function() task.all {function() task.sleep(10) end} end,
    race = function() task.race {function() task.sleep(10) end} end,
    ["nested coroutines"] = function()
      coroutine.wrap(function()
        coroutine.wrap(function() task.sleep(10) end)()
      end)()
    end,
    accept = function()
      local l <close> = net.listen "tcp://127.0.0.1:0"
      l:accept()
    end,
    serve = function()
      local l <close> = net.listen "tcp://127.0.0.1:0"
      l:serve(print)
    end,
    recv = function()
      local a, b <close> = net.socketpair()
      local _ <close> = a
      a:recv(b and 1)
    end,
    ["read a line"] = function()
      local a, b <close> = net.socketpair()
      local _ <close> = a
      b:write "no end of line"
      b:flush()
      a:read "l"
    end,
    readuntil = function()
      local a, b <close> = net.socketpair()
      local _ <close> = a
      a:readuntil("\r\n\r\n", b and 100)
    end,
    write = function()
      local a, b <close> = net.socketpair()
      local _ <close> = a
      while b do
        a:write(("x"):rep(65536))
      end
    end,
    ["mem: connect"] = function()
      local l <close> = net.listen "mem:task_spec"
      local a <close> = net.connect "mem:task_spec"
      local b <close> = l:accept()
      b:recv(a and 1)
    end,
    relay = function()
      local a, b <close> = net.socketpair()
      local _ <close> = a
      local c, d <close> = net.socketpair()
      local _ <close> = c
      net.relay(b, c, a and d and nil)
    end,
    signal = function() signal.wait "SIGUSR1" end,
    process = function()
      local p <close> = process.spawn {"sleep", "10"}
      p:wait()
    end,
    ["process.run"] = function() process.run {"sleep", "10"} end,
  }

  for name, wait in pairs(waits) do
    it("ends a wait: " .. name .. " (I1)", function()
      local order, seen = {}, nil
      task.scope(function(scope)
        local t = scope:spawn(function()
          local _ <close> = closing(function(_, err)
            order[#order + 1] = "first opened"
            seen = err
          end)
          local _ <close> = closing(function() order[#order + 1] = "last opened" end)
          wait(scope)
        end)
        task.sleep(0.01)
        assert.is_true(t.status == "waiting" or t.status == "ready", t.status)
        t:cancel()
        local result, err = t:join()
        assert.is_nil(result)
        assert.equal("ECANCELED", err.code)
        assert.equal(err, seen)
        assert.same({"last opened", "first opened"}, order)
        scope:cancel()
      end)
    end)
  end

  after_each(function()
    signal.default "SIGUSR1"
  end)

  it("is level-triggered: no loop of pcall outlives it (I1)", function()
    local raised = 0
    local t = task.spawn(function()
      while true do
        local ok, err = pcall(task.sleep, 10)
        raised = raised + 1
        if not ok and raised == 5 then
          error(err, 0)
        end
      end
    end)
    task.yield()
    t:cancel()
    local _, err = t:join()
    assert.equal("ECANCELED", err.code)
    assert.equal(5, raised)
    assert.equal("cancelled", t.status)
  end)

  it("leaves a task that ends well all the same done", function()
    local t = task.spawn(function()
      pcall(task.sleep, 10)
      return "well"
    end)
    task.yield()
    t:cancel()
    assert.equal("well", t:join())
    assert.equal("done", t.status)
  end)

  it("leaves a task that raises something else failed", function()
    for _, value in ipairs {"other", false} do
      local t
      local ok, err = pcall(task.scope, function(s)
        t = s:spawn(function()
          pcall(task.sleep, 10)
          error(value or nil, 0)
        end)
        task.yield()
        t:cancel()
      end)
      assert.is_false(ok)
      assert.equal(value or nil, err)
      assert.equal("failed", t.status)
    end
    -- Nor is nil, from one that has not yet heard of it.
    assert.is_nil(failure_of(function(s)
      local t = s:spawn(function()
        task.shield(task.yield)
        error(nil)
      end)
      task.yield()
      t:cancel()
    end))
  end)

  it("lets <close> wait under a shield, last opened first (I2)", function()
    local ours, theirs <close> = net.socketpair()
    local _ <close> = ours
    local order = {}
    local _, err = cancelled(function()
      local _ <close> = closing(function()
        task.shield(function()
          assert(theirs:write "bye\n")
          task.sleep(0.001)
          order[#order + 1] = "said bye"
        end)
      end)
      local _ <close> = closing(function()
        order[#order + 1] = pcall(task.sleep, 0) and "slept" or "no sleep without a shield"
        task.shield(task.sleep, 0.001)
        order[#order + 1] = "slept"
      end)
      theirs:recv()
    end)
    assert.equal("ECANCELED", err.code)
    assert.same({"no sleep without a shield", "slept", "said bye"}, order)
    assert.equal("bye", ours:read "l")
  end)

  it("lets a shield be bounded by a timeout inside (I2)", function()
    local start = time.now()
    local in_time = "?"
    cancelled(function()
      local _ <close> = closing(function()
        in_time = task.shield(task.timeout, 0.01, function()
          task.sleep(10)
          return true
        end)
      end)
      task.sleep(10)
    end)
    assert.is_nil(in_time)
    assert.is_true(time.now() - start < 1)
  end)

  it("gives its reason as the message", function()
    local t = task.spawn(task.sleep, 10)
    task.yield()
    t:cancel "no longer needed"
    t:cancel "too late"
    local _, err = t:join()
    assert.equal("ECANCELED", err.code)
    assert.equal("no longer needed", err.message)
    assert.equal("no longer needed (ECANCELED)", tostring(err))
  end)

  it("before its first turn: a task runs to its first wait", function()
    local reached = {}
    local t = task.spawn(function()
      local _ <close> = closing(function() reached[#reached + 1] = "closed" end)
      reached[#reached + 1] = "began"
      task.yield()
      reached[#reached + 1] = "went on"
    end)
    t:cancel()
    assert.equal("ECANCELED", select(2, t:join()).code)
    assert.same({"began", "closed"}, reached)
  end)

  it("may be called again, on itself, and after the end", function()
    local t
    t = task.spawn(function()
      t:cancel()
      t:cancel()
      local ok, err = pcall(task.yield)
      assert(not ok and err.code == "ECANCELED")
      task.sleep(1)
    end)
    local _, err = t:join()
    assert.equal("ECANCELED", err.code)
    t:cancel()
    assert.equal(err, select(2, t:join()))
    local done = task.spawn(function() return 1 end)
    done:join()
    done:cancel()
    assert.equal("done", done.status)
    assert.equal(1, done:join())
  end)

  it("loses no success that came before it", function()
    local event = task.event()
    local got
    local t = task.spawn(function()
      event:wait()
      got = true
      task.sleep(10)
    end)
    task.yield()
    event:set()
    t:cancel()
    assert.equal("ECANCELED", select(2, t:join()).code)
    assert.is_true(got)
  end)

  it("reaches the tasks of nested scopes, not those spawned beside it", function()
    local beside
    local inside
    local event = task.event()
    local t = task.spawn(function()
      beside = task.spawn(event.wait, event)
      task.scope(function(s)
        s:spawn(task.scope, function(s2)
          inside = s2:spawn(task.sleep, 10)
        end)
      end)
    end)
    task.sleep(0.002)
    t:cancel()
    t:join()
    assert.equal("cancelled", inside.status)
    assert.equal("waiting", beside.status)
    event:set()
    beside:join()
    assert.equal("done", beside.status)
  end)

  it("is a moment's work for ten thousand tasks", function()
    local tasks = {}
    for i = 1, many do
      tasks[i] = task.spawn(task.sleep, 100)
    end
    task.yield()
    for i = 1, many do
      tasks[i]:cancel()
    end
    for i = 1, many do
      assert(select(2, tasks[i]:join()).code == "ECANCELED")
    end
  end)
end)

describe("task.shield", function()
  it("gives the results and errors of what it calls", function()
    assert.same({n = 2, nil, 2}, table.pack(task.shield(function(...) return ... end, nil, 2)))
    local object = {}
    local ok, err = pcall(task.shield, error, object)
    assert.is_false(ok)
    assert.equal(object, err)
    assert.is_false(pcall(task.shield))
    assert.is_false(pcall(task.shield, 1))
  end)

  it("puts the cancellation off, and it comes at the next wait", function()
    local inside, behind
    local _, err = cancelled(function()
      task.shield(function()
        task.sleep(0.002)
        task.shield(task.sleep, 0.002)
        inside = true
      end)
      behind = true
      task.sleep(10)
      behind = "too far"
    end)
    assert.is_true(inside)
    assert.is_true(behind)
    assert.equal("ECANCELED", err.code)
  end)

  it("lets scopes inside fail and be cancelled", function()
    local err, result
    cancelled(function()
      task.shield(function()
        err = failure_of(function(s)
          s:spawn(error, "inside", 0)
          task.sleep(10)
        end)
        result = select(2, task.scope(function(s)
          s:cancel()
          task.sleep(10)
        end)).code
      end)
    end)
    assert.equal("inside", err)
    assert.equal("ECANCELED", result)
  end)
end)
