--- Answers: written by a handler, or made of what it returns.

local body = require "neap.http.body"
local check_self = require "neap.class.core".check_self
local error_object = require "neap.error"
local headers = require "neap.http.headers"
local message = require "neap.http.message"
local options = require "neap.options"
local task = require "neap.task"

local error, getmetatable, require = error, getmetatable, require
local select, setmetatable, tostring, type = select, setmetatable, tostring, type
local format, lower, sub = string.format, string.lower, string.sub
local concat = table.concat
local mathtype = math.type
local draining = task.draining
local speaks = require "neap.net.core".speaks

--- The type of what is a string.
local TEXT = "text/plain; charset=utf-8"

--- The answer to a request: sent whole by `send`, or begun by `start`, written piece by
--- piece, and finished.
---@class neap.http.Response
---@field status integer?  of the answer, once it was begun
---@field private count integer?  bytes of the body that were written by `write`
---@field private done boolean|integer|nil  nothing follows; those that were sent by `send`
---@field private request neap.http.Request
---@field private cookies string[]?  that are set, as fields' values
local Response = {}
local response_meta = { __index = Response, __name = "neap.http.Response" }

--- Headers that a script may ask for of those which frame the message: we write them.
local framing = { ["content-length"] = true, connection = true }

--- And with what `send` sends: 426 must say to what.
local sendable = { ["content-length"] = true, connection = true, upgrade = true }

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

--- The lines of the cookies that are set.
local function cookie_lines(self)
  local list = self.cookies
  return list and "set-cookie: " .. concat(list, "\r\nset-cookie: ") .. "\r\n" or ""
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
  if status < 300 and request.head.method == "CONNECT" then -- what follows would be taken for the tunnel
    self.closes = true
  end
  local on = goes_on(self)
  self.status, request.waiting = status, false
  return concat({
    "HTTP/1.1 ", status, " ", message.reasons[status] or "", "\r\n",
    message.find(list, "date") and "" or "date: " .. message.now() .. "\r\n",
    lines,
    cookie_lines(self),
    length and "content-length: " .. length .. "\r\n" or "",
    self.chunked and "transfer-encoding: chunked\r\n" or "",
    on and (request.head.version == "1.0" and "connection: keep-alive\r\n" or "") or "connection: close\r\n",
    "\r\n",
  })
end

--- What looks after the client meanwhile reads no more.
local function leave(self)
  local watcher = self.watcher
  self.watcher = nil
  watcher:cancel()
  watcher:join()
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
    if err.code == "ETIMEDOUT" then -- who does not read gets no goodbye either
      self.request.stream:reset()
    end
    return nil, err
  end
  return self
end

local function put(self, ...)
  return written(self, self.request.stream:write(...))
end

--- Bytes that a client has the time of one write for, the option `timeout.write`: so it ends
--- who does not read, and not who takes long for much.
local PIECE = 256 * 1024

--- A content of any length, with what comes before and behind it.
local function put_all(self, before, content, behind)
  if #content <= PIECE then
    return put(self, before, content, behind)
  end
  local ok, err = put(self, before)
  for at = 1, #content, PIECE do
    if not ok then
      return nil, err
    end
    ok, err = put(self, sub(content, at, at + PIECE - 1))
  end
  if not ok then
    return nil, err
  end
  return put(self, behind)
end

