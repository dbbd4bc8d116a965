-- The program of `neap -w N`, in the main thread: N workers run the script. One
-- that fails is told of and started again, ever later when it fails at once; but where
-- the script does not even begin, that is the end.

local core = require "neap.worker.core"
local task = require "neap.task"
local time = require "neap.time"
require "neap.worker" -- core.await

local format, stderr = string.format, io.stderr

--- Seconds before a worker is started again; and how long one must have lived
--- for the next pause to be a short one.
local FIRST_PAUSE, LAST_PAUSE, LONG_LIFE = 0.1, 10, 10

local function keep(count, ...)
  local id
  local pause = FIRST_PAUSE
  while true do
    local begun = time.now()
    local w = assert(core.start(id, count, ...))
    id = w.id
    core.await(w)
    local _, err = w:results()
    if not err then
      return
    elseif not err.began then
      if err.code ~= "EWORKER" then -- it could tell nobody
        stderr:write(format("neap: %s\n", err))
      end
      os.exit(err.status, true)
    end
    if time.now() - begun > LONG_LIFE then
      pause = FIRST_PAUSE
    end
    stderr:write(format("neap: worker %d ended with status %d; it starts again in %g s\n", id,
      err.status, pause))
    task.sleep(pause)
    pause = math.min(pause * 2, LAST_PAUSE)
  end
end

return function(count, ...)
  local arguments = table.pack(...)
  task.scope(function(scope)
    for _ = 1, count do
      scope:spawn(keep, count, table.unpack(arguments, 1, arguments.n))
    end
  end)
end
