-- usage: neap sim scripts/sim/leases.lua --seeds 50
--        neap sim scripts/sim/leases.lua --seeds 50 mended
--
-- Three workers (worker.lua) that count on in a store, one at a time, for a lock service
-- (lock.lua) gives each a lease. Meanwhile they crash, and their clocks are moved. A number
-- that is written twice is one that two of them have counted at once.

local sim = require "neap.sim"
local task = require "neap.task"

local mended = ... == "mended"
local folder = arg[0]:match "^.*/" or ""

sim.host("lock", folder .. "lock.lua")

sim.host("store", function()
  local net = require "neap.net"

  local number, by = 0, "nobody"
  assert(net.listen "tcp://*:7000"):serve(function(stream)
    local line = stream:read() or ""
    local new, name = line:match "^write (%d+) (%S+)$"
    if new and math.tointeger(new) ~= number + 1 then
      print(("%s writes %s, and %s has written that before"):format(name, new, by))
      os.exit(1)
    elseif new then
      number, by = number + 1, name
    end
    stream:write(number, "\n")
  end)
end)

local workers = {"w1", "w2", "w3"}
for _, name in ipairs(workers) do
  -- Some parts in a million: no two clocks run alike.
  sim.host(name, folder .. "worker.lua", {
    args = mended and {"--elapsed", name} or {name}, drift = sim.random(-200, 200),
  })
end

sim.client("watch", function()
  task.sleep(300)
end)

local all = {"lock", table.unpack(workers)}
sim.chaos {hosts = all, kinds = {"skew", "crash"}, skew = 3, lasts = {1, 30}}
