--- Captures: pcapng files written, pcapng and pcap files read.
---
--- ```lua
--- local packet = require "neap.packet"
--- local pcap = require "neap.pcap"
---
--- local path = os.tmpname()
--- local capture = assert(pcap.writer(path, {linktype = "ipv4"}))
--- assert(capture:write(packet.ip {dst = "10.0.0.1"} / packet.udp {dst_port = 7} / "hi"))
--- assert(capture:close())
---
--- for bytes, info in assert(pcap.reader(path)) do
---   print(info.linktype, packet.dissect(bytes, info.linktype))
--- end
--- --> 228 ip 0.0.0.0 > 10.0.0.1 / udp 0 > 7 / raw 2 bytes
--- os.remove(path)
--- ```
---
--- pcapng is draft-ietf-opsawg-pcapng, pcap draft-ietf-opsawg-pcap. A file is a
--- path, an open file, or anything with `write` or `read(count)` as a file has
--- them: a stream of neap's, so captures go over pipes and sockets, too.

local check_self = require "neap.class.core".check_self
local errors = require "neap.error"
local packet = require "neap.packet"
local time = require "neap.time"

local pack, unpack = string.pack, string.unpack

---@class neap.pcap
---@field linktypes table<string, integer>  numbers of link types by name: `raw` is 101
local pcap = {}

--- Link types (tcpdump.org, LINKTYPE_ values) with a name here.
local linktypes = {
  ["null"] = 0,
  ["ethernet"] = 1,
  ["raw"] = 101,
  ["loop"] = 108,
  ["ieee802_11"] = 105,
  ["linux_sll"] = 113,
  ["ieee802_11_radiotap"] = 127,
  ["user0"] = 147,
  ["ipv4"] = 228,
  ["ipv6"] = 229,
  ["linux_sll2"] = 276,
}

-- Block types and the options used of them (pcapng, 4 and 3.5).
local SECTION, INTERFACE, PACKET, SIMPLE, ENHANCED = 0x0a0d0d0a, 1, 2, 3, 6
local IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
local ORDER = 0x1a2b3c4d

--- Bytes of a block or packet that is read whole, at most. Blocks of no interest
--- may have any size: they are skipped piece by piece.
local MAX_BLOCK = 16 << 20

--- Bytes that are asked of a source at once.
local PIECE = 32768

local function fail(code, op, message)
  return nil, errors.new {code = code, op = op, message = message}
end

--- An error of a file or stream as an error object.
local function failed(op, err)
  if errors.is(err) then
    return nil, err
  end
  return fail("EIO", op, tostring(err))
end

--- strerror's words, as other errors have them.
local function lower_first(text)
  return (string.gsub(text, "^%u%l", string.lower))
end

