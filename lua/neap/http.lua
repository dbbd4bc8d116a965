--- HTTP/1.1 (RFC 9110, RFC 9112): clients, and servers whose handlers are tasks.
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

--- Addresses and prefixes, `"10.0.0.0/8"`; "unix" are peers without IP addresses.
---@class neap.http.Trusted
---@field [integer] string|neap.Prefix
---@field by ("x-forwarded-for"|"forwarded")?  the field that these proxies write, which they take
--- from nobody else: default `"x-forwarded-for"`, and `x-forwarded-proto` with it

---@class neap.http.CompressOptions
---@field types string[]?  of what: `"text/html"`, `"text/*"`, `"*+json"`; default: texts, JSON,
--- XML and scripts
---@field level integer?  from 1 (fast) to 9 (small); default 6
---@field least integer?  bytes of a body whose length is known; default 1024

---@class neap.http.ServeOptions: neap.net.ServeOptions
---@field compress boolean|neap.http.CompressOptions|nil  send what is text in gzip to clients
--- that accept it; default: no
---@field decompress boolean?  read the bodies of requests that are in gzip or deflate as what
--- they were, up to `limits.body` bytes; default: no, so that they are read as they came, and
--- `json` and `form` answer 415
---@field cancel "reset"|"end"|nil  cancel the task of a handler that has read its request's body, and
--- goes on for half a second or more, when the client resets the connection; or also when it
--- ends its side, as browsers do that go away (but so may one that waits for the answer);
--- default: no
---@field timeout neap.http.Timeouts?
---@field limits neap.http.Limits?
---@field log (fun(request: neap.http.Request, response: neap.http.Response))?  called behind each
--- answer: `http.combined()` writes a line of an access log
---@field trusted neap.http.Trusted?  the proxies that are believed, when they say whose requests
--- they hand on; nobody else is
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

---@class neap.http.ClientTimeouts
---@field connect number?  seconds until a connection is there, with its TLS, also through a proxy;
--- default 30
---@field header number?  until the head of the answer has come, whatever comes before it (1xx);
--- anew while the body goes out, and when the server asks for it (`100 Continue`); default 60
---@field idle number?  of waiting for more of the body, or for the server to take more of ours; default 60
---@field whole number?  of all of it, redirects and the body included; default: as long as it takes

---@class neap.http.ClientLimits
---@field line integer?  bytes of the status line, or of a field; default 8 KiB
---@field headers integer?  bytes of the whole head; default 64 KiB
---@field fields integer?  how many; default 100
---@field body integer?  bytes that `read "a"` and `json` take; default 64 MiB

---@class neap.http.CommonOptions
---@field headers table<string, string|integer|string[]>|neap.http.Headers|nil
---@field auth ({ [1]: string, [2]: string }|string)?  user and password (RFC 7617), or the text of
--- the field Authorization: `"Bearer abc"`. Those of the URL count where nothing else is said
---@field timeout neap.http.ClientTimeouts|number|nil  a number is that of the whole
---@field limits neap.http.ClientLimits?
---@field redirects integer|false|nil  how many are followed, default 10. With 0 and false the
--- answer is returned as it is
---@field decode boolean?  false: bodies are not asked for compressed, nor decoded
---@field endpoint string?  where to connect, whatever the URL says: `"unix:/run/x.sock"`

---@class neap.http.RequestOptions: neap.http.CommonOptions
---@field url string|neap.Url|nil  with `http` or `https`; relative to the client's `base`;
--- `http://unix:/run/x.sock:/path` goes to that socket
---@field method string?  default `"GET"`, and `"POST"` where there is a body
---@field query table|string|nil  added to that of the URL, as `url.formencode` writes it
---@field body string|function|neap.Stream|neap.http.Body|neap.File|nil  a function gives the
--- next piece at each call; without a header `content-length` it is sent in chunks
---@field json any  the body, as JSON
---@field form table?  the body, as `url.formencode` writes it
---@field multipart table?  the body, a form with files: a table of names and values, where a
--- file is `{filename = "a.png", type = "image/png", body = ...}`; or a list of such tables,
--- with their `name`
---@field expect boolean?  ask the server before the body is sent (`100 Continue`)
---@field upgrade string?  a protocol to change to; the answer 101 has the `stream` then

