-- usage: neap bench/bus.lua [-n messages] [-r rounds]
--
-- NATS: neap's bus beside npm's `nats` (NODE_PATH says where that is: `npm install nats`). One
-- process publishes messages of 64 bytes by one connection and takes them by another; then asks and
-- answers itself, 32 at a time. Both go by the same nats-server, and take turns. Printed are the
-- medians: how many a second, and the microseconds of the client's processor for each.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local folder = arg[0]:match "^(.*)/" or "."
local options = {n = 200000, r = 5}
for i = 1, #arg, 2 do
  local name = assert(arg[i]:match "^%-([nr])$", "-n or -r expected")
  options[name] = math.tointeger(assert(tonumber(arg[i + 1]), "a number expected"))
end

local clients = {
  {name = "neap", command = {arg[-1], folder .. "/peers/bus_neap.lua"}},
  {name = "node, npm's nats", command = {"node", folder .. "/peers/bus_node.js"}},
}

local port
do
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  port = listener.port
end
local env = process.env()
env.PATH = env.PATH .. ":/usr/sbin"
local _ <close> = assert(process.spawn {"nats-server", "-a", "127.0.0.1", "-p", tostring(port),
  stdout = "null", stderr = "null", env = env, grace = 0})
repeat
  task.sleep(0.01)
  local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
until stream

for _ = 1, options.r do
  for _, client in ipairs(clients) do
    local command = table.move(client.command, 1, #client.command, 1, {})
    command[#command + 1], command[#command + 2] = "nats://127.0.0.1:" .. port, tostring(options.n)
    local result = process.run(command)
    for what, rate, cost in (result and result.code == 0 and result.stdout or ""):gmatch "(%a+)\t(%S+)\t(%S+)" do
      client[what] = client[what] or {}
      table.insert(client[what], {tonumber(rate), tonumber(cost)})
    end
  end
end

local function median(list, i)
  table.sort(list, function(a, b) return a[i] < b[i] end)
  return list[#list // 2 + 1][i]
end

for _, what in ipairs {"messages", "requests"} do
  for _, client in ipairs(clients) do
    local list = client[what]
    print(list and ("%s, %s: %.0f/s, %.1f us each"):format(what, client.name, median(list, 1), median(list, 2))
      or what .. ", " .. client.name .. ": it does not run here")
  end
end
