--- Which proxy a request goes through: as options say, or the environment.

local address = require "neap.packet.address"
local authority = require "neap.http.authority"
local prefix = require "neap.prefix"
local url = require "neap.url"

local error, getenv, pcall, tostring, type = error, os.getenv, pcall, tostring, type
local find, gmatch, lower, match, sub = string.find, string.gmatch, string.lower, string.match, string.sub

local proxies = {}

--- A proxy's URL, read. Raises for what is none.
function proxies.read(text, level)
  local found = type(text) == "string" and url.parse(find(text, "://", 1, true) and text or "http://" .. text)
  if not found or found.scheme ~= "http" and found.scheme ~= "https" then
    error("option 'proxy': a URL with http:// or https:// expected, got " .. (type(text) == "string"
      and not find(text, "@", 1, true) and text or "a " .. type(text)), level + 1)
  end
  return found
end

--- Does one of that list mean the host?
local function means(one, host, port)
  local name, only = match(one, "^%[(.*)%]:?(%d*)$")
  if not name then
    name, only = match(one, "^([^:]*):(%d+)$")
  end
  name, only = name or one, only or ""
  if only ~= "" and only ~= tostring(port) then
    return false
  elseif name == "*" then
    return true
  end
  local ok, net = pcall(prefix.parse, name)
  if ok then
    return (address.to_ipv4(host) or address.to_ipv6(host)) and net:contains(host)
  end
  name = match(name, "^%*?%.?(.*)$")
  return name ~= "" and (host == name or sub(host, -#name - 1) == "." .. name)
end

--- Is the host one of the list of `no_proxy`: names, which stand for what is below them, too;
--- addresses and prefixes; `*`?
function proxies.passes(list, host, port)
  for one in gmatch(lower(list), "[^%s,]+") do
    if means(one, host, port) then
      return true
    end
  end
  return false
end


--- The proxy that the environment names for a URL, or nil: `https_proxy`, `http_proxy`,
--- `all_proxy`, `no_proxy`, also in capitals; but `HTTP_PROXY` counts for nothing, for a CGI
--- program has it from whoever calls it. `get`: instead of `os.getenv`.
function proxies.of_environment(target, get)
  local function variable(name)
    local value = (get or getenv)(name)
    return value ~= "" and value or nil
  end
  local name = target.scheme .. "_proxy"
  local found = variable(name) or target.scheme == "https" and variable "HTTPS_PROXY"
    or variable "all_proxy" or variable "ALL_PROXY"
  if not found then
    return nil
  end
  local list = variable "no_proxy" or variable "NO_PROXY"
  if list and proxies.passes(list, target.host, authority.port(target)) then
    return nil
  end
  local ok, proxy = pcall(proxies.read, found, 1)
  if not ok then -- to go there directly is not what was meant
    return nil, "the proxy that the environment names is none of http:// or https://"
  end
  return proxy
end

return proxies
