-- bench/bus.lua's client in neap: URL COUNT.
local bus = require "neap.bus"
local task = require "neap.task"
local time = require "neap.time"

local url, count = arg[1], math.tointeger(tonumber(arg[2]))
local data = ("x"):rep(64)

local function measure(name, f)
  local cpu, began = os.clock(), time.now()
  f()
  print(name, count / (time.now() - began), (os.clock() - cpu) / count * 1e6)
end

local publisher, subscriber = assert(bus.open(url)), assert(bus.open(url))

local sub = subscriber:subscribe("bench.one", {max = count, full = "wait"})
subscriber:flush()
measure("messages", function()
  local reader = task.spawn(function()
    local n = 0
    for _ in sub:messages() do
      n = n + 1
    end
    assert(n == count)
  end)
  for _ = 1, count do
    publisher:publish("bench.one", data)
  end
  reader:join()
end)

count = count // 10
local questions = subscriber:subscribe "bench.ask"
task.background(function()
  for message in questions:messages() do
    message:respond(message.data)
  end
end)
subscriber:flush()
measure("requests", function()
  task.scope(function(scope)
    for _ = 1, 32 do
      scope:spawn(function()
        for _ = 1, count // 32 do
          assert(publisher:request("bench.ask", data))
        end
      end)
    end
  end)
end)
publisher:close()
subscriber:close()
