-- usage: lua5.4 bench/peers/udp_cqueues.lua    a UDP echo server: LuaSocket in a coroutine of cqueues

local cqueues = require "cqueues"
local socket = require "socket"

local udp = socket.udp4()
udp:setsockname("127.0.0.1", 0)
udp:settimeout(0)
print("127.0.0.1:" .. select(2, udp:getsockname()))
io.stdout:flush()

local loop = cqueues.new()
loop:wrap(function()
  local ready = {pollfd = udp:getfd(), events = "r"}
  while true do
    local data, ip, port = udp:receivefrom()
    if data then
      udp:sendto(data, ip, port)
    else
      cqueues.poll(ready)
    end
  end
end)
assert(loop:loop())
