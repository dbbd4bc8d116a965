-- neap MODE ENDPOINT [UPSTREAM]

local net = require "neap.net"

local mode, endpoint, upstream = ...

local handlers = {}

function handlers.echo(stream)
  for data in stream:chunks() do
    stream:write(data)
  end
end

function handlers.lines(stream)
  for line in stream:lines() do
    stream:write(line, "\n")
  end
end

function handlers.relay(stream)
  local other <close> = assert(net.connect(upstream))
  net.relay(stream, other)
end

local listener = assert(net.listen(endpoint, {backlog = 4096}))
print(listener.endpoint)
io.stdout:flush()
listener:serve(handlers[mode])
