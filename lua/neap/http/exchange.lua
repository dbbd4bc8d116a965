--- A request on a connection, and its answer as the client reads it.

local body = require "neap.http.body"
local check_self = require "neap.class.core".check_self
local core = require "neap.http.core"
local keep = require "neap.http.connections".keep
local error_object = require "neap.error"
local headers = require "neap.http.headers"
local message = require "neap.http.message"
local speaks = require "neap.net.core".speaks
local task = require "neap.task"
local time = require "neap.time"

local error, pcall, require, setmetatable = error, pcall, require, setmetatable
local tostring, type = tostring, type
local concat, format, lower, min = table.concat, string.format, string.lower, math.min
local background, now = task.background, time.now

--- Methods whose requests have a body, be it an empty one.
local wants_body = { POST = true, PUT = true, PATCH = true }

--- Bodies up to here go out with their head, in one write.
local TOGETHER = 64 * 1024

--- Seconds to wait for `100 Continue` before the body is sent all the same.
local CONTINUE = 1

local function fail(code, words, more)
  local err = more or {}
  err.code, err.op, err.message = code, "request", words
  return nil, error_object.new(err)
end


-- Answers

--- What a server has answered: its head; its body is read as a stream is: `read`, `lines`,
--- `chunks`, `recv`, `readuntil`, `readexactly`. Once that is read the connection serves the
--- next request; `close`, `<close>` or the collector end it where it is not. `read "a"` and
--- `json` take as much as the option `limits.body` says; pieces have no bound.
---@class neap.http.ClientResponse: neap.http.Body
---@field status integer  `200`
---@field ok boolean  is the status one of 200 to 299?
---@field reason string  `"OK"`, or what the server makes of it
---@field version "1.0"|"1.1"
---@field headers neap.http.Headers
---@field url string  what was asked for at last, behind all redirects
---@field history string[]  the URLs that led there, the first one first
---@field length integer?  of the body as it is sent, in bytes, where that was said
---@field trailers neap.http.Headers?  behind a body in chunks, once it is read
---@field stream neap.Stream?  behind a 101: the connection, which is the caller's now
local ClientResponse = {}
local response_meta = { __name = "neap.http.ClientResponse" }

local of_head = { status = true, reason = true, version = true, length = true }

local made = {}

function made.headers(self)
  return headers.of(self.head:all())
end

function made.ok(self)
  local status = self.head.status
  return status >= 200 and status <= 299
end

--- The connection is of no use any more; whoever reads on is told `why`.
local function drop(self, why)
  local connection = self.connection
  if connection then
    self.connection, self.ended = nil, why
    if connection.pump then
      connection.pump:cancel()
    end
    connection.stream:reset()
  end
end

body.inherit(response_meta, ClientResponse, { drop = drop }, of_head, made)

--- The body is read: the connection is for the next request, if it can be.
local function finish(self)
  local connection = self.connection
  self.connection = nil
  if connection.pump or connection.broken or not self.head.keepalive or self.head.framing == "close"
    or self.parser:pending(connection.stream) then
    if connection.pump then
      connection.pump:cancel()
    end
    connection.stream:close()
  else
    keep(self.pool, connection)
  end
end

--- How long the next wait may be: as of an idle connection, and no longer than all of it.
local function set_patience(self, stream)
  local left = self.deadline - now()
  if left <= 0 then
    return fail("ETIMEDOUT", "the answer took too long")
  end
  stream:settimeout(min(left, self.idle))
  return true
end

--- The next piece of the body, as it was sent.
local function piece_of(self, most)
  local connection = self.connection
  if not connection then
    return nil, self.ended
  end
  local stream = connection.stream
  if self.deadline then
    local ok, err = set_patience(self, stream)
    if not ok then
      drop(self, err)
      return nil, err
    end
  end
  local bytes, status, words = self.parser:piece(stream, most)
  if bytes then
    if self.parser.whole then
      finish(self)
    end
    return bytes
  elseif words then
    local _, err = fail("EBADMSG", words)
    drop(self, err)
    return nil, err
  elseif error_object.is(status) then
    if status.code ~= "ETIMEDOUT" then
      drop(self, status)
    end
    if connection.raised then
      error(connection.raised[1], 0)
    end
    return nil, status
  elseif status then
    self.trailers = headers.of(status:all())
  end
  finish(self)
  return nil
end

response_meta.__close = function(self)
  ClientResponse.close(self)
