--- Debian's redis-server, in a folder of the test (spec.support.folder); and one that says what a
--- spec wants.

local folder = require "spec.support.folder"
local net = require "neap.net"
local task = require "neap.task"
local resp = require "neap.redis.resp"
local server = require "spec.support.server"

local redis = {port = server.port}

local PATH = "/usr/bin/redis-server"

function redis.need()
  server.need(PATH, "redis-server")
end

local function answers(stream)
  return stream:write "PING\r\n" and stream:readuntil "\r\n"
end

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
  return server.start {
    command = command, answers = answers, port = port, url = "redis://127.0.0.1:" .. port,
  }
end

local count = 0

--- A server that says what answer(command, stream, n) gives, or nothing; n: of the connection.
--- Its endpoint, and what is to be closed.
function redis.fake(answer)
  count = count + 1
  local endpoint, n = "mem:redis_spec" .. count, 0
  local listener = assert(net.listen(endpoint))
  local serving = task.spawn(listener.serve, listener, function(stream)
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
    serving:cancel()
    serving:join()
  end})
end

return redis