--- Each write is a whole chunk, so that nothing of another task's comes into it.
local function put_piece(self, piece)
  if not self.chunked then
    return put_all(self, "", piece, "")
  end
  local ok, err = self, nil
  for at = 1, #piece, PIECE do
    if not ok then
      break
    end
    local part = #piece <= PIECE and piece or sub(piece, at, at + PIECE - 1)
    ok, err = put(self, format("%x\r\n", #part), part, "\r\n")
  end
  return ok, err
end

--- The end of what is coded.
local function end_coder(self)
  local coder <close> = self.coder
  self.coder = nil
  return put_piece(self, coder:finish())
end

--- The fields of an answer that has so many bytes, and what codes it: lua/neap/http/coding.lua;
--- or nil.
local function choose(self, status, list, size)
  local request = self.request
  local plan = request.plan.compress
  if not plan then
    return list
  end
  local coding = require "neap.http.coding"
  local fields, coded = coding.choose(plan, request.head, status, list, size)
  return fields, coded and coding or nil
end

--- A body that is asked for by what is written may be wanted while the answer goes out, and
--- behind its head nothing can be said of that any more.
local function invite(request)
  if not request.waiting then
    return true
  end
  request.waiting = false
  return request.stream:write "HTTP/1.1 100 Continue\r\n\r\n"
end

local function begin(self, status, list, level)
  local length = message.length(list, level + 1)
  self.left = length
  local fields, coding = choose(self, status, list, length)
  if coding then
    coding.mark(fields)
    length = nil
  end
  local ok, err = invite(self.request)
  if not ok then
    return written(self, nil, err)
  end
  local framed
  if not is_bare(status) then
    framed = length or false
  end
  local text = head_text(self, status, fields, framed, level)
  self.coder = coding and coding.coder(self.request.plan.compress)
  self.silent = self.request.head.method == "HEAD" or is_bare(status)
  return put(self, text)
end

--- The body comes from elsewhere, piece by piece.
local function pour(self, status, list, content)
  local recv = body.puller(content)
  if not recv then
    error("a body: a string, a function, or what has 'recv' expected, got " .. type(content), 3)
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

--- Set a cookie, by the head of the answer, which was not begun yet. As it is set it is sent
--- back to all paths of this host, is seen by no script of a page, and is not sent for what
--- other sites include (`HttpOnly`, `SameSite=Lax`, `Path=/`).
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   response:setcookie("seen", 1 + (request.cookies.seen or 0), {maxage = 3600})
---   return ""
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- client:write "GET / HTTP/1.0\r\nCookie: seen=7\r\n\r\n"
--- print(client:read "a":match "(set%-cookie.-)\r\n")
--- --> set-cookie: seen=8; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax
--- server:cancel()
--- ```
---@param name string  a token; `__Secure-...` and `__Host-...` need what browsers ask of them
---@param value string|integer  ASCII without blanks, quotes, commas, semicolons, backslashes
---@param opts? neap.http.CookieOptions
---@return neap.http.Response response  itself
function Response:setcookie(name, value, opts)
  check_self(self, response_meta, "setcookie")
  check_fresh(self, 2)
  local list = self.cookies or {}
  list[#list + 1] = require "neap.http.cookies".text(name, value, opts, 2)
  self.cookies = list
  return self
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
  local list = header_fields and message.fields(header_fields, 2, sendable) or {}
  if content ~= nil and type(content) ~= "string" then
    return pour(self, status, list, content)
  end
  content = content or ""
  local to_head = self.request.head.method == "HEAD"
  local said = message.length(list, 2)
  self.status = status -- what is coded lets others run, who are not to answer, too
  local fields, coding = choose(self, status, list, to_head and said or #content)
  if coding then
    local coded = coding.encode(self.request.plan.compress, content)
    if #coded < #content then
      coding.mark(fields)
      content = coded
    end
  end
  local length = not is_bare(status) and (to_head and content == "" and said or #content) or nil
  local text = head_text(self, status, fields, length, 2)
  self.done = true
  if to_head or is_bare(status) or content == "" then
    return put(self, text)
  end
  self.done = #content
  return put_all(self, text, content, "")
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

--- What `write` was given, as one text.
local function joined(...)
  local given = { ... }
  for i = 1, select("#", ...) do
    if type(given[i]) ~= "string" and type(given[i]) ~= "number" then
      error(format("bad argument #%d to 'write' (string expected, got %s)", i, type(given[i])), 3)
    end
  end
  return concat(given)
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
  if self.done then
    error("this answer is finished already", 2)
  end
  local piece = select("#", ...) == 1 and type((...)) == "string" and (...) or joined(...)
  if not self.status then
    local ok, err = begin(self, 200, { "content-type", TEXT }, 2)
    if not ok then
      return nil, err
    end
  end
  if piece == "" or self.silent then
    return self
  end
  self.count = (self.count or 0) + #piece
  if self.left then
    if #piece > self.left then
      self.closes, self.done = true, true
      error("more is written than 'content-length' says", 2)
    end
    self.left = self.left - #piece
  end
  if self.coder then -- all of it is to arrive now
    piece = self.coder:update(piece) .. self.coder:flush()
  end
  return put_piece(self, piece)
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
  if self.watcher and not self.gone then
    leave(self)
  end
  if self.done then
    return self
  elseif self.broken then
    return nil, self.broken
  elseif not self.status then
    error("nothing was begun that could be finished", 2)
  end
  local lines = trailers and message.lines(message.fields(trailers, 2)) or ""
  self.done = true
  if self.left and self.left > 0 and not self.silent then
    self.closes = true
    error("less was written than 'content-length' says", 2)
  end
  if self.coder and not self.silent then
    local ok, err = end_coder(self)
    if not ok then
      return nil, err
    end
  end
  if self.chunked and not self.silent then
    return put(self, "0\r\n", lines, "\r\n")
  end
  return self
end

--- Answer with events for a browser's EventSource, as they happen: see `neap.http.Events`. While
--- nothing is sent a comment is, every `keepalive` seconds. When the client is gone, by an end
--- or a reset, the task of the handler is cancelled, whatever it waits for, and so it is when the
--- program drains; that is no failure, and told nowhere. The client connects again by itself, with
--- the id that it had last in `request:header "last-event-id"`.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:events")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   local events = response:events()
---   for i = (request:header "last-event-id" or 0) + 1, math.huge do
---     events:send {id = i, data = "tick"}
---     task.sleep(0.001)
---   end
--- end)
--- local client <close> = assert(net.connect "mem:events")
--- client:write "GET / HTTP/1.0\r\nLast-Event-ID: 7\r\n\r\n"
--- print(client:readuntil "\r\n\r\n" ~= nil, client:read("l", "l", "l"))  --> true id: 8 data: tick
--- server:cancel()
--- ```
---@async
---@param opts? { keepalive?: number, headers?: table }  `keepalive`: default 15
---@return neap.http.Events? events
---@return neap.Error? err
function Response:events(opts)
  check_self(self, response_meta, "events")
  check_fresh(self, 2)
  if not self.request.parser.whole then
    error("the body of the request is to be read first", 2)
  end
  if self.watcher then
    leave(self)
  end
  return require "neap.http.events".new(self, opts)
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
  if self.watcher then
    leave(self)
  end
  local list = header_fields and message.fields(header_fields, 2, { upgrade = true }) or {}
  self.status, self.done, self.closes, self.taken = connect and 200 or 101, true, true, true
  local ok, err = put(self, message.head(connect and "HTTP/1.1 200 Connection established"
    or "HTTP/1.1 101 Switching Protocols",
    (connect and "" or "connection: upgrade\r\n") .. message.lines(list) .. cookie_lines(self)))
  if not ok then
    return nil, err
  end
  speaks(request.stream, "")
  return request.stream
end
-- What handlers return

local Reply = { __name = "neap.http.Reply" }
Reply.__index = Reply

local response = { Response = Response, meta = response_meta, leave = leave }

--- The answer to that request, of which nothing is written yet.
function response.new(request)
  return setmetatable({ request = request }, response_meta)
end

local function reply_of(status, header_fields, content, level)
  check_status(status, level + 1)
  return setmetatable({ status = status, headers = headers.new(header_fields, level + 1), body = content }, Reply)
end

--- Like the next one it is called by a tail call, which leaves no level.
function response.response(status, header_fields, content)
  if type(header_fields) == "string" and content == nil then
    header_fields, content = nil, header_fields
  end
  return (reply_of(status, header_fields, content, 2))
end

function response.json(value, status, header_fields)
  local text = options.made("http.json", require "neap.json".encode, value, 2)
  local reply = reply_of(status or 200, header_fields, text .. "\n", 2)
  if not reply.headers["content-type"] then
    reply.headers:set("content-type", "application/json")
  end
  return reply
end

--- Send what the handler has returned.
function response.answer(self, result)
  if type(result) == "string" then
    if not self.status then
      return self:send(200, { ["content-type"] = TEXT }, result)
    end
  elseif getmetatable(result) == Reply then
    if not self.status then
      return self:send(result.status, result.headers, result.body)
    end
  elseif result == nil then
    if self.status then
      return self:finish()
    end
    error("the handler has not answered", 0)
  else
    error("a handler returns a string, http.response, http.json or nothing, not a " .. type(result), 0)
  end
  error("the handler has answered, and returned an answer", 0)
end

--- What is left of a file that is coded on its way: so many bytes from its position on.
local function copy(self, file, n)
  while n > 0 do
    local piece, err = file:recv(n < 65536 and n or 65536)
    if not piece then
      return nil, err
    end
    local ok
    ok, err = self:write(piece)
    if not ok then
      return nil, err
    end
    n = n - #piece
  end
  return self
end

--- The time of a write is for each of its steps.
local function send(self, file, from, n)
  local sent, err = self.request.stream:sendfile(file, from, n)
  local accepted = sent or err.accepted or 0
  self.count, self.left = (self.count or 0) + accepted, self.left - accepted
  return sent == n and self or nil, err
end

--- A piece of a body whose length was said: n bytes of a file, by the kernel where it can. One
--- that has fewer by now cuts the connection, and so the client sees that something is missing.
--- What is coded is a whole file, that nobody has read of yet.
function response.sendfile(self, file, from, n)
  if self.silent then
    return self
  end
  local ok, err
  if self.coder then
    ok, err = copy(self, file, n)
  else
    ok, err = send(self, file, from, n)
  end
  return written(self, ok, err or error_object.new {
    code = "ENODATA", op = "sendfile", message = "the file was cut",
  })
end

--- Refuse what is no request, and say goodbye.
function response.refuse(stream, status, words)
  local text = format("%d %s: %s\n", status, message.reasons[status], words)
  stream:write(format(
    "HTTP/1.1 %d %s\r\ndate: %s\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s",
    status, message.reasons[status], message.now(), TEXT, #text, text))
end

return response
