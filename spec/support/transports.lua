--- Connected pairs of streams, by every transport that is a stream: for specs
--- that hold over each of them.

local net = require "neap.net"

local transports = {}

--- Names of the transports, in the order in which to test them.
transports.names = {"tcp", "unix", "mem"}

local function tcp()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  local a = assert(net.connect(listener.endpoint))
  return a, assert(listener:accept())
end

--- Two streams, each the other's peer.
---@param kind "tcp"|"unix"|"mem"
---@return neap.Stream a
---@return neap.Stream b
function transports.pair(kind)
  if kind == "tcp" then
    return tcp()
  end
  return assert(net.socketpair(kind))
end

return transports
