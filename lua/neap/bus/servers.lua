--- Servers of a cluster: those that were named, and those that a server has told of. Who is next.

local chance = require "neap.chance"
local error_object = require "neap.error"

local find, format, gmatch, gsub = string.find, string.format, string.gmatch, string.gsub
local char, lower, match = string.char, string.lower, string.match
local tonumber, type, tointeger = tonumber, type, math.tointeger
local insert, remove = table.insert, table.remove

local MOST = 256 -- that a server may tell of

local servers = {}

local function bad(endpoint)
  return nil, error_object.new {
    code = "EBADMSG", op = "bus", endpoint = endpoint, message = "nats://user:password@host:port,host:port expected",
  }
end

local function unescape(text)
  return (gsub(text, "%%(%x%x)", function(hex)
    return char(tonumber(hex, 16))
  end))
end

--- {host, port, key} of `host`, `host:port`, `[::1]:port`; or nil.
local function place(text)
  local host, port = match(text, "^%[([%x:.%%%w]+)%]:?(%d*)$")
  if not host then
    host, port = match(text, "^([%w.%-_]+):?(%d*)$")
  end
  port = port and (port == "" and 4222 or tointeger(tonumber(port)))
  if not host or not port or port < 1 or port > 65535 then
    return nil
  end
  local whole = format(find(host, ":", 1, true) and "[%s]:%d" or "%s:%d", host, port)
  return { host = host, key = lower(whole), endpoint = "tcp://" .. whole, refused = 0 }
end

--- The list of an endpoint's servers; nil and an error.
function servers.parse(endpoint)
  local list = {}
  for text in gmatch(endpoint, "[^,]+") do
    local scheme, rest = match(text, "^(%a+)://(.*)$")
    rest = gsub(rest or text, "/$", "")
    local info, where = match(rest, "^(.*)@([^@]*)$")
    local server = (not scheme or scheme == "nats" or scheme == "tls") and place(where or rest)
    if not server then
      return bad(endpoint)
    end
    server.tls = (scheme or list[1] and list[1].scheme) == "tls"
    server.scheme = scheme or list[1] and list[1].scheme
    if info then
      local user, password = match(info, "^([^:]*):(.*)$")
      if user then
        server.user, server.password = unescape(user), unescape(password)
      else
        server.token = unescape(info)
      end
    elseif list[1] then
      server.user, server.password, server.token = list[1].user, list[1].password, list[1].token
    end
    server.name = server.host
    list[#list + 1] = server
  end
  if #list == 0 then
    return bad(endpoint)
  end
  return list
end

--- A server has told of others, by which it is known itself, too.
function servers.learn(list, current, urls)
  local known = {}
  for i = 1, #list do
    known[list[i].key] = true
  end
  for i = 1, #urls do
    local server = #list < MOST and type(urls[i]) == "string" and place(urls[i])
    if server and not known[server.key] then
      known[server.key] = true
      server.tls, server.token = current.tls, current.token
      server.user, server.password = current.user, current.password
      -- A certificate is for names: that of the server which told of an address.
      server.name = find(server.host, "^[%d.]+$") and current.name or server.host
      server.name = find(server.name, ":", 1, true) and current.name or server.name
      insert(list, chance(#list + 1), server)
    end
  end
end

--- One has failed: the others come first.
function servers.last(list, server)
  for i = 1, #list do
    if list[i] == server then
      insert(list, remove(list, i))
      return
    end
  end
end

return servers
