--- Connected pairs of streams, by every transport that is a stream: for specs
--- that hold over each of them.

local net = require "neap.net"

local transports = {}

--- Names of the transports, in the order in which to test them. The environment
--- may name those that a kernel may lack: NEAP_TRANSPORTS="sctp vsock".
transports.names = {"tcp", "unix", "mem"}

local named = os.getenv "NEAP_TRANSPORTS"
if named then
  transports.names = {}
  for name in named:gmatch "%w+" do
    table.insert(transports.names, name)
  end
end

local listening = {
  tcp = {"tcp://127.0.0.1:0"},
  mptcp = {"tcp://127.0.0.1:0", {mptcp = true}},
  sctp = {"sctp://127.0.0.1:0"},
  vsock = {"vsock://local:0"},
}

local function connected(endpoint, options)
  local listener <close> = assert(net.listen(endpoint, options))
  local a = assert(net.connect(listener.endpoint, options))
  return a, assert(listener:accept())
end

--- Two streams, each the other's peer.
---@param kind "tcp"|"unix"|"mem"|"mptcp"|"sctp"|"vsock"
---@return neap.Stream a
---@return neap.Stream b
function transports.pair(kind)
  if listening[kind] then
    return connected(table.unpack(listening[kind]))
  end
  return assert(net.socketpair(kind))
end

return transports
