--- IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200).

local address = require "neap.packet.address"
local check = require "neap.packet.check"
local sums = require "neap.packet.checksum"
local core = require "neap.packet.core"
local tlv = require "neap.packet.tlv"

local pack, unpack = string.pack, string.unpack
local int = check.int

---@class neap.packet
local ip = {}

--- Protocol numbers (IANA). Where a layer of this library reads a protocol, the
--- name is the layer's.
local protocols = check.enum {
  [0] = "hopopts",
  [1] = "icmp",
  [2] = "igmp",
  [4] = "ip",
  [6] = "tcp",
  [17] = "udp",
  [41] = "ipv6",
  [43] = "routing",
  [44] = "fragment",
  [47] = "gre",
  [50] = "esp",
  [51] = "ah",
  [58] = "icmpv6",
  [59] = "none",
  [60] = "dstopts",
  [89] = "ospf",
  [112] = "vrrp",
  [132] = "sctp",
  [255] = "reserved",
}
ip.protocols = protocols

--- The number of the layer inside: as given, or what the next layer is; bytes are
--- of protocol 255, which is nobody's.
local function fill_protocol(layer, field, layers, i, none)
  if layer[field] == nil then
    local follower = layers[i + 1]
    follower = follower and follower.name
    if protocols.numbers[follower] then
      layer[field] = follower
    else
      layer[field] = (follower == nil or follower == "padding") and none or "reserved"
    end
  end
  return protocols.number(layer, field, 8)
end


-- IPv4.

local flags = check.flags {"MF", "DF", "RESERVED"}

--- Option types, with their copied flag (IANA, IP option numbers).
local types = check.enum {
  [0] = "eol",
  [1] = "nop",
  [7] = "record-route",
  [68] = "timestamp",
  [130] = "security",
  [131] = "loose-source-route",
  [136] = "stream-id",
  [137] = "strict-source-route",
  [148] = "router-alert",
}

local routes = {["record-route"] = true, ["loose-source-route"] = true,
  ["strict-source-route"] = true}

--- What an option's fields say, without its type and length.
local function encode_option(option, type)
  if routes[type] and option.route then
    option.pointer = option.pointer or 4
    local out = {pack("B", int(option, "pointer", 8))}
    for i, hop in ipairs(option.route) do
      out[i + 1] = check.ipv4({name = option.name, route = hop}, "route")
    end
    return table.concat(out)
  elseif type == "router-alert" and option.value then
    return pack(">I2", int(option, "value", 16))
  end
  return check.bytes(option, "data")
end

