--- Addresses as packets carry them: bytes to text and back.
---
--- Pure text: nothing is looked up, nothing normalised but the spelling. What is
--- accepted is strict, as in `net.address`: no shorthand, no leading zeros, no
--- blanks, no scope.

local ip_bytes = require "neap.net.core".ip_bytes

local byte, char = string.byte, string.char

--- An Ethernet address, in two spellings.
local colons = "^" .. string.rep("(%x%x):", 5) .. "(%x%x)$"
local dashes = "^" .. string.rep("(%x%x)%-", 5) .. "(%x%x)$"

---@class neap.packet.address
local address = {}

--- The text of an IPv4 address.
---
--- ```lua
--- local address = require "neap.packet.address"
---
--- print(address.ipv4 "\x0a\0\0\x01")  --> 10.0.0.1
--- ```
---@param bytes string
---@param at? integer  where its 4 bytes begin; default 1
---@return string text
function address.ipv4(bytes, at)
  at = at or 1
  return string.format("%d.%d.%d.%d", byte(bytes, at, at + 3))
end

--- The 4 bytes of an IPv4 address: four decimal numbers.
---
--- ```lua
--- local address = require "neap.packet.address"
---
--- print(#address.to_ipv4 "10.0.0.1")  --> 4
--- print(address.to_ipv4 "10.1", address.to_ipv4 "012.0.0.1")  --> nil nil
--- ```
---@param text string
---@return string? bytes  nil for what is no address
function address.to_ipv4(text)
  local bytes = ip_bytes(text)
  return bytes and #bytes == 4 and bytes or nil
end

--- The first longest run of zero groups, of two or more (RFC 5952, 4.2).
local function longest_run(groups)
  local best, best_at = 1, nil
  local length = 0
  for i = 1, #groups do
    length = groups[i] == 0 and length + 1 or 0
    if length > best then
      best, best_at = length, i - length + 1
    end
  end
  return best_at, best
end

local function hex_groups(groups, from, to)
  local texts = {}
  for i = from, to do
    texts[#texts + 1] = string.format("%x", groups[i])
  end
  return table.concat(texts, ":")
end

--- The text of an IPv6 address, as RFC 5952 recommends; an IPv4-mapped one
--- (RFC 4291, 2.5.5.2) ends in dotted decimals.
---
--- ```lua
--- local address = require "neap.packet.address"
---
--- print(address.ipv6(("\0"):rep(15) .. "\x01"))  --> ::1
--- ```
---@param bytes string
---@param at? integer  where its 16 bytes begin; default 1
---@return string text
function address.ipv6(bytes, at)
  at = at or 1
  local groups = {string.unpack(">I2I2I2I2I2I2I2I2", bytes, at)}
  groups[9] = nil -- the position behind them
  local run, length = longest_run(groups)
  if run == 1 and length == 5 and groups[6] == 0xffff then
    return "::ffff:" .. address.ipv4(bytes, at + 12)
  elseif run then
    return hex_groups(groups, 1, run - 1) .. "::" .. hex_groups(groups, run + length, 8)
  end
  return hex_groups(groups, 1, 8)
end

--- The 16 bytes of an IPv6 address (RFC 4291, 2.2).
---
--- ```lua
--- local address = require "neap.packet.address"
---
--- print(#address.to_ipv6 "fe80::1", address.to_ipv6 "fe80:::1")  --> 16 nil
--- ```
---@param text string
---@return string? bytes  nil for what is no address
function address.to_ipv6(text)
  local bytes = ip_bytes(text)
  return bytes and #bytes == 16 and bytes or nil
end

--- The text of an Ethernet address.
---
--- ```lua
--- local address = require "neap.packet.address"
---
--- print(address.mac "\x02\0\0\0\0\xff")  --> 02:00:00:00:00:ff
--- ```
---@param bytes string
---@param at? integer  where its 6 bytes begin; default 1
---@return string text
function address.mac(bytes, at)
  at = at or 1
  return string.format("%02x:%02x:%02x:%02x:%02x:%02x", byte(bytes, at, at + 5))
end

--- The 6 bytes of an Ethernet address: six pairs of hex digits between `:` or `-`.
---
--- ```lua
--- local address = require "neap.packet.address"
---
--- print(address.to_mac "02-00-00-00-00-ff" == "\x02\0\0\0\0\xff")  --> true
--- ```
---@param text string
---@return string? bytes  nil for what is no address
function address.to_mac(text)
  local digits = {string.match(text, colons)}
  if #digits ~= 6 then
    digits = {string.match(text, dashes)}
    if #digits ~= 6 then
      return nil
    end
  end
  for i = 1, 6 do
    digits[i] = tonumber(digits[i], 16)
  end
  return char(table.unpack(digits))
end

return address
