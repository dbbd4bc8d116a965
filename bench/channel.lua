-- usage: neap bench/channel.lua [count]    values from task to task through a channel

local task = require "neap.task"
local time = require "neap.time"

local count = tonumber(... or 1000000)

for _, capacity in ipairs { 1, 10, 1000 } do
  local channel = task.channel(capacity)
  local start = time.now()
  task.spawn(function()
    for i = 1, count do
      channel:send(i)
    end
    channel:close()
  end)
  local sum = 0
  for value in channel:each() do
    sum = sum + value
  end
  assert(sum == count * (count + 1) // 2)
  print(("capacity %4d: %.2f s for %d values"):format(capacity, time.now() - start, count))
end