end

--- End it: what is left of the body is not read, and its connection not used again.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function()
---   return ("x"):rep(1000000)
--- end)
--- local response = assert(http.get("http://web/", {endpoint = "mem:web"}))
--- print(#response:readexactly(3))  --> 3
--- response:close()
--- print(response:read "a")  --> nil ...the response is closed (EBADF)
--- server:cancel()
--- ```
function ClientResponse:close()
  check_self(self, response_meta, "close")
  if self.connection then
    local _, err = fail("EBADF", "the response is closed")
    drop(self, err)
  end
end

--- The whole body, decoded as JSON.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function()
---   return http.json {name = "neap", numbers = {1, 2, 3}}
--- end)
--- local found = assert(http.get("http://web/", {endpoint = "mem:web"}):json())
--- print(found.name, #found.numbers)  --> neap 3
--- server:cancel()
--- ```
---@async
---@return any value  or nil and an error: EBADMSG, or of reading
---@return neap.Error? err
function ClientResponse:json()
  check_self(self, response_meta, "json")
  local text, err = self:read "a"
  if not text then
    return nil, err
  end
  return require "neap.json".decode(text)
end

local codings = { gzip = true, ["x-gzip"] = true, deflate = true }

--- Read the body decoded, where it is coded in a way that we asked for.
local function decode(self)
  local coding = self.head:get "content-encoding"
  coding = coding and lower(message.trim(coding))
  if not codings[coding] or self.parser.whole then
    return
  end
  local coded = body.new(function(most)
    return piece_of(self, most)
  end)
  local plain = require "neap.http.coding".decode(coded, coding)
  self.source = function(_, most)
    local bytes, err = plain:recv(most)
    if err and err.code ~= "ETIMEDOUT" then
      drop(self, err)
    end
    return bytes, err
  end
end

--- The answer whose head that is. Where there is no body, the connection is free at once.
local function new_response(asked, connection, parser, head)
  local self = setmetatable({
    head = head, parser = parser, pool = asked.pool, connection = connection, source = piece_of,
    url = tostring(asked.url), history = asked.history, most = asked.most, idle = asked.idle,
    deadline = asked.deadline,
  }, response_meta)
  if asked.decode then
    decode(self)
  end
  if parser.whole then
    finish(self)
  end
  return self
end


-- Requests

--- Write the body piece by piece, in chunks where its length is not known.
local function pour(connection, asked)
  local stream, length, sent = connection.stream, asked.body.length, 0
  local pull = asked.body.open()
  while true do
    local piece, err = pull()
    if piece == nil and err then
      error(err, 0)
    elseif piece == nil then
      break
    elseif type(piece) ~= "string" then
      error("a body gives strings, got a " .. type(piece), 0)
    end
    sent = sent + #piece
    local ok = true
    if length and sent > length then
      error(format("the body has more bytes than its length says: %d", length), 0)
    elseif length then
      ok = stream:write(piece)
    elseif piece ~= "" then
      ok = stream:write(format("%x\r\n", #piece), piece, "\r\n")
    end
    if not ok then -- the server tells why, or reading does
      connection.broken = true
      return
    end
    connection.sent = connection.sent + 1
  end
  if length and sent < length then
    error(format("the body has %d bytes, fewer than its length says: %d", sent, length), 0)
  elseif not length then
    stream:write "0\r\n\r\n"
  end
end

--- In a task of its own, for the answer may begin meanwhile. What a script's function raises
--- is raised by the request.
local function start_pump(connection, asked)
  connection.sent = 0
  connection.pump = background(function()
    local ok, err = pcall(pour, connection, asked)
    connection.pump = nil
    if not ok and not connection.raised then
      connection.raised = { err }
      connection.stream:reset()
    end
  end)
end

local function send_body(connection, asked)
  local text = asked.body.text
  if text and #text <= TOGETHER then
    return connection.stream:write(text)
  end
  start_pump(connection, asked)
  return true
end

--- The next head, for which there is time until `asked.late`; while a body goes out it is not
--- late.
local function next_head(connection, parser, asked)
  while true do
    local sent = connection.sent
    local head, status, words = parser:head(connection.stream, asked.method == "HEAD", asked.late - now())
    if head or words or not error_object.is(status) or status.code ~= "ETIMEDOUT"
      or not connection.pump or connection.sent == sent then
      return head, status, words
    end
    asked.late = now() + asked.header
  end
end

--- Why there is no head; `silent`: nothing was answered, so it may be asked again elsewhere.
local function no_answer(connection, status, words, failed, silent)
  if connection.raised then
    error(connection.raised[1], 0)
  elseif words then
    return fail("EBADMSG", "no answer that is HTTP: " .. words)
  elseif failed then
    return fail(failed.code, "the connection broke: " .. failed.message, { silent = silent })
  elseif error_object.is(status) then
    silent = silent and (status.code == "ECONNRESET" or status.code == "EPIPE")
    return fail(status.code, status.code == "ETIMEDOUT" and "no answer in time"
      or "no answer: " .. status.message, { silent = silent or nil })
  end
  return fail("ECONNRESET", "the server closed the connection without an answer", { silent = silent })
end

--- The first head while the server is asked whether it wants the body: false when it says
--- nothing for a while.
local function first_head(connection, parser, asked)
  local head, status, words = parser:head(connection.stream, asked.method == "HEAD", CONTINUE)
  if not head and error_object.is(status) and status.code == "ETIMEDOUT" then
    return false
  end
  return head, status, words
end

--- Heads until that of the answer; the body is sent once it is wanted.
local function await(connection, parser, asked, failed)
  local waits, heard = asked.expect, false
  asked.late = now() + asked.header
  for _ = 0, message.INTERIM do
    local head, status, words = (waits and first_head or next_head)(connection, parser, asked)
    if head == nil then
      local silent = not heard and not parser:pending(connection.stream) or nil
      return no_answer(connection, status, words, failed, silent)
    elseif head and head.status == 101 and not asked.upgrade then
      return fail("EBADMSG", "the server changes the protocol unasked")
    elseif head and (head.status >= 200 or head.status == 101) then
      connection.broken = connection.broken or waits
      return head
    end
    heard = heard or head ~= false
    if not head or head.status == 100 then
      asked.late = now() + asked.header
    end
    if waits and (not head or head.status == 100) then
      waits = nil
      local ok, err = send_body(connection, asked)
      failed = not ok and err or nil
    end
  end
  return fail("EBADMSG", format("more than %d interim answers", message.INTERIM))
end

--- The head of the request, and with it a body that is short.
local function head_of(asked)
  local list, request_body = asked.list, asked.body
  local parts = { asked.method, " ", asked.target, " HTTP/1.1\r\nhost: ",
    message.find(list, "host") or asked.host, "\r\n", message.lines(list, asked.left_out),
    asked.cookies and "cookie: " .. asked.cookies .. "\r\n" or "",
    asked.to_proxy and "proxy-authorization: " .. asked.to_proxy .. "\r\n" or "" }
  if asked.upgrade then
    parts[#parts + 1] = "connection: upgrade\r\nupgrade: " .. asked.upgrade .. "\r\n"
  end
  if request_body and request_body.length then
    parts[#parts + 1] = "content-length: " .. request_body.length .. "\r\n"
  elseif request_body then
    parts[#parts + 1] = "transfer-encoding: chunked\r\n"
  elseif wants_body[asked.method] then
    parts[#parts + 1] = "content-length: 0\r\n"
  end
  parts[#parts + 1] = asked.expect and "expect: 100-continue\r\n\r\n" or "\r\n"
  return concat(parts)
end

local exchange = { ClientResponse = ClientResponse }

--- Ask on that connection; it is the answer's from then on. An error that is `silent` says that
--- nothing was answered.
function exchange.ask(connection, asked)
  local stream, text = connection.stream, head_of(asked)
  local request_body = asked.body
  local together = request_body and not asked.expect and request_body.text
    and #request_body.text <= TOGETHER
  if not connection.reused and stream:wait("r", 0) and stream:peek(1) then
    return fail("EBADMSG", "the server answers before it was asked")
  end
  stream:settimeout(asked.idle)
  local parser = core.parser("response", asked.parser)
  local ok, err = stream:write(together and text .. request_body.text or text)
  if ok and request_body and not together and not asked.expect then
    ok, err = send_body(connection, asked)
  end
  local head, why = await(connection, parser, asked, not ok and err or nil)
  if not head then
    return nil, why
  elseif head.status == 101 then
    speaks(stream, "")
    return setmetatable({
      head = head, parser = parser, stream = stream, url = tostring(asked.url), history = asked.history,
      done = true,
    }, response_meta)
  end
  return new_response(asked, connection, parser, head)
end

return exchange
