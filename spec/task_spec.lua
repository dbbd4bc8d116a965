local errors = require "neap.error"
local net = require "neap.net"
local process = require "neap.process"
local signal = require "neap.signal"
local task = require "neap.task"
local time = require "neap.time"

local neap = (os.getenv "NEAP_BUILD" or "build") .. "/neap"

-- Sanitizers make a build some ten times slower, and the stress build collects
-- all garbage before each resume.
local stress = neap:find "stress" ~= nil
local many = stress and 100 or neap:find "check" and 1000 or 10000

--- Run a script in a neap of its own: what it prints and how it ends.
local function run(script)
  return assert(process.run {neap, "-e", script})
end

--- Something to declare <close>: calls f.
local function closing(f)
  return setmetatable({}, {__close = f})
end

--- Run a scope that fails, and give its error.
local function failure_of(body)
  local ok, err = pcall(task.scope, body)
  assert.is_false(ok)
  return err
end

--- Spawn, let it run to its first wait, cancel, and give what join says.
local function cancelled(f, ...)
  local t = task.spawn(f, ...)
  task.yield()
  t:cancel()
  return t:join()
end

local function count_lines(text, pattern)
  local n = 0
  for line in text:gmatch "[^\n]+" do
    n = n + (line:find(pattern) and 1 or 0)
  end
  return n
end

describe("task.spawn", function()
  it("starts tasks in their order, and not before its caller waits", function()
    local order = {}
    for i = 1, 3 do
      task.spawn(function()
        order[#order + 1] = i
      end)
    end
    assert.same({}, order)
    task.yield()
    assert.same({1, 2, 3}, order)
  end)

  it("lets ready tasks take turns, first in, first out", function()
    local order = {}
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = task.spawn(function()
        for turn = 1, 3 do
          order[#order + 1] = turn * 10 + i
          task.yield()
        end
      end)
    end
    for i = 1, 3 do
      tasks[i]:join()
    end
    assert.same({11, 12, 13, 21, 22, 23, 31, 32, 33}, order)
  end)

  it("passes arguments, and join the results, nils too", function()
    local t = task.spawn(function(...)
      task.yield()
      return select("#", ...), ...
    end, nil, "a", nil)
    for _ = 1, 2 do
      assert.same({n = 4, 3, nil, "a", nil}, table.pack(t:join()))
    end
    assert.equal(0, select("#", task.spawn(function() end):join()))
    assert.same({n = 1, nil}, table.pack(task.spawn(function() return nil end):join()))
    assert.equal("one", task.spawn(function() return "one" end):join())
  end)

  it("passes many arguments and results", function()
    local t = task.spawn(function(...)
      task.yield()
      return ...
    end, table.unpack({}, 1, 10000))
    assert.equal(10000, select("#", t:join()))
  end)

  it("takes whatever can be called, and raises for the rest", function()
    local callable = setmetatable({}, {__call = function(_, x) return x end})
    assert.equal(1, task.spawn(callable, 1):join())
    for _, value in ipairs {1, "f", {}, true, io.stdout} do
      assert.is_false(pcall(task.spawn, value))
    end
    assert.is_false(pcall(task.spawn))
    assert.is_false(pcall(task.spawn, nil))
  end)

  it("wakes any number of joiners", function()
    local t = task.spawn(function()
      task.sleep(0.005)
      return "result"
    end)
    local joiners = {}
    for i = 1, 10 do
      joiners[i] = task.spawn(t.join, t)
    end
    for i = 1, 10 do
      assert.equal("result", joiners[i]:join())
    end
  end)

  it("tells what state a task is in", function()
    local inside
    local event = task.event()
    local t
    t = task.spawn(function()
      inside = t.status
      event:wait()
    end)
    assert.equal("ready", t.status)
    task.yield()
    assert.equal("running", inside)
    assert.equal("waiting", t.status)
    event:set()
    assert.equal("ready", t.status)
    t:join()
    assert.equal("done", t.status)
    assert.equal("running", task.current().status)

    local c = task.spawn(task.sleep, 10)
    task.yield()
    c:cancel()
    c:join()
    assert.equal("cancelled", c.status)

    local f
    failure_of(function(s)
      f = s:spawn(error, "planned")
    end)
    assert.equal("failed", f.status)
  end)

  it("gives names, which are a task's only field to set", function()
    local t = task.spawn(function() end)
    assert.matches("^task %d+$", t.name)
    assert.equal(("task %d (ready)"):format(t.id), tostring(t))
    t.name = "worker"
    assert.equal("worker", t.name)
    t.name = 12
    assert.equal("12", t.name)
    for _, key in ipairs {"status", "id", "colour", 1} do
      assert.is_false(pcall(function() t[key] = "x" end))
    end
    assert.is_false(pcall(function() t.name = {} end))
    assert.is_nil(t.colour)
    assert.equal(task.current(), task.current())
    t:join()
    assert.equal("12", t.name)
  end)

  it("raises when a task joins itself or a method is called wrong (O5)", function()
    local ok, message = pcall(function()
      task.current():join()
    end)
    assert.is_false(ok)
    assert.matches("cannot join itself", message)
    assert.is_false(pcall(task.current().join))
    assert.is_false(pcall(task.current().join, {}))
    assert.is_false(pcall(task.current().cancel, io.stdout))
    assert.is_false(pcall(task.current().cancel, task.current(), {}))
  end)

  it("keeps results only as long as its Task", function()
    local weak = setmetatable({}, {__mode = "v"})
    local t = task.spawn(function()
      weak[1] = {}
      return weak[1]
    end)
    t:join()
    collectgarbage()
    assert.is_table(weak[1])
    t = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)
end)

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
      s:spawn(function()
        local _ <close> = closing(function()
          task.shield(task.sleep, 0.005)
          ended = true
        end)
        task.sleep(10)
      end)
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
        s:spawn(function()
          local _ <close> = closing(function()
            task.shield(task.sleep, 0.001)
            ended = true
          end)
          task.sleep(10)
        end)
        task.yield()
        coroutine.yield "inside"
      end)
    end)
    assert.same({true, "inside"}, {coroutine.resume(co)})
    assert.is_true(coroutine.close(co))
    assert.is_nil(ended)
    task.sleep(0.005)
    assert.is_true(ended)
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
    task.sleep(0.001)
    assert.is_true(ended)
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

