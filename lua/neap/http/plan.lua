--- What a client asks: its options, checked, as one table.

local authority = require "neap.http.authority"
local body = require "neap.http.body"
local connections = require "neap.http.connections"
local core = require "neap.http.core"
local error_object = require "neap.error"
local message = require "neap.http.message"
local options = require "neap.options"
local proxies = require "neap.http.proxies"
local time = require "neap.time"
local redirect = require "neap.http.redirect"
local url = require "neap.url"

local error, getmetatable, ipairs, next, pcall, require = error, getmetatable, ipairs, next, pcall, require
local setmetatable, tostring, type = setmetatable, tostring, type
local find, format, lower, match, sub = string.find, string.format, string.lower, string.match, string.sub
local mathtype = math.type
local now = time.now
local parse_endpoint = require "neap.endpoint".parse

local plan = {}


-- Options

local timeouts = {
  connect = options.seconds, header = options.seconds, idle = options.seconds, whole = options.seconds,
}

local limits = {
  line = options.count, headers = options.count, fields = options.count, body = options.count,
}

local timeout_kind = { function(value)
  return type(value) == "table" or options.seconds[1](value)
end, "seconds above 0, or a table of them" }

local redirects_kind = { function(value)
  return value == false or mathtype(value) == "integer" and value >= 0
end, "a count, or false" }

local proxy_kind = { function(value)
  return value == false or type(value) == "string"
end, "a URL, or false" }

local tls_kind = { function(value)
  return type(value) == "table" or type(value) == "userdata"
end, "a context, or its options" }

local query_kind = { function(value)
  return type(value) == "table" or type(value) == "string"
end, "a table, or a string" }

local upgrade_kind = { function(value)
  return type(value) == "string" and value ~= "" and core.value(value)
end, "protocols, such as 'websocket'" }

local cookies_kind = { function(value)
  return value == true or type(value) == "table"
end, "true, or a cookie jar" }

local endpoint_kind = { function(value)
  return type(value) == "string" and pcall(parse_endpoint, value)
end, "an endpoint" }

--- Of requests, and of clients for all of theirs.
local of_both = {
  headers = options.any, auth = options.any, timeout = timeout_kind, limits = limits,
  redirects = redirects_kind, decode = options.flag, endpoint = endpoint_kind,
}

local of_request = {
  url = options.any, method = options.any, query = query_kind, body = options.any, json = options.any,
  form = options.table, multipart = options.table, expect = options.flag, upgrade = upgrade_kind,
}

local of_client = {
  base = options.text, proxy = proxy_kind, tls = tls_kind, cookies = cookies_kind,
  public_only = options.flag,
  pool = { idle = options.seconds, origin = options.count, all = options.count },
}

for name, kind in next, of_both do
  of_request[name], of_client[name] = kind, kind
end

local function check_options(who, given, known, level)
  local found = options.check(who, given, known, level + 1)
  if type(found.timeout) == "table" then
    found.timeout = options.check(who, found.timeout, timeouts, level + 1, "timeout")
  elseif found.timeout then
    found.timeout = { whole = found.timeout }
  end
  return found
end


-- Bodies

local function text_body(text, kind)
  return { text = text, length = #text, again = true, type = kind, open = function()
    local at = 1
    return function()
      if at <= #text then
        at = at + 65536
        return sub(text, at - 65536, at - 1)
      end
    end
  end }
end

