--- Values as JSON (RFC 8259), bounded, whatever they are: it raises for none of them, and
--- runs no code of theirs but `__tostring`.
---
--- What JSON has no form for is a string: functions, userdata, NaN. A table inside itself
--- ends there. In strings, what could play tricks on a terminal is escaped, and what is no
--- UTF-8 is U+FFFD.
---
--- neap.json is strict in all of that, so a value would have to be copied for it first, and its
--- text be gone through behind it: more code than is here, and not faster.

local ipairs, next, pcall, rawlen, tonumber = ipairs, next, pcall, rawlen, tonumber
local tostring, type = tostring, type
local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local concat, sort = table.concat, table.sort
local mathtype = math.type
local codepoint, length = utf8.codepoint, utf8.len
local getmetatable, rawget = debug.getmetatable, rawget

---@class neap.log.json
local json = {}

--- Bytes of a string, tables in tables, and entries of all of them together.
local MOST, DEPTH, ENTRIES = 4096, 5, 200

local SHORT = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t"}

local function escaped(c)
  return SHORT[c] or format("\\u%04x", byte(c))
end

--- Pairs of first and last code point that are not shown as they are (host/harmless.c).
local HARMFUL = {0x80, 0x9f, 0x61c, 0x61c, 0x200b, 0x200f, 0x2028, 0x202e, 0x2060, 0x206f,
  0xfeff, 0xfeff, 0xe0000, 0xe007f}

local function escaped_character(c)
  local point = codepoint(c)
  for i = 1, #HARMFUL, 2 do
    if point >= HARMFUL[i] and point <= HARMFUL[i + 1] then
      if point < 0x10000 then
        return format("\\u%04x", point)
      end
      point = point - 0x10000
      return format("\\u%04x\\u%04x", 0xd800 + (point >> 10), 0xdc00 + (point & 0x3ff))
    end
  end
end

--- A text as UTF-8: what is none in it is U+FFFD.
---@param text string
---@return string
function json.utf8(text)
  if length(text) then
    return text
  end
  local parts, from = {}, 1
  while true do
    local _, bad = length(text, from)
    parts[#parts + 1] = sub(text, from, (bad or 0) - 1)
    if not bad then
      return concat(parts)
    end
    parts[#parts + 1] = "\u{fffd}"
    from = bad + 1
  end
end

--- A string in quotes.
---@param text string
---@return string
function json.text(text)
  if find(text, "^[]-~ !#-[]*$") then
    return '"' .. text .. '"'
  end
  text = gsub(json.utf8(text), '[\0-\x1f"\\\x7f]', escaped)
  if find(text, "[\x80-\xff]") then
    text = gsub(text, "[\xc2\xd8\xe2\xef\xf3][\x80-\xbf]+", escaped_character)
  end
  return '"' .. text .. '"'
end

--- Not longer than it may be, and not cut in a character.
local function cut(text)
  if #text <= MOST then
    return text
  end
  local most = MOST
  while most > MOST - 3 and find(sub(text, most + 1, most + 1), "[\x80-\xbf]") do
    most = most - 1
  end
  return format("%s... (%d bytes)", sub(text, 1, most), #text)
end

local function number_text(n)
  if mathtype(n) == "integer" then
    return format("%d", n)
  elseif n ~= n or n - n ~= 0 then
    return n ~= n and '"nan"' or n > 0 and '"inf"' or '"-inf"'
  end
  local text = format("%.14g", n)
  if tonumber(text) ~= n then
    text = format("%.17g", n)
  end
  return find(text, ",", 1, true) and gsub(text, ",", ".") or text -- of some locales
end

--- Has it a text of its own?
local function says(value)
  local metatable = getmetatable(value)
  return type(metatable) == "table" and rawget(metatable, "__tostring") ~= nil
end

--- The text of a value that is neither a number nor a table of data: what it says of
--- itself, or what it is.
---@param value any
---@return string
function json.plain(value)
  local kind = type(value)
  if kind == "string" then
    return cut(value)
  elseif kind == "number" then
    return (gsub(number_text(value), '"', ""))
  elseif says(value) then
    local ok, text = pcall(tostring, value)
    return ok and cut(text) or format("(a %s, whose __tostring failed)", kind)
  elseif kind == "boolean" or kind == "nil" then
    return value and "true" or value == nil and "nil" or "false"
  end
  return format("(a %s)", kind)
end

local encode

--- Of a long table the first keys decide.
local function is_list(t)
  local n, count = rawlen(t), 0
  for key in next, t do
    count = count + 1
    if count > ENTRIES then
      break
    elseif mathtype(key) ~= "integer" or key < 1 or key > n then
      return false
    end
  end
  return n > 0
end

local function by_text(a, b)
  return a[1] < b[1]
end

local function sorted_keys(t, state)
  local keys = {}
  for key in next, t do
    if #keys >= ENTRIES then
      state.left = -1
      break
    end
    keys[#keys + 1] = {json.plain(key), key}
  end
  sort(keys, by_text)
  return keys
end

local function take(state)
  state.left = state.left - 1
  return state.left >= 0
end

local function encode_list(t, state, depth)
  local parts = {}
  for i = 1, rawlen(t) do
    if not take(state) then
      parts[i] = '"..."'
      break
    end
    parts[i] = encode(rawget(t, i), state, depth)
  end
  return "[" .. concat(parts, ",") .. "]"
end

local function encode_object(t, state, depth)
  local parts = {}
  for i, entry in ipairs(sorted_keys(t, state)) do
    if not take(state) then
      parts[i] = '"...":"..."'
      break
    end
    parts[i] = json.text(entry[1]) .. ":" .. encode(rawget(t, entry[2]), state, depth)
  end
  return "{" .. concat(parts, ",") .. "}"
end

function encode(value, state, depth)
  local kind = type(value)
  if kind == "string" then
    return json.text(cut(value))
  elseif kind == "number" then
    return number_text(value)
  elseif kind == "boolean" or kind == "nil" then
    return value and "true" or value == nil and "null" or "false"
  elseif kind ~= "table" or says(value) then
    return json.text(json.plain(value))
  elseif state[value] or depth == DEPTH then
    return state[value] and '"(itself)"' or '"..."'
  end
  state[value] = true
  local text = (is_list(value) and encode_list or encode_object)(value, state, depth + 1)
  state[value] = nil
  return text
end

--- A value of any kind.
---@param value any
---@return string
function json.encode(value)
  if type(value) == "number" then
    return number_text(value)
  end
  return encode(value, {left = ENTRIES}, 0)
end

return json
