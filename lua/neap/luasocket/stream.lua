--- LuaSocket's objects for connections and those who accept them, TCP and unix, on neap's
--- streams and listeners.
---
--- A master that is bound listens already, for neap has no socket that is bound and does
--- nothing; `connect` then goes out from the address that it has had. What connects within a
--- time does so in a task of its own, and goes on when the time is up, as LuaSocket's
--- non-blocking connect does.

local net = require "neap.net"
local endpoints = require "neap.endpoint"
local object = require "neap.luasocket.object"
local options = require "neap.luasocket.options"
local task = require "neap.task"
local time = require "neap.time"
local transfer = require "neap.luasocket.transfer"
local words = require "neap.luasocket.words"

local ipairs, pairs, pcall, setmetatable, tonumber = ipairs, pairs, pcall, setmetatable, tonumber
local find, format, tointeger = string.find, string.format, math.tointeger
local bad, check, limit = object.bad, object.check, object.limit
local text_of = words.of
local connect, listen, now, timeout = net.connect, net.listen, time.now, task.timeout

--- One kind: what a class's methods know.
---@class (private) neap.luasocket.Kind
---@field name string
---@field classes table<string, table>
---@field endpoint fun(self: table, a: any, b: any, binds: boolean, method: string): string?, string?

--- An object that has nothing yet.
---@param kind neap.luasocket.Kind
---@param family? "inet"|"inet6"
local function new(kind, class, family)
  return setmetatable({
    kind = kind, family = family, asked = family, block = -1, total = -1, options = {},
    received = 0, sent = 0, born = now(),
  }, kind.classes[class])
end

local function become(self, class)
  setmetatable(self, self.kind.classes[class])
end

local function connected(self, stream)
  self.stream, self.family = stream, stream.family
  become(self, "client")
  object.apply_limit(self)
end

--- The result of the task that connects, if it has ended within the time. Who has called
--- `connect` and has not heard of it calls that again: `news`.
local function collect(self, seconds)
  local dialing = self.dialing
  if seconds then
    timeout(seconds, dialing.join, dialing)
  else
    dialing:join()
  end
  local status = dialing.status
  if status ~= "done" and status ~= "cancelled" then
    return nil, "timeout"
  end
  self.dialing = nil
  local stream, err = dialing:join()
  if not stream then
    return nil, text_of(err)
  end
  connected(self, stream)
  self.news = true
  return 1
end

--- The stream, once it is connected.
---@return neap.Stream? stream
---@return string? text
local function opened(self)
  if self.stream then
    return self.stream
  elseif self.dialing then
    local ok, text = collect(self, limit(self))
    return ok and self.stream, text
  end
  return nil, self.failed or self.closed and "closed" or "Transport endpoint is not connected"
end

local function release(self)
  local stream, listener, dialing = self.stream, self.listener, self.dialing
  self.stream, self.listener, self.dialing = nil, nil, nil
  if self.stand_in then
    self.stand_in:close()
    self.stand_in = nil
  end
  if dialing then
    dialing:cancel()
    stream = dialing.status == "done" and dialing:join()
  end
  if stream then
    stream:close()
  end
  if listener then
    listener:close()
  end
end

local methods = {}

function methods.connect(self, a, b)
  check(self, "connect", self.kind.name)
  if self.dialing then
    if self.dialing.status == "done" then
      local ok, text = collect(self)
      self.news = nil
      return ok, text
    end
    return nil, "Operation already in progress"
  elseif self.stream then
    local is_news = self.news
    self.news = nil
    if is_news then
      return 1
    end
    return nil, "already connected"
  elseif self.failed then
    local text = self.failed
    self.failed = nil
    return nil, text
  end
  local endpoint, text = self.kind.endpoint(self, a, b, false, "connect")
  local opts = options.copy(self)
  if self.listener then
    opts.localaddr = self.listener.address
    opts.reuseaddr = true
  end
  release(self)
  become(self, "client")
  self.closed = false
  if not endpoint then
    return nil, text
  end
  local seconds = limit(self)
  if seconds then
    self.dialing = task.background(connect, endpoint, opts)
    local ok, why = collect(self, seconds)
    self.news = nil
    return ok, why
  end
  local stream, err = connect(endpoint, opts)
  if not stream then
    return nil, text_of(err)
  end
  connected(self, stream)
  return 1
end

