--- Prefixes of addresses (CIDR, RFC 4632 and RFC 4291, 2.3), for lists of who may
--- and who may not.
---
--- What is decided on is the address that a socket reports or connects to, in its
--- one form: `::ffff:10.0.0.1` is 10.0.0.1, as everywhere in neap. Text that is no
--- address raises, whatever other programs make of it: `012.0.0.1`, `0xa000001`,
--- a name. A name has to be resolved first, and its addresses be asked about,
--- and connected to.

local bits = require "neap.prefix.bits"
local check_self = require "neap.class.core".check_self
local core = require "neap.net.core"

local address_of, bits_of, masks = bits.address_of, bits.of, bits.masks

local error, setmetatable, tostring, type = error, setmetatable, tostring, type

---@class neap.prefix
local prefix = {}

--- A prefix; to be read, not changed. `tostring` gives its text, which `parse` reads;
--- `==` compares.
---@class neap.Prefix
---@field family "inet"|"inet6"
---@field ip string  its first address
---@field length integer  bits that count: 0 to 32, to 128 for IPv6
---@field private high integer  the first address, 64 bits each
---@field private low integer
local Prefix = {}
Prefix.__index = Prefix
Prefix.__name = "neap.Prefix"

--- Read a prefix: an address, and behind `/` how many of its bits count; without
--- that, all of them. Raises for what is none, and when bits are set that do not
--- count: `10.0.0.1/8` says two things.
---
--- ```lua
--- local prefix = require "neap.prefix"
---
--- local private = prefix.parse "10.0.0.0/8"
--- print(private, private.length, private:contains "10.1.2.3")  --> 10.0.0.0/8 8 true
--- print(prefix.parse "::1")  --> ::1/128
--- ```
---@param text string
---@return neap.Prefix
function prefix.parse(text)
  local function wrong(why)
    error(string.format("prefix.parse: '%s': %s", tostring(text), why), 3)
  end
  if type(text) ~= "string" then
    wrong "a string such as 10.0.0.0/8 expected"
  end
  local ip, digits = string.match(text, "^([%x:.]+)/(%d%d?%d?)$")
  ip = ip or text
  local bytes = core.ip_bytes(ip)
  local v4 = bytes and #bytes == 4
  if digits and string.find(digits, "^0%d") or not bytes then
    wrong "an address, / and a length expected"
  end
  local address = core.address(ip)
  local most = v4 and 32 or 128
  local length = tonumber(digits) or most
  if length > most then
    wrong(string.format("a length of %d at most expected", most))
  elseif address.family == "inet" and not v4 then -- ::ffff:a.b.c.d
    length = length - 96
    if length < 0 then
      wrong "an IPv4 address in IPv6 needs a length of 96 or more"
    end
  end
  local high, low = bits_of(address)
  local mask_high, mask_low = masks(length)
  if high & ~mask_high ~= 0 or low & ~mask_low ~= 0 then
    wrong(string.format("bits are set behind the first %d", length))
  end
  return setmetatable({
    family = address.family,
    ip = address.ip,
    length = length,
    high = high,
    low = low,
  }, Prefix)
end

--- Is this address in it? One of another family is not, nor is a path.
---
--- ```lua
--- local net = require "neap.net"
--- local prefix = require "neap.prefix"
---
--- local ours = prefix.parse "10.0.0.0/8"
--- print(ours:contains "::ffff:10.0.0.1", ours:contains(net.address "11.0.0.1:80"))
--- --> true false
--- print(pcall(ours.contains, ours, "012.0.0.1"))
--- --> false contains: an address expected, got '012.0.0.1'
--- ```
---@param address neap.Address|string  raises for text that is no address
---@return boolean
function Prefix:contains(address)
  check_self(self, Prefix, "contains")
  address = address_of(address, "contains")
  if address.family ~= self.family then
    return false
  end
  local high, low = bits_of(address)
  local mask_high, mask_low = masks(self.length)
  return (high ~ self.high) & mask_high == 0 and (low ~ self.low) & mask_low == 0
end

function Prefix:__tostring()
  return string.format("%s/%d", self.ip, self.length)
end

function Prefix.__eq(a, b)
  return a.family == b.family and a.length == b.length and a.high == b.high and a.low == b.low
end

--- Make a set, of a table of prefixes and their values, or none.
---
--- ```lua
--- local prefix = require "neap.prefix"
---
--- local who = prefix.set {["0.0.0.0/0"] = "guest", ["10.0.0.0/8"] = "staff", ["10.9.0.0/16"] = "lab"}
--- print(who:lookup "10.9.8.7", who:lookup "10.1.2.3", who:lookup "192.0.2.1", who:lookup "::1")
--- --> lab staff guest nil
--- ```
---@param entries? table<string|neap.Prefix, any>  values by prefix
---@return neap.prefix.Set
function prefix.set(entries)
  return require "neap.prefix.sets".new(entries)
end

return prefix
