-- usage: neap sim scripts/sim/members.lua --seeds 50
--        neap sim scripts/sim/members.lua --seeds 50 mended
--
-- A group of three to five members (member.lua) on a network that is cut and healed. When it
-- has been whole for a minute, everybody is to know everybody.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"

local mended = ... == "mended"
local script = arg[0]:gsub("members%.lua$", "member.lua")

local names = {}
for i = 1, sim.random(3, 5) do
  names[i] = "m" .. i
end

for i, name in ipairs(names) do
  local words = {name}
  table.move(names, 1, i - 1, 2, words)
  table.move(names, i + 1, #names, i + 1, words)
  sim.host(name, script, {args = mended and {"--forgiving", table.unpack(words)} or words})
end

-- How many a member says there are, itself among them.
local function ask(name)
  local line = task.timeout(2, function()
    local stream <close> = net.connect(("tcp://%s:7000"):format(name))
    return stream and stream:read()
  end)
  return line and select(2, line:gsub("%S+", ""))
end

sim.client("watch", function()
  task.sleep(120)
end)

sim.link {latency = {0.001, 0.050}, loss = 0.05}
sim.chaos {every = {2, 10}, lasts = {1, 20}, kinds = {"partition", "crash", "pause"}}

local left = false
sim.every(1, function()
  left = left or (ask "m1" or #names) < #names
end)
sim.sometimes("somebody leaves", function()
  return left
end)

sim.eventually("everybody knows everybody", 60, function()
  for _, name in ipairs(names) do
    local n = ask(name)
    if n ~= #names then
      return false, ("%s knows of %s of %d"):format(name, n or "none", #names)
    end
  end
  return true
end)
