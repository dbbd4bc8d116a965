-- A queue without a bound.
--
-- What is published waits for its subscriber, whatever he does meanwhile. Mended, the oldest is
-- dropped where there is no room.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"

local ROOM = 50
local mended = ... == "mended"

sim.host("subscriber", function()
  local net = require "neap.net"
  assert(net.listen "tcp://*:7000"):serve(function(stream)
    for line in stream:lines() do
      stream:write(line, "\n")
    end
  end)
end)

local queue = {}

local function deliver()
  local stream <close> = assert(net.connect "tcp://subscriber:7000")
  while true do
    if #queue == 0 then
      task.sleep(0.02)
    else
      stream:write(table.remove(queue, 1), "\n")
      assert(stream:read())
    end
  end
end

sim.client("publisher", function()
  task.spawn(deliver)
  for number = 1, 600 do
    queue[#queue + 1] = number
    if mended and #queue > ROOM then
      table.remove(queue, 1)
    end
    task.sleep(0.1)
  end
end)

sim.always("few wait", function()
  return #queue <= ROOM + 1, #queue
end)

sim.chaos {kinds = {"partition", "pause", "clog"}, lasts = {0.5, 8}}
