--- SCTP (RFC 9260): its header, and the chunks behind it.

local check = require "neap.packet.check"
local sums = require "neap.packet.checksum"
local core = require "neap.packet.core"

local pack, unpack = string.pack, string.unpack
local int = check.int

---@class neap.packet
local sctp = {}

local types = check.enum {
  [0] = "data",
  [1] = "init",
  [2] = "init-ack",
  [3] = "sack",
  [4] = "heartbeat",
  [5] = "heartbeat-ack",
  [6] = "abort",
  [7] = "shutdown",
  [8] = "shutdown-ack",
  [9] = "error",
  [10] = "cookie-echo",
  [11] = "cookie-ack",
  [12] = "ecne",
  [13] = "cwr",
  [14] = "shutdown-complete",
  [64] = "i-data",
  [130] = "re-config",
  [192] = "forward-tsn",
}

local init = {{"initiate_tag", 4}, {"a_rwnd", 4}, {"outbound_streams", 2}, {"inbound_streams", 2},
  {"initial_tsn", 4}}

--- Fields of chunks and their sizes in bytes; `data` is what follows.
local rows = {
  ["data"] = {{"tsn", 4}, {"stream", 2}, {"seq", 2}, {"ppid", 4}},
  ["init"] = init,
  ["init-ack"] = init,
  ["shutdown"] = {{"cumulative_tsn_ack", 4}},
}

