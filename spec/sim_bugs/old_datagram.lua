-- The old datagram of a port that is used again.
--
-- A client asks from the same port each time, and takes for the answer what comes to it: perhaps
-- that to the question before. Mended, an answer says to which.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"

local mended = ... == "mended"

sim.host("server", function()
  local net = require "neap.net"
  local socket = assert(net.bind "udp://*:7000")
  for message, from in socket:messages() do
    socket:send(("%s %d"):format(message, message * message), from)
  end
end)

local function square(number)
  local socket <close> = assert(net.connect("udp://server:7000", {localaddr = "0.0.0.0:7001"}))
  socket:send(number)
  return (task.timeout(1, function()
    while true do
      local asked, answer = (socket:recv() or ""):match "^(%d+) (%d+)$"
      if asked and (not mended or math.tointeger(asked) == number) then
        return math.tointeger(answer)
      end
    end
  end))
end

sim.client("client", function()
  for number = 1, 60 do
    local answer = square(number)
    assert(not answer or answer == number * number, ("%s is the square of %d"):format(answer, number))
    task.sleep(0.2)
  end
end)

sim.chaos {kinds = {"partition", "pause", "clog"}}
