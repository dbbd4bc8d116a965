-- What holds of the connections of every protocol, over simulated sockets, of the kinds that
-- spec/support/transports.lua has not. spec/simulated/run.lua runs it.

local connections = require "spec.support.connections"

for name, protocol in pairs {
  ["tcp, IPv6"] = {name = "tcp", endpoint = "tcp://[::1]:0"},
  ["unix, a path"] = {name = "unix", endpoint = "unix:/tmp/neap-simulated"},
} do
  protocol.half_close, protocol.abort = true, protocol.name == "tcp"
  describe(name, function()
    connections.rows(it, protocol)
  end)
end
