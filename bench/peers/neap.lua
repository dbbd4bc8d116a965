-- neap MODE ENDPOINT [UPSTREAM]

local net = require "neap.net"

local mode, endpoint, upstream = ...

local common = dofile "bench/handlers.lua"
local handlers = {echo = common.chunks, tls = common.chunks, lines = common.lines}

function handlers.relay(stream)
  local other <close> = assert(net.connect(upstream))
  net.relay(stream, other)
end

local listener = assert(net.listen(endpoint, {
  backlog = 4096,
  tls = mode == "tls" and {cert = os.getenv "TLS_CERT", key = os.getenv "TLS_KEY"} or nil,
}))
print((listener.endpoint:gsub("^tls", "tcp")))
io.stdout:flush()
listener:serve(handlers[mode])
