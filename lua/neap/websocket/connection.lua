--- What both ends do behind the handshake: messages, pings, and the way to the end.

local check_self = require "neap.class.core".check_self
local core = require "neap.websocket.core"
local deflate = require "neap.websocket.deflate"
local error_object = require "neap.error"
local options = require "neap.options"
local speaks = require "neap.net.core".speaks
local task = require "neap.task"
local time = require "neap.time"

local error, getmetatable, setmetatable = error, getmetatable, setmetatable
local tostring, type = tostring, type
local format, pack = string.format, string.pack
local mathtype, max = math.type, math.max
local clear, pending, valid = core.clear, core.pending, core.valid
local draining, idle, timeout, yield = task.draining, task.idle, task.timeout, task.yield
local now = time.now

--- How a frame says what it is.
local CLOSE, PING, PONG = 8, 9, 10
local opcodes = { text = 1, binary = 2 }

--- The codes of errors, where it was the peer who did wrong.
local wrongs = { [1002] = "EPROTO", [1007] = "EILSEQ", [1009] = "EMSGSIZE" }

--- A connection that speaks WebSocket, of either end. One task reads at a time; any number
--- may send: messages stay whole.
---
--- Pings are answered, and a close is, while somebody reads. A message that is not read
--- stays where it is, and so its sender is slowed down. `<close>` closes it: with 1000, or
--- where an error is under way with 1011, without a wait for the peer.
---@class neap.WebSocket
---@field protocol string?  the subprotocol that both have agreed on
---@field stream neap.Stream  what it speaks over: for its addresses, options and `tls`
---@field code integer?  why it was closed, once it is: 1000, ...; 1005: the peer did not say;
--- 1006: there was no close, the connection was lost
---@field reason string?  what the peer said about that
local WebSocket = {}
local meta = { __index = WebSocket, __name = "neap.WebSocket" }

local function failure(code, words, op)
  return error_object.new { code = code, op = op or "recv", message = words }
end


-- Writing

--- One frame, all of it or nothing.
local function put(self, opcode, data, compressed)
  return self.stream:write(self.codec:frame(opcode, data, compressed))
end

--- A pong that did not wait for others; of several the last is enough (RFC 6455 §5.5.3).
local function put_pong(self)
  local data = self.pong
  if data and clear(self.stream) then
    self.pong = false
    put(self, PONG, data)
  end
end

--- Say goodbye: nobody waits for long for a peer that does not read.
local function put_close(self, code, reason)
  local data = code and pack(">I2", code) .. (reason or "") or ""
  self.said = true
  if clear(self.stream) then
    return put(self, CLOSE, data)
  end
  return timeout(self.patience, put, self, CLOSE, data)
end


-- The end

--- It is over, for everybody.
local function finish(self, code, reason, err)
  if self.over then
    return
  end
  self.over, self.code, self.reason, self.failed = true, code, reason, err or false
  self.stream:close()
  self.codec:forget()
  if self.ended then
    self.ended:set()
  end
end

--- How it ended, once it has: nil; or nil and why there was no close.
local function await_end(self)
  if not self.over then
    self.ended:wait()
  end
  if self.failed then
    return nil, self.failed
  end
  return nil
end

--- What an event that is no message means. Says whether it is over.
local function heed(self, event, a, b)
  if event == "ping" then
    self.pong = a
    put_pong(self)
  elseif event == "close" then
    if not self.said then
      put_close(self, a)
    end
    finish(self, a or 1005, b)
  elseif event == "wrong" then
    if not self.said then
      put_close(self, a, b)
    end
    finish(self, a, b, failure(wrongs[a], b))
  elseif event == nil then
    finish(self, 1006, "", a or failure("ENODATA", "the connection ended without a close"))
  end
  return self.over
end


-- Reading

--- Seconds until something is to be done about a peer that says nothing.
local function remaining(self)
  return max(self.due - now(), 0)
end

local function heard(self)
  self.asked, self.due = false, now() + self.interval
end

