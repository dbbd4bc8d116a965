--- A server of names, for what asks one.

local net = require "neap.net"
local packet = require "neap.packet"
local task = require "neap.task"

local name_server = {}
name_server.__index = name_server

--- What a server says to a query: the fields of its answer.
---@param query neap.packet.Dns
---@param fields table
function name_server.answer(query, fields)
  local answer = {
    id = query.id, qr = true, rd = query.rd, ra = true, question = query.question,
  }
  for name, value in pairs(fields) do
    answer[name] = value
  end
  return packet.dns(answer):bytes()
end

--- An SOA record, by which an answer says for how long there is nothing.
function name_server.soa(ttl)
  return {
    name = "test", type = "SOA", ttl = 600, mname = "ns.test", rname = "root.test", serial = 1,
    refresh = 1, retry = 1, expire = 1, minimum = ttl,
  }
end

local function reply(self, data, over, send)
  local query = packet.dissect(data, "dns").dns
  local question = query.question[1]
  self.asked[#self.asked + 1] = question.name .. " " .. question.type
  local result = self.answers(question.name, question.type, over, query, send)
  if type(result) == "table" then
    result = name_server.answer(query, result)
  end
  if result then
    send(result)
  end
end

--- Both transports at one port.
local function open()
  for _ = 1, 100 do
    local socket = assert(net.bind "udp://127.0.0.1:0")
    local listener = net.listen("tcp://127.0.0.1:" .. socket.localaddr.port)
    if listener then
      return socket, listener
    end
    socket:close()
  end
  error "no port for both"
end

--- Serve until it is closed. `answers(name, type, over, query, send)` gives the fields of
--- an answer, or its bytes, or nil for none; `over` is "udp" or "tcp"; `send` sends bytes
--- besides.
function name_server.new(answers)
  local self = setmetatable({asked = {}, answers = answers}, name_server)
  self.socket, self.listener = open()
  self.port = self.socket.localaddr.port
  self.tasks = {
    task.spawn(function()
      for data, from in self.socket:messages() do
        reply(self, data, "udp", function(bytes)
          self.socket:send(bytes, from)
        end)
      end
    end),
    task.spawn(function()
      self.listener:serve(function(stream)
        for _ = 1, 100 do
          local data = stream:unpack ">s2"
          if not data then
            break
          end
          reply(self, data, "tcp", function(bytes)
            stream:pack(">s2", bytes)
          end)
        end
      end)
    end),
  }
  return self
end

--- What it was asked since the last call, in the order of the alphabet.
function name_server:take()
  local asked = self.asked
  self.asked = {}
  table.sort(asked)
  return table.concat(asked, ", ")
end

function name_server:close()
  self.socket:close()
  self.listener:close()
  for _, t in ipairs(self.tasks) do
    t:cancel()
    pcall(t.join, t)
  end
end

name_server.__close = name_server.close

return name_server
