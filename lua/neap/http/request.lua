--- Requests as a handler gets them.

local body = require "neap.http.body"
local check_self = require "neap.class.core".check_self
local error_object = require "neap.error"
local headers = require "neap.http.headers"
local options = require "neap.options"

local error, ipairs, rawget, require, setmetatable, tonumber, type =
  error, ipairs, rawget, require, setmetatable, tonumber, type
local char, find, format, gsub = string.char, string.find, string.format, string.gsub
local lower, match, sub = string.lower, string.match, string.sub

local function bad(code, words)
  return error_object.new { code = code, op = "read", message = words }
end

--- The client has not asked as it may: it is answered by that status, unless it was by another,
--- and its connection ends. `refusal`: that is why, and an error that a handler lets pass is none of
--- the handler's.
local function fail(self, status, err)
  self.failed, self.refusal = status, err
  return nil, err
end

--- A request, whose body is read as a stream is: `read`, `lines`, `chunks`, `recv`,
--- `readuntil`, `readexactly`.
---@class neap.http.Request: neap.http.Body
---@field method string  `"GET"`
---@field target string  as it came: `"/a?b=c"`
---@field path string  of the target, percent-decoded but for `%2F`: `"/a"`
---@field subpath string  of the target, as it came: `"/a%20b"`; of a handler that is mounted, or
--- whose path in a router ends in a `*name`, what follows there
---@field query table<string, string>  of the target; of names that are repeated the first
---@field version "1.0"|"1.1"
---@field headers neap.http.Headers
---@field cookies table<string, string>  of names that are repeated the first; without quotes
---@field length integer?  of the body, in bytes, where it was said
---@field trailers neap.http.Headers?  behind a body in chunks, once it is read
---@field remoteaddr neap.Address?  of the client: of the connection, or what trusted proxies say
---@field scheme "http"|"https"  of the connection, or what trusted proxies say
---@field stream neap.Stream  the connection
---@field params table<string, string>?  what the names in a router's path stand for
local Request = {}
local request_meta = { __name = "neap.http.Request" }

--- What a request has until it is read.
local request_fields = { count = 0, failed = false, waiting = false }

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
  local plain = self.head.path
  if plain then
    return plain
  end
  local path = split_target(self)
  return (gsub(path, "%%(%x%x)", function(digits)
    local code = tonumber(digits, 16)
    return code ~= 0x2f and code ~= 0 and char(code) or nil
  end))
end

function made.subpath(self)
  return (split_target(self))
end

function made.query(self)
  local _, text = split_target(self)
  return first_of(text) or {}
end

function made.headers(self)
  return headers.of(self.head:all())
end

function made.cookies(self)
  return require "neap.http.cookies".of(self.headers:all "cookie")
end

--- Who has asked, and by which scheme.
local function origin(self)
  local stream, trust = self.stream, self.plan.trusted
  local scheme = stream.tls and "https" or "http"
  if trust then
    return require "neap.http.forwarded".resolve(trust, self.headers, stream.remoteaddr, scheme)
  end
  return stream.remoteaddr, scheme
end

function made.remoteaddr(self)
  return (origin(self))
end

function made.scheme(self)
  local _, scheme = origin(self)
  return scheme
end

local of_head = { method = true, target = true, version = true, length = true }

body.inherit(request_meta, Request, request_fields, of_head, made)

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
  if type(name) ~= "string" then
    error("bad argument #1 to 'header' (string expected, got " .. type(name) .. ")", 2)
  end
  return self.head:get(name)
end

--- Is the body in no coding, or in one that is decoded here? Else it is a 415.
local function check_coding(self)
  local coding = self.head:get "content-encoding"
  if coding and not self.decoded and not self.parser.whole and require "neap.http.coding".is_any(coding) then
    return fail(self, 415, bad("EBADMSG", "the body is coded, which is not understood here"))
  end
  return true
end

--- The whole body.
local function content_of(self)
  local ok, err = check_coding(self)
  if not ok then
    return nil, err
  end
  return self:read "a"
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
  local text, err = content_of(self)
  if not text then
    return nil, err
  end
  return require "neap.json".decode(text)
end

