-- A half close cut short.
--
-- A relay hands on both ways until one of them has ended, and then closes: what was still to
-- come from the other side is lost. Mended, it ends one way only, and waits for the other.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"

sim.host("server", function()
  local net = require "neap.net"
  assert(net.listen "tcp://*:7000"):serve(function(stream)
    for chunk in stream:chunks() do
      stream:write(chunk:upper())
    end
  end)
end)

sim.host("relay", function(way)
  local net = require "neap.net"
  local task = require "neap.task"

  local function hand_on(from, to)
    return function()
      for chunk in from:chunks() do
        to:write(chunk)
      end
      to:shutdown()
    end
  end

  assert(net.listen "tcp://*:7000"):serve(function(stream)
    local server <close> = assert(net.connect "tcp://server:7000") -- for two minutes
    local ways = {hand_on(stream, server), hand_on(server, stream)}
    if way == "mended" then
      task.all(ways)
    else
      task.race(ways)
    end
  end)
end, {args = {...}})

local function dial()
  local stream
  repeat
    stream = net.connect("tcp://relay:7000", {timeout = 3})
  until stream
  return stream
end

sim.client("client", function()
  for number = 1, 30 do
    local stream <close> = dial()
    stream:write("line ", number)
    task.sleep(0.1) -- most answers are there by then
    stream:shutdown()
    local answer = stream:read "a"
    assert(answer == "LINE " .. number, ("%q is the answer to line %d"):format(answer, number))
    task.sleep(0.5)
  end
end)

sim.chaos {kinds = {"partition", "pause", "clog"}}
