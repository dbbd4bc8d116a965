--- LuaSocket's objects for messages, UDP and unix, on neap's datagram sockets.

local net = require "neap.net"
local object = require "neap.luasocket.object"
local options = require "neap.luasocket.options"
local words = require "neap.luasocket.words"

local pairs, pcall, setmetatable = pairs, pcall, setmetatable
local tonumber = tonumber
local bad, check, limit = object.bad, object.check, object.limit
local find, format, max, sub, tointeger = string.find, string.format, math.max, string.sub, math.tointeger

--- Bytes of a message that are received where nothing else is said.
local SIZE = 8192

local ANY = {inet = "udp4://0.0.0.0:0", inet6 = "udp6://[::]:0"}

local function new(kind, family)
  return setmetatable({
    kind = kind, family = family, asked = family, block = -1, total = -1, options = {},
  }, kind.classes.unconnected)
end

local function become(self, class)
  setmetatable(self, self.kind.classes[class])
end

--- What was opened because somebody had to have it, and is nobody's yet, gives way.
local function adopt(self, socket, err)
  if not socket then
    return nil, words.of(err)
  end
  if self.socket then
    self.socket:close()
  end
  self.socket, self.closed = socket, false
  self.family = socket.family
  return 1
end

--- The socket; opened, if it must be, to send from anywhere.
local function opened(self, family)
  if self.closed then
    return nil, "closed"
  elseif not self.socket then
    local any = self.kind.any(self.asked or family or "inet")
    local ok, text
    if not any then
      return nil, "Transport endpoint is not connected"
    end
    ok, text = adopt(self, net.bind(any, options.copy(self)))
    if not ok then
      return nil, text
    end
  end
  self.socket:settimeout(limit(self))
  return self.socket
end

local function sent(socket, err, data)
  if not socket then
    return nil, err.code == "EPIPE" and "refused" or words.of(err)
  end
  return #data
end

local methods = {}

function methods.send(self, data)
  local kind = self.kind
  check(self, "send", kind.name, kind.classes.connected)
  data = object.text(data, 1, "send")
  local socket, text = opened(self)
  if not socket then
    return nil, text
  end
  local done, err = socket:send(data)
  return sent(done, err, data)
end

function methods.sendto(self, data, a, b)
  local kind = self.kind
  check(self, "sendto", kind.name, kind.classes.unconnected)
  data = object.text(data, 1, "sendto")
  local to, text = kind.address(self, a, b, "sendto")
  local socket
  if to then
    socket, text = opened(self, to.family)
  end
  if not socket then
    return nil, text
  end
  local done, err = socket:send(data, to)
  return sent(done, err, data)
end

