--- Debian's nats-server, in a folder of the test (spec.support.folder).

local folder = require "spec.support.folder"
local lfs = require "lfs"
local server = require "spec.support.server"

local nats = {port = server.port}

local PATH = "/usr/sbin/nats-server"

nats.installed = lfs.attributes(PATH) ~= nil

function nats.need()
  server.need(PATH, "nats-server")
end

local function answers(stream)
  return stream:readuntil("\r\n", 65536)
end

local count = 0

--- A server with this in its configuration, at a port, or one that is free.
function nats.start(config, port)
  count = count + 1
  port = port or nats.port()
  local config_file = folder.write(("nats-%d.conf"):format(count),
    ("listen: 127.0.0.1:%d\nserver_name: s%d\n%s\n"):format(port, port, config or ""))
  return server.start {
    command = {PATH, "-c", config_file}, answers = answers, port = port, url = "nats://127.0.0.1:" .. port,
  }
end

return nats
