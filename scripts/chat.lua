-- usage: neap chat.lua [ENDPOINT]
--
-- A chat room: the first line that a client sends is its name, every later one
-- goes to all others. By default at tcp://127.0.0.1:7000; join with `nc`.
--
-- Nobody waits for a slow client: what it has not read yet is queued for it
-- alone, QUEUE messages at most. At that bound it is disconnected, so a client
-- costs the room no more than about QUEUE * LINE bytes.

local net = require "neap.net"
local task = require "neap.task"

local QUEUE = 100 -- messages that may wait for one client
local LINE = 1024 -- bytes of one message

local clients = {} -- name -> {stream =, queue =}

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local function names()
  local list = {}
  for name in pairs(clients) do
    list[#list + 1] = name
  end
  table.sort(list)
  return #list > 0 and table.concat(list, ", ") or "nobody"
end

-- To everybody but the one it is from. `send` would wait only if the queue were
-- full, `reset` never does; it wakes the tasks of that client, which then end.
local function broadcast(text, from)
  for name, client in pairs(clients) do
    if name ~= from and #client.queue < QUEUE then
      client.queue:send(text .. "\n")
    elseif name ~= from then
      client.stream:reset()
    end
  end
end

-- One line, or nil when the client has gone (or sends too long a one).
local function read(stream)
  local line = stream:readuntil("\n", LINE)
  return line and line:gsub("%c", "")
end

-- Ask until the answer is good and free; nil when the client has gone.
local function ask_name(stream)
  stream:write "your name?\n"
  for name in read, stream do
    if not name:find "^[%w_-]+$" or #name > 20 then
      stream:write "letters and digits, 20 at most, please\n"
    elseif clients[name] then
      stream:write "taken, another?\n"
    else
      return name
    end
  end
end

-- One task writes what is queued, this one reads. After each line `yield` lets
-- the writers empty their queues: only those who really are slow fall behind.
local function talk(name, stream, queue)
  task.scope(function(scope)
    scope:spawn(function()
      for text in queue:each() do
        stream:write(text)
      end
    end)
    for line in read, stream do
      broadcast(("<%s> %s"):format(name, line), name)
      task.yield()
    end
    scope:cancel()
  end)
end

local function serve(stream)
  local name = ask_name(stream)
  if name then
    local queue = task.channel(QUEUE)
    queue:send(("* here: %s\n"):format(names()))
    clients[name] = {stream = stream, queue = queue}
    broadcast(("* %s joined"):format(name), name)
    talk(name, stream, queue)
    clients[name] = nil
    broadcast(("* %s left"):format(name))
  end
end

local ok, listener, err = pcall(net.listen, arg[1] or "tcp://127.0.0.1:7000")
if not ok or #arg > 1 then
  usage(ok and "one endpoint, please" or listener)
end
print("listening at " .. assert(listener, err).endpoint)
listener:serve(serve)
