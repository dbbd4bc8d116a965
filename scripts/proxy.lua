-- usage: neap proxy.lua LISTEN TARGET
--
-- Passes each connection on to the target, both ways, half closes too. Either
-- may be TCP or unix. One line tells of each connection when it has ended.
--
--   neap proxy.lua tcp://*:8080 unix:/run/app.sock

local net = require "neap.net"
local time = require "neap.time"

local CONNECT = 10 -- seconds to reach the target in

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local count = 0

-- A function that logs about one connection: its number, who it is from, how
-- long it took, and the text.
local function logger(client)
  count = count + 1
  local number, from, began = count, client.remoteaddr, time.now()
  return function(text)
    print(("%s #%d from %s, %.2f s: %s"):format(
      os.date "%H:%M:%S", number, from, time.now() - began, text))
  end
end

-- The relay moves bytes within the kernel; no Lua runs until it is over.
local function pass(client, target)
  local log = logger(client)
  local server <close>, failure = net.connect(target, {timeout = CONNECT})
  if not server then
    client:reset() -- as the target would have said
    return log(tostring(failure))
  end
  local sent, received, to, from = net.relay(client, server)
  if sent then
    log(("%d bytes there, %d back"):format(sent, received))
  else
    log(("%s after %d bytes there, %d back"):format(received, to, from))
  end
end

local listen, target = arg[1], arg[2]
if #arg ~= 2 then
  usage "two endpoints, please"
end
local good, message = pcall(require "neap.endpoint".parse, target)
local ok, listener, err = pcall(net.listen, listen)
if not ok or not good then
  usage(ok and message or listener)
end
print(("listening at %s, for %s"):format(assert(listener, err).endpoint, target))
listener:serve(function(client)
  pass(client, target)
end)
