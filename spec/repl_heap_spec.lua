-- The heap by type: `neap heap PID`, and what counts it.

local census = require "neap.census.core"
local child = require "spec.support.child"
local heap = require "neap.repl.heap"
local process = require "neap.process"
local task = require "neap.task"
local visited = require "spec.support.visited"

local env, make, remove = visited.folder()

setup(make)
teardown(remove)

--- What a count gives: name -> row.
local function counted()
  local counting <close> = census.new()
  while counting:step(1000) do
    task.yield()
  end
  local found = {}
  for _, row in ipairs(counting:result()) do
    found[row.name] = row
  end
  return found
end

describe("a census", function()
  --- How many more there are of a type while f's value is there, and how many bytes.
  local function more(name, f)
    local before = counted()[name] or {count = 0, bytes = 0}
    local keep = f()
    local after = counted()[name]
    assert(keep)
    return after.count - before.count, after.bytes - before.bytes
  end

  local function is_about(n, found)
    assert(found >= n and found < n * 1.02 + 20, found)
  end

  it("counts strings, also equal ones that are two, by their size", function()
    local count, bytes = more("string", function()
      local list = {}
      for i = 1, 1000 do
        list[i] = ("x"):rep(1000)
      end
      return list
    end)
    is_about(1000, count)
    is_about(1025000, bytes)
  end)

  it("counts tables with what is in them", function()
    local count, bytes = more("table", function()
      local list = {}
      for i = 1, 1000 do
        list[i] = {1, 2, 3, 4, a = 1, b = 2}
      end
      return list
    end)
    is_about(1001, count)
    is_about(1000 * (56 + 4 * 16 + 2 * 24), bytes - 16 * 1000)
  end)

  it("reaches upvalues, locals of tasks, user values, metatables and keys", function()
    local Marked = {}
    local function mark()
      return setmetatable({}, Marked)
    end
    local waiting = task.event()
    local count = more("table", function()
      local up, kept = mark(), {[mark()] = true}
      local background = task.spawn(function(...)
        local local_one = mark()
        waiting:wait()
        return local_one, ...
      end, mark())
      local suspended = coroutine.create(function(one)
        coroutine.yield()
        return one
      end)
      coroutine.resume(suspended, mark())
      task.yield()
      setmetatable(kept, {mark()})
      return {function() return up, suspended, background, kept end}
    end)
    -- The six marks, the list, kept and its metatable.
    assert(count >= 9 and count < 30, count)
    waiting:set()
  end)

  it("counts threads, and userdata by class", function()
    local count = more("thread", function()
      local list = {}
      for i = 1, 100 do
        list[i] = coroutine.create(print)
      end
      return list
    end)
    is_about(100, count)
    count = more("neap.Task", function()
      local list = {}
      for i = 1, 100 do
        list[i] = task.spawn(task.yield)
      end
      return list
    end)
    is_about(100, count)
  end)

  it("does not count what only weak tables hold", function()
    local keep = setmetatable({}, {__mode = "v"})
    local before = counted().table.count
    for i = 1, 1000 do
      keep[i] = {}
    end
    assert(counted().table.count < before + 100)
    assert(#keep >= 0)
  end)

  it("does not look at all of a deep recursion, which would take long", function()
    local function deep(n)
      if n == 0 then
        coroutine.yield()
        return 0
      end
      return 1 + deep(n - 1)
    end
    local co = coroutine.create(deep)
    coroutine.resume(co, 150000)
    local before = os.clock()
    counted()
    assert(os.clock() - before < 5, os.clock() - before) -- of all: half a minute
    assert.equal("suspended", coroutine.status(co))
  end)

  it("may be left in its midst", function()
    local counting = census.new()
    assert.is_true(counting:step(10))
    counting = nil -- luacheck: ignore
    collectgarbage()
  end)
end)

describe("neap heap", function()
  it("prints them with the largest first", function()
    local p <close> = visited.start(env(), [[
      local list = {}
      for i = 1, 3000 do list[i] = ("y"):rep(1000) .. i end
      print "up" io.stdout:flush()
      task.sleep(60)
      print(#list)
    ]])
    local result = assert(process.run {child.neap, "heap", tostring(p.pid), env = env()})
    assert.equal(0, result.code, result.stderr)
    assert.matches("^TYPE +COUNT +SIZE\nstring +%d+ +[%d.]+ MiB\n", result.stdout)
    assert.matches("\nneap.Task +%d+ +%d", result.stdout)
    assert.matches("\nall of Lua's memory +[%d.]+ MiB\n$", result.stdout)
  end)

  it("says sizes as people do", function()
    assert.equal("1023 B", heap.bytes(1023))
    assert.equal("1.0 KiB", heap.bytes(1024))
    assert.equal("1.5 MiB", heap.bytes(1.5 * 1024 * 1024))
    assert.equal("2048.0 GiB", heap.bytes(2 ^ 41))
  end)
end)
