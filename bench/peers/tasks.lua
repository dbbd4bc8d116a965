-- tasks [COUNT]: what starting a task, and switching to the next, takes: in neap, or for coroutines in plain Lua

local count = tonumber(arg[1] or 200000)

if not pcall(require, "neap.task") then
  local clock = os.clock
  local start = clock()
  for _ = 1, count do
    local co = coroutine.create(function() end)
    coroutine.resume(co)
  end
  local spawn = (clock() - start) / count
  local function yielding()
    while true do
      coroutine.yield()
    end
  end
  local a, b = coroutine.create(yielding), coroutine.create(yielding)
  start = clock()
  for _ = 1, count do
    coroutine.resume(a)
    coroutine.resume(b)
  end
  print(("%.1f %.1f"):format(spawn * 1e9, (clock() - start) / count / 2 * 1e9))
  return
end

local task = require "neap.task"
local time = require "neap.time"

local start = time.now()
for _ = 1, count / 1000 do
  task.scope(function(scope)
    for _ = 1, 1000 do
      scope:spawn(function() end)
    end
  end)
end
local spawn = (time.now() - start) / count
start = time.now()
task.scope(function(scope)
  for _ = 1, 2 do
    scope:spawn(function()
      for _ = 1, count do
        task.yield()
      end
    end)
  end
end)
print(("%.1f %.1f"):format(spawn * 1e9, (time.now() - start) / count / 2 * 1e9))
