-- usage: neap bench/echo_server.lua [endpoint]    the echo server that the benchmarks measure

local net = require "neap.net"

local listener = assert(net.listen(arg[1] or "tcp://127.0.0.1:0", { backlog = 4096 }))
print(listener.endpoint)
io.stdout:flush()
listener:serve(function(stream)
  while true do
    local data = stream:recv()
    if not data then
      return
    end
    stream:write(data)
  end
end)