--- The parts of a body of several (`multipart/form-data`, or another multipart), as they
--- come: each is read as a body is, and what is not read of it is passed over. What fails is
--- raised: EBADMSG where the body is no such, ENODATA where it ends before its last boundary,
--- EMSGSIZE for more or longer parts than there may be. A handler that does not catch that
--- has answered by a 400, 413 or 415.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request)
---   for part in request:multipart() do
---     print(part.name, part.filename, part.type, part:read "a")
---   end
---   return ""
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- local body = '--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nA day\r\n' ..
---   '--x\r\nContent-Disposition: form-data; name="photo"; filename="/tmp/a.png"\r\n' ..
---   "Content-Type: image/png\r\n\r\nPNG...\r\n--x--\r\n"
--- client:write("POST / HTTP/1.0\r\nContent-Type: multipart/form-data; boundary=x\r\n",
---   "Content-Length: ", #body, "\r\n\r\n", body)
--- client:read "a"
--- --> title nil nil A day
--- --> photo a.png image/png PNG...
--- server:cancel()
--- ```
---@param opts? neap.http.MultipartOptions
---@return fun(): neap.http.Part?
function Request:multipart(opts)
  check_self(self, request_meta, "multipart")
  local form = require "neap.http.form"
  opts = options.check("multipart", opts or {}, form.of_multipart, 2)
  local ok, err = check_coding(self)
  local reader
  if ok then
    reader, err = form.reader(self, opts)
  end
  if not reader then
    error(err, 0)
  end
  return function()
    local part, why = reader:next()
    if why then
      error(why, 0)
    end
    return part
  end
end

--- The whole body of a form, in either of its types (application/x-www-form-urlencoded,
--- multipart/form-data): names and texts, of names that are repeated the first. Files are
--- passed over, unless `files` says what to do with them: a function is called with each, as
--- a part that is to be read; into a folder they are written, under names of our own, and
--- removed when the handler ends, unless they were moved elsewhere by then. The texts of a
--- multipart/form-data are at most 1 MiB together.
---
--- ```lua
--- local fs = require "neap.fs"
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local folder = os.tmpname() .. ".d"
--- assert(fs.mkdir(folder))
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request)
---   local fields, files = assert(request:form {files = folder})
---   for _, file in ipairs(files) do
---     print(file.name, file.filename, file.size, fs.read(file.path))
---   end
---   return fields.title
--- end)
--- local client <close> = assert(net.connect "mem:web")
--- local body = '--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nA day\r\n' ..
---   '--x\r\nContent-Disposition: form-data; name="note"; filename="a.txt"\r\n\r\nfine\r\n--x--'
--- client:write("POST / HTTP/1.0\r\nContent-Type: multipart/form-data; boundary=x\r\n",
---   "Content-Length: ", #body, "\r\n\r\n", body)
--- print(client:read "a":match "\r\n\r\n(.*)")
--- --> note a.txt 4 fine
--- --> A day
--- print(#fs.list(folder))  --> 0
--- server:cancel()
--- fs.remove(folder)
--- ```
---@async
---@param opts? neap.http.FormOptions
---@return table<string, string>? fields  or nil and an error
---@return neap.http.File[]|neap.Error|nil files  with `files`, those in the folder, in order; by its
--- field's name the first
function Request:form(opts)
  check_self(self, request_meta, "form")
  local in_parts = find(lower(self.head:get "content-type" or ""), "^multipart/")
  if in_parts or opts ~= nil then
    local form = require "neap.http.form"
    opts = options.check("form", opts or {}, form.of_form, 2)
    if in_parts then
      local ok, err = check_coding(self)
      if not ok then
        return nil, err
      end
      return form.read(self, opts)
    end
  end
  local text, err = content_of(self)
  if not text then
    return nil, err
  end
  local fields, why = first_of(text)
  return fields, why or opts and opts.files and {} or nil
end

--- Take the connection for WebSocket: the answer is 101, and what comes then are messages.
--- What is no such handshake is answered: 426, or 400; 403 where a page of another site asks,
--- which browsers say. It is closed when the handler returns, with 1000, or with 1011 when that fails.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local websocket = require "neap.websocket"
---
--- local listener = assert(net.listen "mem:chat")
--- local server = task.spawn(http.serve, listener, function(request)
---   local ws = assert(request:websocket {protocols = {"chat.v2", "chat.v1"}})
---   ws:send("this is " .. ws.protocol)
--- end)
---
--- local ws <close> = assert(websocket.connect("ws://here/", {
---   stream = net.connect "mem:chat", protocols = {"chat.v1"},
--- }))
--- print(ws:recv())  --> this is chat.v1 text
--- server:cancel()
--- ```
---@async
---@param opts? neap.websocket.AcceptOptions
---@return neap.WebSocket? ws
---@return neap.Error? err  EPROTO: no handshake, or not welcome; it has been answered
function Request:websocket(opts)
  check_self(self, request_meta, "websocket")
  local ws, err = require "neap.websocket.server".accept(self, opts or {})
  return ws, err
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
      return fail(self, 413, bad("EMSGSIZE", format("the body is longer than %d bytes", self.plan.most)))
    end
    return bytes
  elseif words then
    return fail(self, status, bad("EBADMSG", words))
  elseif type(status) == "userdata" then
    self.trailers = headers.of(status:all())
  elseif status then
    return fail(self, status.code == "ETIMEDOUT" and 408 or 400, status)
  end
  return nil
end

request_fields.source = piece_of

--- Read the body decoded, where it is coded in a way that is known.
local function decode(self)
  local coding = require "neap.http.coding"
  local name = coding.named(self.head:get "content-encoding")
  if not name then
    return
  end
  local coded = body.new(function(max)
    return piece_of(self, max)
  end)
  local plain = coding.decode(coded, name, self.plan.most)
  self.decoded = true
  self.source = function(_, max)
    local bytes, err = plain:recv(max)
    if err then
      return fail(self, self.failed or err.code == "EMSGSIZE" and 413 or 400, err)
    end
    return bytes
  end
end

local request = { Request = Request, meta = request_meta, fail = fail }

--- Of what a parser gave, on that stream. As runtime/http/flight.c makes it, and what a body needs.
function request.new(plan, stream, parser, head)
  local self = setmetatable({ head = head, stream = stream, parser = parser, plan = plan }, request_meta)
  if not parser.whole then
    self.waiting = head.expects
    if plan.decompress then
      decode(self)
    end
  end
  return self
end

--- The handler has ended: the files that it has left where they were written go.
function request.finish(self)
  if rawget(self, "written") then
    require "neap.http.form".remove(self.written)
  end
end

return request
