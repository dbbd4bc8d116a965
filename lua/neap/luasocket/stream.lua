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
local words = require "neap.luasocket.words"

local ipairs, pairs, pcall, setmetatable, tonumber, type = ipairs, pairs, pcall, setmetatable, tonumber, type
local concat, find, format, gsub, sub = table.concat, string.find, string.format, string.gsub, string.sub
local min, tointeger = math.min, math.tointeger
local bad, check, limit, start_of = object.bad, object.check, object.limit, object.start
local text_of = words.of
local connect, listen, now, timeout = net.connect, net.listen, time.now, task.timeout

local STRICT = {strict = true}

--- Bytes of a line. LuaSocket has no limit; here it is that of what a stream can hold.
local LONGEST = 2 ^ 31 - 1 | 0

--- Bytes that are written at once where there is a limit of time.
local PIECE = 65536

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

--- Let the stream's own waits last as long as a call's: what changes while a call goes on
--- (`total`) is set in front of each.
local function apply_limit(self)
  if self.stream then
    self.stream:settimeout(self.block >= 0 and self.block or nil)
  end
end

local function connected(self, stream)
  self.stream, self.family = stream, stream.family
  become(self, "client")
  apply_limit(self)
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

--- Bytes that are there, when a call has failed; they are taken.
local function left_over(stream)
  return (stream.unread or 0) > 0 and stream:recv() or ""
end

local function is_deaf(self, stream)
  return self.deaf and stream.unread == 0
end

local function receive_some(self, stream, most, start)
  if start then
    stream:settimeout(limit(self, start))
  end
  local chunk, err = stream:recv(most)
  self.received = self.received + (chunk and #chunk or 0)
  return chunk, err
end

local function receive_count(self, stream, count, part, start)
  local parts, have = {part}, #part
  if count == 0 then
    if start then
      stream:settimeout(limit(self, start))
    end
    local none, err = stream:read(0)
    return none, not none and text_of(err) or nil, not none and "" or nil
  end
  while have < count do
    local chunk, err = receive_some(self, stream, count - have, start)
    if not chunk then
      return nil, text_of(err), concat(parts)
    end
    have = have + #chunk
    parts[#parts + 1] = chunk
  end
  return concat(parts)
end

local function receive_all(self, stream, part, start)
  local parts = {part}
  while true do
    local chunk, err = receive_some(self, stream, nil, start)
    if not chunk then
      local text = text_of(err)
      if text == "closed" and #parts > 1 then
        return concat(parts)
      end
      return nil, text, concat(parts)
    end
    parts[#parts + 1] = chunk
  end
end

local function without_returns(text)
  return find(text, "\r", 1, true) and gsub(text, "\r", "") or text
end

local function receive_line(self, stream, part, start)
  local line, err
  if start then
    line, err = timeout(self.total, stream.readuntil, stream, "\n", LONGEST, STRICT)
  else
    line, err = stream:readuntil("\n", LONGEST, STRICT)
  end
  if line then
    self.received = self.received + #line + 1
    return part .. without_returns(line)
  end
  local rest = left_over(stream)
  self.received = self.received + #rest
  return nil, text_of(err), part .. without_returns(rest)
end

function methods.receive(self, pattern, part)
  local kind = self.kind
  check(self, "receive", kind.name, kind.classes.client)
  part = part == nil and "" or object.text(part, 2, "receive")
  local count = tonumber(pattern)
  local letter = pattern == nil and "l" or not count and type(pattern) == "string" and gsub(pattern, "^%*", "")
  letter = letter and sub(letter, 1, 1)
  if count and count < 0 or not count and letter ~= "l" and letter ~= "a" then
    bad(1, "receive", "invalid receive pattern")
  end
  local stream, text = opened(self)
  if not stream or is_deaf(self, stream) then
    return nil, text or "closed", part
  end
  local start = start_of(self)
  if count then
    count = tointeger(count // 1)
    if #part > 0 and count <= #part then
      return part
    end
    return receive_count(self, stream, count, part, start)
  elseif letter == "a" then
    return receive_all(self, stream, part, start)
  end
  return receive_line(self, stream, part, start)
end

--- Within a time, a piece at a time: so what went out before is known. Who never waits may
--- have a loop of its own, in C, that does not let neap's run: so it goes out at once.
local function send_within(self, stream, data, from, to, start)
  while from <= to do
    local seconds = limit(self, start)
    local ready, err = stream:wait("w", seconds)
    if not ready then
      return from - 1, err
    end
    local last = min(to, from + PIECE - 1)
    stream:settimeout(seconds)
    local done
    done, err = stream:write(from == 1 and last == #data and data or sub(data, from, last))
    if not done and err.accepted == 0 then
      return from - 1, err
    end
    from = last + 1
    if not done and (err.code ~= "ETIMEDOUT" or from <= to) then
      return last, err
    end
  end
  if limit(self, start) == 0 then
    stream:settimeout(0)
    stream:flush()
  end
  return to
end

local function send_all(stream, data, from, to)
  local done, err = stream:write(from == 1 and to == #data and data or sub(data, from, to))
  if not done then
    return from - 1 + (err.accepted or 0), err
  end
  return to
end

function methods.send(self, data, from, to)
  local kind = self.kind
  check(self, "send", kind.name, kind.classes.client)
  data = object.text(data, 1, "send")
  from, to = tonumber(from or 1), tonumber(to or -1)
  if not from or not to then
    bad(from and 3 or 2, "send", "number expected")
  end
  from, to = tointeger(from // 1), tointeger(to // 1)
  from = from < 0 and #data + from + 1 or from
  to = to < 0 and #data + to + 1 or min(to, #data)
  from = from < 1 and 1 or from
  local stream, text = opened(self)
  if not stream then
    return nil, text, from - 1
  elseif from > to then
    return from - 1
  end
  local last, err
  if self.block < 0 and self.total < 0 then
    last, err = send_all(stream, data, from, to)
  else
    last, err = send_within(self, stream, data, from, to, start_of(self))
  end
  self.sent = self.sent + last - from + 1
  if err then
    return nil, text_of(err), last
  end
  return last
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

function methods.settimeout(self, seconds, mode)
  check(self, "settimeout", self.kind.name)
  object.set_limit(self, seconds, mode)
  apply_limit(self)
  return 1
end

function methods.gettimeout(self)
  check(self, "gettimeout", self.kind.name)
  return self.block, self.total
end

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
  local kind = self.kind
  check(self, "getstats", kind.name, kind.classes.client)
  return self.received, self.sent, now() - self.born
end

function methods.setstats(self, received, sent, age)
  local kind = self.kind
  check(self, "setstats", kind.name, kind.classes.client)
  self.received = tonumber(received) or self.received
  self.sent = tonumber(sent) or self.sent
  self.born = tonumber(age) and now() - age or self.born
  return 1
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
tcp.classes = object.classes("tcp", NAMES, tcp_methods)
unix.classes = object.classes("unixstream", NAMES, unix_methods)

local stream = {await = await, is_open = is_open}

--- `socket.tcp`, `tcp4`, `tcp6`.
---@param family? "inet"|"inet6"
function stream.tcp(family)
  local self = new(tcp, "master", family)
  if family == "inet6" then
    self.options.v6only = true
  end
  return self
end

--- `socket.unix.stream`.
function stream.unix()
  return new(unix, "master")
end

return stream
