-- bench/redis.lua's client in neap: URL COUNT.
local redis = require "neap.redis"
local task = require "neap.task"
local time = require "neap.time"

local url, count = arg[1], math.tointeger(tonumber(arg[2]))
local client <close> = assert(redis.connect(url))
assert(client:call("SET", "bench", ("x"):rep(64)))

local function measure(name, n, f)
  local cpu, began = os.clock(), time.now()
  f(n)
  print(name, n / (time.now() - began), (os.clock() - cpu) / n * 1e6)
end

measure("single", count // 10, function(n)
  for _ = 1, n do
    assert(client:call("GET", "bench"))
  end
end)

measure("together", count, function(n)
  task.scope(function(scope)
    for _ = 1, 50 do
      scope:spawn(function()
        for _ = 1, n // 50 do
          assert(client:call("GET", "bench"))
        end
      end)
    end
  end)
end)

local commands = {}
for i = 1, 100 do
  commands[i] = {"GET", "bench"}
end
measure("pipeline", count, function(n)
  for _ = 1, n // 100 do
    assert(#client:pipeline(commands) == 100)
  end
end)