--- What the options say is the body: `open` gives what gives its pieces; `again`: as often as
--- it is called.
local function body_of(opts, list, level)
  local given
  for _, name in ipairs { "body", "json", "form", "multipart" } do
    if opts[name] ~= nil then
      if given then
        error(format("request: options '%s' and '%s': one body expected", given, name), level + 1)
      end
      given = name
    end
  end
  local said = message.length(list, level + 1)
  if not given then
    return nil
  elseif given == "json" then
    local encode = require "neap.json".encode
    return text_body(options.made("option 'json'", encode, opts.json, level + 1), "application/json")
  elseif given == "form" then
    return text_body(options.made("option 'form'", url.formencode, opts.form, level + 1),
      "application/x-www-form-urlencoded")
  elseif given == "multipart" then
    local pull, kind, length = require "neap.http.multipart".encode(opts.multipart, level + 1)
    return { length = length, type = kind, open = function()
      return pull
    end }
  elseif type(opts.body) == "string" then
    if said and said ~= #opts.body then
      error(format("header 'content-length': it says %d, and the body has %d bytes", said, #opts.body), level + 1)
    end
    return text_body(opts.body)
  end
  local pull = body.puller(opts.body)
  if not pull then
    error("option 'body': a string, a function, or what has 'recv' expected, got " .. type(opts.body), level + 1)
  end
  return { length = said, open = function()
    return pull
  end }
end


-- Requests

local function credentials(auth, level)
  if auth == nil then
    return nil
  elseif type(auth) == "table" and type(auth[1]) == "string" and type(auth[2]) == "string" then
    if find(auth[1], "[:%c]") or find(auth[2], "%c") then
      error("option 'auth': a user without ':' and control characters expected", level + 1)
    end
    return connections.basic(auth[1], auth[2])
  elseif type(auth) == "string" and core.value(auth) then
    return auth
  end
  error("option 'auth': {user, password}, or the text of an Authorization field expected", level + 1)
end

--- A URL, and the unix socket that is written in it: `http://unix:/run/x.sock:/path`.
local function read_url(text, base)
  local class = type(text) == "table" and getmetatable(text)
  if type(class) == "table" and class.__name == "neap.Url" then -- a script may have changed its parts
    local found, err = url.parse(tostring(text))
    return found, nil, err
  elseif type(text) ~= "string" then
    return nil, nil, "a URL expected, got " .. type(text)
  end
  local scheme, path, rest = match(text, "^(https?)://unix:(/[^:]*):?(.*)$")
  if scheme then
    local found, err = url.parse(scheme .. "://localhost" .. rest)
    return found, found and "unix:" .. path, err
  end
  local found, err
  if base then
    found, err = url.resolve(base, text)
  else
    found, err = url.parse(text)
  end
  return found, nil, err
end

--- The query of a URL, and behind it the one that the options say; or nil and an error.
local function with_query(target, query, level)
  if not query then
    return target.query
  end
  local text = type(query) == "string" and query
    or options.made("option 'query'", url.formencode, query, level + 1)
  local found, err = url.parse("http://query/?" .. text)
  if not found or found.fragment then
    return nil, err or error_object.new { code = "EBADMSG", message = "# cannot be in a URL's query" }
  end
  return target.query and target.query ~= "" and target.query .. "&" .. text or text
end

--- Fields of a request before those of its client, which count where it has none of that name.
local function merged(own, common)
  local list, there = {}, {}
  for i = 1, #own, 2 do
    list[i], list[i + 1] = own[i], own[i + 1]
    there[lower(own[i])] = true
  end
  for i = 1, #common, 2 do
    if not there[lower(common[i])] then
      list[#list + 1], list[#list + 2] = common[i], common[i + 1]
    end
  end
  return list
end

local function add(list, name, value)
  if value and not message.find(list, name) then
    list[#list + 1], list[#list + 2] = name, value
  end
end

local allowed = { ["content-length"] = true }
local left_out = { host = true, ["content-length"] = true }

--- The table of a request, checked: what is asked; or nil and an error, for a URL that is none.
function plan.request(client, opts, level)
  local found = check_options("request", opts, of_request, level + 1)
  local method = found.method or (found.body or found.json ~= nil or found.form or found.multipart) and "POST" or "GET"
  if type(method) ~= "string" or not core.token(method) or method == "CONNECT" then
    error("option 'method': a method such as 'GET' expected, got " .. tostring(method), level + 1)
  end
  local own = found.headers and message.fields(found.headers, level + 1, allowed) or {}
  local auth = credentials(found.auth, level + 1)
  local seconds, bounds, common = found.timeout or {}, found.limits or {}, client.opts
  local function pick(group, given, name, otherwise)
    return given[name] or common[group] and common[group][name] or otherwise
  end
  local target, socket, err = read_url(found.url, client.base)
  if not target or target.scheme ~= "http" and target.scheme ~= "https" then
    return nil, error_object.new { code = "EBADMSG", op = "request",
      message = type(err) == "string" and err or err and err.message
        or "a URL that begins with http:// or https:// expected" }
  end
  -- What a client says of itself is for where its base is.
  local at_home = not client.base or redirect.same_origin(client.base, target)
  local list = merged(own, at_home and client.list or redirect.public(client.list))
  local request_body = body_of(found, list, level + 1)
  auth = auth or at_home and client.auth
  local query
  query, err = with_query(target, found.query, level + 1)
  if err then
    return nil, error_object.new { code = err.code, op = "request", message = "option 'query': " .. err.message }
  end
  auth = auth or target.userinfo and connections.basic(target:credentials())
  local header = pick("timeout", seconds, "header", 60)
  local decode = found.decode
  if decode == nil then
    decode = common.decode ~= false
  end
  add(list, "user-agent", client.agent)
  add(list, "accept", "*/*")
  decode = decode and not message.find(list, "accept-encoding") and not message.find(list, "range")
  add(list, "accept-encoding", decode and "gzip, deflate")
  add(list, "content-type", request_body and request_body.type)
  add(list, "authorization", auth)
  local whole = pick("timeout", seconds, "whole")
  return {
    method = method, list = list, left_out = left_out, body = request_body, pool = client.pool,
    url = setmetatable({ scheme = target.scheme, host = target.host, port = target.port, path = target.path,
      query = query }, getmetatable(target)),
    local_to = socket ~= nil, socket = socket or found.endpoint or common.endpoint, private = true, history = {},
    expect = found.expect and request_body and true, upgrade = found.upgrade, decode = decode,
    redirects = found.redirects or found.redirects == nil and (common.redirects
      or common.redirects == nil and 10) or 0,
    connect = pick("timeout", seconds, "connect", 30), header = header,
    idle = pick("timeout", seconds, "idle", 60), whole = whole, deadline = whole and now() + whole,
    most = pick("limits", bounds, "body", 64 * 1024 * 1024),
    parser = {
      line = pick("limits", bounds, "line"), head = pick("limits", bounds, "headers"),
      fields = pick("limits", bounds, "fields"),
    },
  }
end

--- What of a target goes into the request line, and where the connection leads.
function plan.aim(client, asked)
  local target = asked.url
  local rest = (target.path == "" and "/" or target.path) .. (target.query and "?" .. target.query or "")
  asked.endpoint = asked.socket
  local why
  asked.proxy = nil
  if not asked.socket then
    asked.proxy, why = client.proxy_of(target)
  end
  if why then
    return nil, error_object.new { code = "EBADMSG", op = "request", message = why }
  end
  asked.host, asked.target = authority.host(target), rest
  if asked.proxy and target.scheme == "http" then
    asked.target = "http://" .. asked.host .. rest
    asked.to_proxy = asked.proxy.userinfo and connections.basic(asked.proxy:credentials())
  else
    asked.to_proxy = nil
  end
  return true
end

--- The options of a client, checked, as `request` wants them.
function plan.client(opts, level)
  local found = check_options("client", opts, of_client, level + 1)
  local client = {
    opts = found, agent = core.agent, auth = credentials(found.auth, level + 1),
    list = found.headers and message.fields(found.headers, level + 1) or {},
  }
  if found.base then
    local base, err = url.parse(found.base)
    if not base then
      error("client: option 'base': " .. err.message, level + 1)
    end
    client.base = base
  end
  if found.public_only and found.proxy then
    error("client: options 'public_only' and 'proxy': whom a proxy connects to is not known here", level + 1)
  end
  local fixed = found.proxy and proxies.read(found.proxy, level + 1)
  function client.proxy_of(target)
    if found.proxy ~= nil or found.public_only then
      return fixed or nil
    end
    return proxies.of_environment(target)
  end
  local pool = found.pool or {}
  client.pool = connections.pool(pool.idle or 60, pool.origin or 8, pool.all or 64)
  return client
end

return plan
