-- usage: neap bench/redis.lua [-n commands] [-r rounds]
--
-- Redis: neap's client beside npm's `ioredis` and `redis` (NODE_PATH says where those are: `npm
-- install ioredis redis`). GET of 64 bytes: one at a time, by 50 tasks at once, and 100 in a
-- pipeline. All go to the same redis-server, and take turns. Printed are the medians: how many a
-- second, and the microseconds of the client's processor for each.

local turns = dofile((arg[0]:match "^(.*)/" or ".") .. "/turns.lua")

local clients = {
  {name = "neap", command = {arg[-1], turns.folder .. "/peers/redis_neap.lua"}},
  {name = "node, ioredis", command = {"node", turns.folder .. "/peers/redis_node.js", "ioredis"}},
  {name = "node, redis", command = {"node", turns.folder .. "/peers/redis_node.js", "redis"}},
}

turns.run(function(port)
  return {"redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", "/"}
end, "redis", clients, {"single", "together", "pipeline"}, turns.options {n = 100000, r = 5})