--- One option between its first byte and its last.
local function decode_option(bytes, from, last)
  local number = string.byte(bytes, from)
  local option = {type = types.name(number)}
  local size = last - from + 1
  if routes[option.type] and size >= 3 and (size - 3) % 4 == 0 then
    option.pointer = string.byte(bytes, from + 2)
    option.route = {}
    for at = from + 3, last, 4 do
      option.route[#option.route + 1] = address.ipv4(bytes, at)
    end
  elseif option.type == "router-alert" and size == 4 then
    option.value = unpack(">I2", bytes, from + 2)
  elseif size > 2 then
    option.data = string.sub(bytes, from + 2, last)
  end
  return option
end

local options = {key = "type", types = types, size = "ihl", encode = encode_option,
  decode = decode_option}

---@class neap.packet.Ip: neap.Layer
---@field version integer  4 bits; default 4
---@field ihl integer  4 bits, the header's length in words of 4 bytes; automatic
---@field tos integer  8 bits: DSCP << 2 | ECN (RFC 2474, RFC 3168); default 0
---@field total_length integer  16 bits, bytes of header and body; automatic
---@field id integer  16 bits, identification; default 0
---@field flags string|integer  3 bits: `"DF"`, `"MF"`, `"RESERVED"`, several with a space
--- between; default none
---@field fragment_offset integer  13 bits, in units of 8 bytes; default 0
---@field ttl integer  8 bits; default 64
---@field protocol string|integer  8 bits: `"tcp"`, ...; a number where it has no name.
--- Automatic: the next layer's, 255 for bytes and for none
---@field checksum integer  16 bits; automatic
---@field src string|neap.Address  default 0.0.0.0, for which a raw socket sends its own
---@field dst string|neap.Address  has to be given
---@field options (string|neap.packet.IpOption)[]  40 bytes at most; filled up with zeros

---@class neap.packet.IpOption
---@field type string|integer  `"nop"`, `"eol"`, `"record-route"`, `"router-alert"` (RFC 2113), ...
---@field pointer integer?  of routes; default 4
---@field route string[]?  of routes: addresses
---@field value integer?  of `"router-alert"`
---@field data string?  the bytes behind type and length, of the others
---@field length integer?  automatic
---@field raw string?  bytes that are no option, instead of all that

local ipv4 = core.kind {
  name = "ip",
  fields = "version ihl tos total_length id flags fragment_offset ttl protocol checksum src dst"
    .. " options",
  defaults = {version = 4, tos = 0, id = 0, flags = "", fragment_offset = 0, ttl = 64,
    src = "0.0.0.0"},
  automatic = "ihl total_length checksum",
  header = "ihl checksum",
  sum = "own",
  lists = "options",
  hex = {checksum = 4, tos = 2, id = 4},
  network = true,
  encode = function(layer, body, layers, i)
    local opts = tlv.encode(layer, options)
    layer.ihl = layer.ihl or 5 + #opts // 4
    layer.total_length = layer.total_length or 20 + #opts + #body
    local first = pack(">BBI2I2I2BB", int(layer, "version", 4) << 4 | int(layer, "ihl", 4),
      int(layer, "tos", 8), int(layer, "total_length", 16), int(layer, "id", 16),
      flags.bits(layer, "flags") << 13 | int(layer, "fragment_offset", 13),
      int(layer, "ttl", 8), fill_protocol(layer, "protocol", layers, i, "reserved"))
    local rest = check.ipv4(layer, "src") .. check.ipv4(layer, "dst") .. opts
    layer.checksum = layer.checksum or sums.finish(layer, sums.add(first, sums.add(rest, 0)))
    return first .. pack(">I2", int(layer, "checksum", 16)) .. rest
  end,
  decode = function(bytes, from, to)
    if to - from < 19 then
      return nil, check.short("ip", from, to, 20)
    end
    local first, tos, length, id, fragment, ttl, protocol, checksum =
      unpack(">BBI2I2I2BBI2", bytes, from)
    local version, ihl = first >> 4, first & 15
    if version ~= 4 then
      return nil, string.format("ip: version %d, not 4", version)
    elseif ihl < 5 then
      return nil, string.format("ip: a header of %d bytes", ihl * 4)
    elseif to - from + 1 < ihl * 4 then
      return nil, check.short("ip", from, to, ihl * 4)
    end
    local body = from + ihl * 4
    local last, note
    if length < ihl * 4 then -- 0 is what a card that segments leaves in a capture
      last, note = to, string.format("ip: total length %d, less than the header's", length)
    else
      last, note = check.ends_at("ip", from, to, length)
    end
    local offset = fragment & 0x1fff
    protocol = protocols.name(protocol)
    return {
      version = version,
      ihl = ihl,
      tos = tos,
      total_length = length,
      id = id,
      flags = flags.text(fragment >> 13),
      fragment_offset = offset,
      ttl = ttl,
      protocol = protocol,
      checksum = checksum,
      src = address.ipv4(bytes, from + 12),
      dst = address.ipv4(bytes, from + 16),
      options = tlv.decode(bytes, from + 20, body - 1, options),
      note = note,
    }, body, last, offset == 0 and (not sums.extensions[protocol] or protocol == "ah") and protocol or nil
  end,
  summary = function(layer)
    return string.format("%s > %s", layer.src, layer.dst)
  end,
  partial = function(layer)
    return flags.bits(layer, "flags") & 1 ~= 0 or layer.fragment_offset ~= 0
  end,
  endless = function(layer)
    return not layer.total_length or layer.total_length < 4 * (layer.ihl or 5)
  end,
}

--- An IPv4 header (RFC 791, 3.1).
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "10.0.0.1", ttl = 1} / packet.icmp {id = 1, seq = 1} / "payload"
--- local bytes = p:bytes()
--- print(#bytes, packet.checksum(bytes:sub(1, 20)))  --> 35 0
--- ```
---@param fields neap.packet.Ip|table
---@return neap.Packet
function ip.ip(fields)
  return ipv4(fields)
end


-- IPv6.

--- The length that a jumbo payload option says (RFC 2675, 2), which is in the hop-by-hop
--- options between these bytes; nil.
local function jumbo_length(bytes, from, to)
  local at = from + 2
  local last = from < to and from + 7 + 8 * string.byte(bytes, from + 1) or to
  last = last < to and last or to
  while at + 5 <= last do
    local number, length = string.byte(bytes, at, at + 1)
    if number == 0xc2 and length == 4 then
      local value = unpack(">I4", bytes, at + 2)
      return value > 0xffff and value or nil
    end
    at = number == 0 and at + 1 or at + 2 + length
  end
  return nil
end

local ENDLESS = "ipv6: payload length 0"

--- Does a layer say how long a jumbogram is?
local function has_jumbo(layer)
  for _, option in ipairs(layer and layer.name == "hopopts" and layer.options or {}) do
    if option == "jumbo" or type(option) == "table" and (option.type == "jumbo" or option.type == 0xc2) then
      return true
    end
  end
  return false
end

---@class neap.packet.Ipv6: neap.Layer
---@field version integer  4 bits; default 6
---@field traffic_class integer  8 bits; default 0
---@field flow_label integer  20 bits; default 0
---@field payload_length integer  16 bits, bytes of what follows; automatic; 0 of a jumbogram, which has
--- an option "jumbo" behind it
---@field next_header string|integer  8 bits: `"tcp"`, `"hopopts"`, ...; automatic: the next
--- layer's, 255 for bytes, 59 (`"none"`) for none
---@field hop_limit integer  8 bits; default 64
---@field src string|neap.Address  default ::
---@field dst string|neap.Address  has to be given

local ipv6 = core.kind {
  name = "ipv6",
  fields = "version traffic_class flow_label payload_length next_header hop_limit src dst",
  defaults = {version = 6, traffic_class = 0, flow_label = 0, hop_limit = 64, src = "::"},
  automatic = "payload_length",
  hex = {traffic_class = 2, flow_label = 5},
  network = true,
  encode = function(layer, body, layers, i)
    layer.payload_length = layer.payload_length
      or #body > 0xffff and has_jumbo(layers[i + 1]) and 0 or #body
    return pack(">I4I2BB",
      int(layer, "version", 4) << 28 | int(layer, "traffic_class", 8) << 20
        | int(layer, "flow_label", 20),
      int(layer, "payload_length", 16), fill_protocol(layer, "next_header", layers, i, "none"),
      int(layer, "hop_limit", 8)) .. check.ipv6(layer, "src") .. check.ipv6(layer, "dst")
  end,
  decode = function(bytes, from, to)
    if to - from < 39 then
      return nil, check.short("ipv6", from, to, 40)
    end
    local first, length, next_header, hop_limit = unpack(">I4I2BB", bytes, from)
    if first >> 28 ~= 6 then
      return nil, string.format("ipv6: version %d, not 6", first >> 28)
    end
    next_header = protocols.name(next_header)
    local last, note
    local jumbo = length == 0 and next_header == "hopopts" and jumbo_length(bytes, from + 40, to)
    if jumbo then
      last, note = check.ends_at("ipv6", from, to, 40 + jumbo)
    elseif length == 0 and to - from >= 40 and next_header ~= "none" then
      last, note = to, ENDLESS -- to be segmented by a card
    else
      last, note = check.ends_at("ipv6", from, to, 40 + length)
    end
    return {
      version = 6,
      traffic_class = first >> 20 & 0xff,
      flow_label = first & 0xfffff,
      payload_length = length,
      next_header = next_header,
      hop_limit = hop_limit,
      src = address.ipv6(bytes, from + 8),
      dst = address.ipv6(bytes, from + 24),
      note = note,
    }, from + 40, last, next_header
  end,
  summary = function(layer)
    return string.format("%s > %s", layer.src, layer.dst)
  end,
  endless = function(layer)
    return not layer.payload_length or layer.note == ENDLESS
  end,
}

--- An IPv6 header (RFC 8200, 3).
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ipv6 {src = "fe80::1", dst = "ff02::1"} / packet.icmpv6 {id = 1, seq = 1}
--- print(#p:bytes(), p:complete().ipv6.next_header)  --> 48 icmpv6
---
--- local jumbogram = packet.ipv6 {dst = "fe80::1"} / packet.hopopts {options = {"jumbo"}} / packet.udp()
---   / ("x"):rep(70000)
--- print(#jumbogram:bytes(), jumbogram:complete().ipv6.payload_length)  --> 70056 0
--- ```
---@param fields neap.packet.Ipv6|table
---@return neap.Packet
function ip.ipv6(fields)
  return ipv6(fields)
end

--- Options of hop-by-hop and destination options (IANA).
local option_types = check.enum {
  [0] = "pad1",
  [1] = "padn",
  [0x05] = "router-alert",
  [0xc2] = "jumbo",
  [0xc9] = "home-address",
}

--- The bytes of options before a body, padded so that with the 2 in front of them they are a
--- multiple of 8 (RFC 8200, 4.2).
local function encode_option_list(layer, body)
  local out = {}
  local jumbo
  for i, option in ipairs(layer.options) do
    option = tlv.option(layer, option, "type")
    local view = {name = layer.name .. " option", type = option.type, data = option.data,
      value = option.value, address = option.address}
    if option.raw then
      out[i] = option.raw
    else
      local number = option_types.number(view, "type", 8)
      local data
      if number == 5 and option.value then
        data = pack(">I2", int(view, "value", 16))
      elseif number == 0xc2 and option.value then
        data = pack(">I4", int(view, "value", 32))
      elseif number == 0xc2 and not option.data then
        data, jumbo = "\0\0\0\0", i
      elseif number == 0xc9 and option.address then
        data = check.ipv6(view, "address")
      else
        data = check.bytes(view, "data")
      end
      if #data > 255 then
        check.bad(view, "data", "255 bytes at most")
      end
      out[i] = number == 0 and "\0" or pack("Bs1", number, data)
    end
  end
  local bytes = table.concat(out)
  local lack = -(#bytes + 2) % 8
  if jumbo then
    out[jumbo] = pack(">BBI4", 0xc2, 4, 2 + #bytes + lack + #body)
    bytes = table.concat(out)
  end
  if lack == 1 then
    return bytes .. "\0"
  elseif lack > 1 then
    return bytes .. pack("Bs1", 1, string.rep("\0", lack - 2))
  end
  return bytes
end

local function decode_option_list(bytes, from, to)
  local list = {}
  local at = from
  while at <= to do
    local number, length = string.byte(bytes, at, at + 1)
    if number == 0 then
      list[#list + 1] = {type = "pad1"}
      at = at + 1
    elseif at == to or at + 1 + length > to then
      list[#list + 1] = {raw = string.sub(bytes, at, to), note = "cut off"}
      break
    else
      local option = {type = option_types.name(number)}
      if option.type == "router-alert" and length == 2 then
        option.value = unpack(">I2", bytes, at + 2)
      elseif option.type == "jumbo" and length == 4 then
        option.value = unpack(">I4", bytes, at + 2)
      elseif option.type == "home-address" and length == 16 then
        option.address = address.ipv6(bytes, at + 2)
      else
        option.data = string.sub(bytes, at + 2, at + 1 + length)
      end
      list[#list + 1] = option
      at = at + 2 + length
    end
  end
  return list
end

--- The frame of an extension header: next header, and a length in units of 8
--- bytes, without the first. `nil, note` when it is cut off.
local function extension(name, bytes, from, to)
  if to - from < 7 then
    return nil, check.short(name, from, to, 8)
  end
  local next_header, length = string.byte(bytes, from, from + 1)
  local size = 8 + 8 * length
  if to - from + 1 < size then
    return nil, check.short(name, from, to, size)
  end
  return {next_header = protocols.name(next_header), hdr_ext_len = length}, from + size
end

---@class neap.packet.Options: neap.Layer
---@field next_header string|integer  8 bits; automatic
---@field hdr_ext_len integer  8 bits, units of 8 bytes, without the first; automatic
---@field options (string|neap.packet.Ipv6Option)[]  padded at the end

---@class neap.packet.Ipv6Option
---@field type string|integer  `"pad1"`, `"padn"`, `"router-alert"` (RFC 2711), `"jumbo"` (RFC 2675),
--- `"home-address"` (RFC 6275)
---@field value integer?  of `"router-alert"` and `"jumbo"`, of which it is automatic: the bytes behind the
--- IPv6 header
---@field address string?  of `"home-address"`
---@field data string?  of the others
---@field raw string?  bytes that are no option, instead of all that

local function options_kind(name)
  return core.kind {
    name = name,
    fields = "next_header hdr_ext_len options",
    automatic = "hdr_ext_len",
    lists = "options",
    encode = function(layer, body, layers, i)
      local opts = encode_option_list(layer, body)
      layer.hdr_ext_len = layer.hdr_ext_len or (#opts + 2) // 8 - 1
      return pack("BB", fill_protocol(layer, "next_header", layers, i, "none"),
        int(layer, "hdr_ext_len", 8)) .. opts
    end,
    decode = function(bytes, from, to)
      local layer, body = extension(name, bytes, from, to)
      if not layer then
        return nil, body
      end
      layer.options = decode_option_list(bytes, from + 2, body - 1)
      return layer, body, to, layer.next_header
    end,
  }
end

local hopopts, dstopts = options_kind "hopopts", options_kind "dstopts"

--- The Hop-by-Hop Options header (RFC 8200, 4.3).
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ipv6 {dst = "ff02::16"}
---   / packet.hopopts {options = {{type = "router-alert", value = 0}}}
--- print(#p:bytes(), p:complete().ipv6.next_header)  --> 48 hopopts
--- ```
---@param fields? neap.packet.Options|table
---@return neap.Packet
function ip.hopopts(fields)
  return hopopts(fields)
end

--- The Destination Options header (RFC 8200, 4.6).
---
--- ```lua
--- local packet = require "neap.packet"
---
--- print(#packet.dstopts({options = {{type = 30, data = "hi"}}}):bytes())  --> 8
--- ```
---@param fields? neap.packet.Options|table
---@return neap.Packet
function ip.dstopts(fields)
  return dstopts(fields)
end

---@class neap.packet.Routing: neap.Layer
---@field next_header string|integer  8 bits; automatic
---@field hdr_ext_len integer  8 bits, units of 8 bytes, without the first; automatic
---@field type integer  8 bits, routing type; default 4: segment routing (RFC 8754)
---@field segments_left integer  8 bits; default 0
---@field data string  type-specific; filled up with zeros

local routing = core.kind {
  name = "routing",
  fields = "next_header hdr_ext_len type segments_left data",
  defaults = {type = 4, segments_left = 0, data = "\0\0\0\0"},
  automatic = "hdr_ext_len",
  encode = function(layer, _, layers, i)
    local data = check.bytes(layer, "data")
    data = data .. string.rep("\0", -(#data + 4) % 8)
    layer.hdr_ext_len = layer.hdr_ext_len or (#data + 4) // 8 - 1
    return pack("BBBB", fill_protocol(layer, "next_header", layers, i, "none"),
      int(layer, "hdr_ext_len", 8), int(layer, "type", 8), int(layer, "segments_left", 8)) .. data
  end,
  decode = function(bytes, from, to)
    local layer, body = extension("routing", bytes, from, to)
    if not layer then
      return nil, body
    end
    layer.type, layer.segments_left = string.byte(bytes, from + 2, from + 3)
    layer.data = string.sub(bytes, from + 4, body - 1)
    return layer, body, to, layer.next_header
  end,
}

--- The Routing header (RFC 8200, 4.4). While segments are left, checksums inside
--- are made for the last destination, of the types 0, 2 (RFC 6275), 3 (RFC 6554) and 4.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- print(#packet.routing({data = ("\0"):rep(20)}):bytes())  --> 24
--- ```
---@param fields? neap.packet.Routing|table
---@return neap.Packet
function ip.routing(fields)
  return routing(fields)
end

---@class neap.packet.Fragment: neap.Layer
---@field next_header string|integer  8 bits; automatic
---@field reserved integer  8 bits; default 0
---@field fragment_offset integer  13 bits, in units of 8 bytes; default 0
---@field res integer  2 bits, reserved; default 0
---@field m boolean  more fragments follow; default false
---@field id integer  32 bits, identification; default 0

local fragment = core.kind {
  name = "fragment",
  fields = "next_header reserved fragment_offset res m id",
  defaults = {reserved = 0, fragment_offset = 0, res = 0, m = false, id = 0},
  hex = {id = 8},
  encode = function(layer, _, layers, i)
    return pack(">BBI2I4", fill_protocol(layer, "next_header", layers, i, "none"),
      int(layer, "reserved", 8),
      int(layer, "fragment_offset", 13) << 3 | int(layer, "res", 2) << 1 | check.bit(layer, "m"),
      int(layer, "id", 32))
  end,
  decode = function(bytes, from, to)
    if to - from < 7 then
      return nil, check.short("fragment", from, to, 8)
    end
    local next_header, reserved, bits, id = unpack(">BBI2I4", bytes, from)
    local layer = {
      next_header = protocols.name(next_header),
      reserved = reserved,
      fragment_offset = bits >> 3,
      res = bits >> 1 & 3,
      m = bits & 1 ~= 0,
      id = id,
    }
    return layer, from + 8, to, layer.fragment_offset == 0 and layer.next_header or nil
  end,
  partial = function(layer)
    return check.bit(layer, "m") ~= 0 or layer.fragment_offset ~= 0
  end,
}

--- The Fragment header (RFC 8200, 4.5). What is behind an offset is left as bytes.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ipv6 {dst = "::1"} / packet.fragment {id = 7, m = true, next_header = "udp"}
---   / ("x"):rep(8)
--- print(#p:bytes())  --> 56
--- ```
---@param fields? neap.packet.Fragment|table
---@return neap.Packet
function ip.fragment(fields)
  return fragment(fields)
end

---@class neap.packet.Ah: neap.Layer
---@field next_header string|integer  8 bits; automatic
---@field payload_len integer  8 bits, the header's length in words of 4 bytes, without two; automatic
---@field reserved integer  16 bits; default 0
---@field spi integer  32 bits, security parameters index; default 0
---@field seq integer  32 bits, sequence number; default 0
---@field icv string  integrity check value; whole words of 4 bytes, default 12 zeros

local ah = core.kind {
  name = "ah",
  fields = "next_header payload_len reserved spi seq icv",
  defaults = {reserved = 0, spi = 0, seq = 0, icv = string.rep("\0", 12)},
  automatic = "payload_len",
  header = "payload_len",
  hex = {spi = 8},
  encode = function(layer, _, layers, i)
    local icv = check.bytes(layer, "icv")
    if #icv % 4 ~= 0 then
      check.bad(layer, "icv", "whole words of 4 bytes")
    end
    layer.payload_len = layer.payload_len or 1 + #icv // 4
    return pack(">BBI2I4I4", fill_protocol(layer, "next_header", layers, i, "none"),
      int(layer, "payload_len", 8), int(layer, "reserved", 16), int(layer, "spi", 32),
      int(layer, "seq", 32)) .. icv
  end,
  decode = function(bytes, from, to)
    if to - from < 11 then
      return nil, check.short("ah", from, to, 12)
    end
    local next_header, length, reserved, spi, seq = unpack(">BBI2I4I4", bytes, from)
    local size = 4 * (length + 2)
    if size < 12 then
      return nil, string.format("ah: a header of %d bytes", size)
    elseif to - from + 1 < size then
      return nil, check.short("ah", from, to, size)
    end
    return {
      next_header = protocols.name(next_header),
      payload_len = length,
      reserved = reserved,
      spi = spi,
      seq = seq,
      icv = string.sub(bytes, from + 12, from + size - 1),
    }, from + size, to, protocols.name(next_header)
  end,
  summary = function(layer)
    return string.format("spi=0x%08x", layer.spi)
  end,
}

--- The IP Authentication Header (RFC 4302), of IPv4 and IPv6. Its check value is not
--- computed.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "10.0.0.1"} / packet.ah {spi = 0x100, seq = 1} / packet.udp()
--- print(#p:bytes(), p:complete().ip.protocol, p:complete().ah.next_header)  --> 52 ah udp
--- ```
---@param fields? neap.packet.Ah|table
---@return neap.Packet
function ip.ah(fields)
  return ah(fields)
end

return ip
