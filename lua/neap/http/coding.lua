--- Content codings (RFC 9110 §8.4.1): bodies that gzip or deflate made smaller.

local body = require "neap.http.body"
local message = require "neap.http.message"
local task = require "neap.task"
local zlib = require "neap.zlib"

local byte, find, gmatch, gsub, lower, match, sub =
  string.byte, string.find, string.gmatch, string.gsub, string.lower, string.match, string.sub
local ipairs, tonumber = ipairs, tonumber
local concat, huge = table.concat, math.huge
local yield = task.yield

local coding = {}

--- Bytes of a text that are made smaller before other tasks have their turns.
local TURN = 64 * 1024


-- Reading

local known = { gzip = "gzip", ["x-gzip"] = "gzip", deflate = "deflate" }

local function trim(value)
  return lower(message.trim(value))
end

--- The coding that a Content-Encoding names, if we read it: "gzip" or "deflate".
function coding.named(value)
  return value and known[trim(value)]
end

--- Does it name any, so that the bytes are not the content?
function coding.is_any(value)
  return value ~= nil and trim(value) ~= "identity"
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


-- Writing

--- What is text, and so worth it.
local TYPES = { "text/*", "application/json", "application/javascript", "application/xml", "*+json", "*+xml" }

--- What `http.serve` was told: { types=, level=, least= }.
function coding.plan(given)
  local plan = { types = {}, level = given.level or 6, least = given.least or 1024 }
  for _, type in ipairs(given.types or TYPES) do
    plan.types[trim(type)] = true
  end
  return plan
end

local function has_type(plan, value)
  local type = value and trim(match(value, "^[^;]*"))
  return type and (plan.types[type] or plan.types[gsub(type, "/.*", "/*")]
    or plan.types["*" .. (match(type, "%+[^+]*$") or "")])
end

--- Does an Accept-Encoding want gzip rather than nothing?
function coding.accepts(value)
  local weights = {}
  for part in gmatch(value and lower(value) or "", "[^,]+") do
    local name, rest = match(part, "^%s*([^%s;]+)(.*)$")
    if name then
      rest = message.trim(rest)
      weights[name] = rest == "" and 1 or tonumber(match(rest, "^;%s*q=([%d.]+)$") or 0) or 0
    end
  end
  local weight = weights.gzip or weights["x-gzip"] or weights["*"] or 0
  return weight > 0 and weight >= (weights.identity or 0)
end

local function replace(list, name, value)
  for i = 1, #list, 2 do
    if lower(list[i]) == name then
      list[i + 1] = value
      return
    end
  end
  list[#list + 1], list[#list + 2] = name, value
end

--- Fields that can be changed, and whether the answer with them, of so many bytes (nil: nobody
--- knows), is to be coded. If it is just this client that does not want it, or asks for the
--- head only, they say for caches that others may get another answer.
function coding.choose(plan, head, status, list, size)
  local control = message.find(list, "cache-control")
  if status < 200 or status == 204 or status == 206 or status == 304 or size and size < plan.least
    or message.find(list, "content-encoding") or not has_type(plan, message.find(list, "content-type"))
    or control and find(lower(control), "no-transform", 1, true) then
    return list, false
  end
  local fields = {}
  for i = 1, #list do
    fields[i] = list[i]
  end
  local vary = message.find(fields, "vary")
  if not vary or trim(vary) ~= "*" and not find(lower(vary), "accept-encoding", 1, true) then
    replace(fields, "vary", vary and vary .. ", Accept-Encoding" or "Accept-Encoding")
  end
  return fields, head.method ~= "HEAD" and coding.accepts(head:get "accept-encoding")
end

--- Fields of `choose` say that the answer is coded. It is not the same, byte for byte, as one
--- that is not, so its tag is a weak one.
function coding.mark(fields)
  replace(fields, "content-encoding", "gzip")
  local tag = message.find(fields, "etag")
  if tag and sub(tag, 1, 2) ~= "W/" then
    replace(fields, "etag", "W/" .. tag)
  end
end

--- What codes a body piece by piece.
function coding.coder(plan)
  return zlib.compressor { level = plan.level }
end

--- A whole body, coded.
function coding.encode(plan, text)
  if #text <= TURN then
    return zlib.compress(text, { level = plan.level })
  end
  local coder <close> = coding.coder(plan)
  local parts = {}
  for i = 1, #text, TURN do
    parts[#parts + 1] = coder:update(sub(text, i, i + TURN - 1))
    yield()
  end
  parts[#parts + 1] = coder:finish()
  return concat(parts)
end

return coding
