--- LuaSocket's socket.dns, by neap's resolver.

local net = require "neap.net"
local names = require "neap.dns"
local object = require "neap.luasocket.object"
local words = require "neap.luasocket.words"

local error, ipairs, pcall, open = error, ipairs, pcall, io.open
local format, match, tonumber = string.format, string.match, tonumber

local dns = {}

local function resolve(host, family)
  local ok, found, err = pcall(net.resolve, host, {family = family})
  if host == "" or not ok then
    return nil, words.unknown_host
  elseif not found then
    return nil, words.of(err)
  end
  return found
end

function dns.getaddrinfo(host)
  local found, text = resolve(object.text(host, 1, "getaddrinfo"))
  if not found then
    return nil, text
  end
  local all = {}
  for i, address in ipairs(found) do
    all[i] = {family = address.family, addr = address.ip}
  end
  return all
end

--- gethostbyname knows IPv4 only, and calls what it does not find so.
local function hosts(host)
  local found, text = resolve(host, "inet")
  if not found then
    return nil, text == words.unknown_host and "host not found" or text
  end
  local resolved = {name = host, alias = {}, ip = {}}
  for i, address in ipairs(found) do
    resolved.ip[i] = address.ip
  end
  return resolved
end

function dns.toip(host)
  local resolved, text = hosts(object.text(host, 1, "toip"))
  if not resolved then
    return nil, text
  end
  return resolved.ip[1], resolved
end

--- The name that an address has in /etc/hosts.
local function known_name(ip)
  local file <close> = open "/etc/hosts"
  for line in file and file:lines() or function() end do
    local address, name = match(line, "^%s*(%S+)%s+([^%s#]+)")
    if address == ip then
      return name
    end
  end
end

local function name_of(ip)
  local name = known_name(ip)
  if name then
    return name
  end
  local found, err = names.reverse(ip)
  if not found then
    return nil, words.of(err)
  end
  return found[1]
end

function dns.tohostname(host)
  host = object.text(host, 1, "tohostname")
  local is_address = pcall(net.address, host)
  local resolved, text = hosts(host)
  local name = resolved and resolved.name
  if is_address then
    name, text = name_of(host)
  end
  if not name then
    return nil, text
  end
  resolved = resolved or {alias = {}, ip = {host}}
  resolved.name = name
  return name, resolved
end

function dns.getnameinfo(host, service)
  if host == nil and service == nil then
    error("host and serv cannot be both nil", 2)
  end
  local all = {}
  local name = service
  if service ~= nil and tonumber(service) then
    name = net.service(tonumber(service)) or format("%d", service)
  end
  if host ~= nil then
    local found, text = resolve(object.text(host, 1, "getnameinfo"))
    if not found then
      return nil, text
    end
    for i, address in ipairs(found) do
      all[i] = name_of(address.ip) or address.ip
    end
  end
  if service == nil then
    return all
  end
  return all, name
end

function dns.gethostname()
  local file <close>, text = open "/proc/sys/kernel/hostname"
  if not file then
    return nil, text
  end
  return file:read "l"
end

return dns
