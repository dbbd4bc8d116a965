--- Content codings (RFC 9110 §8.4.1): bodies that gzip or deflate made smaller.

local body = require "neap.http.body"
local task = require "neap.task"
local zlib = require "neap.zlib"

local byte, lower, match = string.byte, string.lower, string.match
local huge = math.huge
local yield = task.yield

local coding = {}


-- Reading

local known = { gzip = "gzip", ["x-gzip"] = "gzip", deflate = "deflate" }

--- The coding that a Content-Encoding names, if we read it: "gzip" or "deflate".
function coding.named(value)
  return value and known[lower(match(value, "^%s*(.-)%s*$"))]
end

--- The format of what begins so. By deflate some servers mean what has no wrapper; a wrapper
--- begins with two bytes that are a multiple of 31.
local function format_of(name, first)
  if name ~= "deflate" then
    return "gzip"
  end
  local a, b = byte(first, 1, 2)
  return b and a & 15 == 8 and (a << 8 | b) % 31 == 0 and "deflate" or "deflate-raw"
end

--- A body that is coded by `name`, as one that is not: EMSGSIZE beyond `max` bytes (nil:
--- any), EBADMSG for what is no such coding. Of a little that stands for much a piece at a
--- time is made, and others have their turns in between.
---@param coded neap.http.Body
---@param name string
---@param max? number
---@return neap.http.Body
function coding.decode(coded, name, max)
  name = known[name]
  local first = "" -- until the format is known
  local d, ended
  local function fail(err)
    ended = err
    if d then
      d:close()
    end
    err.op = "read"
    return nil, err
  end
  local function start(bytes)
    d = zlib.decompressor { format = format_of(name, bytes), max = max ~= huge and max or nil }
    return bytes
  end
  --- More of the coded bytes; nil at their end.
  local function more()
    local bytes, err = coded:recv()
    if not bytes and err then
      return nil, err
    elseif d then
      return bytes
    elseif not bytes then
      return first ~= "" and start(first) or nil
    end
    first = first .. bytes
    return #first < 2 and "" or start(first)
  end
  local function finish()
    local ok, err = d:finish()
    if not ok then
      return fail(err)
    end
    d:close()
    ended = true
    return nil
  end
  return body.new(function(most)
    if ended == true then
      return nil
    elseif ended then
      return nil, ended
    end
    while true do
      local bytes, err = "", nil
      if d and d.more then
        yield()
      elseif d and #d.rest > 1 then
        return finish()
      else
        bytes, err = more()
        if err then
          return nil, err
        elseif not bytes and not d then -- not a byte: not even coded
          return nil
        elseif not bytes then
          return finish()
        end
      end
      local text = ""
      if d then
        text, err = d:update(bytes, most)
      end
      if not text then
        return fail(err)
      elseif text ~= "" then
        return text
      end
    end
  end)
end

return coding
