--- What serves in a soak: echoes of every kind, a relay to one, and names.

local http = require "neap.http"
local net = require "neap.net"
local packet = require "neap.packet"
local task = require "neap.task"

local servers = {}
servers.__index = servers

local BACKLOG = 4096
local PATIENCE = 600 -- seconds that a client may be silent

local function echo(stream)
  stream:settimeout(PATIENCE)
  for data in stream:chunks() do
    assert(stream:write(data))
  end
end

local function serve_names(socket)
  for data, from in socket:messages() do
    local query = packet.dissect(data, "dns").dns
    local question = query and query.question[1]
    if question then
      socket:send(packet.dns({
        id = query.id, qr = true, rd = query.rd, ra = true, question = query.question,
        answer = question.type == "A" and {{name = question.name, type = "A", ttl = 1, address = "127.0.0.1"}} or {},
      }):bytes(), from)
    end
  end
end

local function answer(request)
  if request.path == "/ws" then
    local ws = assert(request:websocket())
    for data, kind in ws:messages() do
      assert(ws:send(data, kind))
    end
    return nil
  end
  local body = {}
  for piece in request:chunks() do
    body[#body + 1] = piece
  end
  return table.concat(body)
end

--- Serve all kinds; `path` begins the names of unix sockets, and `onerror` is told of what fails.
function servers.open(path, certificate, onerror)
  local self = setmetatable({listeners = {}, tasks = {}}, servers)
  local function failed(kind)
    return function(err)
      onerror(kind .. ": " .. tostring(err):gsub(":%d%d+", ":PORT"))
    end
  end
  local function listen(kind, endpoint, options)
    options = options or {}
    options.backlog = not endpoint:find "^mem:" and BACKLOG or nil
    local listener = assert(net.listen(endpoint, options))
    self.listeners[kind] = listener
    return listener
  end
  local function serve(kind, handler, ...)
    local listener = listen(kind, ...)
    self.tasks[#self.tasks + 1] = task.spawn(listener.serve, listener, handler, {onerror = failed(kind)})
  end

  serve("tcp", echo, "tcp4://*:0")
  serve("unix", echo, "unix:" .. path .. ".sock")
  serve("mem", echo, "mem:" .. path)
  serve("tls", echo, "tls://127.0.0.1:0", {cert = certificate.cert, key = certificate.key})
  serve("relay", function(stream)
    local onward <close> = assert(net.connect(self.listeners.unix.endpoint))
    local there, back = net.relay(stream, onward)
    assert(there, back)
  end, "tcp4://*:0")
  local listener = listen("http", "tcp4://*:0")
  self.tasks[#self.tasks + 1] = task.spawn(http.serve, listener, answer, {
    onerror = failed "http", timeout = {idle = PATIENCE},
  })

  local udp = assert(net.bind "udp://127.0.0.1:0")
  self.tasks[#self.tasks + 1] = task.spawn(function()
    for data, from in udp:messages() do
      udp:send(data, from)
    end
  end)
  local names = assert(net.bind "udp://127.0.0.1:0")
  self.tasks[#self.tasks + 1] = task.spawn(serve_names, names)
  self.sockets = {udp, names}

  self.names = names.localaddr.port
  self.endpoints = {udp = "udp://127.0.0.1:" .. udp.localaddr.port}
  for kind, bound in pairs(self.listeners) do
    self.endpoints[kind] = bound.port or bound.endpoint
  end
  return self
end

function servers:close()
  for _, listener in pairs(self.listeners) do
    listener:close()
  end
  for _, socket in ipairs(self.sockets) do
    socket:close()
  end
  for _, t in ipairs(self.tasks) do
    t:cancel()
    pcall(t.join, t)
  end
end

return servers
