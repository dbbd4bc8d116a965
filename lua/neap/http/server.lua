--- The server: a task for each connection, which answers its requests in order.

local body = require "neap.http.body"
local check_self = require "neap.class.core".check_self
local core = require "neap.http.core"
local error_object = require "neap.error"
local headers = require "neap.http.headers"
local message = require "neap.http.message"
local net = require "neap.net"
local task = require "neap.task"

local error, getmetatable, ipairs, next = error, getmetatable, ipairs, next
local pcall, rawget, require = pcall, rawget, require
local select, setmetatable, tonumber, tostring = select, setmetatable, tonumber, tostring
local type, xpcall = type, xpcall
local char, find, format, gsub, lower, match, sub =
  string.char, string.find, string.format, string.gsub, string.lower, string.match, string.sub
local concat = table.concat
local mathtype, huge, traceback = math.type, math.huge, debug.traceback
local stderr = io.stderr
local idle, draining = task.idle, task.draining
local check = require "neap.task.core".check

--- Bytes of a body that nobody has read, which are passed over so that the connection can
--- go on.
local PASSED = 256 * 1024

--- The type of what is a string.
local TEXT = "text/plain; charset=utf-8"

local function tell(text)
  stderr:write("neap: ", require "neap.host".harmless(text), "\n")
end

local function bad(code, words)
  return error_object.new { code = code, op = "read", message = words }
end


-- Requests

--- A request, whose body is read as a stream is: `read`, `lines`, `chunks`, `recv`,
--- `readuntil`, `readexactly`.
---@class neap.http.Request: neap.http.Body
---@field method string  `"GET"`
---@field target string  as it came: `"/a?b=c"`
---@field path string  of the target, percent-decoded but for `%2F`: `"/a"`
---@field query table<string, string>  of the target; of names that are repeated the first
---@field version "1.0"|"1.1"
---@field headers neap.http.Headers
---@field length integer?  of the body, in bytes, where it was said
---@field trailers neap.http.Headers?  behind a body in chunks, once it is read
---@field remoteaddr neap.Address?  of the client
---@field stream neap.Stream  the connection
---@field params table<string, string>?  what the names in a router's path stand for
local Request = {}
local request_meta = { __name = "neap.http.Request" }
local inherited = body.inherit(request_meta)

--- What a request has until it is read.
local request_fields = { rest = "", count = 0 }

local function split_target(self)
  local target = self.head.target
  local rest = target
  if sub(target, 1, 1) ~= "/" then
    rest = match(target, "^[^:/?#]+://[^/?#]*(.*)$") or target
    if rest == "" then
      rest = "/"
    end
  end
  local at = find(rest, "?", 1, true)
  return at and sub(rest, 1, at - 1) or rest, at and sub(rest, at + 1) or ""
end

--- Names and values of a query, or of a form: of names that are repeated the first.
local function first_of(text)
  local found = {}
  local fields, err = require "neap.url".formdecode(text)
  if not fields then
    return nil, err
  end
  for _, field in ipairs(fields) do
    if found[field[1]] == nil then
      found[field[1]] = field[2]
    end
  end
  return found
end

--- What is made of a request when it is asked for, and kept.
local made = {}

function made.path(self)
  local path = split_target(self)
  return (gsub(path, "%%(%x%x)", function(digits)
    local byte = tonumber(digits, 16)
    return byte ~= 0x2f and byte ~= 0 and char(byte) or nil
  end))
end

function made.query(self)
  local _, text = split_target(self)
  return first_of(text) or {}
end

function made.headers(self)
  return headers.of(self.head:all())
end

function made.remoteaddr(self)
  return self.stream.remoteaddr
end

local of_head = { method = true, target = true, version = true, length = true }

function request_meta.__index(self, name)
  local method = Request[name] or inherited[name] or request_fields[name]
  if method ~= nil then
    return method
  elseif of_head[name] then
    return self.head[name]
  end
  local make = made[name]
  if make then
    local value = make(self)
    self[name] = value
    return value
  end
end

