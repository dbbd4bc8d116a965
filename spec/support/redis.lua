--- Debian's redis-server, in a folder of the test (spec.support.folder); and one that says what a
--- spec wants.

local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local resp = require "neap.redis.resp"
local task = require "neap.task"

-- The one that a spec finds in a test; what `require "busted"` has begins a test.
local pending = require "busted.core"().pending

local redis = {}

local PATH = "/usr/bin/redis-server"

function redis.need()
  if not lfs.attributes(PATH) then
    pending "redis-server is missing (Debian: redis-server)"
  end
end

--- A port that nobody has now.
function redis.port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener.port
end

local Server = {}
Server.__index = Server

local function answers(port)
  local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
  return stream and stream:write "PING\r\n" and stream:readuntil "\r\n"
end

function Server:start()
  self.process = assert(process.spawn(self.command))
  while not answers(self.port) do
    task.sleep(0.01)
  end
  return self
end

--- As a crash ends it.
function Server:kill()
  self.process:kill "SIGKILL"
  self.process:wait()
end

function Server:close()
  self.process:close()
end

Server.__close = Server.close

--- A server with these options at a port, or one that is free.
function redis.start(options, port, first)
  port = port or redis.port()
  local command = {PATH}
  table.move(first or {}, 1, #(first or {}), 2, command)
  table.move({"--port", tostring(port), "--bind", "127.0.0.1", "--dir", folder.path, table.unpack(options or {})},
    1, 6 + #(options or {}), #command + 1, command)
  if not first then
    command[#command + 1], command[#command + 2] = "--save", ""
  end
  command.stdout, command.stderr, command.grace = "null", "null", 0
  return setmetatable({port = port, url = "redis://127.0.0.1:" .. port, command = command}, Server):start()
end

local count = 0

--- A server that says what answer(command, stream, n) gives, or nothing; n: of the connection.
--- Its endpoint, and what is to be closed.
function redis.fake(answer)
  count = count + 1
  local endpoint, n = "mem:redis_spec" .. count, 0
  local listener = assert(net.listen(endpoint))
  local server = task.spawn(listener.serve, listener, function(stream)
    n = n + 1
    local number, reader = n, resp.reader(stream, 1 << 20)
    for command in resp.read, reader do
      local text = answer(command, stream, number)
      if text then
        stream:write(text)
      end
    end
  end)
  return endpoint, setmetatable({}, {__close = function()
    listener:close()
    server:cancel()
    server:join()
  end})
end

return redis
