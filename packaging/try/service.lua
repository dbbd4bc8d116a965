-- What neap@service runs.

local net = require "neap.net"
local process = require "neap.process"

local listener = assert(net.listen "tcp://127.0.0.1:7001")
process.notify "READY=1"
listener:serve(function(stream)
  stream:write "served\n"
end)
