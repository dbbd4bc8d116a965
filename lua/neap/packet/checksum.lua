--- Internet checksums (RFC 1071), also those over a pseudo-header.

local check = require "neap.packet.check"

local sums = {}

--- The sum of the 16-bit words of some bytes, an odd one padded by a zero. Not
--- folded: 2^16 is 1 modulo 65535, so words of 32 bits do (RFC 1071, 2).
function sums.add(bytes, total)
  local unpack = string.unpack
  local i, n = 1, #bytes
  while i + 31 <= n do
    local a, b, c, d, e, f, g, h = unpack(">I4I4I4I4I4I4I4I4", bytes, i)
    total = total + a + b + c + d + e + f + g + h
    i = i + 32
  end
  while i + 1 <= n do
    total = total + unpack(">I2", bytes, i)
    i = i + 2
  end
  if i == n then
    total = total + (string.byte(bytes, i) << 8)
  end
  return total
end

--- The checksum of a sum: folded to 16 bits, and complemented.
function sums.fold(total)
  while total > 0xffff do
    total = (total & 0xffff) + (total >> 16)
  end
  return ~total & 0xffff
end

--- Where a packet of IPv6 goes in the end: the last address of a routing header
--- that has not been used up (RFC 8200, 8.1; RFC 8754, 2).
local function final_destination(layers, at, i)
  for j = at + 1, i - 1 do
    local layer = layers[j]
    if layer.name == "routing" and layer.segments_left ~= 0 then
      local data = layer.data or ""
      if layer.type == 4 and #data >= 20 then
        return string.sub(data, 5, 20)
      elseif (layer.type == 0 or layer.type == 2) and #data >= 20 then
        return string.sub(data, -16)
      end
    end
  end
  return check.ipv6(layers[at], "dst")
end

--- The headers between the one of IPv6 and what it carries.
local extensions = {hopopts = true, routing = true, fragment = true, dstopts = true}
sums.extensions = extensions

--- The sum of the pseudo-header of layers[i] (RFC 9293, 3.1; RFC 8200, 8.1); nil
--- when no IP layer is around it.
function sums.pseudo(layers, i, protocol, length)
  local at = i - 1
  while at > 0 and extensions[layers[at].name] do
    at = at - 1
  end
  local ip = layers[at]
  if not ip then
    return nil
  elseif ip.name == "ip" then
    return sums.add(check.ipv4(ip, "src") .. check.ipv4(ip, "dst"), protocol + length)
  elseif ip.name == "ipv6" then
    return sums.add(check.ipv6(ip, "src") .. final_destination(layers, at, i), protocol + length)
  end
end

--- The checksum over the pseudo-header of the IP layer around, and these bytes; 0 where
--- there is none.
function sums.over(layers, i, protocol, bytes)
  local pseudo = sums.pseudo(layers, i, protocol, #bytes)
  return pseudo and sums.fold(sums.add(bytes, pseudo)) or 0
end

return sums
