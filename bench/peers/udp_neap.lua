-- usage: neap bench/peers/udp_neap.lua    a UDP echo server

local net = require "neap.net"

local socket = assert(net.bind "udp://127.0.0.1:0")
print(socket.localaddr)
io.stdout:flush()
for data, from in socket:messages() do
  socket:send(data, from)
end
