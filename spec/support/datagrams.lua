--- Message sockets of a test, which end with it.
---
---     after_each(datagrams.close)

local net = require "neap.net"

local datagrams = {}

local open = {}

--- Close it after the test, and let no wait on it last for ever.
---@param socket? neap.Datagram
---@param err? neap.Error
---@return neap.Datagram
function datagrams.keep(socket, err)
  open[#open + 1] = assert(socket, err)
  socket:settimeout(10)
  return socket
end

function datagrams.bind(endpoint, opts)
  return datagrams.keep(net.bind(endpoint, opts))
end

function datagrams.connect(endpoint, opts)
  return datagrams.keep(net.connect(endpoint, opts))
end

--- A port on which nobody is.
---@return string endpoint
function datagrams.unused()
  local socket <close> = assert(net.bind "udp://127.0.0.1:0")
  return socket.endpoint
end

--- Close what was kept.
function datagrams.close()
  for _, socket in ipairs(open) do
    socket:close()
  end
  open = {}
end

return datagrams
