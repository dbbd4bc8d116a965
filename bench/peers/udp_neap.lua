-- usage: neap bench/peers/udp_neap.lua    a UDP echo server

local net = require "neap.net"

local handlers = dofile(arg[0]:match "^(.*)peers/" .. "handlers.lua")

local socket = assert(net.bind "udp://127.0.0.1:0")
print(socket.localaddr)
io.stdout:flush()
handlers.datagrams(socket)
