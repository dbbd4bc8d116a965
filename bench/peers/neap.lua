-- neap MODE ENDPOINT [UPSTREAM]

local fs = require "neap.fs"
local net = require "neap.net"
local task = require "neap.task"

local mode, endpoint, upstream = ...

local common = dofile "bench/handlers.lua"
local handlers = {
  echo = common.chunks, tls = common.chunks, lines = common.lines,
  files = common.chunks, -- beside 8 that read a file again and again
}

function handlers.relay(stream)
  local other <close> = assert(net.connect(upstream))
  net.relay(stream, other)
end

local function read()
  while true do
    assert(fs.read(upstream))
    task.sleep(0.1)
  end
end

for _ = 1, mode == "files" and 8 or 0 do
  task.spawn(read)
end

local listener = assert(net.listen(endpoint, {
  backlog = 4096,
  tls = mode == "tls" and {cert = os.getenv "TLS_CERT", key = os.getenv "TLS_KEY"} or nil,
}))
print((listener.endpoint:gsub("^tls", "tcp")))
io.stdout:flush()
listener:serve(handlers[mode])
