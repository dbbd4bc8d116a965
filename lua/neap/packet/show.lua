--- The text of packets, one line a field.

local check = require "neap.packet.check"

local show = {}

--- Numbers of a field as `show` and `verify` print them.
function show.plain(kind, field, value)
  local digits = kind.hex[field]
  if digits and math.type(value) == "integer" then
    return string.format("0x%0" .. digits .. "x", value)
  end
  return tostring(value)
end

--- Bytes on one line: as they are when printable, hexadecimal when not.
local function bytes_text(bytes)
  if #bytes > 32 then
    return bytes_text(string.sub(bytes, 1, 24)) .. string.format("... (%d bytes)", #bytes)
  elseif string.find(bytes, "^[\x20-\x7e]*$") then
    return '"' .. bytes .. '"'
  end
  return (string.gsub(bytes, ".", function(c)
    return string.format("%02x", string.byte(c))
  end))
end

--- What a record in a list begins with; the rest follows by name.
local heads = {"kind", "name", "type", "code"}

local item_text

--- `kind key=value ...` for an option or a record.
local function record_text(record)
  local words, seen, keys = {}, {}, {}
  for _, key in ipairs(heads) do
    if record[key] ~= nil then
      words[#words + 1] = tostring(record[key])
      seen[key] = true
    end
  end
  for i, value in ipairs(record) do
    words[#words + 1] = item_text(value)
    seen[i] = true
  end
  for key in pairs(record) do
    if not seen[key] then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, key in ipairs(keys) do
    words[#words + 1] = string.format("%s=%s", key, item_text(record[key]))
  end
  return table.concat(words, " ")
end

function item_text(value)
  if type(value) == "table" then
    return "{" .. record_text(value) .. "}"
  elseif type(value) == "string" then
    return string.find(value, "^[%w_:.%-/@]+$") and #value <= 80 and value or bytes_text(value)
  end
  return tostring(value)
end

--- Rows of 16 bytes: where, in hexadecimal, and as text.
---@param bytes string
---@return string
function show.hexdump(bytes)
  local lines = {}
  for at = 1, #bytes, 16 do
    local row = string.sub(bytes, at, at + 15)
    local hex = {}
    for i = 1, 16 do
      local b = string.byte(row, i)
      hex[i] = (b and string.format("%02x", b) or "  ") .. (i == 8 and " " or "")
    end
    lines[#lines + 1] = string.format("%08x  %s  |%s|", at - 1, table.concat(hex, " "),
      (string.gsub(row, "[^\x20-\x7e]", ".")))
  end
  return table.concat(lines, "\n")
end

local function show_field(lines, kind, field, value, expected)
  local text
  if type(value) == "table" then
    for i, item in ipairs(value) do
      item = type(item) == "table" and record_text(item) or item_text(item)
      lines[#lines + 1] = string.format("  %-16s %s", i == 1 and field or "", item)
    end
    return
  elseif type(value) == "string" then
    text = value == "" and '""' or string.find(value, "^[\x20-\x7e]+$") and value or bytes_text(value)
  else
    text = show.plain(kind, field, value)
  end
  if expected ~= nil then
    text = string.format("%s  (%s expected)", text, show.plain(kind, field, expected))
  end
  lines[#lines + 1] = string.format("  %-16s %s", field, text)
end

--- The text of layers; `wrong` has, by their index, what fields should be and are not.
---@param layers neap.Layer[]
---@param kinds table<string, table>
---@param wrong table<integer, table<string, any>>
---@return string
function show.layers(layers, kinds, wrong)
  local lines = {}
  for i = 1, #layers do
    local layer = layers[i]
    local kind = kinds[layer.name]
    local note = layer.note and string.format("  (%s)", layer.note) or ""
    if kind.dump then
      local data = check.bytes(layer, "data")
      lines[#lines + 1] = string.format("%s  %d bytes%s", layer.name, #data, note)
      for line in string.gmatch(show.hexdump(data), "[^\n]+") do
        lines[#lines + 1] = "  " .. line
      end
    else
      lines[#lines + 1] = layer.name .. note
      for _, field in ipairs(kind.fields) do
        local value = layer[field]
        if value ~= nil and not (kind.hidden and kind.hidden[field]) then
          show_field(lines, kind, field, value, wrong[i] and wrong[i][field])
        end
      end
    end
  end
  return table.concat(lines, "\n")
end

return show
