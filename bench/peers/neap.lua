-- neap MODE ENDPOINT [UPSTREAM]

local net = require "neap.net"

local mode, endpoint, upstream = ...

local common = dofile "bench/handlers.lua"
local handlers = {echo = common.chunks, lines = common.lines}

function handlers.relay(stream)
  local other <close> = assert(net.connect(upstream))
  net.relay(stream, other)
end

local listener = assert(net.listen(endpoint, {backlog = 4096}))
print(listener.endpoint)
io.stdout:flush()
listener:serve(handlers[mode])
