-- The main program of a world's director: the world file, then the clients, then what must come
-- to hold.

local chaos = require "neap.sim.chaos"
local checks = require "neap.sim.checks"
local core = require "neap.sim.core"
local hosts = require "neap.sim.hosts"

return function(program, ...)
  if core.limit() then
    hosts.limit(core.limit())
  end
  program(...)
  hosts.finish()
  chaos.stop()
  checks.finish()
  if #hosts.all > 0 then
    core.finish()
  end
end
