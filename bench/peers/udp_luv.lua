-- usage: lua5.4 bench/peers/udp_luv.lua    a UDP echo server by luv

local uv = require "luv"

local socket = uv.new_udp()
socket:bind("127.0.0.1", 0)
print("127.0.0.1:" .. socket:getsockname().port)
io.stdout:flush()
socket:recv_start(function(_, data, from)
  if data and from and not socket:try_send(data, from.ip, from.port) then
    socket:send(data, from.ip, from.port)
  end
end)
uv.run()
