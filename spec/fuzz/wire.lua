--- What a terminal and the session that it is attached to send each other: messages are found
--- alike however their bytes arrive, and what is found is found again when it is sent.
---
--- Of an input the first three bytes choose the pieces.

local fed = require "spec.support.fed"
local wire = require "neap.repl.wire"

local SIZE <const> = 4 -- before each message

--- All of a value, in an order; NaN is no key.
local function show(value)
  if type(value) ~= "table" then
    return type(value) == "string" and ("%q"):format(value) or ("%s %s"):format(math.type(value), value)
  end
  local fields = {}
  for key, field in pairs(value) do
    fields[#fields + 1] = show(key) .. "=" .. show(field)
  end
  table.sort(fields)
  return "{" .. table.concat(fields, ",") .. "}"
end

local function has_table_as_key(value)
  for key, field in pairs(value) do
    if type(key) == "table" or type(field) == "table" and has_table_as_key(field) then
      return true
    end
  end
  return false
end

local function read_all(stream)
  local found, messages = {}, {}
  local message = wire.receive(stream)
  while message do
    found[#found + 1] = show(message)
    messages[#messages + 1] = message
    message = wire.receive(stream)
  end
  return table.concat(found, "\n"), messages
end

local function read(feed, pieces)
  local messages
  return fed.read(feed, pieces, function(stream)
    local found
    found, messages = read_all(stream)
    return found
  end), messages
end

local function sent(message)
  local bytes
  wire.send({write = function(_, text) bytes = text end}, message)
  return bytes
end

local function check(bytes, feed)
  local one, two, three = bytes:byte(1, 3)
  if not three then
    return
  end
  bytes = bytes:sub(4)
  local whole, messages = read(feed, bytes == "" and {} or {bytes})
  assert(whole == read(feed, fed.cut(bytes, {one, two, three})), "other messages in pieces")
  for _, message in ipairs(messages) do
    if not has_table_as_key(message) then -- which are never the same
      local again = sent(message)
      assert(#again <= SIZE + #bytes, "a message that has grown")
      assert(read(feed, {again}) == show(message), "another message when it is sent")
    end
  end
end

local messages = {
  {}, {kind = "input", text = "1 + 1"}, {1, 2.5, true, false, "\0\xff"}, {a = {b = {c = {d = {}}}}},
  {[1.5] = -1, [math.mininteger] = math.huge, [true] = ""}, {{{{{{{{}}}}}}}}, {{{{{{{{{}}}}}}}}},
}

local seeds = {}
for i, message in ipairs(messages) do
  local text = sent(message)
  seeds[#seeds + 1] = string.char(i, 2 * i, 5 * i) .. text
  seeds[#seeds + 1] = string.char(i, 0, 0) .. text .. text .. text:sub(1, -2)
end
for _, body in ipairs {"t\1\0\0\0nT", "t\1\0\0\0d" .. ("<d"):pack(0 / 0) .. "T",
  "t\255\255\255\255", "T", "s\5\0\0\0x"} do
  seeds[#seeds + 1] = "\0\0\0" .. (">s4"):pack(body)
end

return {check = check, seeds = seeds, lines = true}
