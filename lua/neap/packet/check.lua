--- Fields: what a value that was given has to be, and what is made of it; and what a
--- header lacks.

local address = require "neap.packet.address"

local math_type, tointeger = math.type, math.tointeger

local check = {}

--- The text of any value, for an error's message.
function check.quote(value)
  if type(value) == "string" then
    local text = #value > 40 and string.sub(value, 1, 40) .. "..." or value
    return "'" .. string.gsub(text, "[^\x20-\x7e]", function(c)
      return string.format("\\x%02x", string.byte(c))
    end) .. "'"
  end
  return tostring(value)
end

--- Raise for a field. The position is added where the script called.
function check.bad(layer, field, expected)
  error(string.format("%s.%s: %s expected, got %s", layer.name, field, expected,
    check.quote(layer[field])), 0)
end

--- An integer field of so many bits.
function check.int(layer, field, bits)
  local n = layer[field]
  if math_type(n) ~= "integer" then
    n = type(n) == "number" and tointeger(n)
  end
  if not n or n < 0 or n >> bits ~= 0 then
    check.bad(layer, field, string.format("0 to %d", (1 << bits) - 1))
  end
  return n
end

--- A field of one bit: false and true; 0 and 1 will do.
function check.bit(layer, field)
  local value = layer[field]
  if value == true or value == 1 then
    return 1
  elseif not value or value == 0 then
    return 0
  end
  return check.bad(layer, field, "true or false")
end

--- The text of an address field: a string, or an Address with its `ip`.
local function text_of(layer, field)
  local value = layer[field]
  if type(value) == "userdata" then
    value = value.ip
  end
  return type(value) == "string" and value or ""
end

--- The bytes of an IPv4 address field.
function check.ipv4(layer, field)
  return address.to_ipv4(text_of(layer, field)) or check.bad(layer, field, "an IPv4 address")
end

--- The bytes of an IPv6 address field.
function check.ipv6(layer, field)
  return address.to_ipv6(text_of(layer, field)) or check.bad(layer, field, "an IPv6 address")
end

--- The bytes of an Ethernet address field.
function check.mac(layer, field)
  return address.to_mac(text_of(layer, field)) or check.bad(layer, field, "an Ethernet address")
end

--- A field of bytes; nil counts as none.
function check.bytes(layer, field)
  local value = layer[field]
  if value == nil then
    return ""
  elseif type(value) ~= "string" then
    check.bad(layer, field, "a string of bytes")
  end
  return value
end

--- Numbers with names. `name(n)` is the name, or the number where there is none.
---@param names table<integer, string>
function check.enum(names)
  local numbers = {}
  for number, name in pairs(names) do
    numbers[name] = number
  end
  return {
    numbers = numbers,
    name = function(number)
      return names[number] or number
    end,
    number = function(layer, field, bits)
      local value = layer[field]
      if type(value) == "string" then
        return numbers[value] or check.bad(layer, field, "a name that is known, or a number,")
      end
      return check.int(layer, field, bits)
    end,
  }
end

--- Bits with names, from the lowest up: a string of the names of those set.
---@param names string[]
function check.flags(names)
  local texts, values = {}, {}
  local bits_of = {} -- of the texts made here
  for i, name in ipairs(names) do
    values[name] = 1 << (i - 1)
  end
  return {
    text = function(bits)
      local text = texts[bits]
      if not text then
        local words = {}
        for i, name in ipairs(names) do
          if bits & (1 << (i - 1)) ~= 0 then
            words[#words + 1] = name
          end
        end
        text = table.concat(words, " ")
        texts[bits] = text
        bits_of[text] = bits
      end
      return text
    end,
    bits = function(layer, field)
      local value = layer[field]
      if bits_of[value] then
        return bits_of[value]
      elseif type(value) ~= "string" then
        return check.int(layer, field, #names)
      end
      local bits = 0
      for word in string.gmatch(value, "[^%s,|+]+") do
        local bit = values[string.upper(word)]
        if not bit then
          check.bad(layer, field, table.concat(names, ", "))
        end
        bits = bits | bit
      end
      return bits
    end,
  }
end

--- What was short, for a note.
function check.short(name, from, to, needed)
  return string.format("%s: %d bytes of %d", name, to - from + 1, needed)
end

--- The end of what a length field announces: the last byte, and a note when
--- there is less.
function check.ends_at(name, from, to, length)
  local last = from + length - 1
  if last > to then
    return to, check.short(name, from, to, length)
  end
  return last
end

return check
