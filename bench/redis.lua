-- usage: neap bench/redis.lua [-n commands] [-r rounds]
--
-- Redis: neap's client beside npm's `ioredis` and `redis` (NODE_PATH says where those are: `npm
-- install ioredis redis`). GET of 64 bytes: one at a time, by 50 tasks at once, and 100 in a
-- pipeline. All go to the same redis-server, and take turns. Printed are the medians: how many a
-- second, and the microseconds of the client's processor for each.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local folder = arg[0]:match "^(.*)/" or "."
local options = {n = 100000, r = 5}
for i = 1, #arg, 2 do
  local name = assert(arg[i]:match "^%-([nr])$", "-n or -r expected")
  options[name] = math.tointeger(assert(tonumber(arg[i + 1]), "a number expected"))
end

local clients = {
  {name = "neap", command = {arg[-1], folder .. "/peers/redis_neap.lua"}},
  {name = "node, ioredis", command = {"node", folder .. "/peers/redis_node.js", "ioredis"}},
  {name = "node, redis", command = {"node", folder .. "/peers/redis_node.js", "redis"}},
}

local port
do
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  port = listener.port
end
local _ <close> = assert(process.spawn {"redis-server", "--bind", "127.0.0.1", "--port", tostring(port), "--save", "",
  "--dir", "/", stdout = "null", stderr = "null", grace = 0})
repeat
  task.sleep(0.01)
  local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
until stream

for _ = 1, options.r do
  for _, client in ipairs(clients) do
    local command = table.move(client.command, 1, #client.command, 1, {})
    command[#command + 1], command[#command + 2] = "redis://127.0.0.1:" .. port, tostring(options.n)
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

for _, what in ipairs {"single", "together", "pipeline"} do
  for _, client in ipairs(clients) do
    local list = client[what]
    print(list and ("%s, %s: %.0f/s, %.1f us each"):format(what, client.name, median(list, 1), median(list, 2))
      or what .. ", " .. client.name .. ": it does not run here")
  end
end
