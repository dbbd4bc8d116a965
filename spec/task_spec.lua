-- A task's life; what is passed to it, and what comes back.

local task = require "neap.task"
local time = require "neap.time"
local child = require "spec.support.child"
local failure_of = require "spec.support.tasks".failure_of

local stress = child.stress

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
      for n = 0, 300, (stress or child.kind == "check") and 7 or 1 do
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