local function encode_sack(view)
  local gaps, duplicates = view.gaps or {}, view.duplicates or {}
  local out = {pack(">I4I4I2I2", int(view, "cumulative_tsn_ack", 32), int(view, "a_rwnd", 32), #gaps,
    #duplicates)}
  for _, gap in ipairs(gaps) do
    local edges = {name = "sctp gap", first = gap[1], last = gap[2]}
    out[#out + 1] = pack(">I2I2", int(edges, "first", 16), int(edges, "last", 16))
  end
  for _, tsn in ipairs(duplicates) do
    out[#out + 1] = pack(">I4", int({name = "sctp sack", duplicates = tsn}, "duplicates", 32))
  end
  return table.concat(out)
end

local function decode_sack(chunk, bytes, from, to)
  if to - from < 11 then
    return false
  end
  local cumulative, a_rwnd, gaps, duplicates = unpack(">I4I4I2I2", bytes, from)
  if to - from + 1 ~= 12 + 4 * (gaps + duplicates) then
    return false
  end
  chunk.cumulative_tsn_ack, chunk.a_rwnd = cumulative, a_rwnd
  chunk.gaps, chunk.duplicates = {}, {}
  for at = from + 12, to, 4 do
    if #chunk.gaps < gaps then
      chunk.gaps[#chunk.gaps + 1] = {unpack(">I2I2", bytes, at)}
      chunk.gaps[#chunk.gaps][3] = nil -- the position behind them
    else
      chunk.duplicates[#chunk.duplicates + 1] = (unpack(">I4", bytes, at))
    end
  end
  return true
end

local function encode_chunk(layer, chunk)
  if type(chunk) ~= "table" then
    check.bad(layer, "chunks", "a list of tables")
  end
  local view = setmetatable({name = "sctp chunk", type = chunk.type or "data", flags = chunk.flags or 0},
    {__index = chunk})
  if chunk.raw then
    return check.bytes(view, "raw")
  end
  local number = types.number(view, "type", 8)
  local kind = types.name(number)
  local row = rows[kind]
  local body
  if kind == "sack" and chunk.cumulative_tsn_ack then
    body = encode_sack(view)
  elseif row and chunk[row[1][1]] then
    local out = {}
    for i, field in ipairs(row) do
      view[field[1]] = chunk[field[1]] or 0
      out[i] = pack(">I" .. field[2], int(view, field[1], 8 * field[2]))
    end
    body = table.concat(out) .. check.bytes(view, "data")
  else
    body = check.bytes(view, "data")
  end
  local padding = chunk.padding and check.bytes(view, "padding") or string.rep("\0", -#body % 4)
  view.length = chunk.length or 4 + #body
  return pack(">BBI2", number, int(view, "flags", 8), int(view, "length", 16)) .. body .. padding
end

local function decode_chunk(bytes, from, last)
  local number, flags = string.byte(bytes, from, from + 1)
  local chunk = {type = types.name(number), flags = flags}
  local row = rows[chunk.type]
  local at = from + 4
  if chunk.type == "sack" and decode_sack(chunk, bytes, at, last) then
    return chunk
  elseif row then
    local size = 0
    for _, field in ipairs(row) do
      size = size + field[2]
    end
    if last - at + 1 >= size then
      for _, field in ipairs(row) do
        chunk[field[1]], at = unpack(">I" .. field[2], bytes, at)
      end
    end
  end
  chunk.data = at <= last and string.sub(bytes, at, last) or nil
  return chunk
end

local function decode_chunks(bytes, from, to)
  local list = {}
  local at = from
  while at <= to do
    local length = at + 3 <= to and unpack(">I2", bytes, at + 2) or 0
    local last = at + length - 1
    if length < 4 or last > to then
      list[#list + 1] = {raw = string.sub(bytes, at, to),
        note = length < 4 and string.format("length %d", length) or check.short("chunk", at, to, length)}
      break
    end
    local chunk = decode_chunk(bytes, at, last)
    local padding = string.sub(bytes, last + 1, math.min(last + -length % 4, to))
    if padding ~= string.rep("\0", -length % 4) then
      chunk.padding = padding
    end
    list[#list + 1] = chunk
    at = last + 1 + #padding
  end
  return list
end

---@class neap.packet.Sctp: neap.Layer
---@field src_port integer  16 bits; default 0
---@field dst_port integer  16 bits; default 0
---@field verification_tag integer  32 bits; default 0
---@field checksum integer  32 bits, CRC32c as its bytes stand there; automatic
---@field chunks neap.packet.SctpChunk[]
---@field present integer?  bytes of a header that was cut off

---@class neap.packet.SctpChunk
---@field type string|integer  `"data"` (default), `"init"`, `"init-ack"`, `"sack"`, `"heartbeat"`, `"abort"`,
--- `"shutdown"`, `"error"`, `"cookie-echo"`, `"cookie-ack"`, ...; a number where it has no name
---@field flags integer  8 bits; default 0
---@field length integer?  automatic
---@field tsn integer?  32 bits, of data, as those up to ppid
---@field stream integer?  16 bits
---@field seq integer?  16 bits, stream sequence number
---@field ppid integer?  32 bits, payload protocol identifier
---@field data string?  what follows: the payload, parameters, causes
---@field initiate_tag integer?  32 bits, of init and init-ack, as those up to initial_tsn
---@field a_rwnd integer?  32 bits; of sack, too
---@field outbound_streams integer?  16 bits
---@field inbound_streams integer?  16 bits
---@field initial_tsn integer?  32 bits
---@field cumulative_tsn_ack integer?  32 bits, of sack and shutdown
---@field gaps integer[][]?  of sack: first and last, 16 bits each
---@field duplicates integer[]?  of sack: 32 bits each
---@field padding string?  what fills up to words of 4 bytes, where that is not zeros
---@field raw string?  bytes that are no chunk, instead of all that

local kind = core.kind {
  name = "sctp",
  fields = "src_port dst_port verification_tag checksum present chunks",
  defaults = {src_port = 0, dst_port = 0, verification_tag = 0},
  automatic = "checksum",
  lists = "chunks",
  hex = {verification_tag = 8, checksum = 8},
  encode = function(layer, body)
    local first = pack(">I2I2I4", int(layer, "src_port", 16), int(layer, "dst_port", 16),
      int(layer, "verification_tag", 32))
    local chunks = {}
    for i, chunk in ipairs(layer.chunks) do
      chunks[i] = encode_chunk(layer, chunk)
    end
    chunks = table.concat(chunks)
    if layer.checksum == nil then
      layer.checksum = unpack(">I4", pack("<I4", sums.crc32c(first .. "\0\0\0\0" .. chunks .. body)))
    end
    return first .. pack(">I4", int(layer, "checksum", 32)) .. chunks
  end,
  decode = function(bytes, from, to)
    if to - from < 7 then
      return nil, check.short("sctp", from, to, 12)
    end
    local src_port, dst_port, tag = unpack(">I2I2I4", bytes, from)
    local layer = {src_port = src_port, dst_port = dst_port, verification_tag = tag}
    if to - from < 11 then
      layer.present, layer.note = 8, check.short("sctp", from, to, 12)
      return layer, from + 8, to, nil
    end
    layer.checksum = unpack(">I4", bytes, from + 8)
    layer.chunks = decode_chunks(bytes, from + 12, to)
    return layer, to + 1, to, nil
  end,
  summary = function(layer)
    local words = {string.format("%s > %s", layer.src_port, layer.dst_port)}
    for _, chunk in ipairs(layer.chunks or {}) do
      words[#words + 1] = tostring(chunk.type or (chunk.raw and "?" or "data"))
    end
    return table.concat(words, " ")
  end,
}

--- An SCTP packet (RFC 9260, 3) with its chunks.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "10.0.0.1"} / packet.sctp {dst_port = 7, chunks = {
---   {type = "data", flags = 3, tsn = 1, stream = 0, seq = 0, ppid = 0, data = "hi"}}}
--- print(#p:bytes(), packet.dissect(p:bytes(), "ip").sctp.chunks[1].data)  --> 52 hi
--- ```
---@param fields? neap.packet.Sctp|table
---@return neap.Packet
function sctp.sctp(fields)
  return kind(fields)
end

return sctp
