-- What ends in time or is interrupted.

local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"
local child = require "spec.support.child"
local closing = require "spec.support.tasks".closing

local count_lines, run = child.count_lines, child.run

describe("task.timeout", function()
  it("gives the results of what ends in time", function()
    assert.same({n = 3, 1, nil, 3}, table.pack(task.timeout(1, function(...)
      task.sleep(0.001)
      return ...
    end, 1, nil, 3)))
    assert.equal(0, select("#", task.timeout(1, function() end)))
  end)

  it("gives nil and ETIMEDOUT, after closing what was open", function()
    local closed
    local start = time.now()
    local results = table.pack(task.timeout(0.01, function()
      local _ <close> = closing(function() closed = true end)
      task.sleep(10)
    end))
    local took = time.now() - start
    assert.is_true(took >= 0.01 and took < 1, took)
    assert.equal(2, results.n)
    assert.is_nil(results[1])
    assert.equal("ETIMEDOUT", results[2].code)
    assert.equal("timeout: the time is up (ETIMEDOUT)", tostring(results[2]))
    assert.is_true(closed)
    task.sleep(0) -- it is over
  end)

  it("lets errors through as they are", function()
    local object = {}
    local ok, err = pcall(task.timeout, 1, function()
      task.sleep(0.001)
      error(object)
    end)
    assert.is_false(ok)
    assert.equal(object, err)
    ok, err = pcall(task.timeout, 1, error)
    assert.is_false(ok)
    assert.is_nil(err)
  end)

  it("ends within an outer one, and the outer one's result says so (I8)", function()
    local start = time.now()
    local inner_ended
    local result, err = task.timeout(0.01, function()
      task.timeout(10, task.sleep, 10)
      inner_ended = true
    end)
    assert.is_true(time.now() - start < 1)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_nil(inner_ended)

    local inner
    assert.equal("outer", task.timeout(10, function()
      inner = select(2, task.timeout(0.005, task.sleep, 10))
      task.sleep(0.001)
      return "outer"
    end))
    assert.equal("ETIMEDOUT", inner.code)
  end)

  it("gives way to an outer one that expires with it (I8)", function()
    local inner_ended
    local result, err = task.timeout(0.01, function()
      task.timeout(0.01, function()
        pcall(task.sleep, 10)
        task.sleep(0.001)
      end)
      inner_ended = true
      task.sleep(10)
    end)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_nil(inner_ended)
  end)

  it("is level-triggered: every later wait inside raises, too", function()
    local raised = 0
    local result, err = task.timeout(0.005, function()
      for _ = 1, 10 do
        local ok, e = pcall(task.sleep, 10)
        assert(not ok and e.code == "ETIMEDOUT")
        raised = raised + 1
      end
      assert(not pcall(task.yield))
      assert(not pcall(task.scope, print))
      assert(not pcall(task.timeout, 1, print))
      return "swallowed"
    end)
    assert.equal(10, raised)
    assert.equal("swallowed", result)
    assert.is_nil(err)
  end)

  it("ends a task that only yields", function()
    local _, err = task.timeout(0.005, function()
      while true do
        task.yield()
      end
    end)
    assert.equal("ETIMEDOUT", err.code)
  end)

  it("ends tasks that keep each other ready, whichever has the deadline", function()
    for _, who in ipairs {"ping", "pong"} do
      local there, back = task.channel(), task.channel()
      local function limited(name, f)
        if name == who then
          return select(2, task.timeout(0.005, f))
        end
        f()
      end
      local err
      task.scope(function(s)
        s:spawn(function()
          local e = limited("pong", function()
            while there:recv() do
              back:send "pong"
            end
          end)
          err = err or e
          s:cancel()
        end)
        local e = limited("ping", function()
          while there:send "ping" do
            back:recv()
          end
        end)
        err = err or e
        s:cancel()
      end)
      assert.equal("ETIMEDOUT", err.code, who)
    end
  end)

  it("of 0 or less allows what need not wait (I7)", function()
    for _, seconds in ipairs {0, -1, -math.huge, -0.0, math.mininteger} do
      local start = time.now()
      assert.equal("ready", task.timeout(seconds, function() return "ready" end))
      local result, err = task.timeout(seconds, task.sleep, 10)
      assert.is_nil(result)
      assert.equal("ETIMEDOUT", err.code)
      assert.is_true(time.now() - start < 1)
    end
  end)

  it("of very many seconds never ends, and of NaN raises (I7)", function()
    for _, seconds in ipairs {1e300, math.huge, 2.0 ^ 63, math.maxinteger, 1e10, 1.8e10} do
      assert.equal("slept", task.timeout(seconds, function()
        task.sleep(0.001)
        return "slept"
      end))
      assert.is_nil(select(1, task.timeout(0.001, task.sleep, seconds)))
    end
    assert.is_false(pcall(task.timeout, 0 / 0, print))
    assert.is_false(pcall(task.timeout, "x", print))
    assert.is_false(pcall(task.timeout, {}, print))
    assert.is_false(pcall(task.timeout, 1))
    assert.is_false(pcall(task.timeout))
    assert.is_false(pcall(task.sleep, 0 / 0))
    assert.is_false(pcall(task.sleep))
  end)

  it("and a shield inside: the shield ends first", function()
    local slept
    local result, err = task.timeout(0.005, function()
      task.shield(function()
        task.sleep(0.015)
        slept = true
      end)
      task.sleep(0)
      slept = "too far"
    end)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(slept)
  end)

  it("ends what catches it again and again, and counts anew the next time", function()
    local result = run [[
      for _ = 1, 2 do
        print(select(2, task.timeout(0.001, function()
          while true do pcall(task.sleep, 1) end
        end)).code)
        print(pcall(error, "caught", 0))
      end
      for _ = 1, 300 do
        task.timeout(0, function() pcall(task.sleep, 1) end)
      end
    ]]
    assert.equal(("ETIMEDOUT\nfalse\tcaught\n"):rep(2), result.stdout)
    assert.equal(2, count_lines(result.stderr, "goes on though it was told to end"))
    assert.equal(2, count_lines(result.stderr, "."))
    assert.equal(0, result.code)
  end)

  it("inside a shield works", function()
    local t = task.spawn(function()
      task.shield(function()
        assert(select(2, task.timeout(0.002, task.sleep, 10)).code == "ETIMEDOUT")
      end)
      task.sleep(10)
    end)
    task.yield()
    t:cancel()
    assert.equal("ECANCELED", select(2, t:join()).code)
    assert.equal("cancelled", t.status)
  end)

  it("entered in a generator counts only while that runs", function()
    local generator = coroutine.wrap(function()
      local _, err = task.timeout(0.005, function()
        coroutine.yield "inside"
        task.sleep(10)
      end)
      return err.code
    end)
    assert.equal("inside", generator())
    task.sleep(0.02)
    assert.equal("ETIMEDOUT", generator())
  end)

  it("entered in a coroutine that is closed is left", function()
    local co = coroutine.create(function()
      task.timeout(0.005, coroutine.yield)
    end)
    coroutine.resume(co)
    coroutine.close(co)
    task.sleep(0.01)
    collectgarbage()
    task.sleep(0.001)
  end)

  it("leaves data that arrives with the deadline readable (I5)", function()
    local ours, theirs <close> = net.socketpair()
    local _ <close> = ours
    for _ = 1, 50 do
      local sender = task.spawn(function()
        task.sleep(0.001)
        theirs:write "x"
        theirs:flush()
      end)
      local data = task.timeout(0.001, ours.recv, ours, 1)
      sender:join()
      assert.equal("x", data or ours:recv(1))
    end
  end)
end)