describe("an error that was caught", function()
  it("is not kept by what it passed", function()
    local kept = setmetatable({}, {__mode = "k"})
    local passes = {
      timeout = function(err) pcall(task.timeout, 1, error, err) end,
      shield = function(err) pcall(task.shield, error, err) end,
      scope = function(err) pcall(task.scope, function() error(err) end) end,
      child = function(err)
        pcall(task.scope, function(s) s:spawn(error, err) end)
      end,
      nested = function(err)
        pcall(task.scope, function() task.timeout(1, task.shield, error, err) end)
      end,
    }
    for name, pass in pairs(passes) do
      local err = {}
      kept[err] = name
      pass(err)
      err = nil -- luacheck: ignore 311
      task.yield()
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(kept), name)
    end
  end)
end)

-- With more results than a C function's stack has room for; Lua's checks, in the
-- check build, look at each of its places.
describe("many values", function()
  local function numbers(n)
    local list = {}
    for i = 1, n do
      list[i] = i
    end
    return list
  end

  it("pass through whatever calls a function", function()
    local co = coroutine.wrap(function(...)
      local values = table.pack(...)
      while true do
        values = table.pack(coroutine.yield(table.unpack(values, 1, values.n)))
      end
    end)
    local function waiting(...)
      task.yield()
      return ...
    end
    local calls = {
      timeout = function(...) return task.timeout(10, waiting, ...) end,
      ["timeout at once"] = function(...) return task.timeout(10, select, 1, ...) end,
      shield = function(...) return task.shield(waiting, ...) end,
      scope = function(...)
        local list = table.pack(...)
        return task.scope(function(s)
          s:spawn(task.yield)
          return table.unpack(list, 1, list.n)
        end)
      end,
      spawn = function(...) return task.spawn(waiting, ...):join() end,
      ["spawn in a scope"] = function(...)
        local list = table.pack(...)
        return task.scope(function(s)
          return s:spawn(waiting, table.unpack(list, 1, list.n)):join()
        end)
      end,
      race = function(...)
        local list = table.pack(...)
        return task.race {function() return table.unpack(list, 1, list.n) end}
      end,
      ["the join of one that has ended"] = function(...)
        local t = task.spawn(select, 1, ...)
        task.yield()
        return t:join()
      end,
      pcall = function(...) return select(2, pcall(waiting, ...)) end,
      xpcall = function(...) return select(2, xpcall(waiting, print, ...)) end,
      coroutine = co,
      ["a coroutine that waits"] = coroutine.wrap(function(...)
        local values = table.pack(waiting(...))
        while true do
          values = table.pack(waiting(coroutine.yield(table.unpack(values, 1, values.n))))
        end
      end),
      served = function(...)
        local got
        local list = table.pack(...)
        task.scope(function(s)
          s:serve(function(_, ...) got = table.pack(...) end, {}, table.unpack(list, 1, list.n))
        end)
        return table.unpack(got, 1, got.n)
      end,
    }
    for name, call in pairs(calls) do
      for n = 0, 300, (stress or neap:find "check") and 7 or 1 do
        local list = numbers(n)
        assert.same(list, {call(table.unpack(list))}, name)
      end
    end
  end)

  it("and an error behind them do so, too", function()
    for n = 0, 300, 50 do
      local list = numbers(n)
      local function fail()
        error(select("#", table.unpack(list)))
      end
      for _, call in ipairs {task.timeout, task.shield, task.scope} do
        local ok, err
        if call == task.timeout then
          ok, err = pcall(call, 10, fail, table.unpack(list))
        else
          ok, err = pcall(call, fail, table.unpack(list))
        end
        assert.is_false(ok)
        assert.matches(n .. "$", tostring(err))
      end
    end
  end)
end)

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
      while not b.closed do
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
    for _, value in ipairs {1, "x", {}, {1}, {[2] = print}} do
      assert.is_false(pcall(task.all, value))
      assert.is_false(pcall(task.race, value))
    end
    assert.is_false(pcall(task.all))
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

  it("is closed at the end of a block", function()
    local kept
    do
      local c <close> = task.channel()
      kept = c
    end
    assert.is_true(kept.closed)
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

describe("task.semaphore", function()
  it("bounds how many do something at once", function()
    local slots = task.semaphore(3)
    local now, most = 0, 0
    task.scope(function(s)
      for _ = 1, 20 do
        s:spawn(function()
          local _ <close> = slots:acquire()
          now = now + 1
          most = math.max(most, now)
          task.sleep(0.0005)
          now = now - 1
        end)
      end
    end)
    assert.equal(3, most)
    assert.equal(3, slots.count)
  end)

  it("serves its waiters in order, before those who come later", function()
    local slots = task.semaphore(0)
    local order = {}
    task.scope(function(s)
      for i = 1, 3 do
        s:spawn(function()
          slots:acquire()
          order[#order + 1] = i
          slots:release()
        end)
      end
      task.yield()
      slots:release()
      slots:acquire()
      order[#order + 1] = "late"
    end)
    assert.same({1, 2, 3, "late"}, order)
  end)

  it("keeps what a cancelled waiter would have got", function()
    local slots = task.semaphore(0)
    local first, second = task.spawn(slots.acquire, slots), task.spawn(slots.acquire, slots)
    task.yield()
    first:cancel()
    slots:release()
    first:join()
    second:join()
    assert.equal("done", second.status)
    assert.equal(0, slots.count)
  end)

  it("passes on what a waiter was given that is cancelled before it runs", function()
    local slots = task.semaphore(0)
    local first, second = task.spawn(slots.acquire, slots), task.spawn(slots.acquire, slots)
    task.yield()
    slots:release()
    first:cancel()
    first:join()
    assert.equal("cancelled", first.status)
    assert.is_table((task.timeout(1, second.join, second)))
    local third = task.spawn(slots.acquire, slots)
    task.yield()
    slots:release()
    third:cancel()
    third:join()
    assert.equal(1, slots.count)
  end)

  it("gives permits back once", function()
    local slots = task.semaphore(1)
    do
      local permit <close> = slots:acquire()
      permit:release()
      permit:release()
    end
    assert.equal(1, slots.count)
    for _, value in ipairs {-1, 1.5, "x", {}} do
      assert.is_false(pcall(task.semaphore, value))
    end
    assert.is_false(pcall(task.semaphore))
  end)
end)

describe("task.mutex", function()
  it("lets one task in, and passes on in order", function()
    local m = task.mutex()
    local order, inside = {}, 0
    task.scope(function(s)
      for i = 1, 5 do
        s:spawn(function()
          local _ <close> = m:lock()
          inside = inside + 1
          assert(inside == 1 and m.owner == task.current())
          order[#order + 1] = i
          task.sleep(0.0005)
          inside = inside - 1
        end)
      end
    end)
    assert.same({1, 2, 3, 4, 5}, order)
    assert.is_nil(m.owner)
  end)

  it("is not taken between its handing over and the next owner's turn", function()
    local m = task.mutex()
    local order = {}
    m:lock()
    task.scope(function(s)
      s:spawn(function()
        local _ <close> = m:lock()
        order[#order + 1] = "waiter"
      end)
      task.yield()
      m:unlock()
      local _ <close> = m:lock()
      order[#order + 1] = "latecomer"
    end)
    assert.same({"waiter", "latecomer"}, order)
  end)

  it("is unlocked by the <close> of a task that is cancelled or fails (L1)", function()
    local m = task.mutex()
    local holder = task.spawn(function()
      local _ <close> = m:lock()
      task.sleep(10)
    end)
    task.yield()
    local next_one = task.spawn(function()
      local _ <close> = m:lock()
      return "got it"
    end)
    task.yield()
    holder:cancel()
    assert.equal("got it", next_one:join())
    failure_of(function(s)
      s:spawn(function()
        local _ <close> = m:lock()
        error "inside"
      end)
    end)
    local lock <close> = m:lock()
    assert.is_table(lock)
  end)

  it("survives a waiter that is cancelled, before or after it was handed over (L1)", function()
    local m = task.mutex()
    for _, when in ipairs {"before", "after"} do
      m:lock()
      local waiter = task.spawn(function()
        local _ <close> = m:lock()
        task.yield()
      end)
      task.yield()
      if when == "before" then
        waiter:cancel()
        m:unlock()
      else
        m:unlock()
        waiter:cancel()
      end
      waiter:join()
      assert.equal("cancelled", waiter.status)
      local lock <close> = task.timeout(1, m.lock, m)
      assert.is_table(lock)
    end
  end)

  it("goes to the next one where the first is cancelled before it runs", function()
    local m = task.mutex()
    m:lock()
    local first, second = task.spawn(m.lock, m), task.spawn(m.lock, m)
    task.yield()
    m:unlock()
    first:cancel()
    first:join()
    assert.equal("cancelled", first.status)
    assert.is_table((task.timeout(1, second.join, second)))
  end)

  it("raises for a second lock by its owner, and an unlock by another", function()
    local m = task.mutex()
    assert.is_false(pcall(m.unlock, m))
    do
      local _ <close> = m:lock()
      assert.is_false(pcall(m.lock, m))
      local ok = task.spawn(pcall, m.unlock, m):join()
      assert.is_false(ok)
      m:unlock()
      m:lock()
    end
    assert.equal(task.current(), m.owner) -- the first lock is not this one
    m:unlock()
  end)
end)

describe("task.event", function()
  it("wakes all, and keeps nobody who comes later", function()
    local e = task.event()
    local n = 0
    task.scope(function(s)
      for _ = 1, 3 do
        s:spawn(function()
          e:wait()
          n = n + 1
        end)
      end
      task.yield()
      assert.equal(0, n)
      e:set()
      e:set()
    end)
    assert.equal(3, n)
    assert.is_true(e.is_set)
    e:wait()
    e:clear()
    assert.equal("ETIMEDOUT", select(2, task.timeout(0.001, e.wait, e)).code)
  end)

  it("wakes those who waited, even if it is cleared before their turn", function()
    local e = task.event()
    local woken
    local t = task.spawn(function()
      e:wait()
      woken = true
    end)
    task.yield()
    e:set()
    e:clear()
    t:join()
    assert.is_true(woken)
  end)
end)

describe("task.sleep", function()
  it("is never early (I10)", function()
    math.randomseed(1)
    task.scope(function(s)
      for _ = 1, stress and 20 or 500 do
        s:spawn(function()
          local seconds = math.random() * 0.03
          local start = time.now()
          task.sleep(seconds)
          assert(time.now() - start >= seconds)
        end)
      end
    end)
  end)

  it("wakes in the order of the deadlines, whoever slept first (I10)", function()
    local order = {}
    local start = time.now() + (stress and 0.5 or 0.05)
    task.scope(function(s)
      for _, tens in ipairs {9, 2, 14, 7, 1, 12, 4, 11, 5, 3, 13, 8, 10, 6} do
        s:spawn(function()
          task.sleep(start + tens * 0.01 - time.now())
          order[#order + 1] = tens
        end)
      end
    end)
    assert.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, order)
  end)

  it("of 0 is a yield", function()
    local turn
    task.spawn(function() turn = true end)
    task.sleep(0)
    assert.is_true(turn)
    task.sleep(-1)
    task.sleep(-math.huge)
  end)
end)

describe("a deadlock", function()
  it("is reported with who waits where for what, and ends the program", function()
    local result = run [[
      local c = task.channel()
      local worker = task.spawn(function()
        local guard <close> = setmetatable({}, {__close = function() print "closed" end})
        c:recv()
      end)
      worker.name = "worker"
      task.scope(function(s)
        s:spawn(function() task.event():wait() end)
        worker:join()
      end)
    ]]
    assert.equal("closed\n", result.stdout)
    assert.equal(1, result.code)
    local lines = {}
    for line in result.stderr:gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    assert.same({
      "neap: deadlock: 3 tasks wait, and nothing can wake them",
      '  task 2 "worker" spawned at (command line):2 waits for channel recv at (command line):4',
      '  task 1 "main" waits for join at (command line):9',
      "  task 3 spawned at (command line):8 waits for event at (command line):8",
    }, lines)
  end)

  it("in the cleaning up after it does not hang", function()
    local result = run [[
      local guard <close> = setmetatable({}, {__close = function()
        task.shield(function() task.channel():recv() end)
      end})
      task.event():wait()
    ]]
    assert.equal(1, result.code)
    assert.equal(1, count_lines(result.stderr, "deadlock"))
  end)

  it("is none while somebody sleeps or a socket may speak", function()
    local result = run [[
      local e = task.event()
      task.spawn(function()
        task.sleep(0.02)
        e:set()
      end)
      e:wait()
      local l <close> = assert(net.listen "tcp://127.0.0.1:0")
      task.spawn(function()
        local s <close> = l:accept()
      end)
      local s <close> = net.connect("tcp://127.0.0.1:" .. l.port)
      s:recv()
      print "no deadlock"
    ]]
    assert.same({stdout = "no deadlock\n", stderr = "", code = 0}, result)
  end)
end)

describe("an error that nobody handles", function()
  it("is reported once, with its traceback and where its task was spawned (J5)", function()
    local result = run [[
      local function thrower()
        error "thrown"
      end
      local t = task.spawn(function()
        task.yield()
        thrower()
      end)
      t.name = "bad one"
      local guard <close> = setmetatable({}, {__close = function() print "closed" end})
      t:join()
    ]]
    assert.equal("closed\n", result.stdout)
    assert.equal(1, result.code)
    assert.matches("^neap: %(command line%):2: thrown\nstack traceback:\n", result.stderr)
    assert.matches("%(command line%):2: in upvalue 'thrower'", result.stderr)
    assert.matches('\ntask 2 "bad one" spawned at %(command line%):4\n$', result.stderr)
    assert.equal(1, count_lines(result.stderr, "^neap:"))
  end)

  it("is told whatever its type (J4)", function()
    local result = run [[
      local hostile = setmetatable({}, {__tostring = function() error "inner" end})
      local odd = setmetatable({}, {__tostring = function() return 1 end})
      local fine = setmetatable({}, {__tostring = function() return "fine" end})
      task.scope(function(s)
        for i, e in ipairs {"text", 42, {}, print, hostile, odd, fine, io.stdout, "a\0b"} do
          s:serve(function() error(e, 0) end, {})
        end
        s:serve(function() error(nil) end, {})
        s:serve(function() error() end, {})
      end)
      print "alive"
    ]]
    assert.equal("alive\n", result.stdout)
    assert.equal(0, result.code)
    local told = {}
    for text in result.stderr:gmatch "neap: ([^\n]*)" do
      told[#told + 1] = text:gsub("0x%x+", "ADDRESS")
    end
    assert.same({
      "text", "42", "(error object is a table value)", "(error object is a function value)",
      "(error object is a table value)", "1", "fine",
      "file (ADDRESS)", "a\\x00b", "(error object is a nil value)", "(error object is a nil value)",
    }, told)
  end)

  it("keeps its first traceback through scopes, timeouts and shields", function()
    local result = run [[
      local function origin()
        task.sleep(0)
        local x = nil + 1
      end
      local function wrapped()
        task.timeout(1, task.shield, task.scope, function(s)
          s:spawn(origin)
        end)
      end
      task.scope(function(s)
        s:spawn(wrapped)
        task.sleep(10)
      end)
    ]]
    assert.equal(1, result.code)
    assert.equal(1, count_lines(result.stderr, "^neap:"), result.stderr)
    assert.matches("^neap: %(command line%):3: attempt to perform arithmetic", result.stderr)
    assert.matches("\n\t%(command line%):3: in function <%(command line%):1>", result.stderr)
    assert.matches(":7\ntask 2 spawned at %(command line%):11\ntask 1 \"main\"\n$",
      result.stderr)
  end)

  it("has not the traceback of an equal one that was handled", function()
    local result = run [[
      local function handled()
        error("same", 0)
      end
      local function unhandled()
        error("same", 0)
      end
      pcall(task.timeout, 1, handled)
      task.timeout(1, unhandled)
    ]]
    assert.equal(1, result.code)
    assert.matches("in function <%(command line%):4>", result.stderr)
    assert.not_matches("<%(command line%):1>", result.stderr)
  end)

  it("brings the others of its scope along (I15)", function()
    local result = run [[
      task.scope(function(s)
        for i = 1, 3 do
          s:spawn(function()
            local c <close> = setmetatable({}, {__close = function() error("late " .. i) end})
            task.sleep(10)
          end)
        end
        task.sleep(0)
        error "first"
      end)
    ]]
    assert.equal(1, result.code)
    assert.matches("^neap: %(command line%):9: first\n", result.stderr)
    for i = 1, 3 do
      assert.equal(1, count_lines(result.stderr, "^and: %(command line%):4: late " .. i))
    end
    assert.equal(1, count_lines(result.stderr, "^neap: "))
  end)

  it("of a thousand tasks is told briefly", function()
    local result = run [[
      task.scope(function(s)
        for i = 1, 1000 do
          s:spawn(function()
            pcall(task.sleep, 10)
            error "failed"
          end)
        end
        task.yield()
        error "body"
      end)
    ]]
    assert.equal(1, result.code)
    assert.is_true(#result.stderr < 10000)
  end)

  it("is one of those handed to pcall: the program goes on", function()
    local ok, err = task.spawn(pcall, error, "handled", 0):join()
    assert.is_false(ok)
    assert.equal("handled", err)
  end)

  it("in a __gc is a warning, in __close and __index the task's failure (J5)", function()
    local result = run [[
      warn "@on"
      setmetatable({}, {__gc = function() error "collected" end})
      collectgarbage()
      local t1 = task.spawn(pcall, function()
        local x <close> = setmetatable({}, {__close = function() error "closing" end})
      end)
      local t2 = task.spawn(pcall, function()
        return setmetatable({}, {__index = function() error "indexed" end}).x
      end)
      print(select(2, t1:join()))
      print(select(2, t2:join()))
    ]]
    assert.equal("(command line):5: closing\n(command line):8: indexed\n", result.stdout)
    assert.equal("Lua warning: error in __gc ((command line):2: collected)\n",
      (result.stderr:gsub("\n[^\n]+$", "\n")))
    assert.equal(0, result.code)
  end)
end)

describe("the program", function()
  it("goes on until all its tasks have ended (I18)", function()
    local result = run [[
      task.spawn(function()
        task.sleep(0.01)
        print "second"
        task.spawn(function()
          task.sleep(0.01)
          print "third"
        end)
      end)
      print "first"
    ]]
    assert.same({stdout = "first\nsecond\nthird\n", stderr = "", code = 0}, result)
  end)

  it("fails with any of its tasks, the others being cancelled (I18)", function()
    local result = run [[
      task.spawn(function()
        local c <close> = setmetatable({}, {__close = function()
          task.shield(task.sleep, 0.01)
          print "closed"
        end})
        task.sleep(10)
      end)
      task.spawn(function()
        task.sleep(0.001)
        error "failed"
      end)
    ]]
    assert.equal("closed\n", result.stdout)
    assert.equal(1, result.code)
    assert.equal(1, count_lines(result.stderr, "failed"))
  end)

  it("tells who joins the task that failed it why", function()
    for value, told in pairs {
      ["'text'"] = "text\n",
      ["require 'neap.error'.new {code = 'EPROTO', message = 'object'}"] =
        "object (EPROTO)\nstack traceback:\n",
    } do
      local result = run([[
        local t = task.spawn(function()
          task.sleep(0.001)
          error(]] .. value .. [[, 0)
        end)
        local ok, err = pcall(t.join, t)
        print(ok, err)
        print(err.cause)
        print(type(err.cause) == "table" and err.cause.traceback)
      ]])
      assert.equal("false\tcancelled (ECANCELED)\n" .. told,
        result.stdout:sub(1, 28 + #told))
      assert.equal(1, result.code)
    end
  end)

  it("does not fail with a task that is cancelled (I18)", function()
    local result = run [[
      local t = task.spawn(task.sleep, 10)
      task.yield()
      t:cancel()
      print(t:join())
      task.current():cancel()
      task.yield()
    ]]
    assert.same({stdout = "nil\tcancelled (ECANCELED)\n", stderr = "", code = 0}, result)
  end)

  it("runs no more Lua once it has closed its state (J14)", function()
    local result = run [[
      local l = assert(net.listen "tcp://127.0.0.1:0")
      local c = assert(net.connect("tcp://127.0.0.1:" .. l.port))
      local s = assert(l:accept())
      for _, wait in ipairs {
        function() l:accept() end,
        function() c:recv() end,
        function() s:read "l" end,
        function() task.sleep(100) end,
        function() process.run {"sleep", "0.01"} task.sleep(100) end,
        function() net.resolve "localhost" task.sleep(100) end,
      } do
        task.spawn(function()
          local g <close> = setmetatable({}, {__close = function() print "no" end})
          wait()
        end)
      end
      setmetatable({}, {__gc = function() print "finalizer" end})
      task.sleep(0.005)
      os.exit(4, true)
    ]]
    assert.same({stdout = "finalizer\n", stderr = "", code = 4}, result)
  end)
end)

describe("SIGINT and SIGTERM", function()
  local function start(script)
    local p = assert(process.spawn {neap, "-e", script, stdout = "pipe", stderr = "pipe"})
    assert.equal("ready", p.stdout:read "l")
    return p
  end

  for name, status in pairs {SIGINT = 130, SIGTERM = 143} do
    it(name .. " cancels all tasks, and every <close> may still wait", function()
      local p <close> = start [[
        for i = 1, 3 do
          task.spawn(function()
            local g <close> = setmetatable({}, {__close = function(_, err)
              task.shield(task.sleep, 0.005 * i)
              print("closed " .. i, err.message)
            end})
            task.scope(function(s) s:spawn(task.sleep, 10) end)
          end)
        end
        task.spawn(function()
          print "ready"
          io.stdout:flush()
        end)
      ]]
      task.sleep(0.01)
      assert.is_true(p:kill(name))
      local reason = name == "SIGINT" and "interrupted" or "terminated"
      for i = 1, 3 do
        assert.equal(("closed %d\t%s"):format(i, reason), p.stdout:read "l")
      end
      assert.equal("", p.stderr:read "a")
      assert.equal(status, (p:wait()))
    end)
  end

  it("end it at once the second time, whatever it does", function()
    for _, busy in ipairs {
      "while true do end",
      "task.shield(task.sleep, 10)",
      "coroutine.wrap(function() while true do pcall(error) end end)()",
    } do
      local p <close> = start("print 'ready' io.stdout:flush() " .. busy)
      assert.is_true(p:kill "SIGTERM")
      task.sleep(0.03)
      assert.equal("running", p.status, busy)
      assert.is_true(p:kill "SIGTERM")
      assert.equal(143, (p:wait()), busy)
    end
  end)

  it("end what catches them again and again, after the others, and tell it once", function()
    for _, loop in ipairs {
      "pcall(function() task.sleep(1) error 'transient' end)",
      "xpcall(task.yield, print)",
      "coroutine.resume(coroutine.create(task.sleep), 0)",
      "pcall(task.timeout, 1, task.sleep, 1)",
      "pcall(task.scope, function() task.sleep(1) end)",
      "pcall(c.send, c, 1)",
    } do
      local p <close> = start([[
        task.spawn(function()
          local g <close> = setmetatable({}, {__close = function()
            task.shield(task.sleep, 0.001)
            print "other closed"
          end})
          task.sleep(10)
        end)
        local c = task.channel(1)
        local function again(f)
          local g <close> = setmetatable({}, {__close = function()
            print "closed"
          end})
          while true do f() end
        end
        task.yield()
        print "ready"
        io.stdout:flush()
        again(function()
          ]] .. loop .. [[

        end)
      ]])
      assert.is_true(p:kill "SIGTERM")
      local out, told = task.timeout(20, function()
        return p.stdout:read "a", p.stderr:read "a"
      end)
      assert.is_string(out, loop)
      out = out:gsub("[^\n]*terminated[^\n]*\n", "") -- by xpcall's print
      assert.equal("closed\nother closed\n", (out:gsub("^other closed\n(.*)", "%1other closed\n")), loop)
      assert.equal(1, count_lines(told, "."), told)
      assert.matches(":%d+: goes on though it was told to end: .*%(task %d+ \"main\"%)\n$", told)
      assert.equal(143, (p:wait()), loop)
    end
  end)

  it("leave a clean-up alone that catches many of its waits", function()
    local p <close> = start [[
      print "ready"
      io.stdout:flush()
      pcall(task.sleep, 10)
      for _ = 1, 150 do
        pcall(task.sleep, 10)
      end
      print "cleaned up"
    ]]
    assert.is_true(p:kill "SIGTERM")
    assert.equal("cleaned up\n", p.stdout:read "a")
    assert.equal("", p.stderr:read "a")
    assert.equal(143, (p:wait()))
  end)

  it("leave a failure in the cleaning up to be told", function()
    local p <close> = start [[
      task.spawn(function()
        local g <close> = setmetatable({}, {__close = function() error "not clean" end})
        task.sleep(10)
      end)
      task.yield()
      print "ready"
      io.stdout:flush()
      task.sleep(10)
    ]]
    assert.is_true(p:kill "SIGTERM")
    assert.matches("not clean", p.stderr:read "a")
    assert.equal(143, (p:wait()))
  end)
end)

describe("whatever is called with whatever", function()
  it("raises or answers, and harms nothing (O1, O5)", function()
    local core = require "neap.task.core"
    local cycle = {}
    cycle[1] = cycle
    local closed = io.tmpfile()
    closed:close()
    local values = {
      true, false, 0, -1, 1, 2 ^ 31, 1 << 31, 2 ^ 53, math.maxinteger, math.mininteger, 0 / 0,
      math.huge, -math.huge, 1.5, "", "\0", "a\0b", "1", ("x"):rep(stress and 1 << 12 or 1 << 18), {}, cycle,
      function() end, coroutine.create(function() end), io.stdout, closed, task.current(),
      task.channel(), task.mutex(), task.semaphore(1), task.event(), core.queue "spec",
      task.spawn(function() end), {function() end}, setmetatable({}, {__index = error, __len = error}),
    }
    local count = #values + 1 -- and nil
    local functions = {}
    local function collect(from)
      for name, value in pairs(from) do
        if type(value) == "function" and name ~= "cancel" then
          functions[#functions + 1] = value
        end
      end
    end
    collect(task)
    collect(core)
    collect(time)
    collect(coroutine)
    collect(require "neap.error")
    collect(require "neap.host")
    for _, value in ipairs(values) do
      local meta = getmetatable(value)
      if meta and type(meta) == "table" and tostring(meta.__name):find "^neap" then
        collect(meta)
        if type(meta.__index) == "table" then
          collect(meta.__index)
        end
      end
    end
    functions[#functions + 1] = task.current().join
    for _, verb in ipairs {"spawn", "serve", "wait", "live", "cancel", "__close"} do
      functions[#functions + 1] = function(...)
        local arguments = table.pack(...)
        task.scope(function(s)
          s[verb](s, table.unpack(arguments, 1, arguments.n))
        end)
      end
    end
    assert.is_true(#functions > 50)
    math.randomseed(5)
    for _, f in ipairs(functions) do
      for first = 1, count do
        for _ = 1, stress and 1 or 3 do
          local a, b, c = values[first], values[math.random(count)], values[math.random(count)]
          local n = math.random(4)
          task.timeout(0, pcall, task.scope, function(s)
            s:spawn(f, table.unpack({a, b, c}, 1, n - 1))
          end)
        end
      end
    end
    task.yield()
  end)
end)
