-- usage: neap bench/switches.lua [all|channel|future|select [count]]    a value given to a task that waits for it

local task = require "neap.task"
local time = require "neap.time"

local switches = {}

--- There and back, through two channels that hold one value.
function switches.channel(count)
  local there, back = task.channel(), task.channel()
  task.spawn(function()
    for value in there:each() do
      back:send(value)
    end
  end)
  for i = 1, count do
    there:send(i)
    back:recv()
  end
  there:close()
end

--- The same, by futures that are made for each value.
function switches.future(count)
  local there, back = task.future(), nil
  task.spawn(function()
    for _ = 1, count do
      local value = there:wait()
      there = task.future()
      back:set(value)
    end
  end)
  for i = 1, count do
    back = task.future()
    there:set(i)
    back:wait()
  end
end

--- The channels again, where both wait for the end, too.
function switches.select(count)
  local there, back, stop = task.channel(), task.channel(), task.event()
  task.spawn(function()
    local receiving, stopping = there:receiving(), stop:waiting()
    while true do
      local which, value = task.select(receiving, stopping)
      if which == 2 then
        return
      end
      back:send(value)
    end
  end)
  local receiving, stopping = back:receiving(), stop:waiting()
  for i = 1, count do
    there:send(i)
    task.select(receiving, stopping)
  end
  stop:set()
end

local which, count = arg[1] or "all", tonumber(arg[2] or 200000)
for _, name in ipairs(which == "all" and {"channel", "future", "select"} or {which}) do
  local start = time.now()
  switches[name](count)
  print(("%s: %.1f ns"):format(name, (time.now() - start) / count / 2 * 1e9))
end
