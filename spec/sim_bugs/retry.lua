-- A retry without idempotence.
--
-- A client adds to a counter by a message, which it sends again until there is an answer. What
-- was lost may be the answer. Mended, the counter knows what it has added by a number.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"

local ADDS = 30

sim.host("counter", function(way)
  local net = require "neap.net"
  local total, done = 0, {}
  local socket = assert(net.bind "udp://*:7000")
  for message, from in socket:messages() do
    local number = message:match "^add (%d+)$"
    if number and (way ~= "mended" or not done[number]) then
      total = total + 1
      done[number] = true
    end
    socket:send(number or ("total %d"):format(total), from)
  end
end, {args = {...}})

local function ask(question, wanted)
  local socket <close> = assert(net.connect "udp://counter:7000")
  socket:settimeout(0.5)
  while true do
    socket:send(question)
    local answer = socket:recv()
    if answer and answer:find(wanted) then
      return answer
    end
  end
end

sim.client("client", function()
  for number = 1, ADDS do
    ask("add " .. number, "^" .. number .. "$")
    task.sleep(0.5)
  end
end)

sim.chaos {kinds = {"partition", "pause", "clog"}}

sim.eventually("each is added once", 10, function()
  local total = math.tointeger(ask("total", "^total"):match "%d+")
  return total == ADDS, ("%d were %d"):format(ADDS, total)
end)