--- The time is up: ask, and then give up.
local function ask(self)
  if self.asked then
    finish(self, 1006, "", failure("ETIMEDOUT", "the peer does not answer pings"))
  else
    self.asked, self.due = true, now() + self.interval
    if clear(self.stream) then
      put(self, PING, "")
    end
  end
end

--- The next event, of what has come already or of the stream. A server's gives way when the
--- program drains.
local function await(self, seconds)
  if self.coder and self.coder.parts then
    return self.coder:receive(self.max)
  elseif self.client or pending(self.stream) then
    return self.codec:next(self.stream, seconds)
  end
  return idle(self.codec.next, self.codec, self.stream, seconds)
end

--- The next message, or the end.
local function receive(self)
  while not self.over and not self.closing do
    local event, a, b = await(self, self.interval and remaining(self) or nil)
    if event == "text" or event == "binary" then
      if self.interval then
        heard(self)
      end
      if not b then
        return a, event
      end
      self.coder:begin(event, a)
    elseif event == nil and a and a.code == "ETIMEDOUT" then
      if not self.interval or now() < self.due then
        return nil, a
      end
      ask(self)
    elseif event == nil and a and a.code == "ECANCELED" and draining() and not self.over then
      self:close(1001)
    else
      if self.interval then
        heard(self)
      end
      heed(self, event, a, b)
    end
  end
  return await_end(self)
end