--- The first value of a header field, without a table of all.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   return request:header "accept" or "none"
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- client:write "GET / HTTP/1.1\r\nHost: here\r\nAccept: text/x\r\n\r\n"
--- print(client:readuntil "\r\n\r\n" ~= nil, client:readexactly(6))  --> true text/x
--- server:cancel()
--- ```
---@param name string
---@return string? value
function Request:header(name)
  check_self(self, request_meta, "header")
  return self.head:get(name)
end

--- The whole body, decoded as JSON.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   local numbers, err = request:json()
---   return numbers and tostring(#numbers) or http.response(400, {}, err.message)
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- client:write "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 7\r\n\r\n[1,2,3]"
--- print(client:readuntil "\r\n\r\n" ~= nil, client:readexactly(1))  --> true 3
--- server:cancel()
--- ```
---@async
---@return any value  or nil and an error: EBADMSG, or of reading
---@return neap.Error? err
function Request:json()
  check_self(self, request_meta, "json")
  local text, err = self:read "a"
  if not text then
    return nil, err
  end
  return require "neap.json".decode(text)
end

--- The whole body, of a form (application/x-www-form-urlencoded): names and values; of
--- names that are repeated the first.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   return assert(request:form()).name
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- client:write "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 8\r\n\r\nname=Bob"
--- print(client:readuntil "\r\n\r\n" ~= nil, client:readexactly(3))  --> true Bob
--- server:cancel()
--- ```
---@async
---@return table<string, string>? fields  or nil and an error
---@return neap.Error? err
function Request:form()
  check_self(self, request_meta, "form")
  local text, err = self:read "a"
  if not text then
    return nil, err
  end
  return first_of(text)
end

--- The next piece of the body: says 100 Continue first, if that is waited for, and counts.
local function piece_of(self, max)
  if self.waiting then
    self.waiting = false
    local ok, err = self.stream:write "HTTP/1.1 100 Continue\r\n\r\n"
    if not ok then
      return nil, err
    end
  end
  local bytes, status, words = self.parser:piece(self.stream, max)
  if bytes then
    self.count = self.count + #bytes
    if self.count > self.plan.most then
      self.failed = 413
      return nil, bad("EMSGSIZE", format("the body is longer than %d bytes", self.plan.most))
    end
    return bytes
  elseif words then
    self.failed = status
    return nil, bad("EBADMSG", words)
  elseif type(status) == "userdata" then
    self.trailers = headers.of(status:all())
  elseif status then
    self.failed = status.code == "ETIMEDOUT" and 408 or 400
    return nil, status
  end
  return nil
end

request_fields.source = piece_of

local function new_request(plan, stream, parser, head)
  local request = setmetatable({ head = head, stream = stream, parser = parser, plan = plan }, request_meta)
  if head.expects and not parser.whole then
    request.waiting = true
  end
  return request
end


-- Responses

--- The answer to a request: sent whole by `send`, or begun by `start`, written piece by
--- piece, and finished.
---@class neap.http.Response
---@field status integer?  of the answer, once it was begun
---@field private request neap.http.Request
local Response = {}
local response_meta = { __index = Response, __name = "neap.http.Response" }

--- Headers that a script may ask for of those which frame the message: we write them.
local framing = { ["content-length"] = true, connection = true }

--- Has no body, whatever is sent.
local function is_bare(status)
  return status < 200 or status == 204 or status == 304
end

local function check_status(status, level)
  if mathtype(status) ~= "integer" or status < 200 or status > 599 then
    error("a status from 200 to 599 expected, got " .. tostring(status), level + 1)
  end
end

--- Does the connection go on behind this answer?
local function goes_on(self)
  local request = self.request
  if self.closes or not request.head.keepalive or request.waiting or request.failed or draining() then
    self.closes = true
  end
  return not self.closes
end

--- The text of the head. `length`: of the body; nil: none; false: in chunks, or until the
--- connection closes.
local function head_text(self, status, list, length, level)
  local request, lines = self.request, ""
  if #list > 0 then
    lines = message.lines(list, framing)
    local wish = message.find(list, "connection")
    if wish then
      if lower(wish) ~= "close" then
        error("header 'connection': only 'close' can be asked for", level + 1)
      end
      self.closes = true
    end
  end
  if length == false then
    if request.head.version == "1.0" then
      self.closes = true
    else
      self.chunked = true
    end
  end
  local on = goes_on(self)
  self.status = status
  return concat({
    "HTTP/1.1 ", status, " ", message.reasons[status] or "", "\r\n",
    message.find(list, "date") and "" or "date: " .. message.now() .. "\r\n",
    lines,
    length and "content-length: " .. length .. "\r\n" or "",
    self.chunked and "transfer-encoding: chunked\r\n" or "",
    on and (request.head.version == "1.0" and "connection: keep-alive\r\n" or "") or "connection: close\r\n",
    "\r\n",
  })
end

local function check_fresh(self, level)
  if self.status then
    error("this request is answered already", level + 1)
  end
end

--- What is written did not go out: the connection is of no use any more.
local function written(self, ok, err)
  if not ok then
    self.closes, self.broken = true, err
    return nil, err
  end
  return self
end

local function put(self, ...)
  return written(self, self.request.stream:write(...))
end

--- The length that a script says, if it does.
local function length_of(list, level)
  local said = message.find(list, "content-length")
  local length = said and tonumber(said)
  if said and (mathtype(length) ~= "integer" or not find(said, "^%d+$")) then
    error("header 'content-length': a count of bytes expected", level + 1)
  end
  return length
end

local function begin(self, status, list, level)
  local length = length_of(list, level + 1)
  self.left = length
  local text = head_text(self, status, list, not is_bare(status) and (length or false), level)
  self.silent = self.request.head.method == "HEAD" or is_bare(status)
  return put(self, text)
end

--- The body comes from elsewhere, piece by piece.
local function pour(self, status, list, content)
  local recv
  if type(content) == "function" then
    recv = content
  else
    local ok, method = pcall(function()
      return content.recv
    end)
    if not ok or type(method) ~= "function" then
      error("a body: a string, a function, or what has 'recv' expected, got " .. type(content), 3)
    end
    recv = function()
      return method(content)
    end
  end
  local ok, err = begin(self, status, list, 3)
  while ok and not self.silent do
    local piece, why = recv()
    if piece == nil and why then
      self.closes, self.done = true, true
      error(why, 0)
    elseif piece == nil then
      break
    end
    ok, err = self:write(piece)
  end
  if not ok then
    return nil, err
  end
  return self:finish()
end

--- Answer with a status, headers, and a body: a string; or what gives it piece by piece: a
--- function, or what has `recv`, as a stream or another body.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "tcp://127.0.0.1:0")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   response:send(404, {["x-id"] = "7"}, "no " .. request.path .. "\n")
--- end)
--- local client <close> = assert(net.connect(listener.endpoint))
--- client:write "GET /x HTTP/1.1\r\nHost: here\r\n\r\n"
--- print(client:read "l")  --> HTTP/1.1 404 Not Found
--- server:cancel()
--- ```
---@async
---@param status integer  from 200 to 599
---@param header_fields? table<string, string|integer|string[]>|neap.http.Headers
---@param content? string|function|neap.Stream|neap.http.Body
---@return neap.http.Response? response  itself; nil and an error when the client is gone
---@return neap.Error? err
function Response:send(status, header_fields, content)
  check_self(self, response_meta, "send")
  check_fresh(self, 2)
  check_status(status, 2)
  if type(header_fields) == "string" and content == nil then
    header_fields, content = nil, header_fields
  end
  local list = header_fields and message.fields(header_fields, 2, framing) or {}
  if content ~= nil and type(content) ~= "string" then
    return pour(self, status, list, content)
  end
  content = content or ""
  local to_head = self.request.head.method == "HEAD"
  local said = length_of(list, 2)
  local length = not is_bare(status) and (to_head and content == "" and said or #content) or nil
  local text = head_text(self, status, list, length, 2)
  self.done = true
  if to_head or is_bare(status) or content == "" then
    return put(self, text)
  elseif #content < 16384 then
    return put(self, text .. content)
  end
  return put(self, text, content)
end

--- Begin an answer whose body is written piece by piece, by `write`, and ended by `finish`,
--- or by the handler's end. With a `content-length` so many bytes must be written.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   response:start(200, {["content-length"] = 4})
---   response:write("ab", 1, 2)
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- client:write "GET / HTTP/1.1\r\nHost: here\r\n\r\n"
--- print(client:readuntil "\r\n\r\n" ~= nil, client:readexactly(4))  --> true ab12
--- server:cancel()
--- ```
---@async
---@param status integer
---@param header_fields? table<string, string|integer|string[]>|neap.http.Headers
---@return neap.http.Response? response  itself
---@return neap.Error? err
function Response:start(status, header_fields)
  check_self(self, response_meta, "start")
  check_fresh(self, 2)
  check_status(status, 2)
  local list = header_fields and message.fields(header_fields, 2, framing) or {}
  return begin(self, status, list, 2)
end

--- Write a piece of the body; waits when the client is slow. Without a `start` before it
--- the answer is 200, a text.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   for i = 1, 3 do
---     response:write(i, "\n")
---   end
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- client:write "GET / HTTP/1.0\r\n\r\n"
--- print(client:read "a":match "\r\n\r\n(.*)")  --> 1
--- --> 2
--- --> 3
--- server:cancel()
--- ```
---@async
---@param ... string|integer|number
---@return neap.http.Response? response  itself; nil and an error when the client is gone
---@return neap.Error? err
function Response:write(...)
  check_self(self, response_meta, "write")
  if not self.status then
    local ok, err = begin(self, 200, { "content-type", TEXT }, 2)
    if not ok then
      return nil, err
    end
  elseif self.done then
    error("this answer is finished already", 2)
  end
  local piece = select("#", ...) == 1 and type((...)) == "string" and (...) or concat { ... }
  if piece == "" or self.silent then
    return self
  end
  if self.left then
    if #piece > self.left then
      self.closes, self.done = true, true
      error("more is written than 'content-length' says", 2)
    end
    self.left = self.left - #piece
  end
  if self.chunked then
    return put(self, format("%x\r\n", #piece), piece, "\r\n")
  end
  return put(self, piece)
end

--- The end of an answer that was begun by `start`.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   response:start(200)
---   response:write "abc"
---   response:finish {["x-sum"] = "6"}
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- client:write "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
--- print(client:read "a":match "0\r\n(.*)\r\n\r\n")  --> x-sum: 6
--- server:cancel()
--- ```
---@async
---@param trailers? table<string, string|integer>|neap.http.Headers  fields behind a body in chunks
---@return neap.http.Response? response  itself
---@return neap.Error? err
function Response:finish(trailers)
  check_self(self, response_meta, "finish")
  if self.done then
    return self
  elseif not self.status then
    error("nothing was begun that could be finished", 2)
  end
  local lines = trailers and message.lines(message.fields(trailers, 2)) or ""
  self.done = true
  if self.left and self.left > 0 and not self.silent then
    self.closes = true
    error("less was written than 'content-length' says", 2)
  end
  if self.chunked and not self.silent then
    return put(self, "0\r\n", lines, "\r\n")
  end
  return self
end

--- Take the connection: the answer is 101 with these headers (or, to a CONNECT, 200), and what
--- follows is the handler's, which reads and writes the stream; it is closed when the
--- handler returns.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   local stream = assert(response:upgrade {upgrade = "echo"})
---   stream:write(stream:read "L")
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- client:write "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nhi\n"
--- print(client:readuntil "\r\n\r\n" ~= nil, client:read "l")  --> true hi
--- server:cancel()
--- ```
---@async
---@param header_fields? table<string, string>|neap.http.Headers
---@return neap.Stream? stream
---@return neap.Error? err
function Response:upgrade(header_fields)
  check_self(self, response_meta, "upgrade")
  check_fresh(self, 2)
  local request = self.request
  local connect = request.head.method == "CONNECT"
  if not request.parser.whole then
    error("the body of the request is to be read first", 2)
  end
  local list = header_fields and message.fields(header_fields, 2, { upgrade = true }) or {}
  self.status, self.done, self.closes, self.taken = connect and 200 or 101, true, true, true
  local ok, err = put(self, message.head(connect and "HTTP/1.1 200 Connection established"
    or "HTTP/1.1 101 Switching Protocols",
    (connect and "" or "connection: upgrade\r\n") .. message.lines(list)))
  if not ok then
    return nil, err
  end
  return request.stream
end


-- What handlers return

local Reply = { __name = "neap.http.Reply" }
Reply.__index = Reply

local server = { Request = Request, Response = Response }

function server.response(status, header_fields, content)
  check_status(status, 2)
  if type(header_fields) == "string" and content == nil then
    header_fields, content = nil, header_fields
  end
  return setmetatable({ status = status, headers = headers.new(header_fields or {}), body = content }, Reply)
end

function server.json(value, status, header_fields)
  local text = require "neap.json".encode(value)
  local reply = server.response(status or 200, header_fields, text .. "\n")
  if not reply.headers["content-type"] then
    reply.headers:set("content-type", "application/json")
  end
  return reply
end

--- The head of a text that is answered to a client which keeps its connection, up to its
--- length: anew each second.
local plain, second = "", nil

local function plain_head()
  local now = message.now()
  if now ~= second then
    second = now
    plain = "HTTP/1.1 200 OK\r\ndate: " .. now .. "\r\ncontent-type: " .. TEXT .. "\r\ncontent-length: "
  end
  return plain
end

--- Send what the handler has returned.
local function answer(response, result)
  if type(result) == "string" then
    local request = response.request
    if not response.status and request.head.plain and not request.failed and not draining()
      and not response.closes then
      response.status, response.done = 200, true
      return put(response, plain_head() .. #result .. "\r\n\r\n" .. result)
    elseif not response.status then
      return response:send(200, { ["content-type"] = TEXT }, result)
    end
  elseif getmetatable(result) == Reply then
    if not response.status then
      return response:send(result.status, result.headers, result.body)
    end
  elseif result == nil then
    if response.status then
      return response:finish()
    end
    error("the handler has not answered", 0)
  else
    error("a handler returns a string, http.response, http.json or nothing, not a " .. type(result), 0)
  end
  error("the handler has answered, and returned an answer", 0)
end


-- Connections

--- Refuse what is no request, and say goodbye.
local function refuse(stream, status, words)
  local text = format("%d %s: %s\n", status, message.reasons[status], words)
  stream:write(format(
    "HTTP/1.1 %d %s\r\ndate: %s\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s",
    status, message.reasons[status], message.now(), TEXT, #text, text))
end

local function note(err)
  if error_object.is(err) then
    return { err }
  end
  return { err, traceback(tostring(err), 2) }
end

local function run(handler, request, response)
  return answer(response, (handler(request, response)))
end

--- The handler failed: the client is told, as far as that can be, and who serves.
local function failed(plan, request, response, noted)
  local err = noted[1]
  response.closes = true
  if not response.status then
    local status = request.failed or 500
    refuse(request.stream, status, request.failed and tostring(error_object.is(err) and err.message
      or message.reasons[status]) or "the server failed")
    response.status = status
    response.done = true
  end
  if request.failed then
    return
  elseif plan.onerror then
    plan.onerror(err, request, noted[2])
  elseif not (error_object.is(err) and response.broken) then
    tell(format("%s %s: %s", request.method, request.target, noted[2] or tostring(err)))
  end
end

--- Pass over what the handler did not read; is the connection of use behind it?
local function pass_rest(request)
  local parser, stream, count = request.parser, request.stream, 0
  while not parser.whole do
    local bytes = parser:piece(stream)
    if not bytes then
      return parser.whole
    end
    count = count + #bytes
    if count > PASSED then
      return false
    end
  end
  return true
end

--- Answer one request; does the connection go on?
local function respond(plan, stream, parser, head)
  local request = new_request(plan, stream, parser, head)
  local response = setmetatable({ request = request }, response_meta)
  if head.length and head.length > plan.most then
    refuse(stream, 413, format("a body of at most %d bytes", plan.most))
    response.status = 413
  else
    local ok, noted = xpcall(run, note, plan.handler, request, response)
    if not ok then
      check "serve"
      failed(plan, request, response, noted)
    end
    if not response.done then
      response.closes = true
    end
  end
  if plan.log then
    plan.log(request, response)
  end
  return not response.closes and not response.broken and not request.failed and pass_rest(request)
end

--- The next request of a client that keeps its connection. When the program drains, one
--- that has begun to come is taken all the same.
local function await(parser, stream)
  if parser:pending(stream) then
    return parser:head(stream)
  end
  local head, status, words = idle(parser.head, parser, stream)
  if not head and not words and status and status.code == "ECANCELED" then
    if not parser:pending(stream) then
      return nil
    end
    return parser:head(stream)
  end
  return head, status, words
end

local function connection(plan, stream)
  local parser = core.parser("request", plan.parser)
  stream:settimeout(plan.write)
  local head, status, words = parser:head(stream)
  while head do
    if not respond(plan, stream, parser, head) then
      return
    end
    head, status, words = await(parser, stream)
  end
  if words then
    refuse(stream, status, words)
  elseif status and status.code == "ETIMEDOUT" then
    if parser:pending(stream) then
      refuse(stream, 408, "the request did not come in time")
    end
  elseif status and status.code ~= "ENODATA" then
    error(status, 0)
  end
end


-- Serving

local function is_seconds(value)
  return type(value) == "number" and value > 0
end

local function is_count(value)
  return mathtype(value) == "integer" and value >= 1 or value == huge
end

local function is_function(value)
  return type(value) == "function"
end

local groups = {
  timeout = {
    first = is_seconds, header = is_seconds, body = is_seconds, idle = is_seconds, write = is_seconds,
  },
  limits = { line = is_count, headers = is_count, fields = is_count, body = is_count },
}

local own_options = { onerror = is_function, log = is_function }
local expected = { [is_seconds] = "seconds above 0", [is_count] = "a count of 1 or more",
  [is_function] = "a function" }

local function check_one(name, value, is, level)
  if not is(value) then
    error(format("http.serve: option '%s': %s expected", name, expected[is]), level + 1)
  end
end

local function check_group(name, given, level)
  if type(given) ~= "table" then
    error(format("http.serve: option '%s': a table expected", name), level + 1)
  end
  local found = {}
  for key, value in next, given do
    local is = groups[name][key]
    if not is then
      error(format("http.serve: unknown option '%s.%s'", name, tostring(key)), level + 1)
    end
    check_one(name .. "." .. key, value, is, level + 1)
    found[key] = value
  end
  return found
end

--- The options of ours, and the others, which are the listener's and `Listener:serve`'s.
local function plan_of(handler, opts, level)
  if type(handler) ~= "function" then
    local meta = getmetatable(handler)
    if type(meta) ~= "table" or not meta.__call then
      error("http.serve: a function expected, got " .. type(handler), level + 1)
    end
  end
  if type(opts) ~= "table" then
    error("http.serve: a table of options expected, got " .. type(opts), level + 1)
  end
  local plan, rest = { handler = handler }, {}
  for name, value in next, opts do
    if own_options[name] then
      check_one(name, value, own_options[name], level + 1)
      plan[name] = value
    elseif not groups[name] then
      rest[name] = value
    end
  end
  local timeout = check_group("timeout", rawget(opts, "timeout") or {}, level + 1)
  local limits = check_group("limits", rawget(opts, "limits") or {}, level + 1)
  plan.most = limits.body or 16 * 1024 * 1024
  plan.idle, plan.write = timeout.idle or 60, timeout.write or 60
  plan.parser = {
    line = limits.line, head = limits.headers, fields = limits.fields,
    first = timeout.first or 30, idle = plan.idle, header = timeout.header or 30,
    body = timeout.body or 30,
  }
  return plan, rest
end

function server.serve(endpoint, handler, opts)
  local plan, rest = plan_of(handler, opts or {}, 2)
  local listener = endpoint
  if type(endpoint) == "string" then
    local err
    listener, err = net.listen(endpoint, { tls = rest.tls, backlog = rest.backlog })
    rest.tls, rest.backlog = nil, nil
    if not listener then
      error(err, 0)
    end
  end
  return listener:serve(function(stream)
    return connection(plan, stream)
  end, rest)
end

return server
