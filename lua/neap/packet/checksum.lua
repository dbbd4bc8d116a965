--- Checksums: the Internet's (RFC 1071), also over a pseudo-header, and CRC32c.

local native = require "neap.net.core"

local check = require "neap.packet.check"

local sums = {}

--- sum(bytes, total): the one's complement sum of 16-bit words on top of a total; an
--- odd byte is filled up by a zero.
sums.add = native.sum
sums.crc32c = native.crc32c

--- The key of what a layer's sender makes of a checksum of 0: all ones, which are as right.
sums.ONES = {}

--- The checksum of a sum.
function sums.fold(total)
  return ~total & 0xffff
end

--- The checksum of a layer, of its sum.
function sums.finish(layer, total)
  local checksum = ~total & 0xffff
  if checksum == 0 and rawget(layer, sums.ONES) then
    return 0xffff
  end
  return checksum
end

--- Where a packet of IPv4 goes in the end: the last address of a source route that has
--- not been used up (RFC 791, 3.1).
local function final_ipv4(ip)
  for _, option in ipairs(ip.options or {}) do
    local route = type(option) == "table" and option.route
    if route and #route > 0 and (option.pointer or 4) <= 3 + 4 * #route
      and (option.type == "loose-source-route" or option.type == "strict-source-route") then
      return check.ipv4({name = "ip option", route = route[#route]}, "route")
    end
  end
  return check.ipv4(ip, "dst")
end

--- The last address of a routing header (RFC 8200, 4.4; RFC 6275, 6.4; RFC 8754, 2;
--- RFC 6554, 3); false where it is of another type or malformed.
local function last_address(layer, dst)
  local data = layer.data or ""
  if layer.type == 4 then
    return #data >= 20 and string.sub(data, 5, 20)
  elseif layer.type == 0 or layer.type == 2 then
    return #data >= 20 and #data % 16 == 4 and string.sub(data, -16)
  elseif layer.type == 3 and #data >= 4 then
    local compressed, padding = string.byte(data, 1, 2)
    local size, last = 16 - (compressed & 15), #data - (padding >> 4)
    return last - size >= 4 and string.sub(dst, 1, 16 - size) .. string.sub(data, last - size + 1, last)
  end
  return false
end

--- Where a packet of IPv6 goes in the end: the last address of a routing header
--- that has not been used up (RFC 8200, 8.1). Nil when that is not known.
local function final_ipv6(layers, at, i)
  local dst = check.ipv6(layers[at], "dst")
  for j = at + 1, i - 1 do
    local layer = layers[j]
    if layer.name == "routing" and layer.segments_left ~= 0 then
      return last_address(layer, dst) or nil
    end
  end
  return dst
end

--- Where it comes from: the home address of a node that is away (RFC 6275, 6.3).
local function first_ipv6(layers, at, i)
  for j = at + 1, i - 1 do
    for _, option in ipairs(layers[j].name == "dstopts" and layers[j].options or {}) do
      if option.type == "home-address" and option.address then
        return check.ipv6({name = "dstopts option", address = option.address}, "address")
      end
    end
  end
  return check.ipv6(layers[at], "src")
end

--- The headers between the one of IPv6 and what it carries; of IPv4 there is `ah`.
local extensions = {hopopts = true, routing = true, fragment = true, dstopts = true, ah = true}
sums.extensions = extensions

--- The index of the IP layer around layers[i]: what is not IPv4's or IPv6's may be there.
local function around(layers, i)
  local at = i - 1
  while at > 0 and extensions[layers[at].name] do
    at = at - 1
  end
  return at
end

--- Is layers[i] in IPv6, where a checksum of UDP is not optional (RFC 8200, 8.1)?
function sums.in_ipv6(layers, i)
  local ip = layers[around(layers, i)]
  return ip and ip.name == "ipv6"
end

--- The sum of the pseudo-header of layers[i] (RFC 9293, 3.1; RFC 8200, 8.1); nil
--- when no IP layer is around it, or its addresses are not known.
function sums.pseudo(layers, i, protocol, length)
  local at = around(layers, i)
  local ip = layers[at]
  if not ip then
    return nil
  elseif ip.name == "ip" then
    return sums.add(check.ipv4(ip, "src") .. final_ipv4(ip), protocol + length)
  elseif ip.name == "ipv6" then
    local dst = final_ipv6(layers, at, i)
    return dst and sums.add(first_ipv6(layers, at, i) .. dst, protocol + length)
  end
end

--- Is there what layers[i] has a pseudo-header of?
function sums.known(layers, i)
  local at = around(layers, i)
  local ip = layers[at]
  if not ip or ip.name == "ip" or at == i - 1 then
    return ip ~= nil and (ip.name == "ip" or ip.name == "ipv6")
  end
  local ok, dst = pcall(final_ipv6, layers, at, i)
  return ip.name == "ipv6" and ok and dst ~= nil
end

--- The sum over the pseudo-header of the IP layer around, a header of an even number of
--- bytes, and the body behind it; of a checksum of 0 where there is none.
function sums.over(layers, i, protocol, head, body)
  local pseudo = sums.pseudo(layers, i, protocol, #head + #body)
  return pseudo and sums.add(body, sums.add(head, pseudo)) or 0xffff
end

return sums
