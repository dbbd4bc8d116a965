-- A lost acknowledgement.
--
-- A shipper sends lines to a log, some at once, and each again after a reconnect until it is
-- acknowledged: also what had arrived, and whose acknowledgement was lost with the connection.
-- Mended, the log knows each line by its number.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"

local LINES = 40

sim.host("log", function(way)
  local net = require "neap.net"
  local lines = 0
  local last = 0 -- number
  assert(net.listen "tcp://*:7000"):serve(function(stream)
    for line in stream:lines() do
      local number = math.tointeger(line)
      if number and (way ~= "mended" or number > last) then
        lines = lines + 1
        last = number
      end
      stream:write(number and number or lines, "\n")
    end
  end)
end, {args = {...}})

sim.client("shipper", function()
  local first = 1 -- not acknowledged
  while first <= LINES do
    local stream <close> = net.connect("tcp://log:7000", {timeout = 1})
    local answer = stream
    while answer and first <= LINES do
      stream:settimeout(1)
      local last = math.min(first + 4, LINES)
      for number = first, last do
        stream:write(number, "\n")
      end
      repeat
        answer = stream:read()
        first = first + (answer and 1 or 0)
      until not answer or first > last
      task.sleep(0.5)
    end
  end
end)

sim.chaos {kinds = {"partition", "pause"}, every = {1, 4}}

sim.eventually("each line is in the log once", 10, function()
  local stream <close> = net.connect("tcp://log:7000", {timeout = 1})
  local lines = stream and stream:write "how many\n" and stream:read()
  return math.tointeger(lines) == LINES, ("%s of %d"):format(lines, LINES)
end)
