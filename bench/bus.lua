-- usage: neap bench/bus.lua [-n messages] [-r rounds]
--
-- NATS: neap's bus beside npm's `nats` (NODE_PATH says where that is: `npm install nats`). One
-- process publishes messages of 64 bytes by one connection and takes them by another; then asks and
-- answers itself, 32 at a time. Both go by the same nats-server, and take turns. Printed are the
-- medians: how many a second, and the microseconds of the client's processor for each.

local turns = dofile((arg[0]:match "^(.*)/" or ".") .. "/turns.lua")

local clients = {
  {name = "neap", command = {arg[-1], turns.folder .. "/peers/bus_neap.lua"}},
  {name = "node, npm's nats", command = {"node", turns.folder .. "/peers/bus_node.js"}},
}

turns.run(function(port)
  return {"nats-server", "-a", "127.0.0.1", "-p", port}
end, "nats", clients, {"messages", "requests"}, turns.options {n = 200000, r = 5})
