--- Messages between a front end (the terminal) and a session (where inputs run),
--- over any stream: a table of strings, numbers, booleans and such tables, as its
--- length and its bytes.

---@class neap.repl.wire
local wire = {}

local pack, unpack = string.pack, string.unpack

local MAX = 64 * 1024 * 1024
local DEPTH = 8

local encode

local encoders = {
  ["nil"] = function()
    return "n"
  end,
  boolean = function(v)
    return v and "T" or "F"
  end,
  string = function(v)
    return pack("<c1 s4", "s", v)
  end,
  number = function(v)
    return math.type(v) == "integer" and pack("<c1 i8", "i", v) or pack("<c1 d", "d", v)
  end,
  table = function(v)
    local out = {}
    for key, value in pairs(v) do
      out[#out + 1] = encode(key)
      out[#out + 1] = encode(value)
    end
    return pack("<c1 I4", "t", #out // 2) .. table.concat(out)
  end,
}

function encode(value)
  return encoders[type(value)](value)
end

local decode

local decoders = {
  n = function(_, at)
    return nil, at
  end,
  T = function(_, at)
    return true, at
  end,
  F = function(_, at)
    return false, at
  end,
  s = function(bytes, at)
    return unpack("<s4", bytes, at)
  end,
  i = function(bytes, at)
    return unpack("<i8", bytes, at)
  end,
  d = function(bytes, at)
    return unpack("<d", bytes, at)
  end,
  t = function(bytes, at, depth)
    local n, key, value
    n, at = unpack("<I4", bytes, at)
    if depth == 0 or n > #bytes then
      error "a message is malformed"
    end
    local t = {}
    for _ = 1, n do
      key, at = decode(bytes, at, depth - 1)
      value, at = decode(bytes, at, depth - 1)
      t[key] = value
    end
    return t, at
  end,
}

function decode(bytes, at, depth)
  local decoder = decoders[string.sub(bytes, at, at)] or error "a message is malformed"
  return decoder(bytes, at + 1, depth)
end

--- Send a message.
---@async
---@param stream neap.Stream
---@param message table
---@return neap.Stream? stream
---@return neap.Error? err
function wire.send(stream, message)
  return stream:write(pack(">s4", encode(message)))
end

--- The next message.
---@async
---@param stream neap.Stream
---@return table? message  nil at the end, or when the other one talks nonsense
function wire.receive(stream)
  local head = stream:read(4)
  local size = head and #head == 4 and unpack(">I4", head)
  if not size or size > MAX then
    return nil
  end
  local bytes = stream:read(size)
  if not bytes or #bytes < size then
    return nil
  end
  local ok, message = pcall(decode, bytes, 1, DEPTH)
  return ok and type(message) == "table" and message or nil
end

return wire
