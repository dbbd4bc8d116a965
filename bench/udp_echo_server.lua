-- usage: neap bench/udp_echo_server.lua [endpoint]    the UDP echo server that the benchmarks measure

local net = require "neap.net"

local socket = assert(net.bind(arg[1] or "udp://127.0.0.1:0"))
print(socket.endpoint)
io.stdout:flush()
for data, from in socket:messages() do
  socket:send(data, from)
end
