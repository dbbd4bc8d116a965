--- Where servers are: what a URL says, and what Redis itself says of others.

local error_object = require "neap.error"
local url = require "neap.url"

local find, format, lower, match = string.find, string.format, string.lower, string.match
local tointeger, tonumber = math.tointeger, tonumber

local place = {}

--- {endpoint, tls, name, host, port, key} of a host and a port.
function place.new(host, port, tls)
  local whole = format(find(host, ":", 1, true) and "[%s]:%d" or "%s:%d", host, port)
  return { endpoint = "tcp://" .. whole, tls = tls, name = host, host = host, port = port, key = lower(whole) }
end

local function bad()
  return nil, error_object.new {
    code = "EBADMSG", op = "redis",
    message = "redis://user:password@host:port/db, rediss://, unix:/path or host:port expected",
  }
end

--- The place of `redis://user:password@host:port/db`, `rediss://...`, `unix:/path`, `mem:name`,
--- `host:port`, and what it says beside that: {user, password, db}.
function place.parse(text, port)
  if find(text, "^unix:") or find(text, "^mem:") then
    return { endpoint = text, tls = false, name = "localhost", key = text }, {}
  end
  local it = url.parse(find(text, "://", 1, true) and text or "redis://" .. text)
  if not it or it.scheme ~= "redis" and it.scheme ~= "rediss" or it.query or it.fragment or not it.host
    or it.host == "" or it.port == 0 then
    return bad()
  end
  local db = match(it.path, "^/?(%d*)$")
  if not db or #db > 9 then
    return bad()
  end
  local user, password = it:credentials()
  if user and not password then
    return bad()
  end
  return place.new(it.host, it.port or port or 6379, it.scheme == "rediss"),
    { user = user ~= "" and user or nil, password = password, db = tointeger(tonumber(db)) }
end

return place
