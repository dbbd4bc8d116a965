-- usage: neap bus_chat.lua BUS [ENDPOINT]
--
-- A chat room of many servers: the first line that a client sends is its name, and every later
-- one goes to the clients of all servers on that bus (see neap.bus), and comes back to itself:
-- so it knows that the line went round. By default at tcp://127.0.0.1:7000; join with `nc`.
--
--   neap bus_chat.lua mem:                                     one process
--   neap -w 4 bus_chat.lua worker:                             four workers, one port
--   neap bus_chat.lua nats://127.0.0.1 tcp://127.0.0.1:7001    and others, elsewhere
--
-- Nobody waits for a slow client: at QUEUE messages that it has not read it is disconnected.

local bus = require "neap.bus"
local net = require "neap.net"
local task = require "neap.task"

local QUEUE = 100 -- messages that may wait for one client
local LINE = 1024 -- bytes of one message

local clients = {} -- stream -> its queue

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local function check(value, err)
  return value or (io.stderr:write("bus_chat: ", tostring(err), "\n") and os.exit(1))
end

-- To all that are connected here.
local function hand_out(room)
  for message in room:messages() do
    for stream, queue in pairs(clients) do
      if not queue:try(message.data) then
        stream:reset()
      end
    end
  end
end

-- A queue that is never waited for.
local function new_queue()
  local channel = task.channel(QUEUE)
  return {each = function() return channel:each() end, try = function(_, text)
    return #channel < QUEUE and channel:send(text)
  end}
end

-- One line, or nil when the client has gone (or sends too long a one).
local function read(stream)
  local line = stream:readuntil("\n", LINE)
  return line and line:gsub("%c", "")
end

local function write_all(stream, queue)
  for text in queue.each() do
    if not stream:write(text, "\n") then
      return
    end
  end
end

local function talk(here, stream)
  local name = read(stream)
  if not name or not name:find "^[%w_-]+$" or #name > 20 then
    stream:write "letters and digits, 20 at most, please\n"
    return
  end
  local queue = new_queue()
  clients[stream] = queue
  local _ <close> = setmetatable({}, {__close = function()
    clients[stream] = nil
    here:publish("chat.room", "* " .. name .. " has gone")
  end})
  task.scope(function(scope)
    scope:spawn(write_all, stream, queue)
    check(here:publish("chat.room", "* " .. name .. " is here"))
    for line in read, stream do
      check(here:publish("chat.room", name .. ": " .. line))
    end
    scope:cancel()
  end)
end

if not arg[1] or #arg > 2 then
  usage "a bus, please, and an endpoint"
end
local ok, listener, err = pcall(net.listen, arg[2] or "tcp://127.0.0.1:7000")
if not ok then
  usage(listener)
end
check(listener, err)
local here <close> = check(bus.open(arg[1]))
task.background(hand_out, here:subscribe "chat.room")
check(here:flush())
print("listening at " .. listener.endpoint)
listener:serve(function(stream)
  talk(here, stream)
end)
