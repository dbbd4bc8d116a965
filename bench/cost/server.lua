-- usage: neap bench/cost/server.lua PATH ENDPOINT CONNECTIONS [CERT KEY]    serve a path of work, and end
--
-- What bench/cost.lua counts: servers that do nothing but what their names say,
-- and end when so many connections have.

local net = require "neap.net"

local path, endpoint, left = arg[1], arg[2], tonumber(arg[3])

local handlers = dofile "bench/handlers.lua"

function handlers.connect(stream)
  stream:write(stream:recv())
end

local open = path == "udp" and net.bind or net.listen
local cert, key = arg[4], arg[5]
local served = assert(open(endpoint, endpoint:find "^tls:" and {cert = cert, key = key} or nil))
print(served.endpoint)
io.stdout:flush()
if path == "udp" then
  handlers.datagrams(served)
elseif path == "http" then
  require "neap.http".serve(served, function(request)
    if request.path == "/end" then
      left = left - 1
      if left == 0 then
        served:close()
      end
    end
    return "hello world\n"
  end)
else
  local handler = handlers[path]
  served:serve(function(stream)
    handler(stream)
    left = left - 1
    if left == 0 then
      served:close()
    end
  end)
end
