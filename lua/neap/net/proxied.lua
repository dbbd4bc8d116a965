--- The PROXY protocol (haproxy's, versions 1 and 2): what a proxy says of the client whose
--- bytes it hands on, before the first of them.
---
--- Who must say it is known by the peer's address, and nothing is guessed from the bytes: a
--- connection of somebody else is its own, and one of a proxy without it is refused.

local core = require "neap.net.core"
local error_object = require "neap.error"
local prefix = require "neap.prefix"
local timeout = require "neap.task.core".timeout

local error, getmetatable, ipairs, pcall, require, tonumber, type =
  error, getmetatable, ipairs, pcall, require, tonumber, type
local find, format, match, sub, unpack = string.find, string.format, string.match, string.sub, string.unpack

---@class neap.net.proxied
local proxied = {}

--- What version 2 begins with.
local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"

--- Bytes of all of it, in versions 1 and 2.
local LINE, BINARY = 107, 536

--- Seconds for all of it.
proxied.SECONDS = 5

--- Is an address one of these? Of a list of addresses and prefixes, of which "unix" are all
--- peers that have no IP address: a function; of true: any. Nil where it is none.
---@return (fun(address: neap.Address?): boolean)?
function proxied.peers(list)
  if list == true then
    return function()
      return true
    end
  elseif type(list) ~= "table" or list[1] == nil then
    return nil
  end
  local prefixes, without_ip = {}, false
  for _, one in ipairs(list) do
    local meta = type(one) == "table" and getmetatable(one)
    if one == "unix" then
      without_ip = true
    elseif meta and meta.__name == "neap.Prefix" then
      prefixes[#prefixes + 1] = one
    else
      local ok, found = pcall(prefix.parse, one)
      if not ok then
        return nil
      end
      prefixes[#prefixes + 1] = found
    end
  end
  return function(address)
    if not address or not address.ip then
      return without_ip
    end
    for _, one in ipairs(prefixes) do
      if one:contains(address) then
        return true
      end
    end
    return false
  end
end

local function wrong(words)
  return nil, error_object.new { code = "EBADMSG", op = "proxied", message = words }
end

local function address_of(ip, port)
  return core.address(format(find(ip, ":", 1, true) and "[%s]:%d" or "%s:%d", ip, port))
end

local function port_of(text)
  local port = find(text, "^%d+$") and not find(text, "^0.") and #text <= 5 and tonumber(text)
  return port and port <= 65535 and port or nil
end

--- What a line says, without its end: the addresses of the client and of what it has
--- connected to; true alone: nothing. Nil and an error where it is none.
function proxied.line(text)
  if find(text, "^PROXY UNKNOWN$") or find(text, "^PROXY UNKNOWN [^\r\n]*$") then
    return true
  end
  local digit, from, to, from_port, to_port = match(text, "^PROXY TCP([46]) ([%x.:]+) ([%x.:]+) (%d+) (%d+)$")
  local bytes_of = require "neap.packet.address"
  local read = digit == "4" and bytes_of.to_ipv4 or bytes_of.to_ipv6
  if not digit or not read(from) or not read(to) or not port_of(from_port) or not port_of(to_port) then
    return wrong "a line of the PROXY protocol expected"
  end
  return address_of(from, port_of(from_port)), address_of(to, port_of(to_port))
end

--- Families of version 2: what their addresses look like.
local families = { [0x11] = { ">c4c4I2I2", 12, "ipv4" }, [0x21] = { ">c16c16I2I2", 36, "ipv6" } }

--- The same of version 2: the four bytes behind its signature, and what follows them.
function proxied.binary(head, rest)
  local command, family = unpack(">BB", head)
  local kind = families[family]
  if command == 0x20 then -- LOCAL: of the proxy itself
    return true
  elseif command ~= 0x21 or not kind and family ~= 0 and family ~= 0x31 then
    return wrong "version 2 of the PROXY protocol, for a stream, expected"
  elseif not kind then -- unspecified, or a unix socket's
    return true
  elseif #rest < kind[2] then
    return wrong "an address of the PROXY protocol is cut"
  end
  local from, to, from_port, to_port = unpack(kind[1], rest)
  local print = require "neap.packet.address"[kind[3]]
  return address_of(print(from), from_port), address_of(print(to), to_port)
end

--- Bytes that have to come; or nil and an error.
local function need(bytes, err)
  if not bytes and not err then
    err = error_object.new { code = "ENODATA", op = "proxied", message = "the PROXY protocol was cut" }
  end
  return bytes, err
end

local function read_binary(stream)
  local head, err = need(stream:readexactly(4))
  if not head then
    return nil, err
  end
  local length = unpack(">I2", head, 3)
  if length > BINARY - #SIGNATURE - 4 then
    return wrong(format("a header of the PROXY protocol is longer than %d bytes", BINARY))
  end
  local rest, cut = "", nil
  if length > 0 then
    rest, cut = need(stream:readexactly(length))
  end
  if not rest then
    return nil, cut
  end
  return proxied.binary(head, rest)
end

--- Read it: as `line` says. Nil alone: the peer has closed without a byte.
local function read(stream)
  local first, err = stream:readexactly(#SIGNATURE)
  if not first then
    return nil, err
  elseif first == SIGNATURE then
    return read_binary(stream)
  elseif sub(first, 1, 6) ~= "PROXY " then
    return wrong "the PROXY protocol expected"
  end
  local rest, why = need(stream:readuntil("\r\n", LINE - #first - 2, { strict = true }))
  if not rest then
    return nil, why
  end
  return proxied.line(first .. rest)
end

--- A handler of connections for `serve`, called behind what proxies among these peers say;
--- `refuses(stream)`: it is one too many.
function proxied.around(handler, peers, refuses)
  return function(stream)
    if peers(stream.remoteaddr) then
      local from, to = timeout(proxied.SECONDS, read, stream)
      if not from then
        if to then
          error(to, 0)
        end
        return
      elseif from ~= true then
        core.announce(stream, from, to)
      end
    end
    if not (refuses and refuses(stream)) then
      return handler(stream)
    end
  end
end

return proxied
