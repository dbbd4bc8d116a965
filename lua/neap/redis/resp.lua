--- RESP, Redis' protocol: commands as bytes, and bytes as answers (RESP2 and RESP3).
---
--- An answer is a Lua value: null is `json.null` here, a map a table, a set and a push a list, an
--- error an error object with the answer's code. Attributes are passed over. What a peer sends is
--- bounded, in its depth and in its bytes, and each value counts as a few bytes, too.

local error_object = require "neap.error"
local json = require "neap.json"

local byte, find, format, gsub = string.byte, string.find, string.format, string.gsub
local match, sub = string.match, string.sub
local concat = table.concat
local huge, mathtype, tointeger = math.huge, math.type, math.tointeger
local next, tonumber, type = next, tonumber, type
local is_error, new_error = error_object.is, error_object.new

local NULL = json.null
local DEPTH = 32 -- of lists in lists
local LINE = 65536 -- bytes of what is one line
local COST = 32 -- bytes that a value counts for, at least
local STRICT = { strict = true }

local resp = { null = NULL }

--- A text argument; nil if it can be none.
local function text_of(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" then
    return mathtype(value) == "integer" and format("%d", value) or format("%.17g", value)
  end
end

--- The bytes of a command; nil and the number of the argument that can be none.
---@param words (string|number)[]
---@param n integer
---@return string? bytes
---@return integer? wrong
function resp.encode(words, n)
  local parts = { "*" .. n .. "\r\n" }
  for i = 1, n do
    local word = text_of(words[i])
    if not word then
      return nil, i
    end
    parts[i + 1] = "$" .. #word .. "\r\n" .. word .. "\r\n"
  end
  return concat(parts)
end

local function failure(code, words)
  return new_error { code = code, op = "redis", message = words }
end

resp.failure = failure

--- An answer that says no: "WRONGTYPE Operation against a key ..."
local function refusal(text)
  text = gsub(text, "%c", "?") -- what a terminal would heed
  local code, words = match(text, "^(%u[%u%d_]*) (.*)$")
  return failure(code or match(text, "^%u[%u%d_]*$") or "ERR", words or text)
end

local function integer_of(text)
  return find(text, "^[+-]?%d+$") and tointeger(tonumber(text)) or nil
end

local doubles = { inf = huge, ["+inf"] = huge, ["-inf"] = -huge, nan = 0 / 0, ["-nan"] = 0 / 0 }

local function double_of(text)
  return doubles[text] or find(text, "^[+-]?[%d.][%d.eE+-]*$") and tonumber(text) and tonumber(text) + 0.0 or nil
end

local function broken(words)
  return nil, failure("EPROTO", words)
end

local function charge(reader, n)
  local left = reader.left - n
  reader.left = left
  return left >= 0
end

local read

--- So many bytes behind a line.
local function read_bytes(reader, n)
  if not n or n < 0 then
    return broken "a length that is none"
  elseif not charge(reader, n) then
    return nil, failure("EMSGSIZE", "an answer is longer than " .. reader.max .. " bytes")
  end
  local bytes, err = reader.stream:readexactly(n + 2)
  if not bytes then
    return nil, err or failure("ECONNRESET", "the server has closed the connection")
  elseif sub(bytes, -2) ~= "\r\n" then
    return broken "a value does not end where it is to"
  end
  return sub(bytes, 1, -3)
end

local function read_list(reader, n, depth)
  local list = {}
  for i = 1, n do
    local value, err = read(reader, depth)
    if value == nil then
      return nil, err
    end
    list[i] = value
  end
  return list
end

local function read_map(reader, n, depth)
  local map = {}
  for _ = 1, n do
    local key, err, value
    key, err = read(reader, depth)
    if key == nil then
      return nil, err
    elseif key ~= key then
      return broken "a key that is no number"
    end
    value, err = read(reader, depth)
    if value == nil then
      return nil, err
    end
    map[key] = value
  end
  return map
end

--- How many values follow, if they may.
local function count_of(reader, text, depth)
  local n = integer_of(text)
  if not n or n < -1 then
    return broken "a count that is none"
  elseif depth == DEPTH then
    return nil, failure("EMSGSIZE", "an answer is deeper than " .. DEPTH .. " lists")
  elseif n * COST > reader.left or n > 1 << 40 then
    return nil, failure("EMSGSIZE", "an answer is longer than " .. reader.max .. " bytes")
  end
  return n
end

--- The kinds of values, by their first byte: f(reader, the line behind it, depth).
local kinds = {
  ["+"] = function(_, text)
    return text
  end,
  ["-"] = function(_, text)
    return refusal(text)
  end,
  [":"] = function(_, text)
    local n = integer_of(text)
    if not n then
      return broken "an integer that is none"
    end
    return n
  end,
  ["_"] = function(_, text)
    if text ~= "" then
      return broken "a null that is none"
    end
    return NULL
  end,
  ["#"] = function(_, text)
    if text ~= "t" and text ~= "f" then
      return broken "a boolean that is none"
    end
    return text == "t"
  end,
  [","] = function(_, text)
    local n = double_of(text)
    if not n then
      return broken "a double that is none"
    end
    return n
  end,
  ["("] = function(_, text)
    if not find(text, "^[+-]?%d+$") then
      return broken "a big number that is none"
    end
    return text
  end,
  ["$"] = function(reader, text)
    if text == "-1" then
      return NULL
    end
    return read_bytes(reader, integer_of(text))
  end,
  ["!"] = function(reader, text)
    local words, err = read_bytes(reader, integer_of(text))
    if not words then
      return nil, err
    end
    return refusal(words)
  end,
  ["="] = function(reader, text)
    local words, err = read_bytes(reader, integer_of(text))
    if not words then
      return nil, err
    elseif not find(words, "^...:") then
      return broken "a verbatim text that is none"
    end
    return sub(words, 5)
  end,
  ["*"] = function(reader, text, depth)
    local n, err = count_of(reader, text, depth)
    if not n then
      return nil, err
    elseif n < 0 then
      return NULL
    end
    return read_list(reader, n, depth + 1)
  end,
  ["%"] = function(reader, text, depth)
    local n, err = count_of(reader, text, depth)
    if not n then
      return nil, err
    end
    return read_map(reader, n, depth + 1)
  end,
}

kinds["~"], kinds[">"] = kinds["*"], kinds["*"]

local by_byte = {}
for kind, f in next, kinds do
  by_byte[byte(kind)] = f
end

local ATTRIBUTE, PUSH = byte "|", byte ">"

--- One value. Never nil; or nil and an error, and then the stream cannot be read on.
function read(reader, depth)
  while true do
    local line, err = reader.stream:readuntil("\r\n", LINE, STRICT)
    if not line then
      return nil, err or failure("ECONNRESET", "the server has closed the connection")
    elseif not charge(reader, #line < COST and COST or #line) then
      return nil, failure("EMSGSIZE", "an answer is longer than " .. reader.max .. " bytes")
    end
    local first = byte(line)
    local f = by_byte[first]
    if f and (first ~= PUSH or depth == 0) then
      local value
      value, err = f(reader, sub(line, 2), depth)
      if depth == 0 and first == PUSH and value == NULL then
        return broken "a push that is none"
      end
      return value, err, first == PUSH
    elseif first ~= ATTRIBUTE then
      return broken "what is no RESP"
    end
    -- An attribute stands before the value that it is about.
    local n, about
    n, err = count_of(reader, sub(line, 2), depth)
    if n then
      about, err = read_map(reader, n, depth + 1)
    end
    if not about then
      return nil, err
    end
  end
end

--- Reads the answers of a stream; of at most `max` bytes each.
function resp.reader(stream, max)
  return { stream = stream, max = max, left = max }
end

--- The next answer: its value, never nil, or nil and an error; and whether it is a push, which
--- answers nothing.
function resp.read(reader)
  reader.left = reader.max
  return read(reader, 0)
end

resp.is_error = is_error

return resp
