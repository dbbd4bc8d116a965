--- What each of one_clock.c's hosts runs: it sleeps three times so many hours, and
--- `tell`s the hour at which it is awake.

local task = require "neap.task"
local time = require "neap.time"

local hours, tell = ...

local began = time.now()

task.all {
  function()
    for _ = 1, 3 do
      task.sleep(hours * 3600)
      tell(math.tointeger((time.now() - began + 1) // 3600))
    end
  end,
  function()
    assert(select(2, task.timeout(3600, task.sleep, 7200)))
    assert(time.now() - began < 3601)
  end,
}

if hours == 24 then
  task.channel():recv() -- nobody will ever send
end
