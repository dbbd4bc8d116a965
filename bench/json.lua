--- As much of JSON as the benchmarks write and read: numbers, strings without
--- escapes, arrays and objects with their keys in order.

local json = {}

local function is_array(value)
  return #value > 0 or next(value) == nil
end

local function sorted_keys(value)
  local keys = {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

--- The text of a value; short arrays and objects in one line.
function json.encode(value, indent)
  indent = indent or ""
  if type(value) == "number" then
    local whole = math.abs(value) >= 1000 or value == math.floor(value)
    return (whole and "%.0f" or "%.4g"):format(value)
  elseif type(value) ~= "table" then
    return type(value) == "string" and '"' .. value:gsub('[\\"%c]', " ") .. '"' or tostring(value)
  end
  local inner, parts = indent .. "  ", {}
  if is_array(value) then
    for i, each in ipairs(value) do
      parts[i] = json.encode(each, inner)
    end
  else
    for _, key in ipairs(sorted_keys(value)) do
      parts[#parts + 1] = ('"%s": %s'):format(key, json.encode(value[key], inner))
    end
  end
  local open, close = table.unpack(is_array(value) and {"[", "]"} or {"{", "}"})
  local line = open .. table.concat(parts, ", ") .. close
  if #line + #indent <= 100 and not line:find "\n" then
    return line
  end
  return open .. "\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" .. indent .. close
end

local parse

local function skip(text, at)
  return text:match("^%s*()", at)
end

local function parse_items(text, at, close, item)
  at = skip(text, at + 1)
  while text:sub(at, at) ~= close do
    at = skip(text, item(at))
    at = text:sub(at, at) == "," and skip(text, at + 1) or at
  end
  return at + 1
end

function parse(text, at)
  at = skip(text, at)
  local first = text:sub(at, at)
  if first == "{" then
    local object = {}
    return object, parse_items(text, at, "}", function(i)
      local key, after = text:match('^"([^"]*)"%s*:()', i)
      assert(key, "a key expected")
      object[key], after = parse(text, after)
      return after
    end)
  elseif first == "[" then
    local array = {}
    return array, parse_items(text, at, "]", function(i)
      array[#array + 1], i = parse(text, i)
      return i
    end)
  elseif first == '"' then
    return text:match('^"([^"]*)"()', at)
  end
  local word, after = text:match("^([%w.+-]+)()", at)
  if word == "true" or word == "false" then
    return word == "true", after
  end
  return assert(tonumber(word), "a value expected"), after
end

function json.decode(text)
  return (parse(text, 1))
end

return json