function methods.bind(self, a, b)
  local kind = self.kind
  check(self, "bind", kind.name, kind.classes.master)
  local endpoint, text = kind.endpoint(self, a, b, true, "bind")
  if not endpoint then
    return nil, text
  end
  release(self)
  local listener, err = listen(endpoint, options.copy(self))
  if not listener then
    return nil, text_of(err)
  end
  self.listener, self.closed = listener, false
  local address = listener.address
  self.family = address and address.family
  return 1
end

function methods.listen(self)
  local kind = self.kind
  check(self, "listen", kind.name, kind.classes.master)
  if not self.listener then
    if not kind.wildcard then
      return nil, "Invalid argument"
    end
    local ok, text = methods.bind(self, "*", 0)
    if not ok then
      return nil, text
    end
  end
  become(self, "server")
  return 1
end

function methods.accept(self)
  local kind = self.kind
  check(self, "accept", kind.name, kind.classes.server)
  local listener, seconds = self.listener, limit(self)
  if not listener then
    return nil, "closed"
  end
  local stream, err
  if seconds then
    stream, err = timeout(seconds, listener.accept, listener)
  else
    stream, err = listener:accept()
  end
  if not stream then
    return nil, text_of(err)
  end
  local client = new(kind, "client")
  connected(client, stream)
  return client
end

function methods.receive(self, pattern, part)
  check(self, "receive", self.kind.name, self.kind.classes.client)
  return transfer.receive(self, opened, pattern, part)
end

function methods.send(self, data, from, to)
  check(self, "send", self.kind.name, self.kind.classes.client)
  return transfer.send(self, opened, data, from, to)
end

function methods.shutdown(self, how)
  local kind = self.kind
  check(self, "shutdown", kind.name, kind.classes.client)
  how = how or "both"
  if how ~= "both" and how ~= "send" and how ~= "receive" then
    bad(1, "shutdown", format("invalid option '%s'", object.text(how, 1, "shutdown")))
  end
  local stream = self.stream
  if stream and how ~= "receive" then
    stream:shutdown()
  end
  self.deaf = self.deaf or how ~= "send"
  return 1
end

function methods.close(self)
  check(self, "close", self.kind.name)
  release(self)
  self.closed = true
  return 1
end

methods.settimeout, methods.gettimeout = object.settimeout, object.gettimeout

function methods.setoption(self, name, value)
  check(self, "setoption", self.kind.name)
  return options.set(self, self.stream or self.listener, object.text(name, 1, "setoption"), value)
end

function methods.getoption(self, name)
  check(self, "getoption", self.kind.name)
  return options.get(self, self.stream or self.listener, object.text(name, 1, "getoption"))
end

--- A socket of a family has a descriptor from its birth. This one gets its own when it is
--- bound or connected, and something that stands for it until then.
local function stand_in(self)
  local any = self.asked == "inet6" and "udp6://[::1]:0" or "udp4://127.0.0.1:0"
  self.stand_in = self.stand_in or net.bind(any)
  return self.stand_in
end

function methods.getfd(self)
  check(self, "getfd", self.kind.name)
  local open = self.stream or self.listener or self.asked and not self.closed and stand_in(self)
  local fd = open and open.fd
  if fd then
    object.by_fd[fd] = self
  end
  return fd or -1
end

--- Take another descriptor, or none: what it had is left open, and whoever has its number
--- goes on with that.
function methods.setfd(self, fd)
  check(self, "setfd", self.kind.name)
  fd = tointeger(tonumber(fd))
  if not fd then
    bad(1, "setfd", "number expected")
  end
  if self.stream then
    self.stream:detach()
    self.stream = nil
  end
  release(self)
  self.closed = true
  if fd >= 0 then
    local open = self.class == self.kind.classes.server.__name and listen or connect
    local ok, socket = pcall(open, "fd:" .. fd)
    if ok and socket and open == listen then
      self.listener, self.closed = socket, false
    elseif ok and socket then
      self.closed = false
      connected(self, socket)
    end
  end
end

function methods.dirty(self)
  check(self, "dirty", self.kind.name)
  local stream = self.stream
  return stream ~= nil and (stream.unread or 0) > 0
end

function methods.getstats(self)
  check(self, "getstats", self.kind.name, self.kind.classes.client)
  return transfer.getstats(self)
end

function methods.setstats(self, received, sent, age)
  check(self, "setstats", self.kind.name, self.kind.classes.client)
  return transfer.setstats(self, received, sent, age)
