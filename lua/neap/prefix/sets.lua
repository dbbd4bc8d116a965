-- Sets of prefixes (neap.prefix), which most programs do without.

local bits = require "neap.prefix.bits"
local check_self = require "neap.class.core".check_self
local prefix = require "neap.prefix"

local error, getmetatable, ipairs, next, pairs, pcall = error, getmetatable, ipairs, next, pairs, pcall
local setmetatable, type = setmetatable, type
local format, gsub, pack = string.format, string.gsub, string.pack
local remove, sort = table.remove, table.sort

local sets = {}

local Prefix = getmetatable(prefix.parse "::/0")

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
  local mask_high, mask_low = bits.masks(length)
  return pack("i8i8", high & mask_high, low & mask_low)
end

--- A prefix, or the one of a text; raises where the method was called.
local function prefix_of(value, method)
  if getmetatable(value) == Prefix then
    return value
  end
  local ok, found = pcall(prefix.parse, value)
  if not ok then
    error((gsub(found, "^.-prefix%.parse: ", method .. ": ")), 3)
  end
  return found
end

--- See prefix.set.
function sets.new(entries)
  if entries ~= nil and type(entries) ~= "table" then
    error(format("prefix.set: a table of prefixes expected, got %s", type(entries)), 2)
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
        remove(order, i)
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
  address = bits.address_of(address, "lookup")
  local lengths = self.entries[address.family]
  if not lengths then
    return nil
  end
  local high, low = bits.of(address)
  for _, length in ipairs(lengths.order) do
    local entry = lengths[length][key_of(high, low, length)]
    if entry then
      return entry[2], entry[1]
    end
  end
  return nil
end

return sets
