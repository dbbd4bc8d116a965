--- ICMP (RFC 792), ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861).
---
--- Both begin with type, code and checksum. What follows depends on the type: a
--- row of the tables here names the fields and their sizes.

local address = require "neap.packet.address"
local check = require "neap.packet.check"
local sums = require "neap.packet.checksum"
local core = require "neap.packet.core"

local pack, unpack = string.pack, string.unpack
local int = check.int

---@class neap.packet
local icmp = {}

-- Sizes of fields are in bytes; "a4" and "a16" are addresses.

--- Any other type: the rest of the header, as the RFCs call it.
local REST = {{"rest", 4}}

local readers = {
  a4 = function(bytes, at)
    return address.ipv4(bytes, at), at + 4
  end,
  a16 = function(bytes, at)
    return address.ipv6(bytes, at), at + 16
  end,
}

local function row_size(row)
  local size = 0
  for _, field in ipairs(row) do
    size = size + (tonumber(field[2]) or tonumber(string.sub(field[2], 2)))
  end
  return size
end

local function encode_row(layer, row)
  local out = {}
  for i, field in ipairs(row) do
    local name, size = field[1], field[2]
    if size == "a4" then
      out[i] = check.ipv4(layer, name)
    elseif size == "a16" then
      out[i] = check.ipv6(layer, name)
    else
      if layer[name] == nil then
        layer[name] = 0
      end
      out[i] = pack(">I" .. size, int(layer, name, size * 8))
    end
  end
  return table.concat(out)
end

local function decode_row(layer, row, bytes, at)
  for _, field in ipairs(row) do
    local read = readers[field[2]]
    if read then
      layer[field[1]], at = read(bytes, at)
    else
      layer[field[1]], at = unpack(">I" .. field[2], bytes, at)
    end
  end
  return at
end


-- ICMP.

local types = check.enum {
  [0] = "echo-reply",
  [3] = "destination-unreachable",
  [4] = "source-quench",
  [5] = "redirect",
  [8] = "echo",
  [9] = "router-advertisement",
  [10] = "router-solicitation",
  [11] = "time-exceeded",
  [12] = "parameter-problem",
  [13] = "timestamp",
  [14] = "timestamp-reply",
  [15] = "information-request",
  [16] = "information-reply",
}

local query = {{"id", 2}, {"seq", 2}}
local stamps = {{"id", 2}, {"seq", 2}, {"originate", 4}, {"receive", 4}, {"transmit", 4}}
local rows = {
  ["echo"] = query,
  ["echo-reply"] = query,
  ["information-request"] = query,
  ["information-reply"] = query,
  ["timestamp"] = stamps,
  ["timestamp-reply"] = stamps,
  ["destination-unreachable"] = {{"unused", 2}, {"next_hop_mtu", 2}},
  ["source-quench"] = {{"unused", 4}},
  ["time-exceeded"] = {{"unused", 4}},
  ["redirect"] = {{"gateway", "a4"}},
  ["parameter-problem"] = {{"pointer", 1}, {"unused", 3}},
}

--- Types that carry the beginning of the packet that they are about.
local errors = {
  ["destination-unreachable"] = true,
  ["source-quench"] = true,
  ["time-exceeded"] = true,
  ["redirect"] = true,
  ["parameter-problem"] = true,
}

local function summary(layer)
  local text = tostring(layer.type)
  if layer.code ~= 0 then
    text = string.format("%s code=%s", text, layer.code)
  end
  if layer.id then
    text = string.format("%s id=%s seq=%s", text, layer.id, layer.seq)
  end
  return text
end

---@class neap.packet.Icmp: neap.Layer
---@field type string|integer  8 bits: `"echo"` (default), `"echo-reply"`,
--- `"destination-unreachable"`, `"time-exceeded"`, `"redirect"`, `"parameter-problem"`,
--- `"source-quench"`, `"timestamp"`, `"timestamp-reply"`, ...; a number where it has no name
---@field code integer  8 bits; default 0
---@field checksum integer  16 bits; automatic
---@field id integer?  16 bits, identifier of echo and timestamp
---@field seq integer?  16 bits, sequence number of the same
---@field originate integer?  32 bits, milliseconds since midnight UT; `receive` and `transmit` too
---@field receive integer?
---@field transmit integer?
---@field gateway string?  of redirect
---@field pointer integer?  8 bits, of parameter-problem
---@field next_hop_mtu integer?  16 bits, of destination-unreachable, code 4 (RFC 1191)
---@field unused integer?  what the type leaves unused
---@field rest integer?  32 bits, of types not named here

