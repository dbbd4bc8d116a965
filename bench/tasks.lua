-- usage: neap bench/tasks.lua [count]    what tasks cost: memory asleep, time to spawn and join

-- Each measurement is a process of its own: what one leaves in the allocator
-- would be in the other's figures.

local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local nothing = function() end
local measure = {}

local function resident()
  for line in io.lines "/proc/self/status" do
    local kib = line:match "^VmRSS:%s+(%d+) kB"
    if kib then
      return tonumber(kib) * 1024
    end
  end
end

function measure.asleep(count, seconds)
  seconds = seconds or 10
  local before, start = resident(), time.now()
  task.scope(function(scope)
    for _ = 1, count do
      scope:spawn(task.sleep, seconds)
    end
    task.yield()
    print(("asleep: %.0f bytes of resident memory a task, %.2f s to start"):format(
      (resident() - before) / count, time.now() - start))
  end)
  print(("asleep for %d s: all had ended after %.2f s"):format(seconds, time.now() - start))
end

function measure.one_by_one(count)
  local start = time.now()
  for _ = 1, count do
    task.spawn(nothing):join()
  end
  print(("spawn and join one by one: %.2f s"):format(time.now() - start))
end

function measure.all_at_once(count)
  local start, tasks = time.now(), {}
  for i = 1, count do
    tasks[i] = task.spawn(nothing)
  end
  for i = 1, count do
    tasks[i]:join()
  end
  print(("spawn all, then join all: %.2f s"):format(time.now() - start))
end

function measure.scope(count)
  local start = time.now()
  task.scope(function(scope)
    for _ = 1, count do
      scope:spawn(nothing)
    end
  end)
  print(("spawn all into a scope: %.2f s"):format(time.now() - start))
end

local name, count = arg[1], tonumber(arg[2] or arg[1] or 1000000)
if measure[name] then
  measure[name](count, tonumber(arg[3]))
else
  print(("%d tasks"):format(count))
  for _, each in ipairs { "one_by_one", "all_at_once", "scope", "asleep" } do
    local child = assert(process.spawn { arg[-1], arg[0], each, tostring(count) })
    assert(child:wait() == 0)
  end
end