---@class neap.http.ClientOptions: neap.http.CommonOptions
---@field base string?  what relative URLs are relative to
---@field proxy string|false|nil  a URL; default: as the environment says, by `http_proxy`,
--- `https_proxy`, `all_proxy` and `no_proxy`
---@field public_only boolean?  no connection to what is not the public internet's (see
--- `net.connect`), wherever a URL, a name or a redirect leads; and through no proxy of the
--- environment, which would not be asked
---@field tls neap.tls.Context|neap.tls.ContextOptions|nil
---@field cookies neap.http.CookieJar|true|nil  keep cookies, and send them
---@field pool { idle: number?, origin: integer?, all: integer? }?  connections that wait for the
--- next request: for how many seconds, default 60; how many of one origin, default 8; in all, default 64

--- Ask, and return the answer, whose body is read as a stream is. Nil and an error where there
--- is none; an answer is one whatever its status is. Redirects are followed, at most 10: not
--- from https to http, and what is secret goes to no other origin. Connections are kept for
--- the next request.
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
---
--- local response = assert(http.get("http://" .. tostring(listener.address) .. "/there"))
--- print(response.status, response.headers["content-type"])  --> 200 text/plain; charset=utf-8
--- print(response:read "a")  --> hello /there
--- server:cancel()
--- ```
---@async
---@param where string|neap.Url
---@param opts? neap.http.RequestOptions
---@return neap.http.ClientResponse? response
---@return neap.Error? err  ECONNREFUSED, ETIMEDOUT, EBADMSG, ELOOP, EPERM, ...
function http.get(where, opts)
  return require "neap.http.client".ask("GET", where, opts, 2)
end

--- The same, of a POST.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request)
---   return "hello " .. assert(request:form()).name
--- end)
--- print(http.post("http://web/", {form = {name = "you"}, endpoint = "mem:web"}):read "a")  --> hello you
--- server:cancel()
--- ```
---@async
---@param where string|neap.Url
---@param opts? neap.http.RequestOptions
---@return neap.http.ClientResponse? response
---@return neap.Error? err
function http.post(where, opts)
  return require "neap.http.client".ask("POST", where, opts, 2)
end

--- The same, of any method.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request)
---   return request.method
--- end)
--- local response = assert(http.request {method = "DELETE", url = "http://web/7", endpoint = "mem:web"})
--- print(response.status, response:read "a")  --> 200 DELETE
--- server:cancel()
--- ```
---@async
---@param opts neap.http.RequestOptions
---@return neap.http.ClientResponse? response
---@return neap.Error? err
function http.request(opts)
  return require "neap.http.client".ask(nil, nil, opts, 2)
end

--- A client: what its requests have in common, with connections of its own.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request)
---   return request.path .. " " .. request:header "authorization"
--- end)
--- local api <close> = http.client {
---   base = "http://web/v1/", auth = "Bearer abc", timeout = 10, endpoint = "mem:web",
--- }
--- print(api:get "users":read "a")  --> /v1/users Bearer abc
--- server:cancel()
--- ```
---@param opts? neap.http.ClientOptions
---@return neap.http.Client client
function http.client(opts)
  return require "neap.http.client".new(opts, 2)
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

---@class neap.http.FilesOptions
---@field index string|false|nil  the file that is answered for its folder, default `"index.html"`;
--- false: none
---@field list boolean?  answer for a folder that has none by the names in it; default: 404
---@field cache integer?  seconds for which a client need not ask again
---@field gzip boolean?  send `x.gz`, which lies beside `x` and is no older, to who takes gzip
---@field hidden boolean?  also those whose names begin with a dot; default: 404
---@field types table<string, string>?  of endings that we do not know, or otherwise: `{wat =
--- "text/plain"}`

