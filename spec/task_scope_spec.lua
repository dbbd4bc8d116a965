-- Tasks that belong together: scopes, and what is made of them.

local errors = require "neap.error"
local task = require "neap.task"
local child = require "spec.support.child"
local tasks = require "spec.support.tasks"

local count_lines, many, run = child.count_lines, child.many, child.run
local cancelled, closing, failure_of = tasks.cancelled, tasks.closing, tasks.failure_of

--- A task that takes so many seconds to end when it is cancelled, and then calls `ended`.
local function end_late(seconds, ended)
  local _ <close> = closing(function()
    task.shield(task.sleep, seconds)
    ended()
  end)
  task.sleep(10)
end

describe("task.scope", function()
  it("returns the body's results when all its tasks have ended", function()
    local ended = 0
    local results = table.pack(task.scope(function(s)
      for i = 1, 3 do
        s:spawn(function()
          task.sleep(i * 0.002)
          ended = ended + 1
        end)
      end
      return "body", nil, 3
    end))
    assert.equal(3, ended)
    assert.same({n = 3, "body", nil, 3}, results)
  end)

  it("cancels the rest at the first failure, and raises it (I15)", function()
    local closed = 0
    local error_object = {}
    local err = failure_of(function(s)
      for _ = 1, 3 do
        s:spawn(function()
          local _ <close> = closing(function() closed = closed + 1 end)
          task.sleep(10)
        end)
      end
      s:spawn(function()
        task.sleep(0.001)
        error(error_object)
      end)
      task.sleep(10)
      error "the body goes on"
    end)
    assert.equal(error_object, err)
    assert.equal(3, closed)
  end)

  it("raises the very object of an error, of whatever type (J4)", function()
    local hostile = setmetatable({}, {__tostring = function() error "inner" end})
    for _, value in ipairs {"text", 42, true, {}, io.stdout, hostile, coroutine.create(print)} do
      assert.equal(value, failure_of(function(s)
        s:spawn(error, value, 0)
      end))
    end
    local ok, err = pcall(task.scope, function(s)
      s:spawn(error)
    end)
    assert.is_false(ok)
    assert.is_nil(err)
  end)

  it("raises an error object with its task's traceback, as all and race do", function()
    local function breaks()
      task.yield()
      error(errors.new {code = "EPROTO", message = "broken"})
    end
    for name, call in pairs {
      scope = function() task.scope(function(s) s:spawn(breaks) end) end,
      ["scope in a scope"] = function()
        task.scope(function(s)
          s:spawn(task.scope, function(inner) inner:spawn(breaks) end)
        end)
      end,
      ["the body of a scope"] = function() task.scope(breaks) end,
      all = function() task.all {breaks, function() task.sleep(10) end} end,
      race = function() task.race {breaks, function() task.sleep(10) end} end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.equal("EPROTO: broken", err.code .. ": " .. err.message)
      assert.matches("^stack traceback:\n", err.traceback, name)
      assert.matches("in upvalue 'breaks'", err.traceback:gsub("function <[^>]*>", "upvalue 'breaks'"), name)
    end
    -- Tables of the script's own are left as they are.
    local own = setmetatable({}, {__newindex = error})
    assert.equal(own, failure_of(function(s) s:spawn(error, own) end))
    assert.is_nil(next(own))
  end)

  it("tells whom a failure in it cancels why", function()
    local first = errors.new {code = "EPROTO", message = "first"}
    local causes = {}
    local function cause_of(f, ...)
      local ok, err = pcall(f, ...)
      assert(not ok and err.code == "ECANCELED")
      causes[#causes + 1] = err.cause
    end
    local err = failure_of(function(s)
      local t = s:spawn(function()
        task.sleep(0.005)
        error(first)
      end)
      s:spawn(cause_of, task.sleep, 10)
      s:spawn(cause_of, t.join, t)
      s:spawn(cause_of, task.scope, function(inner)
        inner:spawn(cause_of, task.sleep, 10)
      end)
      cause_of(task.sleep, 10)
    end)
    assert.equal(first, err)
    assert.same({first, first, first, first, first}, causes)
    -- Neither who was cancelled before, nor with nobody failing.
    causes = {}
    task.scope(function(s)
      s:spawn(cause_of, task.sleep, 10)
      s:spawn(cause_of, task.sleep, 10):cancel()
      task.yield()
      s:cancel()
    end)
    assert.same({}, causes)
  end)

  it("raises the error of its body after its tasks have ended", function()
    local ended = false
    local err = failure_of(function(s)
      s:spawn(end_late, 0.005, function() ended = true end)
      task.yield()
      error("body", 0)
    end)
    assert.equal("body", err)
    assert.is_true(ended)
  end)

  it("raises what failed first, the body or a task", function()
    assert.equal("task", failure_of(function(s)
      s:spawn(error, "task", 0)
      pcall(task.sleep, 10)
      error("body", 0)
    end))
    assert.equal("body", failure_of(function(s)
      s:spawn(function()
        local _ <close> = closing(function() error("task", 0) end)
        task.sleep(10)
      end)
      task.yield()
      error("body", 0)
    end))
  end)

  it("is cancelled with its owner, who goes on when its tasks have ended", function()
    local ended = 0
    local result, err = cancelled(function()
      local _ <close> = closing(function()
        assert(ended == 2)
        ended = ended + 1
      end)
      task.scope(function(s)
        for _ = 1, 2 do
          s:spawn(function()
            local _ <close> = closing(function()
              task.shield(task.sleep, 0.002)
              ended = ended + 1
            end)
            task.sleep(10)
          end)
        end
      end)
    end)
    assert.is_nil(result)
    assert.equal("ECANCELED", err.code)
    assert.equal(3, ended)
  end)

  it("raises a task's failure rather than its owner's cancellation", function()
    local t
    local err = failure_of(function(s)
      t = s:spawn(task.scope, function(inner)
        inner:spawn(function()
          local _ <close> = closing(function() error("not closed", 0) end)
          task.sleep(10)
        end)
      end)
      task.yield()
      task.yield()
      t:cancel()
    end)
    assert.equal("not closed", err)
    assert.equal("failed", t.status)
  end)

  it("takes tasks from its tasks, and while it ends", function()
    local seen = {}
    task.scope(function(s)
      s:spawn(function()
        task.sleep(0.001)
        seen[#seen + 1] = "child"
        s:spawn(function()
          task.sleep(0.001)
          seen[#seen + 1] = "grandchild"
        end)
      end)
    end)
    assert.same({"child", "grandchild"}, seen)
  end)

  it("cancels what is spawned after it was cancelled", function()
    local started, err
    task.scope(function(s)
      s:cancel()
      local t = s:spawn(function()
        started = true
        task.sleep(10)
      end)
      err = select(2, task.shield(t.join, t))
    end)
    assert.is_true(started)
    assert.equal("ECANCELED", err.code)
  end)

  it("may be nested: a failure climbs, one scope at a time", function()
    local order = {}
    local err = failure_of(function(outer)
      outer:spawn(function()
        local _ <close> = closing(function() order[#order + 1] = "outer's other" end)
        task.sleep(10)
      end)
      outer:spawn(task.scope, function(inner)
        inner:spawn(function()
          local _ <close> = closing(function() order[#order + 1] = "inner's other" end)
          task.sleep(10)
        end)
        inner:spawn(function()
          task.sleep(0.001)
          error("deep", 0)
        end)
      end)
    end)
    assert.equal("deep", err)
    assert.same({"inner's other", "outer's other"}, order)
  end)

  it("can be ended by its cancel: nil and an error, or what the body returned", function()
    local result, err = task.scope(function(s)
      s:spawn(function()
        task.sleep(0.001)
        s:cancel()
      end)
      task.sleep(10)
    end)
    assert.is_nil(result)
    assert.equal("ECANCELED", err.code)
    assert.equal("returned", task.scope(function(s)
      s:spawn(task.sleep, 10)
      s:cancel()
      return "returned"
    end))
  end)

  it("counts its tasks, and waits until few are left", function()
    task.scope(function(s)
      assert.equal(0, s.live)
      local events = {}
      for i = 1, 4 do
        events[i] = task.event()
        s:spawn(events[i].wait, events[i])
      end
      assert.equal(4, s.live)
      assert.equal("scope (4 tasks)", tostring(s))
      s:wait(4)
      events[1]:set()
      events[2]:set()
      s:wait(2)
      assert.equal(2, s.live)
      events[3]:set()
      events[4]:set()
      s:wait()
      assert.equal(0, s.live)
      assert.is_false(pcall(s.wait, s, -1))
    end)
  end)

  it("may be waited for by several, for several numbers", function()
    local reached = {}
    task.scope(function(s)
      local stop = task.channel()
      for _ = 1, 3 do
        s:spawn(stop.recv, stop)
      end
      task.scope(function(waiters)
        for _, n in ipairs {0, 2, 1, 2} do
          waiters:spawn(function()
            s:wait(n)
            reached[#reached + 1] = n
          end)
        end
        for _ = 1, 3 do
          stop:send(true)
          for _ = 1, 3 do
            task.yield()
          end
        end
      end)
    end)
    assert.same({2, 2, 1, 0}, reached)
  end)

  it("cannot be used after its end", function()
    local scope
    task.scope(function(s)
      scope = s
    end)
    for _, verb in ipairs {"spawn", "wait", "serve"} do
      local ok, message = pcall(scope[verb], scope, print, print)
      assert.is_false(ok)
      assert.matches("the scope has ended", message)
    end
    scope:cancel()
    assert.is_false(pcall(task.scope))
    assert.is_false(pcall(task.scope, 1))
    assert.is_false(pcall(scope.spawn, io.stdout, print))
  end)

  it("left by coroutine.close hands its tasks, cancelled, to the program", function()
    local ended
    local co = coroutine.create(function()
      task.scope(function(s)
        s:spawn(end_late, 0.001, function() ended = true end)
        task.yield()
        coroutine.yield "inside"
      end)
    end)
    assert.same({true, "inside"}, {coroutine.resume(co)})
    assert.is_true(coroutine.close(co))
    assert.is_nil(ended)
    assert.is_true(tasks.await(function() return ended end))
  end)

  it("left suspended in a generator by a task that ends is cancelled", function()
    local ended
    local generator
    task.spawn(function()
      generator = coroutine.wrap(function()
        task.scope(function(s)
          s:spawn(function()
            local _ <close> = closing(function() ended = true end)
            task.sleep(10)
          end)
          task.yield()
          coroutine.yield()
        end)
      end)
      generator()
    end):join()
    assert.is_true(tasks.await(function() return ended end))
    generator()
  end)

  it("left by its owner still reports failures (J5)", function()
    local result = run [[
      local function leave(fail)
        local co = coroutine.create(function()
          task.scope(function(s)
            s:spawn(function()
              local c <close> = setmetatable({}, {__close = function()
                task.shield(task.yield)
                fail()
              end})
              task.sleep(10)
            end)
            task.yield()
            coroutine.yield()
          end)
        end)
        coroutine.resume(co)
        coroutine.close(co)
      end
      leave(function() print "ended" end)
      leave(function() error "lost" end)
    ]]
    assert.equal("ended\n", result.stdout)
    assert.equal(1, count_lines(result.stderr, "lost"), result.stderr)
    assert.equal(1, result.code)
  end)

  it("holds ten thousand tasks", function()
    local n = 0
    task.scope(function(s)
      for _ = 1, many do
        s:spawn(function()
          task.yield()
          n = n + 1
        end)
      end
    end)
    assert.equal(many, n)
  end)

  it("is left by a served task's error, which is reported, without harm (J5)", function()
    local result = run [[
      task.scope(function(s)
        local closed
        local object = setmetatable({}, {__close = function() closed = true end})
        s:serve(function(o, x)
          assert(o == object and x == 7)
          task.yield()
          error "served"
        end, object, 7)
        task.sleep(0.001)
        print(closed, s.live)
      end)
    ]]
    assert.equal("true\t0\n", result.stdout)
    assert.equal(1, count_lines(result.stderr, "served"))
    assert.equal(0, result.code)
  end)
end)

describe("task.all", function()
  it("gives the first results in order", function()
    assert.same({n = 3, "slow", nil, 3}, task.all {
      function()
        task.sleep(0.002)
        return "slow", "dropped"
      end,
      function() end,
      function() return 3 end,
    })
  end)

  it("raises the first failure, and cancels the others", function()
    local closed
    local ok, err = pcall(task.all, {
      function()
        local _ <close> = closing(function() closed = true end)
        task.sleep(10)
      end,
      function()
        task.sleep(0.001)
        error("failed", 0)
      end,
    })
    assert.is_false(ok)
    assert.equal("failed", err)
    assert.is_true(closed)
  end)

  it("raises for what is no list of functions", function()
    for _, value in ipairs {1, "x", {}, {1}, {print, {}}, {[2] = print}} do
      for verb, f in pairs {all = task.all, race = task.race} do
        local _, err = pcall(function()
          f(value)
        end)
        assert.matches("task_scope_spec.lua:%d+: " .. verb .. ": a list of functions expected", err)
      end
    end
    assert.is_false(pcall(task.all))
    assert.equal("called", task.race {setmetatable({}, {__call = function() return "called" end})})
  end)
end)

describe("task.race", function()
  it("gives all results of the first, and cancels the others", function()
    local closed
    assert.same({n = 3, "quick", nil, 2}, table.pack(task.race {
      function()
        local _ <close> = closing(function() closed = true end)
        task.sleep(10)
      end,
      function()
        task.sleep(0.001)
        return "quick", nil, 2
      end,
    }))
    assert.is_true(closed)
    assert.equal(0, select("#", task.race {function() end}))
  end)

  it("gives one winner where two end in one turn", function()
    local event = task.event()
    local winner = task.race {
      function()
        event:wait()
        return 1
      end,
      function()
        event:wait()
        return 2
      end,
      function()
        task.yield()
        event:set()
        task.sleep(10)
      end,
    }
    assert.equal(1, winner)
  end)

  it("raises a failure that comes before any result", function()
    local ok, err = pcall(task.race, {
      function() task.sleep(10) end,
      function() error("failed", 0) end,
    })
    assert.is_false(ok)
    assert.equal("failed", err)
  end)

  it("over channels loses and doubles no value (L4)", function()
    local channels = {}
    for i = 1, 3 do
      channels[i] = task.channel(4)
    end
    local seen, total = {}, 300
    task.scope(function(s)
      for i = 1, 3 do
        s:spawn(function()
          for n = 1, total / 3 do
            channels[i]:send(i * 1000 + n)
            if n % 7 == i then
              task.sleep(0.0002)
            end
          end
        end)
      end
      while total > 0 do
        task.timeout(0.001, function()
          task.race {
            function()
              local v = channels[1]:recv()
              seen[v] = (seen[v] or 0) + 1
              total = total - 1
            end,
            function()
              local v = channels[2]:recv()
              seen[v] = (seen[v] or 0) + 1
              total = total - 1
            end,
            function()
              local v = channels[3]:recv()
              seen[v] = (seen[v] or 0) + 1
              total = total - 1
            end,
          }
        end)
      end
    end)
    for i = 1, 3 do
      for n = 1, 100 do
        assert.equal(1, seen[i * 1000 + n])
      end
    end
  end)
end)
