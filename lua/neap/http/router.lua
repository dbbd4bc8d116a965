--- Which handler answers a request, by its method and path.

local check_self = require "neap.class.core".check_self
local core = require "neap.http.core"
local new_response = require "neap.http.response".response
local unescape = require "neap.http.message".unescape

local error, getmetatable, next, setmetatable = error, getmetatable, next, setmetatable
local tostring, type = tostring, type
local byte, find, format, sub = string.byte, string.find, string.format, string.sub
local concat, sort = table.concat, table.sort

---@alias neap.http.Middleware fun(request: neap.http.Request, response: neap.http.Response, next:
--- (fun(): string|neap.http.Reply|nil)): string|neap.http.Reply|nil

--- Handlers by method and path, itself a handler: what `http.serve` calls.
---
--- A path is one of segments: `/users/:id` takes any one segment there, which is then
--- `request.params.id`; `/files/*name`, at the end, takes all that follows. What is written
--- out goes before a `:name`, that before a `*name`, and that before what is mounted, in
--- whatever order they were added. Segments are told apart as they came, and then decoded: what
--- came as `a%2Fb` is one, and `a/b` in `params`. One with a zero byte is nowhere.
---
--- The path alone decides, then the method: an unknown path is a 404; a known one with
--- another method a 405, which tells the methods;
--- HEAD is answered by GET's handler, and OPTIONS with the methods, where there is no handler.
---@class neap.http.Router
local Router = {}
local router_meta = { __index = Router, __name = "neap.http.Router" }

local function check_handler(handler, level)
  local meta = type(handler) == "table" and getmetatable(handler)
  if type(handler) ~= "function" and not (type(meta) == "table" and meta.__call) then
    error("a handler: a function expected, got " .. type(handler), level + 1)
  end
end

--- The segment that begins at `at`, and where the next one does: nil behind the last.
local function segment(path, at)
  local slash = find(path, "/", at, true)
  if slash then
    return sub(path, at, slash - 1), slash + 1
  end
  return sub(path, at), nil
end

local function child(node, key)
  local found = node[key]
  if not found then
    found = { fixed = {} }
    node[key] = found
  end
  return found
end

