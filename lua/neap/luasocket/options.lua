--- LuaSocket's options, and those of neap's sockets that they are.

local net = require "neap.net"
local object = require "neap.luasocket.object"
local words = require "neap.luasocket.words"

local bad, error, ipairs, next, pcall, type = object.bad, error, ipairs, next, pcall, type
local format, tointeger, tonumber = string.format, math.tointeger, tonumber

local options = {}

--- Those that are only of use before a socket is open, and do no harm later.
local early = {reuseaddr = true, reuseport = true, v6only = true, fastopen_connect = true}

local booleans = {
  ["keepalive"] = "keepalive", ["reuseaddr"] = "reuseaddr", ["reuseport"] = "reuseport",
  ["tcp-nodelay"] = "nodelay", ["ipv6-v6only"] = "v6only", ["dontroute"] = "dontroute",
  ["broadcast"] = "broadcast", ["ip-multicast-loop"] = "multicast_loop",
  ["ipv6-multicast-loop"] = "multicast_loop", ["tcp-fastopen-connect"] = "fastopen_connect",
}

local integers = {
  ["tcp-keepidle"] = "keepalive_idle", ["tcp-keepcnt"] = "keepalive_count",
  ["tcp-keepintvl"] = "keepalive_interval", ["recv-buffer-size"] = "rcvbuf",
  ["send-buffer-size"] = "sndbuf", ["tcp-defer-accept"] = "defer_accept",
  ["tcp-fastopen"] = "fastopen", ["ip-multicast-ttl"] = "multicast_ttl",
  ["ipv6-unicast-hops"] = "ttl", ["ipv6-multicast-hops"] = "multicast_ttl",
}

--- The name of the interface that has an address, or a number.
local function interface_of(which)
  for _, interface in ipairs(net.interfaces() or {}) do
    if interface.index == tonumber(which) then
      return interface.name
    end
    for _, one in ipairs(interface.addresses) do
      if one.address.ip == which then
        return interface.name
      end
    end
  end
end

local function anyone(interface)
  return interface == nil or interface == 0 or interface == "*" or interface == "0.0.0.0"
end

local function membership(verb)
  return function(_, socket, value)
    if type(value) ~= "table" or type(value.multiaddr) ~= "string" then
      return nil, "a table with 'multiaddr' expected"
    elseif not socket then
      return nil, "bind it first"
    end
    local opts
    if not anyone(value.interface) then
      opts = {interface = interface_of(value.interface)}
    end
    local ok, done, err = pcall(socket[verb], socket, value.multiaddr, opts)
    if not ok then
      return nil, done
    end
    return done and 1, err and words.of(err)
  end
end

--- Set one of neap's: at once, or when the socket is opened.
local function put(self, socket, name, value)
  if not socket then
    self.options[name] = value
    return 1
  elseif early[name] then
    return 1
  end
  local done, err = socket:set {[name] = value}
  if not done then
    return nil, words.of(err)
  end
  return 1
end

local special = {
  ["linger"] = function(self, socket, value)
    if type(value) ~= "table" or type(value.on) ~= "boolean" then
      return nil, "a table with 'on' and 'timeout' expected"
    end
    return put(self, socket, "linger", value.on and tointeger(value.timeout or 0) or false)
  end,
  ["ip-multicast-if"] = function(self, socket, value)
    local name = interface_of(value)
    if not name and not anyone(value) then
      return nil, "no interface has that address"
    end
    return put(self, socket, "multicast_interface", name or "")
  end,
  ["ip-add-membership"] = membership "join",
  ["ip-drop-membership"] = membership "leave",
  ["ipv6-add-membership"] = membership "join",
  ["ipv6-drop-membership"] = membership "leave",
}

local function unsupported(method, name)
  error(format("bad argument #1 to '%s' (unsupported option '%s')", method, name), 4)
end

--- `setoption(name, value)`.
---@param socket any  nil: it is not open yet
---@return 1? ok
---@return string? text
function options.set(self, socket, name, value)
  if booleans[name] then
    if type(value) ~= "boolean" then
      bad(2, "setoption", "boolean expected, got " .. type(value))
    end
    return put(self, socket, booleans[name], value)
  elseif integers[name] then
    local n = tointeger(tonumber(value))
    if not n then
      bad(2, "setoption", "integer expected, got " .. type(value))
    end
    return put(self, socket, integers[name], n)
  elseif special[name] then
    return special[name](self, socket, value)
  end
  unsupported("setoption", name)
end

--- `getoption(name)`.
function options.get(self, socket, name)
  local ours = booleans[name] or integers[name] or
    name == "linger" and "linger" or name == "error" and "error"
  if not ours then
    unsupported("getoption", name)
  end
  local value, err
  if socket then
    value, err = socket:get(ours)
    if err then
      return nil, words.of(err)
    end
  else
    value = self.options[ours]
  end
  if name == "linger" then
    return {on = value ~= nil and value ~= false, timeout = value or 0}
  elseif name == "error" then
    return value and words.of {code = value, message = value} or nil
  elseif value == nil then
    return integers[name] and 0 or false
  end
  return value
end

--- A copy, which a call may add to.
function options.copy(self)
  local copy = {}
  for name, value in next, self.options do
    copy[name] = value
  end
  return copy
end

return options
