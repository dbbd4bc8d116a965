--- Bodies of several parts (RFC 2046 §5.1) that are written: forms with files (RFC 7578).

local body = require "neap.http.body"
local core = require "neap.http.core"
local error_object = require "neap.error"

local error, ipairs, next, rawget, require, tostring, type =
  error, ipairs, next, rawget, require, tostring, type
local concat, sort = table.concat, table.sort
local format, gsub, sub = string.format, string.gsub, string.sub
local mathtype = math.type
local is_value = core.value

local multipart = {}

--- Bytes of neighbouring texts that go out as one piece.
local JOINED = 16 * 1024

--- How HTML writes what would end a name.
local escapes = { ['"'] = "%22", ["\r"] = "%0D", ["\n"] = "%0A" }

local function quoted(text, what, level)
  local found = type(text) == "string" and gsub(text, '["\r\n]', escapes)
  if not found or not is_value(found) then
    error(format("multipart: a %s without control characters expected, got %q", what, tostring(text)), level + 1)
  end
  return found
end

--- The parts as a list: of a table of names their values, in order of the alphabet.
local function listed(given, level)
  if type(given) ~= "table" then
    error("multipart: a table of parts expected, got " .. type(given), level + 1)
  elseif rawget(given, 1) ~= nil or next(given) == nil then
    return given
  end
  local names, list = {}, {}
  for name in next, given do
    if type(name) ~= "string" then
      error("multipart: a part's name expected, got " .. tostring(name), level + 1)
    end
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    local value = rawget(given, name)
    if type(value) == "table" and rawget(value, "body") ~= nil then
      list[#list + 1] = { name = name, filename = value.filename, type = value.type, body = value.body,
        length = value.length }
    else
      list[#list + 1] = { name = name, value = value }
    end
  end
  return list
end

--- The head of a part.
local function head_of(part, level)
  if type(part) ~= "table" then
    error("multipart: a table for each part expected, got " .. type(part), level + 1)
  end
  local text = 'Content-Disposition: form-data; name="' .. quoted(part.name, "name", level + 1) .. '"'
  if part.filename ~= nil then
    text = text .. '; filename="' .. quoted(part.filename, "filename", level + 1) .. '"'
  end
  local kind = part.type or part.filename ~= nil and "application/octet-stream"
  if kind and not is_value(kind) then
    error("multipart: a type without control characters expected", level + 1)
  end
  return text .. (kind and "\r\nContent-Type: " .. kind or "") .. "\r\n\r\n"
end

--- Bytes from the position of a file to its end; nil where that is not known.
local function rest_of(file)
  local seek = type(file) == "userdata" and file.seek
  local at = seek and seek(file)
  local last = at and seek(file, "end")
  if last and seek(file, "set", at) and last > at then
    return last - at
  end
end

--- What gives exactly so many bytes of a content, or fails.
local function exactly(pull, length)
  return function()
    local piece, err = pull()
    if piece and #piece < length then
      length = length - #piece
    elseif piece then
      piece = sub(piece, 1, length)
      length = 0
      pull = function() end
    elseif not err and length > 0 then
      return nil, error_object.new { code = "ENODATA", op = "multipart",
        message = format("a part ended %d bytes before its length", length) }
    end
    return piece, err
  end
end

--- The content of a part: a text, or what gives its pieces; and its length, where it is known.
local function content_of(part, level)
  local content = part.body
  if content == nil then
    content = part.value
  end
  local kind = type(content)
  if kind == "string" or kind == "number" or kind == "boolean" then
    content = tostring(content)
    return content, #content
  end
  local pull = body.puller(content)
  if not pull then
    error(format("multipart: '%s': a string, a number, a boolean, a function or what has 'recv' expected, got %s",
      tostring(part.name), kind), level + 1)
  end
  local length = part.length
  if length ~= nil and (mathtype(length) ~= "integer" or length < 0) then
    error(format("multipart: '%s': a length in bytes expected", tostring(part.name)), level + 1)
  end
  length = length or rest_of(content)
  return length and exactly(pull, length) or pull, length
end

--- What gives texts and the pieces of functions, one behind the other.
local function chain(list)
  local i, pull = 1, nil
  local function next_piece()
    if pull then
      local piece, err = pull()
      if piece or err then
        return piece, err
      end
      pull = nil
    end
    local texts, size = {}, 0
    while type(list[i]) == "string" and (size == 0 or size + #list[i] <= JOINED) do
      texts[#texts + 1], size = list[i], size + #list[i]
      i = i + 1
    end
    if size > 0 then
      return concat(texts)
    end
    pull = list[i]
    i = i + 1
    if pull then
      return next_piece()
    end
  end
  return next_piece
end

--- The body of a form: what gives its pieces, its content type, and its length, nil where a
--- part's is not known. The form: a table of names and values, where a file is a table
--- `{filename = "a.png", type = "image/png", body = ...}`; or a list of such tables, with their
--- `name`, and `value` or `body`. A body is a string, a function that gives pieces, or what has
--- `recv`; how long it is can be said by `length`, of a file of `fs.open` that is found.
function multipart.encode(form, level)
  level = (level or 1) + 1
  local boundary = "neap-" .. require "neap.crypto".tohex(require "neap.crypto".random(16))
  local list, total, known = {}, 0, true
  for _, part in ipairs(listed(form, level)) do
    local head = "--" .. boundary .. "\r\n" .. head_of(part, level)
    local content, length = content_of(part, level)
    list[#list + 1], list[#list + 2], list[#list + 3] = head, content, "\r\n"
    known = known and length ~= nil
    total = total + #head + (length or 0) + 2
  end
  list[#list + 1] = "--" .. boundary .. "--\r\n"
  return chain(list), "multipart/form-data; boundary=" .. boundary,
    known and total + #list[#list] or nil
end

return multipart