--- The node of a pattern, made where there is none, and the names in it.
local function place(root, path, level)
  if type(path) ~= "string" or sub(path, 1, 1) ~= "/" then
    error("a path that begins with '/' expected, got " .. tostring(path), level + 1)
  end
  local node, names, seen, at = root, {}, {}, 2
  while at do
    local text
    text, at = segment(path, at)
    local kind = sub(text, 1, 1)
    if kind == ":" or kind == "*" then
      local name = sub(text, 2)
      if not find(name, "^[%a_][%w_]*$") or seen[name] then
        error(format("path '%s': a name of its own expected behind '%s'", path, kind), level + 1)
      elseif kind == "*" and at then
        error(format("path '%s': '%s' is not its end", path, text), level + 1)
      end
      seen[name], names[#names + 1] = true, name
      node = child(node, kind == ":" and "one" or "rest")
    else
      node = child(node.fixed, text)
    end
  end
  return node, names
end

--- The node of a path as it came; what its names stand for goes to `values`, from n + 1 on. Behind
--- a `*name`, and of what is mounted, also what follows there.
local function seek(node, path, at, values, n)
  if not at then
    return node.methods and node or node.mounted, n, not node.methods and "" or nil
  end
  local text, behind = segment(path, at)
  local name = unescape(text)
  local fixed = node.fixed[name]
  local found, count, rest
  if fixed then
    found, count, rest = seek(fixed, path, behind, values, n)
  end
  if not found and node.one and text ~= "" then
    found, count, rest = seek(node.one, path, behind, values, n + 1)
    if found then
      values[n + 1] = name
    end
  end
  if not found and node.rest then
    rest = sub(path, at - 1)
    values[n + 1] = unescape(sub(rest, 2))
    return node.rest, n + 1, rest
  end
  if not found and node.mounted then
    return node.mounted, n, sub(path, at - 1)
  end
  return found, count, rest
end

local function allowed(methods)
  local names = { "OPTIONS" }
  for name in next, methods do
    if name ~= "OPTIONS" then
      names[#names + 1] = name
    end
  end
  if methods.GET and not methods.HEAD then
    names[#names + 1] = "HEAD"
  end
  sort(names)
  return { allow = concat(names, ", ") }
end

--- The route of a node for that method; nil and an answer.
local function choose(node, method)
  local methods = node.methods
  local route = methods[method] or method == "HEAD" and methods.GET or node.any
  if route then
    return route
  elseif method == "OPTIONS" then
    return nil, new_response(204, allowed(methods))
  end
  return nil, new_response(405, allowed(methods), "no such method here\n")
end

--- What stands for the names, beside those of a router around this one.
local function name_values(request, names, values)
  local params = {}
  for name, value in next, request.params or params do
    params[name] = value
  end
  for i = 1, #names do
    params[names[i]] = values[i]
  end
  request.params = params
end

local function route(self, request, response)
  local path, values = request.subpath, {}
  if path == "" then
    path = "/"
  end
  local node, _, rest
  if byte(path) == 47 and not find(path, "%00", 1, true) then
    node, _, rest = seek(self.root, path, 2, values, 0)
  end
  if not node then
    return new_response(404, {}, "no such page\n")
  end
  local found, other
  if node.methods then
    found, other = choose(node, request.method)
    if not found then
      return other
    end
  else
    found = node
  end
  name_values(request, found.names, values)
  if rest then
    request.subpath = rest
  end
  return found.handler(request, response)
end

--- The middleware from the i-th on, and then the route.
local function dispatch(self, request, response, i)
  i = i or 1
  local step = self.steps[i]
  if not step then
    return route(self, request, response)
  end
  return step(request, response, function()
    return dispatch(self, request, response, i + 1)
  end)
end

function router_meta.__call(self, request, response)
  if type(request) ~= "table" or type(request.subpath) ~= "string" then
    error("router: a request expected, got " .. type(request), 2)
  end
  return dispatch(self, request, response)
end

--- `method`: nil for those that have no handler. Called by tail calls, which leave no level.
local function add(self, method, path, handler, level)
  check_handler(handler, level)
  local node, names = place(self.root, path, level)
  node.methods = node.methods or {}
  if not method and node.any or method and node.methods[method] then
    error(format("%s %s has a handler already", method or "any", path), level)
  end
  local one = { handler = handler, names = names }
  if method then
    node.methods[method] = one
  else
    node.any = one
  end
  return self
end

--- Add a handler for a method, and a path.
---
--- ```lua
--- local http = require "neap.http"
---
--- local app = http.router()
--- app:route("DELETE", "/users/:id", function(request)
---   return http.response(204)
--- end)
--- local _, err = pcall(app.route, app, "DELETE", "users", print)
--- print(err:match "a path.*")  --> a path that begins with '/' expected, got users
--- ```
---@param method string  `"GET"`; case counts
---@param path string
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:route(method, path, handler)
  check_self(self, router_meta, "route")
  if type(method) ~= "string" or not core.token(method) then
    error("a method expected, got " .. tostring(method), 2)
  end
  return add(self, method, path, handler, 2)
end

--- Add a handler for GET, and for HEAD where that has none.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local app = http.router()
--- app:get("/users/:id", function(request)
---   return "user " .. request.params.id
--- end)
--- local listener = assert(net.listen "mem:web")
--- local server = task.spawn(http.serve, listener, app)
--- local client <close> = assert(net.connect "mem:web")
--- client:write "GET /users/7 HTTP/1.1\r\nHost: here\r\n\r\n"
--- print(client:readuntil "\r\n\r\n" ~= nil, client:readexactly(6))  --> true user 7
--- server:cancel()
--- ```
---@param path string
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:get(path, handler)
  check_self(self, router_meta, "get")
  return add(self, "GET", path, handler, 2)
end

--- Add a handler for POST.
---
--- ```lua
--- local http = require "neap.http"
---
--- local app = http.router()
--- app:post("/users", function(request)
---   return http.json(request:form(), 201)
--- end)
--- ```
---@param path string
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:post(path, handler)
  check_self(self, router_meta, "post")
  return add(self, "POST", path, handler, 2)
end

--- Add a handler for PUT.
---
--- ```lua
--- local http = require "neap.http"
---
--- local app = http.router()
--- app:put("/notes/:id", function(request)
---   return request:read "a"
--- end)
--- ```
---@param path string
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:put(path, handler)
  check_self(self, router_meta, "put")
  return add(self, "PUT", path, handler, 2)
end

--- Add a handler for PATCH.
---
--- ```lua
--- local http = require "neap.http"
---
--- local app = http.router()
--- app:patch("/notes/:id", function(request)
---   return http.json(request:json())
--- end)
--- ```
---@param path string
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:patch(path, handler)
  check_self(self, router_meta, "patch")
  return add(self, "PATCH", path, handler, 2)
end

--- Add a handler for DELETE.
---
--- ```lua
--- local http = require "neap.http"
---
--- local app = http.router()
--- app:delete("/notes/:id", function(request)
---   return http.response(204)
--- end)
--- ```
---@param path string
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:delete(path, handler)
  check_self(self, router_meta, "delete")
  return add(self, "DELETE", path, handler, 2)
end

--- Add a handler for HEAD, in place of GET's.
---
--- ```lua
--- local http = require "neap.http"
---
--- local app = http.router()
--- app:head("/big", function(request)
---   return http.response(200, {["content-length"] = 1 << 30})
--- end)
--- ```
---@param path string
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:head(path, handler)
  check_self(self, router_meta, "head")
  return add(self, "HEAD", path, handler, 2)
end

--- Add a handler for OPTIONS, which is otherwise answered with the methods that there are.
---
--- ```lua
--- local http = require "neap.http"
---
--- local app = http.router()
--- app:options("/notes", function(request)
---   return http.response(204, {allow = "GET, POST", ["access-control-allow-origin"] = "*"})
--- end)
--- ```
---@param path string
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:options(path, handler)
  check_self(self, router_meta, "options")
  return add(self, "OPTIONS", path, handler, 2)
end

--- Add a handler for each method that has none at that path.
---
--- ```lua
--- local http = require "neap.http"
---
--- local app = http.router()
--- app:any("/echo", function(request)
---   return request.method .. "\n"
--- end)
--- ```
---@param path string
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:any(path, handler)
  check_self(self, router_meta, "any")
  return add(self, nil, path, handler, 2)
end

--- Hand all paths below a prefix, and the prefix itself, to a handler: to another router, to
--- `http.files`, to any. `request.path` stays as it is; what follows the prefix is
--- `request.subpath`, by which a router and `http.files` go (for a router the prefix itself is its
--- `/`). What names in the prefix stand for is in `params`, too.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local api = http.router()
--- api:get("/users/:id", function(request)
---   return request.params.version .. " " .. request.params.id .. " of " .. request.path
--- end)
--- local app = http.router()
--- app:mount("/api/:version", api)
---
--- local listener = assert(net.listen "mem:mount")
--- local server = task.spawn(http.serve, listener, app)
--- local client <close> = assert(net.connect "mem:mount")
--- client:write "GET /api/v1/users/7 HTTP/1.0\r\n\r\n"
--- print(client:read "a":match "\r\n\r\n(.*)")  --> v1 7 of /api/v1/users/7
--- server:cancel()
--- ```
---@param prefix string  `"/"`: all that has no other handler here
---@param handler neap.http.Handler
---@return neap.http.Router router  itself
function Router:mount(prefix, handler)
  check_self(self, router_meta, "mount")
  check_handler(handler, 2)
  if type(prefix) == "string" and prefix ~= "/" and (find(prefix, "/$") or find(prefix, "/%*[^/]*$")) then
    error(format("prefix '%s': a path without '/' or a '*name' at its end expected", prefix), 2)
  end
  local node, names = self.root, {}
  if prefix ~= "/" then
    node, names = place(self.root, prefix, 2)
  end
  if node.mounted then
    error(format("something is mounted at %s already", prefix), 2)
  end
  node.mounted = { handler = handler, names = names }
  return self
end

--- Add middleware: a function that is called for each request that comes to this router, also
--- for those to which nothing answers here, in order of their adding, before the handler is looked
--- for. `next()` calls those behind it, and at last the handler, and gives what that returns: nil
--- where it has answered by `response`. What the middleware returns is the answer.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local app = http.router()
--- app:use(function(request, response, next)
---   if request:header "authorization" ~= "Bearer secret" then
---     return http.response(401, {["www-authenticate"] = "Bearer"}, "who are you?\n")
---   end
---   return next()
--- end)
--- app:get("/", function()
---   return "welcome\n"
--- end)
---
--- local listener = assert(net.listen "mem:use")
--- local server = task.spawn(http.serve, listener, app)
--- local client <close> = assert(net.connect "mem:use")
--- client:write "GET / HTTP/1.0\r\n\r\n"
--- print(client:read "a":match "\r\n\r\n(.*)\n")  --> who are you?
--- server:cancel()
--- ```
---@param middleware neap.http.Middleware
---@return neap.http.Router router  itself
function Router:use(middleware)
  check_self(self, router_meta, "use")
  if type(middleware) ~= "function" then
    error("middleware: a function expected, got " .. type(middleware), 2)
  end
  self.steps[#self.steps + 1] = middleware
  return self
end

local router = {}

function router.new()
  return setmetatable({ root = { fixed = {} }, steps = {} }, router_meta)
end

return router