local icmpv4 = core.kind {
  name = "icmp",
  fields = "type code checksum id seq originate receive transmit gateway pointer next_hop_mtu"
    .. " unused rest",
  defaults = {type = "echo", code = 0},
  automatic = "checksum",
  sum = "own",
  hex = {checksum = 4, rest = 8},
  encode = function(layer, body)
    local number = types.number(layer, "type", 8)
    local first = pack("BB", number, int(layer, "code", 8))
    local rest = encode_row(layer, rows[types.name(number)] or REST)
    layer.checksum = layer.checksum
      or sums.finish(layer, sums.add(first .. "\0\0" .. rest .. body, 0))
    return first .. pack(">I2", int(layer, "checksum", 16)) .. rest
  end,
  decode = function(bytes, from, to)
    if to - from < 7 then
      return nil, check.short("icmp", from, to, 8)
    end
    local number, code, checksum = unpack(">BBI2", bytes, from)
    local layer = {type = types.name(number), code = code, checksum = checksum}
    local row = rows[layer.type] or REST
    local size = 4 + row_size(row)
    if to - from + 1 < size then
      return nil, check.short("icmp " .. layer.type, from, to, size)
    end
    return layer, decode_row(layer, row, bytes, from + 4), to, errors[layer.type] and "ip" or nil
  end,
  summary = summary,
  partial = function(layer)
    return errors[types.name(layer.type)]
  end,
}

