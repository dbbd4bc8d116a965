--- HTTP/1.1 (RFC 9110, RFC 9112): servers whose handlers are tasks.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "tcp://127.0.0.1:0")
--- local server = task.spawn(http.serve, listener, function(request)
---   return "hello " .. request.path .. "\n"
--- end)
--- local client <close> = assert(net.connect(listener.endpoint))
--- client:write "GET /there HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
--- print((client:read "a"):match "\r\n\r\n(.*)")  --> hello /there
--- server:cancel()
--- ```
---
--- What can be read in two ways is refused: a body that is framed twice, a transfer coding
--- other than `chunked`, a line that ends without CR, a field that is folded. Each limit has
--- its answer: 408 (late), 413 (the body), 414 (the request line), 417, 431 (the header),
--- 501 (an unknown method), 505; then the connection is closed.

local require = require

---@class neap.http
local http = {}

---@class neap.http.Timeouts
---@field first number?  seconds until a connection's first byte, default 30
---@field header number?  from a head's first byte to its end, default 30
---@field body number?  of waiting for a body, and a second more for each 500 bytes of it, default 30
---@field idle number?  until the next request of a connection, default 60
---@field write number?  for a client that does not read, default 60

---@class neap.http.Limits
---@field line integer?  bytes of the request line, or of a field; default 8 KiB
---@field headers integer?  bytes of the whole head; default 64 KiB
---@field fields integer?  how many; default 100
---@field body integer|number|nil  bytes of a body; default 16 MiB; `math.huge`: any

---@class neap.http.ServeOptions: neap.net.ServeOptions
---@field timeout neap.http.Timeouts?
---@field limits neap.http.Limits?
---@field log (fun(request: neap.http.Request, response: neap.http.Response))?  called behind each
--- answer
---@field onerror (fun(err: any, request: neap.http.Request, traceback: string?))?  called when a
--- handler fails, instead of a line on stderr; the client is told 500 where nothing was sent yet
---@field tls (neap.tls.Context|neap.tls.StartOptions)?  of an endpoint: speak TLS
---@field backlog integer?  of an endpoint, as `net.listen` has it

---@alias neap.http.Handler fun(request: neap.http.Request, response: neap.http.Response): string|neap.http.Reply|nil

--- Serve HTTP: the handler is called for each request, in a task of its connection, and
--- answers by what it returns (a string; `http.response`; `http.json`) or by its second
--- argument. The requests of one connection are answered one behind the other. What a
--- handler raises is a 500 for its client, and told on stderr. Returns as `Listener:serve`.
--- An endpoint that cannot be listened at is raised: EADDRINUSE.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "tcp://127.0.0.1:0")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   response:start(200, {["content-type"] = "text/plain"})
---   for line in request:lines() do
---     response:write(line:upper(), "\n")
---   end
--- end, {max = 1000, timeout = {idle = 10}, limits = {body = 1024}})
---
--- local client <close> = assert(net.connect(listener.endpoint))
--- client:write "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\nConnection: close\r\n\r\none\ntw"
--- print((client:read "a"):match "ONE")  --> ONE
--- server:cancel()
--- ```
---@async
---@param endpoint string|neap.Listener  what is listened at: `"tcp://:8080"`, `"unix:/run/x.sock"`
---@param handler neap.http.Handler
---@param opts? neap.http.ServeOptions  and those of `Listener:serve`
function http.serve(endpoint, handler, opts)
  return require "neap.http.server".serve(endpoint, handler, opts)
end

--- What a handler returns: see `http.response`.
---@class neap.http.Reply
---@field status integer
---@field headers neap.http.Headers
---@field body string|function|neap.Stream|neap.http.Body|nil

--- An answer, for a handler to return.
---
--- ```lua
--- local http = require "neap.http"
---
--- local gone = http.response(410, {["x-id"] = 7}, "gone\n")
--- print(gone.status, gone.headers["X-Id"], gone.body)  --> 410 7 gone
--- ```
---@param status integer  from 200 to 599
---@param headers? table<string, string|integer|string[]>|neap.http.Headers
---@param body? string|function|neap.Stream|neap.http.Body
---@return neap.http.Reply reply
function http.response(status, headers, body)
  return require "neap.http.response".response(status, headers, body)
end

--- An answer that is a value as JSON.
---
--- ```lua
--- local http = require "neap.http"
---
--- local reply = http.json {a = 1}
--- print(reply.headers["content-type"], reply.body)  --> application/json {"a":1}
--- ```
---@param value any
---@param status? integer  default 200
---@param headers? table<string, string|integer|string[]>|neap.http.Headers
---@return neap.http.Reply reply
function http.json(value, status, headers)
  return require "neap.http.response".json(value, status, headers)
end

--- Header fields, of a table of names and values, where a value may be a list.
---
--- ```lua
--- local http = require "neap.http"
---
--- local headers = http.headers {accept = "text/html, */*"}
--- print(headers.Accept, headers:has("accept", "*/*"))  --> text/html, */* true
--- ```
---@param given? table<string, string|integer|string[]>|neap.http.Headers
---@return neap.http.Headers headers
function http.headers(given)
  return require "neap.http.headers".new(given)
end

--- A body of pieces: of a table of strings, or of a function that gives the next one at each
--- call, nil at the end, or nil and an error.
---
--- ```lua
--- local http = require "neap.http"
---
--- local n = 0
--- local body = http.body(function()
---   n = n + 1
---   return n <= 3 and n .. "\n" or nil
--- end)
--- print(body:read("n", "n", "n"))  --> 1 2 3
--- ```
---@param source string[]|fun(max: integer?): string?, neap.Error?
---@return neap.http.Body body
function http.body(source)
  return require "neap.http.body".new(source)
end

--- Handlers by method and path: a handler for `http.serve`.
---
--- ```lua
--- local http = require "neap.http"
---
--- local app = http.router()
--- app:get("/hello/:name", function(request)
---   return "hello " .. request.params.name .. "\n"
--- end)
--- -- http.serve("tcp://:8080", app)
--- ```
---@return neap.http.Router router
function http.router()
  return require "neap.http.router".new()
end

return http
