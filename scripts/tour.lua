-- usage: neap tour.lua
--
-- A tour of what neap does, in one process: at each stop a server and a client,
-- which are tasks side by side. Every line says who speaks.

local net = require "neap.net"
local task = require "neap.task"

if #arg > 0 then
  io.stderr:write(io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local function say(who, text, ...)
  print(("  %-6s  %s"):format(who, text:format(...)))
end

-- A stop: one more task serves, each connection in a task of its own; the client
-- is this one. Without such sockets here (IPv6 may be off) the stop is skipped.
local function stop(title, endpoint, server, client)
  print("\n" .. title)
  local listener <close>, err = net.listen(endpoint)
  if not listener then
    return say("", "skipped: %s", err)
  end
  say("server", "listening at %s", listener.endpoint)
  local serving = task.spawn(listener.serve, listener, server)
  local stream <close> = assert(net.connect(listener.endpoint))
  client(stream)
  stream:close()
  listener:close()
  serving:join() -- `serve` returns when its connections have ended, too
end

-- One program for every kind of stream. It reads and writes as Lua's files do.
local function echo(stream)
  for line in stream:lines() do
    stream:write(line, "\n")
  end
end

local function ask(stream)
  stream:write "hello\n"
  say("client", "said hello over %s, got %s", stream.protocol, stream:read "l")
end

local path = os.tmpname()
os.remove(path)
stop("1. TCP over IPv4", "tcp://127.0.0.1:0", echo, ask) -- port 0: any free one
stop("   TCP over IPv6", "tcp://[::1]:0", echo, ask)
stop("   A unix socket, with a path", "unix:" .. path, echo, ask)
stop("   A unix socket, with an abstract name", "unix:@", echo, ask)

stop("2. Names, addresses, options, errors", "tcp://localhost:0", echo, function(stream)
  say("client", "%s is connected to %s", stream.localaddr, stream.remoteaddr)
  assert(stream:set {nodelay = true, keepalive = 60})
  say("client", "nodelay is %s, sndbuf %d bytes", stream:get "nodelay", stream:get "sndbuf")
  local _, err = net.connect "tcp://localhost:1" -- the world's failures are values
  say("client", "elsewhere: %s", err)
end)

stop("3. A half close ends what is asked, not the answer", "tcp://127.0.0.1:0", function(stream)
  local text = stream:read "a"
  say("server", "got %d bytes, and the end", #text)
  stream:write(text:upper())
end, function(stream)
  stream:write("ebb ", "and ", "flow")
  stream:shutdown()
  say("client", "got %s", stream:read "a")
end)

stop("4. Pipelining: commands in one piece, answers in order", "tcp://127.0.0.1:0", function(stream)
  for line in stream:lines() do
    local a, b = line:match "^add (%d+) (%d+)$"
    stream:write(a and a + b or "what?", "\n")
  end
end, function(stream)
  stream:write "add 1 2\nadd 3 4\nbad 5 6\n"
  say("client", "got %s, %s, %s", stream:read("l", "l", "l"))
end)

stop("5. Timeouts and cancelling", "tcp://127.0.0.1:0", function(stream)
  task.sleep(0.3)
  stream:write "late\n"
  say("server", "had something to say: %s", stream:read() or "no, it has gone")
end, function(stream)
  stream:settimeout(0.1)
  say("client", "%s", select(2, stream:read "l"))
  stream:settimeout(nil)
  say("client", "waited on, and got %s: a timeout loses nothing", stream:read "l")
  local reader = task.spawn(stream.read, stream, "l")
  say("client", "%s", select(2, task.timeout(0.1, reader.join, reader)))
  reader:cancel "nobody wants this line"
  say("client", "the reader: %s", select(2, reader:join()))
end)
