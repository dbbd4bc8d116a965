--- Debian's nats-server, in a folder of the test (spec.support.folder).

local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

-- The one that a spec finds in a test; what `require "busted"` has begins a test.
local pending = require "busted.core"().pending

local nats = {}

local PATH = "/usr/sbin/nats-server"

nats.installed = lfs.attributes(PATH) ~= nil

function nats.need()
  if not nats.installed then
    pending "nats-server is missing (Debian: nats-server)"
  end
end

--- A port that nobody has now.
function nats.port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener.port
end

local Server = {}
Server.__index = Server

--- Does it answer?
local function answers(port)
  local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
  return stream and stream:readuntil("\r\n", 65536)
end

function Server:start()
  self.process = assert(process.spawn {PATH, "-c", self.config, stdout = "null", stderr = "null", grace = 0})
  repeat
    task.sleep(0.01)
  until answers(self.port)
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

local count = 0

--- A server with this in its configuration, at a port, or one that is free.
function nats.start(config, port)
  count = count + 1
  port = port or nats.port()
  local self = setmetatable({port = port, url = "nats://127.0.0.1:" .. port}, Server)
  self.config = folder.write(("nats-%d.conf"):format(count),
    ("listen: 127.0.0.1:%d\nserver_name: s%d\n%s\n"):format(port, port, config or ""))
  return self:start()
end

return nats
