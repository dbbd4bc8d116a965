--- The bits of addresses, of which prefixes are made.

local core = require "neap.net.core"

local error, pcall, tostring = error, pcall, tostring
local format, unpack = string.format, string.unpack

local bits = {}

--- The bits of an address: IPv4 has the upper 32 of 64.
function bits.of(address)
  local bytes = address.bytes
  if #bytes == 4 then
    return unpack(">I4", bytes) << 32, 0
  end
  return unpack(">i8i8", bytes)
end

--- The masks of so many bits.
function bits.masks(length)
  local high = length >= 64 and -1 or ~(-1 >> length)
  local low = length <= 64 and 0 or length >= 128 and -1 or ~(-1 >> (length - 64))
  return high, low
end

--- The address that a method was given; raises where that was called.
function bits.address_of(value, method)
  local known, address = pcall(core.address, value)
  if not known then
    error(format("%s: an address expected, got '%s'", method, tostring(value)), 3)
  end
  return address
end

return bits