--- The next message. nil when the connection was closed in order, by either end: see `code`
--- and `reason`. After an error that is not ETIMEDOUT it is over; a message that comes behind
--- a timeout, or behind a task that was cancelled, is the next call's.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local websocket = require "neap.websocket"
---
--- local listener = assert(net.listen "tcp://127.0.0.1:0")
--- local server = task.spawn(http.serve, listener, function(request)
---   local ws = assert(request:websocket())
---   ws:send("hello " .. request.path)
---   ws:send("\0\1", "binary")
---   ws:close(4000, "enough")
--- end)
---
--- local ws = assert(websocket.connect("ws://127.0.0.1:" .. listener.port .. "/there"))
--- print(ws:recv())  --> hello /there text
--- print(#ws:recv(), (ws:recv()))  --> 2 nil
--- print(ws.code, ws.reason)  --> 4000 enough
--- server:cancel()
--- ```
---@async
---@return string? data
---@return "text"|"binary"|neap.Error|nil kind  or why it ended otherwise: ENODATA (no close),
--- ETIMEDOUT, EPROTO, EILSEQ (a text that is no UTF-8), EMSGSIZE (longer than `max`), ECONNRESET, ...
function WebSocket:recv()
  if getmetatable(self) ~= meta then
    check_self(self, meta, "recv")
  end
  return receive(self)
end

local function next_message(self)
  local data, kind = receive(self)
  if data == nil and kind then
    error(kind, 0)
  end
  return data, kind
end

--- Iterate over the messages, until the connection is closed. An error is raised.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local websocket = require "neap.websocket"
---
--- local listener = assert(net.listen "mem:chat")
--- local server = task.spawn(http.serve, listener, function(request)
---   local ws = assert(request:websocket())
---   for data, kind in ws:messages() do
---     ws:send(data:upper(), kind)
---   end
--- end)
---
--- local ws <close> = assert(websocket.connect("ws://here/", {stream = net.connect "mem:chat"}))
--- ws:send "one"
--- print(ws:recv())  --> ONE text
--- server:cancel()
--- ```
---@async
---@return fun(ws: neap.WebSocket): string?, "text"|"binary"|nil
---@return neap.WebSocket
function WebSocket:messages()
  check_self(self, meta, "messages")
  return next_message, self
end


-- Sending

local function check_data(data, name)
  if type(data) ~= "string" then
    error(format("bad argument #1 to '%s' (string expected, got %s)", name, type(data)), 3)
  end
end

local function is_closed(self, op)
  return nil, failure("EPIPE", "the websocket is closed" .. (self.code and format(" (%d)", self.code) or ""), op)
end

--- Send a message; waits while the peer reads slowly. It is accepted as a whole or not at
--- all: `err.accepted` is 0 where a timeout came first.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local websocket = require "neap.websocket"
---
--- local listener = assert(net.listen "mem:chat")
--- local server = task.spawn(http.serve, listener, function(request)
---   local ws = assert(request:websocket())
---   ws:send(ws:recv():upper())
--- end)
---
--- local ws = assert(websocket.connect("ws://here/", {stream = net.connect "mem:chat"}))
--- print(select(2, ws:send "gr\xfcn").code)  --> EILSEQ
--- ws:send "green"
--- print(ws:recv())  --> GREEN text
--- print(ws:recv(), ws.code)  --> nil 1000
--- print(select(2, ws:send "more"))  --> send: the websocket is closed (1000) (EPIPE)
--- server:cancel()
--- ```
---@async
---@param data string
---@param kind? "text"|"binary"  default text, which is UTF-8
---@return neap.WebSocket? ws  itself
---@return neap.Error? err  EILSEQ: no UTF-8; EPIPE: it is closed; ECONNRESET, ETIMEDOUT, ...
function WebSocket:send(data, kind)
  if getmetatable(self) ~= meta then
    check_self(self, meta, "send")
  end
  check_data(data, "send")
  local opcode = opcodes[kind or "text"]
  if not opcode then
    error(format("bad argument #2 to 'send' ('text' or 'binary' expected, got %s)", tostring(kind)), 2)
  elseif self.said or self.over then
    return is_closed(self, "send")
  elseif opcode == 1 and not valid(data) then
    return nil, failure("EILSEQ", "a text that is no UTF-8", "send")
  end
  local ok, err
  if self.coder then
    ok, err = self.coder:send(data, function(smaller)
      if self.said or self.over then
        return is_closed(self, "send")
      end
      return put(self, opcode, smaller or data, smaller ~= nil)
    end)
  else
    ok, err = put(self, opcode, data)
  end
  if self.pong then
    put_pong(self)
  end
  if not ok then
    return nil, err
  end
  return self
end

--- Send a ping. Whoever reads there answers it; the answer is read, and passed over, by our
--- `recv`.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local websocket = require "neap.websocket"
---
--- local listener = assert(net.listen "mem:chat")
--- local server = task.spawn(http.serve, listener, function(request)
---   local ws = assert(request:websocket())
---   ws:ping "there?"
---   ws:send "hello"
---   ws:recv()
--- end)
---
--- local ws <close> = assert(websocket.connect("ws://here/", {stream = net.connect "mem:chat"}))
--- print(ws:recv())  --> hello text
--- server:cancel()
--- ```
---@async
---@param data? string  at most 125 bytes
---@return neap.WebSocket? ws  itself
---@return neap.Error? err
function WebSocket:ping(data)
  check_self(self, meta, "ping")
  data = data or ""
  check_data(data, "ping")
  if #data > 125 then
    error("bad argument #1 to 'ping' (at most 125 bytes expected)", 2)
  elseif self.said or self.over then
    return is_closed(self, "ping")
  end
  local ok, err = put(self, PING, data)
  if not ok then
    return nil, err
  end
  return self
end


-- Closing

local function check_close(code, reason)
  if mathtype(code) ~= "integer" or code ~= 1000 and code ~= 1001 and (code < 1007 or code > 1014)
    and code ~= 1002 and code ~= 1003 and (code < 3000 or code > 4999) then
    error(format("bad argument #1 to 'close' (1000 to 1003, 1007 to 1014, or 3000 to 4999 expected, got %s)",
      tostring(code)), 3)
  elseif type(reason) ~= "string" or #reason > 123 or not valid(reason) then
    error("bad argument #2 to 'close' (a text of at most 123 bytes expected)", 3)
  end
end

--- Who closes is cancelled, too, or has waited long enough.
local closing_meta = { __close = function(guard)
  local self = guard[1]
  self.closing = false
  finish(self, 1006, "", failure("ETIMEDOUT", "the peer did not answer the close", "close"))
end }

--- Read and forget until the peer closes, too.
local function await_close(self)
  local late = now() + self.patience
  if self.codec:interrupt(self.stream) then
    yield()
  end
  while not self.over and now() < late do
    local event, a, b = self.codec:next(self.stream, late - now())
    if event == nil and a and a.code == "ETIMEDOUT" and now() >= late then
      return
    elseif event ~= "ping" then
      heed(self, event, a, b)
    end
  end
end

--- Close: says so to the peer, and waits for its answer, for as long as `close_timeout` says;
--- what it has sent until then is dropped. A task that waits in `recv` gets the end. What is
--- closed already stays as it is.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local websocket = require "neap.websocket"
---
--- local listener = assert(net.listen "mem:chat")
--- local server = task.spawn(http.serve, listener, function(request)
---   local ws = assert(request:websocket())
---   print(ws:recv(), ws.code, ws.reason)  --> nil 1000 bye
--- end)
---
--- local ws = assert(websocket.connect("ws://here/", {stream = net.connect "mem:chat"}))
--- print(ws:close(1000, "bye"), ws.code)  --> true 1000
--- server:cancel()
--- ```
---@async
---@param code? integer  why: 1000 (the default) to 1003, 1007 to 1014, or of your own 3000 to 4999
---@param reason? string  at most 123 bytes
---@return true? closed  in order
---@return neap.Error? err  ETIMEDOUT: the peer did not answer; ENODATA, ECONNRESET, ...
function WebSocket:close(code, reason)
  check_self(self, meta, "close")
  code, reason = code or 1000, reason or ""
  check_close(code, reason)
  if not self.over and not self.closing then
    local _ <close> = setmetatable({ self }, closing_meta)
    self.closing, self.ended = true, task.event()
    local ok, err = put_close(self, code, reason)
    if ok then
      await_close(self)
    else
      finish(self, 1006, "", err)
    end
  end
  await_end(self)
  if self.failed then
    return nil, self.failed
  end
  return true
end

--- An error is under way: the peer is told, and nobody waits.
function meta:__close(err)
  if self.over or self.closing then
    return
  elseif err == nil then
    self:close()
    return
  end
  local code = error_object.is(err) and err.code == "ECANCELED" and 1001 or 1011
  if not self.said and clear(self.stream) then
    put_close(self, code)
  end
  finish(self, code, "")
end

--- Bound each wait for the peer: of `recv`, and of `send` when it reads slowly. See
--- `Stream:settimeout`.
---
--- ```lua
--- local net = require "neap.net"
--- local http = require "neap.http"
--- local task = require "neap.task"
--- local websocket = require "neap.websocket"
---
--- local listener = assert(net.listen "mem:chat")
--- local server = task.spawn(http.serve, listener, function(request)
---   assert(request:websocket()):recv()
--- end)
---
--- local ws <close> = assert(websocket.connect("ws://here/", {stream = net.connect "mem:chat"}))
--- ws:settimeout(0.01)
--- print(select(2, ws:recv()).code)  --> ETIMEDOUT
--- server:cancel()
--- ```
---@param seconds number?  nil: for ever
---@return neap.WebSocket ws  itself
function WebSocket:settimeout(seconds)
  check_self(self, meta, "settimeout")
  if seconds ~= nil and not (type(seconds) == "number" and seconds >= 0) then
    error("bad argument #1 to 'settimeout' (seconds, or nil, expected)", 2)
  end
  self.stream:settimeout(seconds)
  return self
end

local connection = { WebSocket = WebSocket }

--- Options of both ends.
connection.known = {
  max = options.size, ping = options.seconds, deflate = { deflate.is_option, "true or a table of options" },
  close_timeout = options.seconds,
}

--- Of a stream behind the handshake. `opts` were checked. What is asked with each message
--- stands in it.
function connection.new(stream, client, opts, protocol, agreed)
  local limit = opts.max or 16 * 1024 * 1024
  local self = setmetatable({
    stream = stream, client = client, protocol = protocol,
    codec = core.codec { client = client, max = limit, deflate = agreed ~= nil },
    coder = agreed and deflate.new(agreed, client, opts.deflate) or false, max = limit,
    patience = opts.close_timeout or 10, interval = opts.ping or false,
    over = false, closing = false, said = false, pong = false, failed = false,
  }, meta)
  if self.interval then
    heard(self)
  end
  speaks(stream, "websocket")
  return self
end

return connection
