--- Clients: who is asked, and how often.

local check_self = require "neap.class.core".check_self
local connections = require "neap.http.connections"
local error_object = require "neap.error"
local exchange = require "neap.http.exchange"
local message = require "neap.http.message"
local options = require "neap.options"
local plan = require "neap.http.plan"
local redirect = require "neap.http.redirect"
local task = require "neap.task"

local error, ipairs, next, require = error, ipairs, next, require
local setmetatable, tostring, type = setmetatable, tostring, type
local format = string.format
local timeout = task.timeout

--- Bytes of the body of a redirect that are read, so that its connection can be used again.
local PASSED = 64 * 1024

--- Seconds that this may take.
local PASSING = 1

--- Methods that may be done twice (RFC 9110 §9.2.2).
local idempotent = { GET = true, HEAD = true, OPTIONS = true, PUT = true, DELETE = true, TRACE = true }

--- Ask once; when a connection that was kept turns out to be closed, once more on a new one.
local function perform(client, asked)
  local connection = connections.take(client.pool, asked)
  while true do
    local err
    if not connection then
      connection, err = connections.connect(client, asked)
    end
    if not connection then
      return nil, err
    end
    local held = connection
    local _ <close> = setmetatable({}, { __close = function()
      if held then
        if held.pump then
          held.pump:cancel()
        end
        held.stream:reset()
      end
    end })
    local response
    response, err = exchange.ask(connection, asked)
    if response then
      held = nil
      return response
    elseif not (connection.reused and err.silent) then
      return nil, err
    elseif not idempotent[asked.method] or asked.body and not asked.body.again then
      return nil, error_object.new { code = err.code, op = "request",
        message = err.message .. "; it may have been done, so it is not asked again" }
    end
    connection = nil
  end
end