--- An ICMP message (RFC 792). An error is followed by the beginning of the
--- packet that caused it, which is dissected too: `p:get("ip", 2)`.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- print(#packet.icmp({type = "echo", id = 1, seq = 1}):bytes())  --> 8
--- print(packet.icmp {type = "time-exceeded"})  --> icmp time-exceeded
--- ```
---@param fields? neap.packet.Icmp|table
---@return neap.Packet
function icmp.icmp(fields)
  return icmpv4(fields)
end


-- ICMPv6 and neighbour discovery.

local types6 = check.enum {
  [1] = "destination-unreachable",
  [2] = "packet-too-big",
  [3] = "time-exceeded",
  [4] = "parameter-problem",
  [128] = "echo",
  [129] = "echo-reply",
  [130] = "multicast-listener-query",
  [131] = "multicast-listener-report",
  [132] = "multicast-listener-done",
  [133] = "router-solicitation",
  [134] = "router-advertisement",
  [135] = "neighbor-solicitation",
  [136] = "neighbor-advertisement",
  [137] = "redirect",
  [143] = "multicast-listener-report-v2",
}

local listener = {{"maximum_response_delay", 2}, {"reserved", 2}, {"target", "a16"}}
local rows6 = {
  ["destination-unreachable"] = {{"unused", 4}},
  ["packet-too-big"] = {{"mtu", 4}},
  ["time-exceeded"] = {{"unused", 4}},
  ["parameter-problem"] = {{"pointer", 4}},
  ["echo"] = query,
  ["echo-reply"] = query,
  ["multicast-listener-query"] = listener,
  ["multicast-listener-report"] = listener,
  ["multicast-listener-done"] = listener,
  ["router-solicitation"] = {{"reserved", 4}},
  ["router-advertisement"] = {{"cur_hop_limit", 1}, {"flags", 1}, {"router_lifetime", 2},
    {"reachable_time", 4}, {"retrans_timer", 4}},
  ["neighbor-solicitation"] = {{"reserved", 4}, {"target", "a16"}},
  ["neighbor-advertisement"] = {{"flags", 4}, {"target", "a16"}},
  ["redirect"] = {{"reserved", 4}, {"target", "a16"}, {"dst", "a16"}},
}

--- Flags with names: RFC 4861, 4.2 and 4.4; RFC 6275, 7.1.
local flags6 = {
  ["router-advertisement"] = {H = 0x20, O = 0x40, M = 0x80},
  ["neighbor-advertisement"] = {O = 0x20000000, S = 0x40000000, R = 0x80000000},
}

--- Flags are a string of letters, or a number when others are set, too.
local function encode_flags(layer, letters)
  local value = layer.flags
  if type(value) ~= "string" then
    return value
  end
  local bits = 0
  for letter in string.gmatch(value, "[^%s,|+]") do
    local bit = letters[string.upper(letter)]
    if not bit then
      check.bad(layer, "flags", "letters of known flags")
    end
    bits = bits | bit
  end
  return bits
end

local function decode_flags(value, letters)
  local known, words = 0, {}
  for letter in string.gmatch("RMSOHLA", ".") do
    local bit = letters[letter]
    if bit and value & bit ~= 0 then
      known = known | bit
      words[#words + 1] = letter
    end
  end
  return known == value and table.concat(words, " ") or value
end

local discovery = {
  ["router-solicitation"] = true,
  ["router-advertisement"] = true,
  ["neighbor-solicitation"] = true,
  ["neighbor-advertisement"] = true,
  ["redirect"] = true,
}

local errors6 = {
  ["destination-unreachable"] = true,
  ["packet-too-big"] = true,
  ["time-exceeded"] = true,
  ["parameter-problem"] = true,
}

--- Neighbour discovery options (RFC 4861, 4.6; RFC 8106).
local option_types = check.enum {
  [1] = "source-link-layer-address",
  [2] = "target-link-layer-address",
  [3] = "prefix-information",
  [4] = "redirected-header",
  [5] = "mtu",
  [25] = "rdnss",
}

local option_rows = {
  ["prefix-information"] = {{"prefix_length", 1}, {"flags", 1}, {"valid_lifetime", 4},
    {"preferred_lifetime", 4}, {"reserved", 4}, {"prefix", "a16"}},
  ["mtu"] = {{"reserved", 2}, {"mtu", 4}},
}

local prefix_flags = {L = 0x80, A = 0x40}

local function encode_option(layer, option)
  if type(option) ~= "table" then
    check.bad(layer, "options", "a list of tables")
  end
  local view = setmetatable({name = "icmpv6 option"}, {__index = option})
  if option.raw then
    return check.bytes(view, "raw")
  end
  local number = option_types.number(view, "type", 8)
  local row = option_rows[option_types.name(number)]
  local body
  if option.data then
    body = check.bytes(view, "data")
  elseif option.address and (number == 1 or number == 2) then
    body = check.mac(view, "address")
  elseif row then
    view.flags = type(option.flags) == "string" and encode_flags(view, prefix_flags) or nil
    body = encode_row(view, row)
  else
    body = ""
  end
  body = body .. string.rep("\0", -(#body + 2) % 8)
  local length = (#body + 2) // 8
  if length > 255 then
    check.bad(view, "data", "2038 bytes at most")
  end
  return pack("BB", number, length) .. body
end

local function decode_option(bytes, at, last)
  local number = string.byte(bytes, at)
  local option = {type = option_types.name(number)}
  local size = last - at + 1
  local row = option_rows[option.type]
  if (number == 1 or number == 2) and size == 8 then
    option.address = address.mac(bytes, at + 2)
  elseif row and size == 2 + row_size(row) then
    decode_row(option, row, bytes, at + 2)
    option.flags = option.flags and decode_flags(option.flags, prefix_flags)
  else
    option.data = string.sub(bytes, at + 2, last)
  end
  return option
end

local function decode_options(bytes, from, to)
  local list = {}
  local at = from
  while at <= to do
    local length = at < to and string.byte(bytes, at + 1) or 0
    local last = at + length * 8 - 1
    if length == 0 or last > to then
      list[#list + 1] = {raw = string.sub(bytes, at, to), note = string.format("length %d", length * 8)}
      break
    end
    list[#list + 1] = decode_option(bytes, at, last)
    at = last + 1
  end
  return list
end

---@class neap.packet.Icmpv6: neap.Layer
---@field type string|integer  8 bits: `"echo"` (default), `"echo-reply"`,
--- `"destination-unreachable"`, `"packet-too-big"`, `"time-exceeded"`, `"parameter-problem"`,
--- `"router-solicitation"`, `"router-advertisement"`, `"neighbor-solicitation"`,
--- `"neighbor-advertisement"`, `"redirect"`, ...; a number where it has no name
---@field code integer  8 bits; default 0
---@field checksum integer  16 bits; automatic, 0 where no `ipv6` is around
---@field id integer?  16 bits, of echo
---@field seq integer?  16 bits, of echo
---@field mtu integer?  32 bits, of packet-too-big
---@field pointer integer?  32 bits, of parameter-problem
---@field cur_hop_limit integer?  8 bits, of router-advertisement, as those up to retrans_timer
---@field flags (string|integer)?  of router-advertisement: `"M"`, `"O"`, `"H"`; of
--- neighbor-advertisement: `"R"`, `"S"`, `"O"`; several with a space between; a number when
--- others are set, too
---@field router_lifetime integer?  16 bits, seconds
---@field reachable_time integer?  32 bits, milliseconds
---@field retrans_timer integer?  32 bits, milliseconds
---@field target string?  target address of neighbour discovery; multicast address of MLD (RFC 2710)
---@field dst string?  of redirect
---@field maximum_response_delay integer?  16 bits, milliseconds, of MLD
---@field reserved integer?
---@field unused integer?
---@field rest integer?  32 bits, of types not named here
---@field options neap.packet.Icmpv6Option[]  of neighbour discovery

---@class neap.packet.Icmpv6Option
---@field type string|integer  `"source-link-layer-address"`, `"target-link-layer-address"`,
--- `"prefix-information"`, `"mtu"`, `"redirected-header"`, ...
---@field address string?  of the first two
---@field prefix_length integer?  8 bits, of prefix-information, as those up to prefix
---@field flags (string|integer)?  `"L"`, `"A"`
---@field valid_lifetime integer?  32 bits, seconds
---@field preferred_lifetime integer?  32 bits, seconds
---@field prefix string?
---@field mtu integer?  32 bits
---@field reserved integer?
---@field data string?  the bytes behind type and length, of the others; filled up with zeros
---@field raw string?  bytes that are no option, instead of all that

local icmpv6 = core.kind {
  name = "icmpv6",
  fields = "type code checksum id seq mtu pointer maximum_response_delay cur_hop_limit flags"
    .. " router_lifetime reachable_time retrans_timer target dst reserved unused rest options",
  defaults = {type = "echo", code = 0},
  automatic = "checksum",
  sum = "pseudo",
  lists = "options",
  hex = {checksum = 4, rest = 8, flags = 2},
  encode = function(layer, body, layers, i)
    local number = types6.number(layer, "type", 8)
    local kind = types6.name(number)
    local first = pack("BB", number, int(layer, "code", 8))
    local view = layer
    if flags6[kind] then
      view = setmetatable({flags = encode_flags(layer, flags6[kind])}, {__index = layer})
    end
    local rest = {encode_row(view, rows6[kind] or REST)}
    for at, option in ipairs(layer.options) do
      rest[at + 1] = encode_option(layer, option)
    end
    rest = table.concat(rest)
    layer.checksum = layer.checksum
      or sums.finish(layer, sums.over(layers, i, 58, first .. "\0\0", rest .. body))
    return first .. pack(">I2", int(layer, "checksum", 16)) .. rest
  end,
  decode = function(bytes, from, to)
    if to - from < 7 then
      return nil, check.short("icmpv6", from, to, 8)
    end
    local number, code, checksum = unpack(">BBI2", bytes, from)
    local layer = {type = types6.name(number), code = code, checksum = checksum}
    local row = rows6[layer.type] or REST
    local size = 4 + row_size(row)
    if to - from + 1 < size then
      return nil, check.short("icmpv6 " .. layer.type, from, to, size)
    end
    local body = decode_row(layer, row, bytes, from + 4)
    if flags6[layer.type] then
      layer.flags = decode_flags(layer.flags, flags6[layer.type])
    end
    layer.options = {}
    if discovery[layer.type] then
      layer.options = decode_options(bytes, body, to)
      body = to + 1
    end
    return layer, body, to, errors6[layer.type] and "ipv6" or nil
  end,
  summary = function(layer)
    return layer.target and string.format("%s %s", layer.type, layer.target) or summary(layer)
  end,
  partial = function(layer)
    return errors6[types6.name(layer.type)]
  end,
}

--- An ICMPv6 message (RFC 4443), neighbour discovery (RFC 4861) with its options
--- among them. An error is followed by the beginning of the packet that caused it.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ipv6 {src = "fe80::1", dst = "ff02::1:ff00:2", hop_limit = 255}
---   / packet.icmpv6 {type = "neighbor-solicitation", target = "fe80::2", options = {
---     {type = "source-link-layer-address", address = "02:00:00:00:00:01"},
---   }}
--- print(p[2].name, #p:bytes())  --> icmpv6 72
--- ```
---@param fields? neap.packet.Icmpv6|table
---@return neap.Packet
function icmp.icmpv6(fields)
  return icmpv6(fields)
end

return icmp
