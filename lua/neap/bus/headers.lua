--- Headers of messages, as NATS writes them: a line with the version, and perhaps a status,
--- then a line each.

local byte, find, format = string.byte, string.find, string.format
local gmatch, match, sub = string.gmatch, string.match, string.sub
local concat, next, type = table.concat, next, type

local MOST = 256 -- headers of one message

local headers = {}

local function add(lines, name, value)
  if type(value) ~= "string" or find(value, "[\r\n]") then
    return false
  end
  lines[#lines + 1] = name .. ": " .. value .. "\r\n"
  return true
end

--- Their text; nil and what is wrong with them.
function headers.encode(fields)
  local lines = { "NATS/1.0\r\n" }
  for name, value in next, fields do
    if type(name) ~= "string" or not find(name, "^[!-9;-~]+$") then
      return nil, "names without blanks and colons expected"
    end
    local list = type(value) == "table" and value or { value }
    for i = 1, #list do
      if not add(lines, name, list[i]) then
        return nil, format("header '%s': texts in one line expected", name)
      end
    end
  end
  lines[#lines + 1] = "\r\n"
  return concat(lines)
end

--- The headers in a text, of which a repeated one is a list, then its status, and what is
--- said about that. nil: it is malformed.
function headers.decode(text)
  local status, words = match(text, "^NATS/1%.0 ?(%d*) ?([^\r\n]*)\r\n")
  if not status or sub(text, -4) ~= "\r\n\r\n" then
    return nil
  end
  local fields, count = {}, 0
  local first = find(text, "\n", 1, true) + 1
  for line in gmatch(sub(text, first, -3), "([^\n]*)\r\n") do
    local name, value = match(line, "^([!-9;-~]+):[ \t]*(.-)[ \t]*$")
    count = count + 1
    if not name or count > MOST then
      return nil
    end
    local before = fields[name]
    if before == nil then
      fields[name] = value
    elseif type(before) == "table" then
      before[#before + 1] = value
    else
      fields[name] = { before, value }
    end
  end
  return fields, byte(status) and status or nil, byte(words) and words or nil
end

return headers
