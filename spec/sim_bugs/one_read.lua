-- One read taken for one message.
--
-- A server answers each message by its length, and takes for a message what one recv gives.
-- Mended, the length is sent before it.

local net = require "neap.net"
local sim = require "neap.sim"

local mended = ... == "mended"

sim.host("server", function(way)
  local net = require "neap.net"
  assert(net.listen "tcp://*:7000"):serve(function(stream)
    while true do
      local message
      if way == "mended" then
        message = stream:unpack "s4"
      else
        message = stream:recv()
      end
      if not message then
        return
      end
      stream:write(#message, "\n")
    end
  end)
end, {args = {...}})

sim.client("client", function()
  local stream <close> = assert(net.connect "tcp://server:7000")
  for _ = 1, 20 do
    local message = ("x"):rep(sim.random(1500))
    if mended then
      stream:pack("s4", message)
    else
      stream:write(message)
    end
    local length = stream:read()
    assert(length == tostring(#message), ("%d bytes, of which %s were one message"):format(#message, length))
  end
end)