local function read_short(response)
  local count = 0
  repeat
    local bytes = response:recv()
    count = count + (bytes and #bytes or 0)
  until not bytes or count > PASSED
end

--- Read what is left of a short body, so that the connection can be used again.
local function pass(response)
  local _ <close> = response
  timeout(PASSING, read_short, response)
end

local function follow(client, asked)
  local jar = not asked.local_to and client.jar -- whose cookies are by host
  while true do
    local ok, wrong = plan.aim(client, asked)
    if not ok then
      return nil, wrong
    end
    asked.cookies = jar and not message.find(asked.list, "cookie") and jar:get(asked.url)
    local response, err = perform(client, asked)
    if not response then
      return nil, err
    end
    for _, text in ipairs(jar and response.headers:all "set-cookie" or {}) do
      jar:set(asked.url, text)
    end
    local next_one, why
    if asked.redirects > 0 then
      next_one, why = redirect.next(asked, response.status, response.head:get "location")
    end
    if not next_one and not why then
      return response
    elseif next_one and #asked.history >= asked.redirects then
      next_one, why = nil, error_object.new { code = "ELOOP", op = "request",
        message = format("more than %d redirects", asked.redirects) }
    end
    if not next_one then
      response:close()
      return nil, why
    end
    pass(response)
    asked.history[#asked.history + 1] = tostring(asked.url)
    for _, name in ipairs { "url", "method", "list", "body", "private" } do
      asked[name] = next_one[name]
    end
    asked.expect = asked.expect and asked.body and true
  end
end

--- A client: what its requests have in common, its connections, its cookies.
---@class neap.http.Client
local Client = {}
local client_meta = { __index = Client, __name = "neap.http.Client" }

--- The options of a request, with a method and a URL.
local function with(opts, method, where, level)
  if opts ~= nil and type(opts) ~= "table" then
    error("request: a table of options expected, got " .. type(opts), level + 1)
  end
  local all = { method = method, url = where }
  for name, value in next, opts or {} do
    if name == "method" or name == "url" then
      error(format("request: option '%s' is said already", name), level + 1)
    end
    all[name] = value
  end
  return all
end

--- TLS options for HTTP: no other protocol is spoken.
local function with_alpn(given)
  local all = { alpn = { "http/1.1" } }
  for name, value in next, given do
    all[name] = value
  end
  return all
end

--- Whoever calls it does so as the last thing, so that `level` is the same in both.
local function request(self, opts, level)
  local client = self.client
  local asked, err = plan.request(client, opts, level)
  if not asked then
    return nil, err
  elseif not asked.whole then
    return follow(client, asked)
  end
  local response
  response, err = timeout(asked.whole, follow, client, asked)
  if not response and err.op == "timeout" then
    return nil, error_object.new { code = "ETIMEDOUT", op = "request",
      message = format("no answer within %g seconds", asked.whole) }
  end
  return response, err
end

--- Ask, and return the answer: nil and an error where there is none. An answer of whatever
--- status is one. Redirects are followed.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request)
---   return request.method .. " " .. request.target .. " " .. request:read "a"
--- end)
--- local client <close> = http.client {base = "http://web/v1/", endpoint = "mem:web"}
--- local response = assert(client:request {method = "PUT", url = "x", query = {n = 1}, body = "hello"})
--- print(response.status, response:read "a")  --> 200 PUT /v1/x?n=1 hello
--- server:cancel()
--- ```
---@async
---@param opts neap.http.RequestOptions
---@return neap.http.ClientResponse? response
---@return neap.Error? err  ECONNREFUSED, ETIMEDOUT, EBADMSG, ELOOP, EPERM, ...
function Client:request(opts)
  check_self(self, client_meta, "request")
  return request(self, opts, 2)
end

--- The same, of a GET.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, function(request)
---   return "hello " .. request.query.name
--- end)
--- local client <close> = http.client {endpoint = "mem:web"}
--- print(client:get("http://web/", {query = {name = "you"}}):read "a")  --> hello you
--- server:cancel()
--- ```
---@async
---@param where string|neap.Url
---@param opts? neap.http.RequestOptions
---@return neap.http.ClientResponse? response
---@return neap.Error? err
function Client:get(where, opts)
  check_self(self, client_meta, "get")
  return request(self, with(opts, "GET", where, 2), 2)
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
---   return http.json({got = request:json().name}, 201)
--- end)
--- local client <close> = http.client {endpoint = "mem:web"}
--- local response = assert(client:post("http://web/users", {json = {name = "Bob"}}))
--- print(response.status, response:json().got)  --> 201 Bob
--- server:cancel()
--- ```
---@async
---@param where string|neap.Url
---@param opts? neap.http.RequestOptions
---@return neap.http.ClientResponse? response
---@return neap.Error? err
function Client:post(where, opts)
  check_self(self, client_meta, "post")
  return request(self, with(opts, "POST", where, 2), 2)
end

--- Close the connections that wait for a request; answers that are being read go on.
---
--- ```lua
--- local http = require "neap.http"
---
--- local client = http.client {headers = {accept = "text/html"}}
--- client:close()
--- ```
function Client:close()
  check_self(self, client_meta, "close")
  connections.close(self.client.pool)
end

client_meta.__close = Client.close

local module = { Client = Client }

function module.new(opts, level)
  local found = plan.client(opts or {}, level)
  local given = found.opts.tls
  local context, failed = type(given) == "userdata" and given or nil, nil
  if type(given) == "table" then
    context, failed = options.made("client: option 'tls'", require "neap.tls".context, with_alpn(given), level)
  end
  function found.context()
    if not context and not failed then
      context, failed = require "neap.tls".context(with_alpn {})
    end
    return context, failed
  end
  local cookies = found.opts.cookies
  if cookies then
    found.jar = cookies == true and require "neap.http.cookies".new() or cookies
  end
  return setmetatable({ client = found }, client_meta)
end

--- The client of `http.get` and its like.
local common

function module.common()
  common = common or module.new({}, 1)
  return common
end

--- A request of that one, for functions that call it as the last thing they do.
function module.ask(method, where, opts, level)
  return request(module.common(), method and with(opts, method, where, level) or opts, level)
end

return module
