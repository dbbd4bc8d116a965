--- What the servers of the benchmarks do with a connection, or a message socket.

local handlers = {}

--- Two verbs a message: the path that has a budget.
function handlers.echo(stream)
  while true do
    local data = stream:recv()
    if not data then
      return
    end
    stream:write(data)
  end
end

--- The same, as one would write it.
function handlers.chunks(stream)
  for data in stream:chunks() do
    stream:write(data)
  end
end

function handlers.lines(stream)
  for line in stream:lines "L" do
    stream:write(line)
  end
end

--- An empty datagram is the last one.
function handlers.datagrams(socket)
  for data, from in socket:messages() do
    socket:send(data, from)
    if data == "" then
      return
    end
  end
end

return handlers
