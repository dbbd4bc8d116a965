--- What is traced, and what becomes of it.

local net = require "neap.net"
local task = require "neap.task"
local trace = require "neap.trace"

local traces = {}

--- What happens while f runs, as events.
---@param opts table  as of trace.events
---@param f function
function traces.events(opts, f)
  local tracer = assert(trace.events(opts))
  f()
  tracer:stop()
  local found = {}
  for event in tracer do
    found[#found + 1] = event
  end
  return found
end

--- One word an event: kind, and the bytes or the code behind it.
function traces.words(list)
  local found = {}
  for i, event in ipairs(list) do
    found[i] = event.kind .. (event.data and " " .. event.data or event.code and " " .. event.code or "")
  end
  return found
end

--- A file that a traced f leaves, whole.
---@param opts table  as of trace.start
---@param f function
function traces.traced(opts, f)
  local path = os.tmpname()
  opts.to = path
  local tracer = assert(trace.start(opts))
  f()
  assert(tracer:stop())
  local file <close> = assert(io.open(path, "rb"))
  local text = file:read "a"
  os.remove(path)
  return text
end

--- Its lines, with numbers that differ from run to run as N.
function traces.lines(text)
  local found = {}
  for line in text:gmatch "[^\n]+" do
    found[#found + 1] = line:gsub("^%d+%.%d%d%d%d%d%d  ", ""):gsub("127%.0%.0%.1:%d+", "127.0.0.1:N")
      :gsub("^(%a+) %d+ +", "%1 N "):gsub("listener %d+", "listener N")
  end
  return found
end

--- Each end's script runs, the server's first; both have closed at the end.
function traces.conversation(endpoint, server, client)
  local listener = assert(net.listen(endpoint))
  task.scope(function(scope)
    scope:spawn(function()
      local stream <close> = assert(listener:accept())
      server(stream)
    end)
    local stream <close> = assert(net.connect(listener.endpoint))
    client(stream)
  end)
  listener:close()
end

--- A connection that its client resets when a byte has come.
function traces.reset_tcp()
  traces.conversation("tcp://127.0.0.1:0", function(stream)
    stream:recv()
    stream:recv()
  end, function(stream)
    stream:write "x"
    task.sleep(0.01)
    stream:reset()
  end)
end

--- Give back what comes.
---@param stream neap.Stream
function traces.echo(stream)
  for chunk in stream:chunks() do
    stream:write(chunk)
  end
end

--- Have a word given back.
---@param stream neap.Stream
function traces.ask(stream)
  stream:write "hello"
  stream:read(5)
  stream:shutdown()
  stream:read "a"
end

return traces
