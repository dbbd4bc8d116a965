-- Runs specs in a simulated host: spec/simulated/world.lua.

local sim = require "neap.sim"

local seed = math.tointeger(tonumber(arg[1])) or error "a seed, and specs expected"
local ok, err = sim.run("spec/simulated/world.lua", {
  seed = seed, order = "fifo", whole = true, args = {table.unpack(arg, 2)},
})
if not ok then
  io.stderr:write(tostring(err), "\n")
  os.exit(1)
end
