--- Prefixes of addresses (CIDR, RFC 4632 and RFC 4291, 2.3), for lists of who may
--- and who may not.
---
--- What is decided on is the address that a socket reports or connects to, in its
--- one form: `::ffff:10.0.0.1` is 10.0.0.1, as everywhere in neap. Text that is no
--- address raises, whatever other programs make of it: `012.0.0.1`, `0xa000001`,
--- a name. A name has to be resolved first, and its addresses be asked about,
--- and connected to.

local check_self = require "neap.class.core".check_self
local core = require "neap.net.core"

local error, getmetatable, ipairs, next, pairs, pcall = error, getmetatable, ipairs, next, pairs, pcall
local setmetatable, sort, tostring, type = setmetatable, table.sort, tostring, type
local pack, unpack = string.pack, string.unpack

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

--- The bits of an address: IPv4 has the upper 32 of 64.
local function bits_of(address)
  local bytes = address.bytes
  if #bytes == 4 then
    return unpack(">I4", bytes) << 32, 0
  end
  return unpack(">i8i8", bytes)
end

--- The masks of so many bits.
local function masks(length)
  local high = length >= 64 and -1 or ~(-1 >> length)
  local low = length <= 64 and 0 or length >= 128 and -1 or ~(-1 >> (length - 64))
  return high, low
end

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

--- The address that a method was given; raises where that was called.
local function address_of(value, method)
  local known, address = pcall(core.address, value)
  if not known then
    error(string.format("%s: an address expected, got '%s'", method, tostring(value)), 3)
  end
  return address
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


-- Sets.

--- Prefixes with a value each, of which the longest that an address is in decides: a
--- table of routes, or a list of who may and who may not. Finding one takes a look for
--- each length that there is, however many prefixes there are.
---@class neap.prefix.Set
---@field count integer  prefixes in it
---@field private entries table<string, neap.prefix.Lengths>  by family
local Set = {}
Set.__index = Set
Set.__name = "neap.prefix.Set"

--- The lengths that there are, the longest first, and how many prefixes have each; and the
--- entries: by length, then by the bits that count.
---@class (private) neap.prefix.Lengths
---@field order integer[]
---@field [integer] table<string, { [1]: neap.Prefix, [2]: any }>

--- The bits of an address that count, as a key.
local function key_of(high, low, length)
  local mask_high, mask_low = masks(length)
  return pack("i8i8", high & mask_high, low & mask_low)
end

--- A prefix, or the one of a text; raises where the method was called.
local function prefix_of(value, method)
  if getmetatable(value) == Prefix then
    return value
  end
  local ok, found = pcall(prefix.parse, value)
  if not ok then
    error((string.gsub(found, "^.-prefix%.parse: ", method .. ": ")), 3)
  end
  return found
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
  if entries ~= nil and type(entries) ~= "table" then
    error(string.format("prefix.set: a table of prefixes expected, got %s", type(entries)), 2)
  end
  local set = setmetatable({count = 0, entries = {}}, Set)
  for text, value in pairs(entries or {}) do
    local one = prefix_of(text, "prefix.set")
    set:add(one, value)
  end
  return set
end

--- Add a prefix, or give the one that is there another value.
---
--- ```lua
--- local prefix = require "neap.prefix"
---
--- local blocked = prefix.set():add("192.0.2.0/24", "spam"):add("2001:db8::/32", "scans")
--- print(blocked.count, (blocked:lookup "192.0.2.7"))  --> 2 spam
--- ```
---@param one string|neap.Prefix  raises for what is none
---@param value? any  default true
---@return neap.prefix.Set set  itself
function Set:add(one, value)
  check_self(self, Set, "add")
  one = prefix_of(one, "add")
  local lengths = self.entries[one.family]
  if not lengths then
    lengths = {order = {}}
    self.entries[one.family] = lengths
  end
  local known = lengths[one.length]
  if not known then
    known = {}
    lengths[one.length] = known
    local order = lengths.order
    order[#order + 1] = one.length
    sort(order, function(a, b)
      return a > b
    end)
  end
  local key = key_of(one.high, one.low, one.length)
  if not known[key] then
    self.count = self.count + 1
  end
  if value == nil then
    value = true
  end
  known[key] = {one, value}
  return self
end

--- Take a prefix out; one that is not there is no matter.
---
--- ```lua
--- local prefix = require "neap.prefix"
---
--- local set = prefix.set {["10.0.0.0/8"] = 1}
--- print(set:remove "10.0.0.0/9", set:remove "10.0.0.0/8", set.count)  --> nil 1 0
--- ```
---@param one string|neap.Prefix  raises for what is none
---@return any value  what it had; nil if it was not there
function Set:remove(one)
  check_self(self, Set, "remove")
  one = prefix_of(one, "remove")
  local lengths = self.entries[one.family]
  local known = lengths and lengths[one.length]
  local key = key_of(one.high, one.low, one.length)
  local entry = known and known[key]
  if not entry then
    return nil
  end
  known[key] = nil
  self.count = self.count - 1
  if not next(known) then
    lengths[one.length] = nil
    local order = lengths.order
    for i = #order, 1, -1 do
      if order[i] == one.length then
        table.remove(order, i)
      end
    end
  end
  return entry[2]
end

--- The value of the longest prefix that an address is in.
---
--- ```lua
--- local prefix = require "neap.prefix"
---
--- local routes = prefix.set {["::/0"] = "uplink", ["2001:db8::/32"] = "lan"}
--- print(routes:lookup "2001:db8::1", routes:lookup "2001:db9::1", routes:lookup "10.0.0.1")
--- --> lan uplink nil
--- print(select(2, routes:lookup "2001:db8::1"))  --> 2001:db8::/32
--- ```
---@param address neap.Address|string  raises for text that is no address
---@return any value  nil if it is in none
---@return neap.Prefix? found
function Set:lookup(address)
  check_self(self, Set, "lookup")
  address = address_of(address, "lookup")
  local lengths = self.entries[address.family]
  if not lengths then
    return nil
  end
  local high, low = bits_of(address)
  for _, length in ipairs(lengths.order) do
    local entry = lengths[length][key_of(high, low, length)]
    if entry then
      return entry[2], entry[1]
    end
  end
  return nil
end

return prefix
