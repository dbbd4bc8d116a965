-- usage: lua5.4 bench/peers/udp_luasocket.lua    a UDP echo server by LuaSocket, blocking

local socket = require "socket"

local udp = socket.udp4()
udp:setsockname("127.0.0.1", 0)
print("127.0.0.1:" .. select(2, udp:getsockname()))
io.stdout:flush()
while true do
  local data, ip, port = udp:receivefrom()
  if data then
    udp:sendto(data, ip, port)
  end
end
