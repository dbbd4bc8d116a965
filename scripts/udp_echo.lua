-- usage: neap udp_echo.lua [ENDPOINT...]
--
-- Sends every datagram back to whom it came from, at every endpoint at once;
-- without one, at udp://127.0.0.1:7000. Ends on Ctrl-C.
--
--   neap udp_echo.lua udp://*:7000 unixgram:/tmp/echo.sock

local net = require "neap.net"
local task = require "neap.task"

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

-- A malformed endpoint raises; what the world refuses is returned. A socket of all
-- addresses is to know by which one it was asked.
local function bind(endpoint)
  local ok, socket, err = pcall(net.bind, endpoint,
    endpoint:find "^udp%d?://%*" and {pktinfo = true} or nil)
  if not ok then
    usage(socket)
  end
  return assert(socket, err)
end

-- What came together is sent back together, by one system call each, from where it
-- was sent to. A reply that cannot be sent is lost, as on the way; the others go on.
local function echo(socket)
  for data, from, info in socket:messages() do
    socket:send(data, from, info)
  end
end

local sockets = {}
for i, endpoint in ipairs(#arg > 0 and arg or {"udp://127.0.0.1:7000"}) do
  sockets[i] = bind(endpoint)
end

task.scope(function(scope)
  for _, socket in ipairs(sockets) do
    print("echoing at " .. socket.endpoint)
    scope:spawn(echo, socket)
  end
  io.stdout:flush()
end)
