--- `require "ssl.https"`, where LuaSec's own is not installed: requests of LuaSocket's
--- socket.http over TLS.

local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "socket"
local ssl = require "ssl"
local url = require "socket.url"

local concat, getmetatable, next, type = table.concat, getmetatable, next, type

local https = {_VERSION = "1.2.0", PORT = 443, TIMEOUT = 60}

local defaults = {protocol = "any", options = {"all", "no_sslv2", "no_sslv3", "no_tlsv1"}, verify = "none"}

--- As LuaSocket's `tcp`, for `create` of socket.http: what connects speaks TLS.
---@param params? table  LuaSec's, of which none is verify = "none"
function https.tcp(params)
  params = params or {}
  for name, value in next, defaults do
    params[name] = params[name] or value
  end
  params.mode = "client"
  return function()
    local one = {sock = socket.try(socket.tcp())}
    function one:settimeout()
      return self.sock:settimeout(https.TIMEOUT)
    end
    function one:connect(host, port)
      socket.try(self.sock:connect(host, port))
      local secure = socket.try(ssl.wrap(self.sock, params))
      self.sock = secure
      secure:sni(host)
      secure:settimeout(https.TIMEOUT)
      socket.try(secure:dohandshake())
      for name, method in next, getmetatable(secure).__index do
        if type(method) == "function" then
          self[name] = function(_, ...)
            return method(secure, ...)
          end
        end
      end
      return 1
    end
    return one
  end
end

local function with_port(text)
  return url.build(url.parse(text, {port = https.PORT}))
end

--- A request as by `socket.http.request`, whose parameters may have those of a context. It
--- goes through no proxy, and follows nobody.
---@param what string|table
---@param body? string
function https.request(what, body)
  local parts = {}
  local params = what
  if type(what) == "string" then
    params = {url = with_port(what), method = body and "POST" or "GET", sink = ltn12.sink.table(parts)}
    if body then
      params.source = ltn12.source.string(body)
      params.headers = {["content-length"] = #body, ["content-type"] = "application/x-www-form-urlencoded"}
    end
  else
    params.url = with_port(params.url)
  end
  if http.PROXY or params.proxy then
    return nil, "proxy not supported"
  elseif params.redirect then
    return nil, "redirect not supported"
  elseif params.create then
    return nil, "create function not permitted"
  end
  params.create = https.tcp(params)
  local ok, code, headers, status = http.request(params)
  if ok and params ~= what then
    return concat(parts), code, headers, status
  end
  return ok, code, headers, status
end

return https
