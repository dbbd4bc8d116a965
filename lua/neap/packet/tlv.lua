--- Options as IPv4 and TCP have them: a byte for the type, one for the length, which
--- counts both of them, and data. Type 0 ends the list, type 1 fills it up, and these
--- two are a byte each.
---
--- A sort of options is a table: `key`, the field with the type; `types`, their names
--- (`check.enum`); `size`, the layer's field with the length of its header, which makes
--- room for 40 bytes at most; `encode(option, type)` and `decode(bytes, from, last)`.

local check = require "neap.packet.check"

local pack = string.pack

local tlv = {}

--- An option as it is given: a name alone is a table's type.
---@param layer neap.Layer  in whose `options` it is
---@param option string|table
---@param key string
---@return table
function tlv.option(layer, option, key)
  if type(option) == "string" then
    return {[key] = option}
  elseif type(option) ~= "table" then
    check.bad(layer, "options", "a list of names and tables")
  end
  return option
end

local function encode(layer, sort, given)
  local option = setmetatable({name = layer.name .. " option"},
    {__index = tlv.option(layer, given, sort.key)})
  if option.raw then
    return check.bytes(option, "raw")
  end
  local number = sort.types.number(option, sort.key, 8)
  local body = sort.encode(option, sort.types.name(number))
  if number <= 1 then
    return pack("B", number) .. body
  end
  option.length = option.length or 2 + #body
  return pack("BB", number, check.int(option, "length", 8)) .. body
end

--- The bytes of a layer's options, filled up with zeros to words of 4 bytes.
---@param layer neap.Layer
---@param sort table
---@return string
function tlv.encode(layer, sort)
  if layer.options[1] == nil then
    return ""
  end
  local out = {}
  for i, option in ipairs(layer.options) do
    out[i] = encode(layer, sort, option)
  end
  local bytes = table.concat(out)
  bytes = bytes .. string.rep("\0", -#bytes % 4)
  if #bytes > 40 and layer[sort.size] == nil then
    error(string.format("%s.options: 40 bytes at most expected, got %d", layer.name, #bytes), 0)
  end
  return bytes
end

--- The options between two bytes; what is none is one that has only `raw`, and a note.
---@param bytes string
---@param from integer
---@param to integer
---@param sort table
---@return table[]
function tlv.decode(bytes, from, to, sort)
  local list = {}
  local at = from
  while at <= to do
    local number, length = string.byte(bytes, at, at + 1)
    if number == 0 then
      local rest = string.sub(bytes, at + 1, to)
      local padding = #rest <= 3 and not string.find(rest, "[^\0]")
      list[#list + 1] = {[sort.key] = "eol", data = not padding and rest or nil}
      break
    elseif number == 1 then
      list[#list + 1] = {[sort.key] = "nop"}
      at = at + 1
    elseif at == to or length < 2 or at + length - 1 > to then
      local wrong = at == to and "no length" or string.format("length %d", length)
      list[#list + 1] = {raw = string.sub(bytes, at, to), note = wrong}
      break
    else
      list[#list + 1] = sort.decode(bytes, at, at + length - 1)
      at = at + length
    end
  end
  return list
end

return tlv