end

--- For select: what of "r", "w" or "rw" would not wait, within a time.
---@return "r"|"w"|"rw"|nil ready
local function await(self, what, seconds)
  if self.dialing then
    local _, text = collect(self, seconds)
    if text == "timeout" then
      return nil
    elseif text then
      self.failed = text
      return what
    end
    return find(what, "w", 1, true) and "w" or await(self, what, 0)
  elseif self.listener then
    local ready, err = self.listener:wait(seconds)
    return ready or err.code ~= "ETIMEDOUT" and "r" or nil
  end
  local ready, err = self.stream:wait(what, seconds)
  return ready or err.code ~= "ETIMEDOUT" and what or nil
end

local function is_open(self)
  return self.stream or self.listener or self.dialing
end

---@type neap.luasocket.Kind
local tcp = {name = "tcp", wildcard = true}

local function bracketed(host)
  return find(host, ":", 1, true) and "[" .. host .. "]" or host
end

function tcp.endpoint(self, host, port, binds, method)
  host, port = object.text(host, 1, method, 1), object.text(port, 2, method, 1)
  local asked = self.asked
  if binds and host == "*" then
    host = asked == "inet6" and "::" or "0.0.0.0"
  end
  local scheme = asked == "inet6" and "tcp6" or asked == "inet" and "tcp4" or "tcp"
  local text = format("%s://%s:%s", scheme, bracketed(host), port)
  local ok, parts, err = pcall(endpoints.parse, text)
  if host == "" or not ok then
    return nil, words.unknown_host
  elseif not parts then
    return nil, text_of(err)
  end
  return text
end

local function address_of(address)
  if not address then
    return nil, words.bad_descriptor
  end
  return address.ip, address.port, address.family
end

local tcp_methods = {}

function tcp_methods.getpeername(self)
  check(self, "getpeername", "tcp")
  return address_of(self.stream and self.stream.remoteaddr)
end

function tcp_methods.getsockname(self)
  check(self, "getsockname", "tcp")
  local open = self.stream
  if self.asked and not open and not self.listener and not self.closed then
    return self.asked == "inet6" and "::" or "0.0.0.0", "0", self.asked
  end
  local address = open and open.localaddr or self.listener and self.listener.address
  local ip, port, family = address_of(address)
  return ip, address and format("%d", port) or port, family
end

function tcp_methods.getfamily(self)
  check(self, "getfamily", "tcp")
  return self.family == "inet6" and "inet6" or "inet4"
end

local unix = {name = "unixstream"}

function unix.endpoint(_, path, _, _, method)
  path = object.text(path, 1, method, 1)
  local text = "unix:" .. path
  local ok, parts, err = pcall(endpoints.parse, text)
  if not ok then
    return nil, "No such file or directory"
  elseif not parts then
    return nil, text_of(err)
  end
  return text
end

local unix_methods = {}

function unix_methods.getsockname(self)
  check(self, "getsockname", "unixstream")
  local address = self.stream and self.stream.localaddr or
    self.listener and self.listener.address
  return address and address.path or ""
end

for name, method in pairs(methods) do
  tcp_methods[name], unix_methods[name] = method, method
end
for _, all in ipairs {tcp_methods, unix_methods} do
  all.setpeername, all.setsockname = methods.connect, methods.bind
end

local NAMES = {"master", "client", "server"}
local waiting = {await = await, is_open = is_open}
tcp.classes = object.classes("tcp", NAMES, tcp_methods, waiting)
unix.classes = object.classes("unixstream", NAMES, unix_methods, waiting)

local stream = {opened = opened}

--- `socket.tcp`, `tcp4`, `tcp6`.
---@param family? "inet"|"inet6"
function stream.tcp(family)
  local self = new(tcp, "master", family)
  if family == "inet6" then
    self.options.v6only = true
  end
  return self
end

--- What TLS takes over: another object that has the connection from now on, also one that
--- is still being made. Nil: it is none.
function stream.moved(self)
  local kind = object.is(self) and self.kind
  if kind ~= tcp and kind ~= unix or not (self.stream or self.dialing) then
    return nil
  end
  local other = new(kind, "client", self.asked)
  other.stream, other.dialing, other.family = self.stream, self.dialing, self.family
  self.stream, self.dialing, self.closed = nil, nil, true
  return other
end

--- `socket.unix.stream`.
function stream.unix()
  return new(unix, "master")
end

return stream
