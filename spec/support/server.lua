--- A server of Debian's, as a process: one that a spec starts, kills, and starts again.

local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

-- The one that a spec finds in a test; what `require "busted"` has begins a test.
local pending = require "busted.core"().pending

local server = {}

--- The test is pending where the program is missing.
---@param path string
---@param package string  of Debian
function server.need(path, package)
  if not lfs.attributes(path) then
    pending(("%s is missing (Debian: %s)"):format(path:match "[^/]+$", package))
  end
end

--- A port that nobody has now.
function server.port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener.port
end

---@class spec.Server
---@field command table  for process.spawn
---@field port integer
---@field answers fun(stream: neap.Stream): any  does it, who has been connected?
local Server = {}
Server.__index = Server

local function is_up(self)
  local stream <close> = net.connect("tcp://127.0.0.1:" .. self.port)
  return stream and self.answers(stream)
end

--- Start it, and wait until it answers.
function Server:start()
  self.process = assert(process.spawn(self.command))
  while not is_up(self) do
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

--- Start one: these fields are its own.
---@return spec.Server
function server.start(fields)
  local command = fields.command
  command.stdout, command.stderr, command.grace = "null", "null", 0
  return setmetatable(fields, Server):start()
end

return server