local function receive(self, size, method)
  size = size == nil and SIZE or tointeger((tonumber(size) or bad(1, method, "number expected")) // 1)
  local socket, text = opened(self)
  if not socket then
    return nil, text
  end
  local data, from = socket:recv(max(size, 1))
  if not data then
    return nil, from and words.of(from) or "closed"
  end
  return size < 1 and "" or data, from
end

function methods.receive(self, size)
  check(self, "receive", self.kind.name)
  local data, text = receive(self, size, "receive")
  if not data then
    return nil, text
  end
  return data
end

function methods.receivefrom(self, size)
  local kind = self.kind
  check(self, "receivefrom", kind.name, kind.classes.unconnected)
  local data, from = receive(self, size, "receivefrom")
  if not data then
    return nil, from
  end
  return data, kind.told(from)
end

function methods.setpeername(self, a, b)
  local kind = self.kind
  check(self, "setpeername", kind.name)
  if a == "*" then
    if self.socket then
      self.socket:connect()
    end
    become(self, "unconnected")
    return 1
  end
  local to, text = kind.find(self, a, b, "setpeername")
  if not to then
    return nil, text
  end
  local ok, err
  if self.socket and not self.spare then
    ok, err = self.socket:connect(to)
    ok, text = ok and 1, err and words.of(err)
  else
    ok, text = adopt(self, net.connect(kind.endpoint(to), options.copy(self)))
  end
  if not ok then
    return nil, text
  end
  self.spare = false
  become(self, "connected")
  return 1
end

function methods.setsockname(self, a, b)
  local kind = self.kind
  check(self, "setsockname", kind.name, kind.classes.unconnected)
  local at, text = kind.find(self, a, b, "setsockname", true)
  if not at then
    return nil, text
  end
  if self.socket then
    self.socket:close()
    self.socket = nil
  end
  self.spare = false
  return adopt(self, net.bind(kind.endpoint(at), options.copy(self)))
end

function methods.close(self)
  check(self, "close", self.kind.name)
  if self.socket then
    self.socket:close()
  end
  self.socket, self.closed = nil, true
  return 1
end

methods.settimeout, methods.gettimeout = object.settimeout, object.gettimeout

function methods.setoption(self, name, value)
  check(self, "setoption", self.kind.name)
  name = object.text(name, 1, "setoption")
  local socket = self.socket
  if not socket and find(name, "membership", 1, true) then
    socket = opened(self)
  end
  return options.set(self, socket, name, value)
end

function methods.getoption(self, name)
  check(self, "getoption", self.kind.name)
  return options.get(self, self.socket, object.text(name, 1, "getoption"))
end

function methods.getfd(self)
  check(self, "getfd", self.kind.name)
  if self.asked and not self.socket and opened(self) then
    self.spare = true
  end
  local fd = self.socket and self.socket.fd
  if fd then
    object.by_fd[fd] = self
  end
  return fd or -1
end

function methods.setfd(self, fd)
  check(self, "setfd", self.kind.name)
  fd = tointeger(tonumber(fd)) or bad(1, "setfd", "number expected")
  methods.close(self)
  if fd >= 0 then
    local ok, socket = pcall(net.bind, "fd:" .. fd)
    if ok and socket then
      adopt(self, socket)
    end
  end
end

function methods.dirty(self)
  check(self, "dirty", self.kind.name)
  return false
end

local function await(self, what, seconds)
  local ready, err = self.socket:wait(what, seconds)
  return ready or err.code ~= "ETIMEDOUT" and what or nil
end

local udp = {name = "udp"}

function udp.any(family)
  return ANY[family]
end

--- LuaSocket takes numbers only, where a message goes to.
function udp.address(_, ip, port, method)
  ip, port = object.text(ip, 2, method, 1), object.text(port, 3, method, 1)
  local ok, address = pcall(net.address,
    format(find(ip, ":", 1, true) and "[%s]:%s" or "%s:%s", ip, port))
  if not ok or not address.port then
    return nil, words.unknown_host
  end
  return address
end

function udp.find(self, host, port, method, binds)
  host, port = object.text(host, 1, method, 1), object.text(port, 2, method, 1)
  if binds and host == "*" then
    host = self.asked == "inet6" and "::" or "0.0.0.0"
  end
  local number = tointeger(tonumber(port))
  if not number then
    local known, unknown = net.service(port, "udp")
    if not known then
      return nil, words.of(unknown)
    end
    number = known
  end
  local ok, found, err = pcall(net.resolve, host, {family = self.asked or self.socket and self.family})
  if not ok or host == "" then
    return nil, words.unknown_host
  elseif not found then
    return nil, words.of(err)
  end
  local ip = found[1].ip
  return net.address(format(find(ip, ":", 1, true) and "[%s]:%d" or "%s:%d", ip, number))
end

function udp.endpoint(address)
  return format(address.family == "inet6" and "udp6://[%s]:%d" or "udp4://%s:%d", address.ip,
    address.port)
end

function udp.told(from)
  return from.ip, from.port
end

local udp_methods = {}

local function name_of(address)
  if not address then
    return nil, words.bad_descriptor
  end
  return address.ip, address.port, address.family
end

function udp_methods.getsockname(self)
  check(self, "getsockname", "udp")
  local ip, port, family = name_of(self.socket and self.socket.localaddr)
  if not ip and self.asked and not self.closed then
    return self.asked == "inet6" and "::" or "0.0.0.0", "0", self.asked
  end
  return ip, ip and format("%d", port) or port, family
end

function udp_methods.getpeername(self)
  check(self, "getpeername", "udp", udp.classes.connected)
  return name_of(self.socket and self.socket.remoteaddr)
end

function udp_methods.getfamily(self)
  check(self, "getfamily", "udp")
  return self.family == "inet6" and "inet6" or "inet4"
end

local unix = {name = "unixdgram"}

function unix.any() end

function unix.address(_, path, _, method)
  path = object.text(path, 2, method, 1)
  local ok, address = pcall(net.address, sub(path, 1, 1) == "/" and path or "./" .. path)
  if not ok then
    return nil, "No such file or directory"
  end
  return address
end

function unix.find(_, path, _, method)
  return object.text(path, 1, method, 1)
end

function unix.endpoint(path)
  return "unixgram:" .. path
end

function unix.told(from)
  return from and from.path or ""
end

local unix_methods = {}

function unix_methods.getsockname(self)
  check(self, "getsockname", "unixdgram")
  local address = self.socket and self.socket.localaddr
  return address and address.path or ""
end

for name, method in pairs(methods) do
  udp_methods[name], unix_methods[name] = method, method
end
unix_methods.connect, unix_methods.bind = methods.setpeername, methods.setsockname

local waiting = {await = await}

--- For select: has it a socket?
function waiting.is_open(self)
  return self.socket or methods.getfd(self) >= 0
end

local NAMES = {"unconnected", "connected"}
udp.classes = object.classes("udp", NAMES, udp_methods, waiting)
unix.classes = object.classes("unixdgram", NAMES, unix_methods, waiting)

local datagram = {SIZE = SIZE}

--- `socket.udp`, `udp4`, `udp6`.
---@param family? "inet"|"inet6"
function datagram.udp(family)
  local self = new(udp, family)
  if family == "inet6" then
    self.options.v6only = true
  end
  return self
end

--- `socket.unix.dgram`.
function datagram.unix()
  return new(unix)
end

return datagram
