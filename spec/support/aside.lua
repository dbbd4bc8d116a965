--- A task beside a test: what fails in it fails who joins it, and not the whole
--- run of the specs, as a task of the root scope would.

local task = require "neap.task"

local Aside = {}

function Aside.__index(self, name)
  return Aside[name] or self.task[name]
end

--- The results of its function; raises what that raised.
function Aside:join()
  local results = table.pack(self.task:join())
  if results[1] == true then
    return table.unpack(results, 2, results.n)
  end
  error(results[2], 0)
end

function Aside:cancel(reason)
  self.task:cancel(reason)
end

--- Run f(...) in a task.
return function(f, ...)
  return setmetatable({task = task.spawn(pcall, f, ...)}, Aside)
end
