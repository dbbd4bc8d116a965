-- usage: neap sim spec/sequences.lua [COUNT]
--
-- Calls in sequences that are drawn (spec/sequences/), COUNT of them a seed, by default 4, in one
-- host: streams to itself, and by a relay in another one. scripts/sequences takes many seeds.

local sim = require "neap.sim"

local count = tonumber((...)) or 4

sim.host("relay", function()
  local net = require "neap.net"
  assert(net.listen "tcp://*:7000"):serve(function(stream)
    local onward <close> = assert(net.connect(("tcp://%s:7001"):format(stream.remoteaddr.ip)))
    if not net.relay(stream, onward) then
      stream:reset()
      onward:reset()
    end
  end)
end)

sim.client("us", function()
  local host = require "neap.host"
  local task = require "neap.task"
  local play = require "sequences.play"

  play.warm()
  collectgarbage()
  local before = host.stats()
  for _ = 1, count do
    play.one()
  end
  for round = 1, 100 do -- what was closed may take its time
    collectgarbage()
    local left = play.more(before, host.stats())
    if not left then
      return
    end
    assert(round < 100, left)
    task.sleep(1)
  end
end)

sim.link {latency = {0.0001, 0.02}}
sim.limit(2000) -- all waits have ended long before