--- A handler that answers with the files of a folder, and of those below, for `http.serve` or in
--- a router at a path that ends in a `*name`. No path leads out of it, nor a link (see
--- `fs.root`). It answers GET and HEAD, also what was asked with a condition (`If-None-Match`,
--- `If-Modified-Since`, ...), and for ranges: one, or up to 16 in one answer. A file's tag is made
--- of its size, time and inode. Bodies go from the file to the socket (`Stream:sendfile`); one
--- that is cut meanwhile cuts the connection.
---
--- ```lua
--- local fs = require "neap.fs"
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local dir = os.tmpname() .. ".d"
--- fs.mkdir(dir)
--- fs.write(dir .. "/a.txt", "0123456789")
--- local app = http.router()
--- app:get("/static/*path", assert(http.files(dir, {cache = 3600})))
---
--- local listener = assert(net.listen "mem:files")
--- local server = task.spawn(http.serve, listener, app)
--- local client <close> = assert(net.connect "mem:files")
--- client:write "GET /static/a.txt HTTP/1.0\r\nRange: bytes=2-4\r\n\r\n"
--- local answer = client:read "a"
--- print(answer:match "content%-range: [^\r]*", answer:match "\r\n\r\n(.*)")
--- --> content-range: bytes 2-4/10 234
--- server:cancel()
--- fs.remove(dir, {recursive = true})
--- ```
---@async
---@param path string  of the folder
---@param opts? neap.http.FilesOptions
---@return neap.http.Handler? handler
---@return neap.Error? err  ENOENT, ENOTDIR, EACCES, ENOSYS: as of `fs.root`
function http.files(path, opts)
  return require "neap.http.files".new(path, opts)
end

--- Count requests: middleware for a router (`Router:use`), and a handler that tells of all
--- metrics of the program (`neap.metrics`) in Prometheus' format. It counts
--- `http_requests_total{method,status}`, by class (`2xx`), `http_request_seconds`,
--- `http_requests_running`, and bytes of bodies, `http_received_bytes_total` and
--- `http_sent_bytes_total`; of an answer that is returned, and comes from a file or a function,
--- these are not known. Connections are in `neap_sockets`.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local app = http.router()
--- local count, tell = http.metrics()
--- app:use(count)
--- app:get("/metrics", tell)
---
--- local listener = assert(net.listen "mem:metrics")
--- local server = task.spawn(http.serve, listener, app)
--- local client = http.client {endpoint = "mem:metrics"}
--- client:get "http://here/none"
--- print(assert(client:get "http://here/metrics"):read "a":match 'http_requests_total{[^\n]*')
--- --> http_requests_total{method="GET",status="4xx"} 1
--- server:cancel()
--- ```
---@param opts? { buckets?: number[] }  of the seconds, as of `metrics.histogram`
---@return neap.http.Middleware count
---@return neap.http.Handler tell
function http.metrics(opts)
  return require "neap.http.measures".new(opts)
end

--- For the option `log` of `http.serve`: writes a line of an access log behind each answer, in
--- Apache's format "combined". Who asks is whom the server believes (`trusted`), the time is UTC,
--- the bytes are those of the body (`-`: none). What clients say is escaped: it ends neither its
--- quotes nor the line.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "tcp://127.0.0.1:0")
--- local server = task.spawn(http.serve, listener, function()
---   return "hello"
--- end, {log = http.combined(function(line)
---   print((line:gsub("%[.-%]", "[...]")))
--- end)})
--- local client <close> = http.client {headers = {["user-agent"] = 'the "best"'}}
--- client:get("http://127.0.0.1:" .. listener.port .. "/a?b"):read "a"
--- --> 127.0.0.1 - - [...] "GET /a?b HTTP/1.1" 200 5 "-" "the \"best\""
--- server:cancel()
--- ```
---@param write? fun(line: string)  default: to stdout, with the line's end
---@return fun(request: neap.http.Request, response: neap.http.Response) log
function http.combined(write)
  return require "neap.http.combined".new(write)
end

--- The value of a set-cookie field, for `http.response`; see `Response:setcookie`.
---
--- ```lua
--- local http = require "neap.http"
---
--- local reply = http.response(303, {
---   location = "/", ["set-cookie"] = http.cookie("__Host-id", "x7", {secure = true, samesite = "strict"}),
--- })
--- print(reply.headers["set-cookie"])
--- --> __Host-id=x7; Path=/; Secure; HttpOnly; SameSite=Strict
--- ```
---@param name string
---@param value string|integer
---@param opts? neap.http.CookieOptions
---@return string text
function http.cookie(name, value, opts)
  return require "neap.http.cookies".text(name, value, opts)
end

--- An empty jar for the cookies that servers set.
---
--- ```lua
--- local http = require "neap.http"
---
--- local jar = http.cookiejar()
--- jar:set("http://example.com/", "a=1")
--- print(jar:get "http://example.com/path")  --> a=1
--- ```
---@return neap.http.CookieJar jar
function http.cookiejar()
  return require "neap.http.cookies".new()
end

return http
