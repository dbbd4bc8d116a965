-- usage: neap echo.lua [ENDPOINT...]
--
-- Sends back whatever comes, at every endpoint at once; without one, at
-- tcp://127.0.0.1:7000. Ends on Ctrl-C.
--
--   neap echo.lua tcp://*:7000 unix:/tmp/echo.sock unix:@echo

local net = require "neap.net"
local task = require "neap.task"

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

-- A malformed endpoint is our caller's mistake, so it raises. Whatever else
-- is in the way is returned, and `assert` tells it.
local function listen(endpoint)
  local ok, listener, err = pcall(net.listen, endpoint)
  if not ok then
    usage(listener)
  end
  return assert(listener, err)
end

-- One task for each connection runs this. The stream is closed at its end.
-- While the peer does not read, `write` waits, and so nothing more is read.
local function echo(stream)
  for chunk in stream:chunks() do
    assert(stream:write(chunk))
  end
end

-- All of them are open before the first is served.
local listeners = {}
for i, endpoint in ipairs(#arg > 0 and arg or {"tcp://127.0.0.1:7000"}) do
  listeners[i] = listen(endpoint)
end

task.scope(function(scope)
  for _, listener in ipairs(listeners) do
    print("listening at " .. listener.endpoint)
    scope:spawn(listener.serve, listener, echo)
  end
end)