--- A file of a path, or what was given.
local function open(op, file, mode, method)
  if type(file) == "string" then
    local opened, message, number = io.open(file, mode)
    if not opened then
      local code = number == 2 and "ENOENT" or number == 13 and "EACCES" or "EIO"
      local text = string.sub(message, 1, #file + 2) == file .. ": " and string.sub(message, #file + 3) or message
      return nil, errors.new {code = code, op = op, endpoint = file, message = lower_first(text)}
    end
    return opened, true
  end
  local ok, found = pcall(function()
    return file[method]
  end)
  if not ok or not found then
    error(string.format("%s: a path or an open file expected, got %s", op, type(file)), 3)
  end
  return file, false
end


-- Writing.

--- A capture that is written. `local w <close>` closes it.
---@class neap.pcap.Writer
---@field linktype integer  its number
---@field count integer  packets written
local Writer = {}
Writer.__index = Writer
Writer.__name = "neap.pcap.Writer"

---@class neap.pcap.WriterOptions
---@field linktype (string|integer)?  what packets begin with: `"ethernet"` (default), `"raw"`
--- (either IP), `"ipv4"`, `"ipv6"`, `"linux_sll"`, `"linux_sll2"`, `"null"`, `"loop"`, `"user0"`, or a
--- number of LINKTYPE_ values
---@field snaplen integer?  bytes of a packet that are kept; default 0: all
---@field name string?  of the interface

local writer_options = {linktype = true, snaplen = true, name = true}

local function option(code, value)
  return pack("<I2s2", code, value) .. string.rep("\0", -#value % 4)
end

local function block(type, body)
  body = body .. string.rep("\0", -#body % 4)
  local length = #body + 12
  return pack("<I4I4", type, length) .. body .. pack("<I4", length)
end

--- Write a capture, as pcapng with one interface whose timestamps are
--- nanoseconds. A path is created or overwritten; a file stays the caller's.
---
--- ```lua
--- local pcap = require "neap.pcap"
---
--- local path = os.tmpname()
--- local w <close> = assert(pcap.writer(path))
--- print(w:write(("\0"):rep(60), {time = 1.5}) == w, w.count)  --> true 1
--- os.remove(path)
--- ```
---@async
---@param file string|file*|neap.Stream  or anything with `write(bytes)`
---@param opts? neap.pcap.WriterOptions  raises for unknown names and values
---@return neap.pcap.Writer? writer
---@return neap.Error? err  of opening a path, ENOENT, EACCES, ...; of writing
function pcap.writer(file, opts)
  if opts ~= nil and type(opts) ~= "table" then
    error(string.format("pcap.writer: a table of options expected, got %s", type(opts)), 2)
  end
  opts = opts or {}
  for name in pairs(opts) do
    if not writer_options[name] then
      error(string.format("pcap.writer: no option '%s'", tostring(name)), 2)
    end
  end
  local linktype = opts.linktype or 1
  linktype = linktypes[linktype] or linktype
  if math.type(linktype) ~= "integer" or linktype < 0 or linktype > 0xffff then
    error("pcap.writer: option 'linktype': a name that is known, or 0 to 65535 expected", 2)
  end
  local snaplen = opts.snaplen or 0
  if math.type(snaplen) ~= "integer" or snaplen < 0 or snaplen > 0xffffffff then
    error("pcap.writer: option 'snaplen': bytes expected", 2)
  end
  local name = opts.name or ""
  if type(name) ~= "string" or #name > 0xffff then
    error("pcap.writer: option 'name': a string expected", 2)
  end
  local out, ours = open("pcap.writer", file, "wb", "write")
  if not out then
    return nil, ours --[[@as neap.Error]]
  end
  local described = option(IF_TSRESOL, "\9") .. pack("<I4", 0)
  if name ~= "" then
    described = option(IF_NAME, name) .. described
  end
  local ok, err = out:write(
    block(SECTION, pack("<I4I2I2i8", ORDER, 1, 0, -1)),
    block(INTERFACE, pack("<I2I2I4", linktype, 0, snaplen) .. described))
  if not ok then
    if ours then
      out:close()
    end
    return failed("pcap.writer", err)
  end
  return setmetatable({
    linktype = linktype,
    count = 0,
    private = {out = out, ours = ours, snaplen = snaplen},
  }, Writer)
end

--- Nanoseconds since 1970, of `ns` or of seconds.
local function stamp(info)
  local ns = info.ns
  if ns == nil then
    local seconds = info.time
    if seconds == nil then
      seconds = time.wall()
    end
    if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 9e9) then
      error("pcap: write: 'time': seconds since 1970 expected", 3)
    end
    local whole = math.floor(seconds)
    return whole * 1000000000 + math.floor((seconds - whole) * 1e9 + 0.5)
  elseif math.type(ns) ~= "integer" or ns < 0 then
    error("pcap: write: 'ns': nanoseconds since 1970, an integer, expected", 3)
  end
  return ns
end

--- Write a packet.
---
--- ```lua
--- local pcap = require "neap.pcap"
---
--- local path = os.tmpname()
--- local w = assert(pcap.writer(path, {linktype = "raw"}))
--- w:write("the beginning", {time = 1700000000.25, original = 1500})
--- w:close()
--- local bytes, info = assert(pcap.reader(path))()
--- print(bytes, info.ns, info.original)  --> the beginning 1700000000250000000 1500
--- os.remove(path)
--- ```
---@async
---@param bytes string|neap.Packet  from the link type's header on
---@param info? { time: number?, ns: integer?, original: integer? }  time: seconds since 1970,
--- default now; ns: the same in nanoseconds, exact; original: bytes that the packet had, no
--- fewer than those given, which is the default
---@return neap.pcap.Writer? writer  itself
---@return neap.Error? err
function Writer:write(bytes, info)
  check_self(self, Writer, "write")
  local private = self.private
  if packet.is(bytes) then
    bytes = bytes:bytes()
  elseif type(bytes) ~= "string" then
    error(string.format("pcap: write: bytes or a packet expected, got %s", type(bytes)), 2)
  end
  if info ~= nil and type(info) ~= "table" then
    error(string.format("pcap: write: a table of options expected, got %s", type(info)), 2)
  end
  info = info or {}
  local ns = stamp(info)
  local original = info.original
  if original == nil then
    original = #bytes
  elseif math.type(original) ~= "integer" or original < #bytes or original > 0xffffffff then
    error(string.format("pcap: write: 'original': %d bytes or more expected, got %s", #bytes,
      tostring(original)), 2)
  end
  if not private.out then
    return fail("EBADF", "pcap write", "closed")
  end
  if private.snaplen > 0 and #bytes > private.snaplen then
    bytes = string.sub(bytes, 1, private.snaplen)
  end
  local ok, err = private.out:write(block(ENHANCED,
    pack("<I4I4I4I4I4", 0, ns >> 32, ns & 0xffffffff, #bytes, original) .. bytes))
  if not ok then
    return failed("pcap write", err)
  end
  self.count = self.count + 1
  return self
end

--- Send what the file has gathered.
---
--- ```lua
--- local pcap = require "neap.pcap"
---
--- local path = os.tmpname()
--- local w <close> = assert(pcap.writer(path))
--- print(w:flush() == w)  --> true
--- os.remove(path)
--- ```
---@async
---@return neap.pcap.Writer? writer  itself
---@return neap.Error? err
function Writer:flush()
  check_self(self, Writer, "flush")
  local out = self.private.out
  if not out then
    return fail("EBADF", "pcap flush", "closed")
  elseif out.flush then
    local ok, err = out:flush()
    if not ok then
      return failed("pcap flush", err)
    end
  end
  return self
end

--- End the capture: close the file of a path, flush any other. May be called
--- again.
---
--- ```lua
--- local pcap = require "neap.pcap"
---
--- local path = os.tmpname()
--- local w = assert(pcap.writer(path))
--- print(w:close(), w:close())  --> true true
--- os.remove(path)
--- ```
---@return true? ok
---@return neap.Error? err
function Writer:close()
  check_self(self, Writer, "close")
  local private = self.private
  local out = private.out
  private.out = nil
  if not out then
    return true
  end
  local ok, err = true, nil
  if private.ours then
    ok, err = out:close()
  elseif io.type(out) == "file" then
    ok, err = out:flush()
  end
  if not ok then
    return failed("pcap close", err)
  end
  return true
end

Writer.__close = Writer.close


-- Reading.

--- What is known of a packet.
---@class neap.pcap.Info
---@field time number?  seconds since 1970; nil for a simple packet block, which has none
---@field ns integer?  nanoseconds since 1970: the same, exact
---@field original integer  bytes that the packet had
---@field linktype integer  of LINKTYPE_ values; `packet.dissect` takes it
---@field interface integer  in the order of the section, from 0 (pcapng)
---@field name string?  of the interface (pcapng)

--- A capture that is read: call it for the next packet, so a `for` does.
---@class neap.pcap.Reader
---@field format "pcapng"|"pcap"
---@field order "little"|"big"  the byte order, of the section
local Reader = {}
Reader.__index = Reader
Reader.__name = "neap.pcap.Reader"

--- Exactly n bytes, or fewer at the end of the source.
local function take(source, n)
  local pieces, size = {}, 0
  while size < n do
    local piece, err = source:read(math.min(n - size, PIECE))
    if not piece then
      if err ~= nil then
        return failed("pcap read", err)
      end
      break
    elseif #piece == 0 then
      break
    end
    pieces[#pieces + 1] = piece
    size = size + #piece
  end
  return table.concat(pieces)
end

--- Exactly n bytes; ENODATA when there are fewer.
local function need(source, n)
  local bytes, err = take(source, n)
  if not bytes then
    return nil, err
  elseif #bytes < n then
    return fail("ENODATA", "pcap read", string.format("%d bytes of %d, then the end", #bytes, n))
  end
  return bytes
end

--- Pass over n bytes.
local function skip(source, n)
  while n > 0 do
    local bytes, err = need(source, math.min(n, PIECE))
    if not bytes then
      return nil, err
    end
    n = n - #bytes
  end
  return true
end

local function malformed(message, ...)
  return fail("EBADMSG", "pcap read", string.format(message, ...))
end


-- pcapng.

--- Nanoseconds of a timestamp in units of an interface (pcapng, 4.2,
--- if_tsresol). What is out of range wraps.
local function to_ns(units, resolution, offset)
  local ns
  local power = resolution & 0x7f
  if resolution & 0x80 ~= 0 then -- of 2
    local seconds = power < 64 and units >> power or 0
    local fraction = power < 64 and units & ((1 << power) - 1) or units
    if power > 32 then
      fraction, power = fraction >> (power - 32), 32
    end
    ns = seconds * 1000000000 + (fraction * 1000000000 >> power)
  elseif power <= 9 then
    ns = units * math.tointeger(10 ^ (9 - power))
  elseif power <= 27 then
    ns = math.tointeger(10 ^ (power - 9)) -- unsigned division
    ns = units >= 0 and units // ns or ((units >> 1) // ns << 1)
  else
    ns = 0
  end
  return ns + offset * 1000000000
end

local function read_options(body, at, endian)
  local options = {}
  while at + 3 <= #body do
    local code, length = unpack(endian .. "I2I2", body, at)
    if code == 0 or at + 3 + length > #body then
      break
    end
    options[code] = options[code] or string.sub(body, at + 4, at + 3 + length)
    at = at + 4 + length + -length % 4
  end
  return options
end

local function read_interface(state, body)
  if #body < 8 then
    return malformed "an interface block that is too short"
  end
  local linktype, _, snaplen = unpack(state.endian .. "I2I2I4", body)
  local options = read_options(body, 9, state.endian)
  local resolution, offset = options[IF_TSRESOL], options[IF_TSOFFSET]
  state.interfaces[#state.interfaces + 1] = {
    linktype = linktype,
    snaplen = snaplen,
    name = options[IF_NAME],
    resolution = resolution and string.byte(resolution) or 6,
    offset = offset and #offset == 8 and unpack(state.endian .. "i8", offset) or 0,
  }
  return true
end

local function packet_of(state, number, high, low, captured, original, body, at)
  local interface = state.interfaces[number + 1]
  if not interface then
    return malformed("a packet of interface %d, of %d", number, #state.interfaces)
  elseif at + captured - 1 > #body then
    return malformed("a packet of %d bytes in a block with room for %d", captured, #body - at + 1)
  end
  local info = {
    original = original,
    linktype = interface.linktype,
    interface = number,
    name = interface.name,
  }
  if high then
    info.ns = to_ns(high << 32 | low, interface.resolution, interface.offset)
    info.time = info.ns / 1e9
  end
  return string.sub(body, at, at + captured - 1), info
end

--- Readers of the blocks that hold packets.
local packets = {
  [ENHANCED] = function(state, body)
    if #body < 20 then
      return malformed "a packet block that is too short"
    end
    local number, high, low, captured, original = unpack(state.endian .. "I4I4I4I4I4", body)
    return packet_of(state, number, high, low, captured, original, body, 21)
  end,
  [PACKET] = function(state, body)
    if #body < 20 then
      return malformed "a packet block that is too short"
    end
    local number, _, high, low, captured, original = unpack(state.endian .. "I2I2I4I4I4I4", body)
    return packet_of(state, number, high, low, captured, original, body, 21)
  end,
  [SIMPLE] = function(state, body)
    if #body < 4 then
      return malformed "a packet block that is too short"
    end
    local original = unpack(state.endian .. "I4", body)
    local first = state.interfaces[1]
    local captured = first and first.snaplen > 0 and math.min(original, first.snaplen) or original
    return packet_of(state, 0, nil, nil, captured, original, body, 5)
  end,
}

--- The section header behind its type: the byte order, for all that follows.
local function read_section(state)
  local head, err = need(state.source, 8)
  if not head then
    return nil, err
  end
  local endian
  if unpack("<I4", head, 5) == ORDER then
    endian = "<"
  elseif unpack(">I4", head, 5) == ORDER then
    endian = ">"
  else
    return malformed "a section header without byte order"
  end
  local length = unpack(endian .. "I4", head)
  if length < 28 or length % 4 ~= 0 then
    return malformed("a section header of %d bytes", length)
  end
  local rest
  rest, err = need(state.source, 16)
  if not rest then
    return nil, err
  end
  local major = unpack(endian .. "I2", rest)
  if major ~= 1 then
    return malformed("pcapng version %d", major)
  end
  state.endian, state.interfaces = endian, {}
  if length > 28 then -- options; the last word is the length again
    return skip(state.source, length - 28)
  end
  return true
end

--- The next packet of a pcapng file: nil at its end.
local function next_pcapng(state)
  while true do
    local head, err = take(state.source, 4)
    if not head or head == "" then
      return nil, err
    elseif #head < 4 then
      return fail("ENODATA", "pcap read", "the end inside a block")
    end
    local type = unpack(state.endian .. "I4", head)
    if type == SECTION then
      local ok
      ok, err = read_section(state)
      if not ok then
        return nil, err
      end
    else
      head, err = need(state.source, 4)
      if not head then
        return nil, err
      end
      local length = unpack(state.endian .. "I4", head)
      local read = type == INTERFACE and read_interface or packets[type]
      if length < 12 or length % 4 ~= 0 then
        return malformed("a block of %d bytes", length)
      elseif read and length > MAX_BLOCK then
        return fail("EMSGSIZE", "pcap read", string.format("a block of %d bytes", length))
      end
      local body
      if read then
        body, err = need(state.source, length - 12)
      else
        body, err = skip(state.source, length - 12)
      end
      local tail
      if body then
        tail, err = need(state.source, 4)
      end
      if not tail then
        return nil, err
      elseif unpack(state.endian .. "I4", tail) ~= length then
        return malformed "a block with two lengths"
      end
      if read then
        local bytes, info = read(state, body)
        if packets[type] or not bytes then
          return bytes, info
        end
      end
    end
  end
end


-- pcap.

local MAGIC = {
  [0xa1b2c3d4] = 1000, -- nanoseconds a unit
  [0xa1b23c4d] = 1,
  [0xa1b2cd34] = 1000,
}

--- The magic of a patched libpcap, with the interface and its protocol behind the header of
--- each packet: 8 bytes, of no use to others.
local MODIFIED = 0xa1b2cd34

local function open_pcap(state, head)
  local rest, err = need(state.source, 20)
  if not rest then
    return nil, err
  end
  state.endian = MAGIC[unpack("<I4", head)] and "<" or ">"
  local magic = unpack(state.endian .. "I4", head)
  state.unit, state.more = MAGIC[magic], magic == MODIFIED and 8 or 0
  local major, _, _, _, _, linktype = unpack(state.endian .. "I2I2i4I4I4I4", rest)
  if major ~= 2 then
    return malformed("pcap version %d", major)
  end
  state.linktype = linktype & 0xffff -- above: the length of check sequences
  return true
end

local function next_pcap(state)
  local head, err = take(state.source, 16 + state.more)
  if not head or head == "" then
    return nil, err
  elseif #head < 16 + state.more then
    return fail("ENODATA", "pcap read", "the end inside a packet's header")
  end
  local seconds, fraction, captured, original = unpack(state.endian .. "I4I4I4I4", head)
  if captured > MAX_BLOCK then
    return fail("EMSGSIZE", "pcap read", string.format("a packet of %d bytes", captured))
  end
  local bytes
  bytes, err = need(state.source, captured)
  if not bytes then
    return nil, err
  end
  local ns = seconds * 1000000000 + fraction * state.unit
  return bytes, {
    ns = ns,
    time = ns / 1e9,
    original = original,
    linktype = state.linktype,
    interface = 0,
  }
end

--- Read a capture: pcapng (every section, of either byte order), or pcap with
--- micro- or nanoseconds, also as a modified libpcap writes it. Blocks that hold no
--- packets are passed over. The file of a path is closed at its end, and by `close`.
---
--- ```lua
--- local pcap = require "neap.pcap"
---
--- local file <close> = assert(io.tmpfile())
--- print(select(2, pcap.reader(file)).code)  --> ENODATA
---
--- pcap.writer(file):write("one"):write("two")
--- file:seek "set"
--- for bytes, info in assert(pcap.reader(file)) do
---   print(bytes, info.original)
--- end
--- --> one 3
--- --> two 3
--- ```
---@async
---@param file string|file*|neap.Stream  or anything with `read(count)`
---@return neap.pcap.Reader? reader
---@return neap.Error? err  ENOENT, ...; EBADMSG: not a capture; ENODATA: too short for one
function pcap.reader(file)
  local source, ours = open("pcap.reader", file, "rb", "read")
  if not source then
    return nil, ours --[[@as neap.Error]]
  end
  local state = {source = source, ours = ours, endian = "<"}
  local ok
  local head, err = need(source, 4)
  local format
  if head then
    if unpack("<I4", head) == SECTION then
      format = "pcapng"
      state.next = next_pcapng
      ok, err = read_section(state)
    elseif MAGIC[unpack("<I4", head)] or MAGIC[unpack(">I4", head)] then
      format = "pcap"
      state.next = next_pcap
      ok, err = open_pcap(state, head)
    else
      ok, err = malformed "neither pcapng nor pcap"
    end
  end
  if not ok then
    if ours then
      source:close()
    end
    return nil, err
  end
  return setmetatable({format = format, private = state}, Reader)
end

--- The next packet.
---
--- ```lua
--- local pcap = require "neap.pcap"
---
--- local file <close> = assert(io.tmpfile())
--- pcap.writer(file):write("one", {time = 0})
--- file:seek "set"
--- local reader = assert(pcap.reader(file))
--- print((reader:read()), (reader:read()))  --> one nil
--- ```
---@async
---@return string? bytes  nil at the end
---@return (neap.pcap.Info|neap.Error)? info  or the error: EBADMSG for what is malformed, ENODATA
--- when it is cut off, EMSGSIZE for a packet of more than 16 MiB; the reader is at its end then
function Reader:read()
  check_self(self, Reader, "read")
  local state = self.private
  if not state.next then
    return nil
  end
  local bytes, info = state.next(state)
  if not bytes then
    self:close()
    return nil, info
  end
  return bytes, info
end

--- As `read`, for `for`: a failure raises.
function Reader:__call()
  local bytes, info = self:read()
  if not bytes and info then
    error(info, 0)
  end
  return bytes, info
end

--- End reading, and close the file of a path. May be called again.
---
--- ```lua
--- local pcap = require "neap.pcap"
---
--- local file <close> = assert(io.tmpfile())
--- pcap.writer(file):write "one"
--- file:seek "set"
--- local reader = assert(pcap.reader(file))
--- print(reader:close(), reader:read())  --> true nil
--- ```
---@return true ok
function Reader:close()
  check_self(self, Reader, "close")
  local state = self.private
  state.next = nil
  if state.ours then
    state.ours = false
    state.source:close()
  end
  return true
end

Reader.__close = Reader.close

pcap.linktypes = linktypes

return pcap
