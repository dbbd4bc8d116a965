-- usage: neap bench/burst.lua [connections [loops]]    how late the answers to a burst come
--
-- All connections ask at once, and each answer takes so many turns of a loop to
-- compute: those that wait for each other come late. The server is a process of its
-- own.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local ROUNDS, WARM = 60, 3

if arg[1] == "server" then
  local loops = tonumber(arg[2])
  local listener = assert(net.listen "tcp://127.0.0.1:0")
  print(listener.endpoint)
  io.stdout:flush()
  listener:serve(function(stream)
    for data in stream:chunks() do
      for _ = 1, loops do
      end
      stream:write(data)
    end
  end)
end

local connections, loops = tonumber(arg[1] or 16), tonumber(arg[2] or 50000)
local server <close> = assert(process.spawn {
  arg[-1], arg[0], "server", tostring(loops), stdout = "pipe",
})
local endpoint = assert(server.stdout:read "l")
local streams = {}
for i = 1, connections do
  streams[i] = assert(net.connect(endpoint))
end

--- When the answers have come, on average, and the last.
local function burst()
  local start, sum, last = time.now(), 0, 0
  for _, stream in ipairs(streams) do
    stream:write "x"
    stream:flush()
  end
  task.scope(function(scope)
    for _, stream in ipairs(streams) do
      scope:spawn(function()
        assert(stream:recv() == "x")
        last = time.now() - start
        sum = sum + last
      end)
    end
  end)
  return sum / connections, last
end

local means, lasts = {}, {}
for i = 1 - WARM, ROUNDS do
  means[i], lasts[i] = burst()
end
table.sort(means)
table.sort(lasts)
print(("%d answers: on average after %.2f ms, the last after %.2f"):format(
  connections, means[ROUNDS // 2] * 1e3, lasts[ROUNDS // 2] * 1e3))
server:kill "SIGKILL"
