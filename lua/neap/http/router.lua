--- Which handler answers a request, by its method and path.

local check_self = require "neap.class.core".check_self
local core = require "neap.http.core"
local new_response = require "neap.http.response".response

local error, getmetatable, next, setmetatable = error, getmetatable, next, setmetatable
local tostring, type = tostring, type
local find, format, sub = string.find, string.format, string.sub
local concat, sort = table.concat, table.sort

--- Handlers by method and path, itself a handler: what `http.serve` calls.
---
--- A path is one of segments: `/users/:id` takes any one segment there, which is then
--- `request.params.id`; `/files/*name`, at the end, takes all that follows. What is written
--- out goes before a `:name`, and that before a `*name`, in whatever order they were added.
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

--- The node of a path; what its names stand for goes to `values`, from n + 1 on.
local function seek(node, path, at, values, n)
  if not at then
    return node.methods and node, n
  end
  local text, behind = segment(path, at)
  local fixed = node.fixed[text]
  local found, count
  if fixed then
    found, count = seek(fixed, path, behind, values, n)
  end
  if not found and node.one and text ~= "" then
    found, count = seek(node.one, path, behind, values, n + 1)
    if found then
      values[n + 1] = text
    end
  end
  if not found and node.rest then
    values[n + 1] = sub(path, at)
    return node.rest.methods and node.rest, n + 1
  end
  return found, count
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

local function dispatch(self, request, response)
  local path, method, values = request.path, request.method, {}
  local node = sub(path, 1, 1) == "/" and seek(self.root, path, 2, values, 0)
  if not node then
    return new_response(404, {}, "no such page\n")
  end
  local route = node.methods[method] or method == "HEAD" and node.methods.GET
  if not route then
    if method == "OPTIONS" then
      return new_response(204, allowed(node.methods))
    end
    return new_response(405, allowed(node.methods), "no such method here\n")
  end
  local params = {}
  for i = 1, #route.names do
    params[route.names[i]] = values[i]
  end
  request.params = params
  return route.handler(request, response)
end

router_meta.__call = dispatch

local function add(self, method, path, handler, level)
  if not core.token(method) then
    error("a method expected, got " .. tostring(method), level + 1)
  end
  check_handler(handler, level + 1)
  local node, names = place(self.root, path, level + 1)
  node.methods = node.methods or {}
  if node.methods[method] then
    error(format("%s %s has a handler already", method, path), level + 1)
  end
  node.methods[method] = { handler = handler, names = names }
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

local router = {}

function router.new()
  return setmetatable({ root = { fixed = {} } }, router_meta)
end

return router
