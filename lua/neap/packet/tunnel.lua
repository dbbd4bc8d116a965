--- What packets are carried in across other networks: GRE (RFC 2784, RFC 2637), MPLS (RFC 3032),
--- PPPoE (RFC 2516) and PPP (RFC 1661), VXLAN (RFC 7348) and Geneve (RFC 8926).

local check = require "neap.packet.check"
local sums = require "neap.packet.checksum"
local core = require "neap.packet.core"
local ethertypes = require "neap.packet.ethertype"

local pack, unpack = string.pack, string.unpack
local int = check.int

---@class neap.packet
local tunnel = {}


-- GRE.

local flags = check.flags {"S", "K", "R", "C", "A"}

--- Where A stands among the reserved bits.
local ACKNOWLEDGES = 0x10

---@class neap.packet.Gre: neap.Layer
---@field flags string|integer  `"S"`, `"K"`, `"C"`, `"A"`, several with a space between, for what
--- is there: seq, key, checksum, ack; automatic: what is given
---@field reserved integer  9 bits, without A's; default 0
---@field version integer  3 bits; default 0; 1 is PPTP's (RFC 2637), whose flags have K, and no C
---@field protocol string|integer  16 bits, as the type of `eth`; `"eth"` for frames
---@field checksum integer?  16 bits; automatic with flag C
---@field reserved1 integer  16 bits behind the checksum; default 0
---@field key integer?  32 bits (RFC 2890)
---@field payload_length integer?  16 bits, of version 1, which has it and `call_id` as its key; automatic
---@field call_id integer?  16 bits, of version 1; default 0
---@field seq integer?  32 bits, sequence number (RFC 2890)
---@field ack integer?  32 bits, of version 1

local function encode_flags(layer)
  if layer.flags == nil then
    local has_key = layer.key or layer.version == 1
    layer.flags = flags.text((layer.seq and 1 or 0) | (has_key and 2 or 0) | (layer.checksum and 8 or 0)
      | (layer.ack and 16 or 0))
  end
  return flags.bits(layer, "flags")
end

--- Version 1: what PPTP tunnels PPP by.
local function encode_enhanced(layer, body, bits)
  local reserved = int(layer, "reserved", 9)
  if bits & 14 ~= 2 then
    check.bad(layer, "flags", "K, and neither R nor C,")
  elseif reserved & ACKNOWLEDGES ~= 0 then
    check.bad(layer, "reserved", "bits that are not A's")
  end
  layer.protocol = layer.protocol or "ppp"
  layer.payload_length = layer.payload_length or #body
  layer.call_id = layer.call_id or 0
  if bits & 16 ~= 0 then
    reserved = reserved | ACKNOWLEDGES
  end
  local head = pack(">I2I2I2I2", (bits & 15) << 12 | reserved << 3 | 1, ethertypes.number(layer, "protocol", 16),
    int(layer, "payload_length", 16), int(layer, "call_id", 16))
  for _, field in ipairs {bits & 1 ~= 0 and "seq" or false, bits & 16 ~= 0 and "ack" or false} do
    if field then
      layer[field] = layer[field] or 0
      head = head .. pack(">I4", int(layer, field, 32))
    end
  end
  return head
end

local function decode_enhanced(bytes, from, to)
  local size = 8
  if to - from < 7 then
    return nil, check.short("gre", from, to, size)
  end
  local word, protocol, length, call_id, at = unpack(">I2I2I2I2", bytes, from)
  local bits, reserved = word >> 12, word >> 3 & 0x1ff
  if bits & 14 ~= 2 then
    return nil
  elseif reserved & ACKNOWLEDGES ~= 0 then
    bits, reserved = bits | 16, reserved & ~ACKNOWLEDGES
  end
  size = size + (bits & 1 ~= 0 and 4 or 0) + (bits & 16 ~= 0 and 4 or 0)
  if to - from + 1 < size then
    return nil, check.short("gre", from, to, size)
  end
  local last, note = check.ends_at("gre", from, to, size + length)
  local layer = {
    flags = flags.text(bits),
    reserved = reserved,
    version = 1,
    protocol = ethertypes.name(protocol),
    payload_length = length,
    call_id = call_id,
    note = note,
  }
  if bits & 1 ~= 0 then
    layer.seq, at = unpack(">I4", bytes, at)
  end
  if bits & 16 ~= 0 then
    layer.ack = unpack(">I4", bytes, at)
  end
  return layer, from + size, last, ethertypes.inside(protocol)
end

local gre = core.kind {
  name = "gre",
  fields = "flags reserved version protocol checksum reserved1 key payload_length call_id seq ack",
  defaults = {reserved = 0, version = 0, reserved1 = 0},
  automatic = "checksum payload_length",
  sum = "own",
  hex = {protocol = 4, checksum = 4},
  encode = function(layer, body, layers, i)
    local bits = encode_flags(layer)
    if layer.version == 1 then
      return encode_enhanced(layer, body, bits)
    elseif bits & 20 ~= 0 then
      check.bad(layer, "flags", "no routing (RFC 2784), and A only in version 1,")
    end
    local first = pack(">I2I2", bits << 12 | int(layer, "reserved", 9) << 3 | int(layer, "version", 3),
      ethertypes.fill(layer, "protocol", layers, i))
    local rest = ""
    for bit, field in ipairs {"seq", "key"} do
      if bits & bit ~= 0 then
        layer[field] = layer[field] or 0
        rest = pack(">I4", int(layer, field, 32)) .. rest
      end
    end
    if bits & 8 == 0 then
      return first .. rest
    end
    local reserved = pack(">I2", int(layer, "reserved1", 16))
    layer.checksum = layer.checksum
      or sums.finish(layer, sums.add(first .. "\0\0" .. reserved .. rest .. body, 0))
    return first .. pack(">I2", int(layer, "checksum", 16)) .. reserved .. rest
  end,
  decode = function(bytes, from, to)
    if to - from < 3 then
      return nil, check.short("gre", from, to, 4)
    end
    local word, protocol = unpack(">I2I2", bytes, from)
    local bits = word >> 12
    if word & 7 == 1 then
      return decode_enhanced(bytes, from, to)
    elseif word & 7 ~= 0 or bits & 4 ~= 0 then -- with routing (RFC 1701)
      return nil
    end
    local size = 4 + (bits & 8 ~= 0 and 4 or 0) + (bits & 2 ~= 0 and 4 or 0) + (bits & 1 ~= 0 and 4 or 0)
    if to - from + 1 < size then
      return nil, check.short("gre", from, to, size)
    end
    local layer = {
      flags = flags.text(bits),
      reserved = word >> 3 & 0x1ff,
      version = 0,
      protocol = ethertypes.name(protocol),
    }
    local at = from + 4
    if bits & 8 ~= 0 then
      layer.checksum, layer.reserved1, at = unpack(">I2I2", bytes, at)
    end
    if bits & 2 ~= 0 then
      layer.key, at = unpack(">I4", bytes, at)
    end
    if bits & 1 ~= 0 then
      layer.seq = unpack(">I4", bytes, at)
    end
    return layer, from + size, to, ethertypes.inside(protocol)
  end,
  summary = function(layer)
    local text = tostring(layer.protocol or "")
    local key = layer.key and " key=" .. layer.key or layer.call_id and " call=" .. layer.call_id or ""
    return text .. key
  end,
}

--- Generic Routing Encapsulation (RFC 2784, RFC 2890), and PPTP's version 1 of it (RFC 2637).
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "192.0.2.1"} / packet.gre {key = 7, flags = "K C"}
---   / packet.ip {dst = "10.0.0.1"}
--- print(#p:bytes(), p:complete().gre.protocol)  --> 52 ip
---
--- local pptp = packet.gre {version = 1, call_id = 5, seq = 1, ack = 9} / packet.ppp() / packet.ip {dst = "10.0.0.1"}
--- print(pptp:complete().gre.payload_length)  --> 22
--- ```
---@param fields? neap.packet.Gre|table
---@return neap.Packet
function tunnel.gre(fields)
  return gre(fields)
end


-- MPLS.

---@class neap.packet.Mpls: neap.Layer
---@field label integer  20 bits; default 0
---@field tc integer  3 bits, traffic class (RFC 5462); default 0
---@field s boolean  bottom of stack; automatic: no `mpls` follows
---@field ttl integer  8 bits; default 64

local mpls = core.kind {
  name = "mpls",
  fields = "label tc s ttl",
  defaults = {label = 0, tc = 0, ttl = 64},
  encode = function(layer, _, layers, i)
    if layer.s == nil then
      layer.s = not layers[i + 1] or layers[i + 1].name ~= "mpls"
    end
    return pack(">I4", int(layer, "label", 20) << 12 | int(layer, "tc", 3) << 9
      | check.bit(layer, "s") << 8 | int(layer, "ttl", 8))
  end,
  decode = function(bytes, from, to)
    if to - from < 3 then
      return nil, check.short("mpls", from, to, 4)
    end
    local word = unpack(">I4", bytes, from)
    local bottom = word & 0x100 ~= 0
    local inside = not bottom and "mpls" or nil
    if bottom and from + 4 <= to then
      -- Nothing says what is inside: IP begins with its version (RFC 4928, 3).
      local version = string.byte(bytes, from + 4) >> 4
      inside = version == 4 and "ip" or version == 6 and "ipv6" or nil
    end
    return {label = word >> 12, tc = word >> 9 & 7, s = bottom, ttl = word & 0xff}, from + 4, to, inside
  end,
  summary = function(layer)
    return tostring(layer.label)
  end,
}

--- An entry of an MPLS label stack (RFC 3032, 2.1).
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.eth {dst = "02:00:00:00:00:01"} / packet.mpls {label = 16}
---   / packet.mpls {label = 17} / packet.ip {dst = "10.0.0.1"}
--- print(packet.dissect(p:bytes()):get("mpls", 2).s)  --> true
--- ```
---@param fields? neap.packet.Mpls|table
---@return neap.Packet
function tunnel.mpls(fields)
  return mpls(fields)
end


-- PPPoE, and PPP in it.

local codes = check.enum {
  [0x00] = "session",
  [0x07] = "pado",
  [0x09] = "padi",
  [0x19] = "padr",
  [0x65] = "pads",
  [0xa7] = "padt",
}

local tag_types = check.enum {
  [0x0000] = "end-of-list",
  [0x0101] = "service-name",
  [0x0102] = "ac-name",
  [0x0103] = "host-uniq",
  [0x0104] = "ac-cookie",
  [0x0105] = "vendor-specific",
  [0x0110] = "relay-session-id",
  [0x0201] = "service-name-error",
  [0x0202] = "ac-system-error",
  [0x0203] = "generic-error",
}

local function encode_tags(layer)
  local out = {}
  for i, tag in ipairs(layer.tags) do
    if type(tag) ~= "table" then
      check.bad(layer, "tags", "a list of tables")
    end
    local view = setmetatable({name = "pppoe tag"}, {__index = tag})
    out[i] = tag.raw and check.bytes(view, "raw")
      or pack(">I2s2", tag_types.number(view, "type", 16), check.bytes(view, "data"))
  end
  return table.concat(out)
end

local function decode_tags(bytes, from, to)
  local list = {}
  local at = from
  while at <= to do
    local type, length
    if at + 3 <= to then
      type, length = unpack(">I2I2", bytes, at)
    end
    if not type or at + 3 + length > to then
      list[#list + 1] = {raw = string.sub(bytes, at, to), note = "cut off"}
      break
    end
    list[#list + 1] = {type = tag_types.name(type), data = string.sub(bytes, at + 4, at + 3 + length)}
    at = at + 4 + length
  end
  return list
end

---@class neap.packet.Pppoe: neap.Layer
---@field version integer  4 bits; default 1
---@field type integer  4 bits; default 1
---@field code string|integer  8 bits: `"session"` (default), and those of discovery, `"padi"`, `"pado"`,
--- `"padr"`, `"pads"`, `"padt"`
---@field session_id integer  16 bits; default 0
---@field length integer  16 bits, bytes of what follows; automatic
---@field tags { type: string|integer?, data: string?, raw: string? }[]  of discovery:
--- `"service-name"`, `"ac-name"`, `"host-uniq"`, ...; `raw` is bytes that are no tag

local pppoe = core.kind {
  name = "pppoe",
  fields = "version type code session_id length tags",
  defaults = {version = 1, type = 1, code = "session", session_id = 0},
  automatic = "length",
  lists = "tags",
  network = true,
  encode = function(layer, body)
    local tags = encode_tags(layer)
    layer.length = layer.length or #tags + #body
    return pack(">BBI2I2", int(layer, "version", 4) << 4 | int(layer, "type", 4), codes.number(layer, "code", 8),
      int(layer, "session_id", 16), int(layer, "length", 16)) .. tags
  end,
  decode = function(bytes, from, to)
    if to - from < 5 then
      return nil, check.short("pppoe", from, to, 6)
    end
    local first, code, session_id, length = unpack(">BBI2I2", bytes, from)
    local last, note = check.ends_at("pppoe", from, to, 6 + length)
    local layer = {
      version = first >> 4,
      type = first & 15,
      code = codes.name(code),
      session_id = session_id,
      length = length,
      tags = code ~= 0 and decode_tags(bytes, from + 6, last) or {},
      note = note,
    }
    return layer, code ~= 0 and last + 1 or from + 6, last, code == 0 and "ppp" or nil
  end,
  summary = function(layer)
    return string.format("%s id=%s", layer.code, layer.session_id)
  end,
}

--- PPP over Ethernet (RFC 2516): discovery with its tags, or a session, in which `ppp` is.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.eth {dst = "ff:ff:ff:ff:ff:ff"}
---   / packet.pppoe {code = "padi", tags = {{type = "service-name", data = ""}}}
--- print(p:complete().eth.type, #p:bytes())  --> pppoe-discovery 24
--- ```
---@param fields? neap.packet.Pppoe|table
---@return neap.Packet
function tunnel.pppoe(fields)
  return pppoe(fields)
end

local ppp_protocols = check.enum {
  [0x0021] = "ip",
  [0x0057] = "ipv6",
  [0x8021] = "ipcp",
  [0x8057] = "ipv6cp",
  [0xc021] = "lcp",
  [0xc023] = "pap",
  [0xc223] = "chap",
}

---@class neap.packet.Ppp: neap.Layer
---@field address integer?  8 bits, and `control`: before the protocol, as in HDLC (RFC 1662); of PPPoE there
--- are none
---@field control integer?  8 bits; default 3, where there is an address
---@field compressed boolean?  the protocol is in one byte (RFC 1661, 6.5)
---@field protocol string|integer  16 bits: `"ip"`, `"ipv6"`, `"lcp"`, ...; automatic: the next layer's,
--- `"lcp"` for bytes

local ppp = core.kind {
  name = "ppp",
  fields = "address control compressed protocol",
  hex = {protocol = 4, address = 2, control = 2},
  encode = function(layer, _, layers, i)
    local head = ""
    if layer.address then
      layer.control = layer.control or 3
      head = pack("BB", int(layer, "address", 8), int(layer, "control", 8))
    end
    if layer.protocol == nil then
      local follower = layers[i + 1]
      layer.protocol = follower and ppp_protocols.numbers[follower.name] and follower.name or "lcp"
    end
    local compressed = check.bit(layer, "compressed") == 1
    return head .. pack(compressed and "B" or ">I2", ppp_protocols.number(layer, "protocol", compressed and 8 or 16))
  end,
  decode = function(bytes, from, to, layers)
    local layer, at = {}, from
    local free = #layers == 0 or layers[#layers].name ~= "pppoe" -- which allows two bytes only
    if free and to - from >= 2 and unpack(">I2", bytes, from) == 0xff03 then
      layer.address, layer.control, at = 0xff, 3, from + 2
    end
    if to < at + 1 then
      return nil, check.short("ppp", from, to, at + 2 - from)
    end
    local protocol = unpack(">I2", bytes, at)
    at = at + 2
    if protocol & 0x100 ~= 0 then
      if not free then
        return nil
      end
      layer.compressed, protocol, at = true, protocol >> 8, at - 1
    end
    layer.protocol = ppp_protocols.name(protocol)
    return layer, at, to, layer.protocol
  end,
  summary = function(layer)
    return tostring(layer.protocol or "")
  end,
}

--- The protocol field of PPP (RFC 1661, 2), as PPPoE has it; and what PPTP may have before it.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.pppoe {session_id = 1} / packet.ppp() / packet.ip {dst = "10.0.0.1"}
--- print(p:complete().pppoe.length, p:complete().ppp.protocol)  --> 22 ip
--- ```
---@param fields? neap.packet.Ppp|table
---@return neap.Packet
function tunnel.ppp(fields)
  return ppp(fields)
end


-- VXLAN and Geneve.

---@class neap.packet.Vxlan: neap.Layer
---@field flags integer  8 bits; default 8: the VNI is valid
---@field reserved integer  24 bits; default 0
---@field vni integer  24 bits, VXLAN network identifier; default 0
---@field reserved2 integer  8 bits; default 0

local vxlan = core.kind {
  name = "vxlan",
  fields = "flags reserved vni reserved2",
  defaults = {flags = 8, reserved = 0, vni = 0, reserved2 = 0},
  hex = {flags = 2},
  encode = function(layer)
    return pack(">I4I4", int(layer, "flags", 8) << 24 | int(layer, "reserved", 24),
      int(layer, "vni", 24) << 8 | int(layer, "reserved2", 8))
  end,
  decode = function(bytes, from, to)
    if to - from < 7 then
      return nil, check.short("vxlan", from, to, 8)
    end
    local first, second = unpack(">I4I4", bytes, from)
    return {
      flags = first >> 24,
      reserved = first & 0xffffff,
      vni = second >> 8,
      reserved2 = second & 0xff,
    }, from + 8, to, "eth"
  end,
  summary = function(layer)
    return tostring(layer.vni)
  end,
}

--- VXLAN (RFC 7348), in datagrams to port 4789; a frame follows.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "192.0.2.1"} / packet.udp {dst_port = 4789} / packet.vxlan {vni = 7}
---   / packet.eth {dst = "02:00:00:00:00:01"} / packet.arp()
--- print(packet.dissect(p:bytes(), "ip").vxlan.vni)  --> 7
--- ```
---@param fields? neap.packet.Vxlan|table
---@return neap.Packet
function tunnel.vxlan(fields)
  return vxlan(fields)
end

--- An option is named by its class and type; its length is in words of 4 bytes.
local function encode_options(layer)
  local out = {}
  for i, option in ipairs(layer.options) do
    if type(option) ~= "table" then
      check.bad(layer, "options", "a list of tables")
    end
    local view = setmetatable({name = "geneve option", r = option.r or 0}, {__index = option})
    if option.raw then
      out[i] = check.bytes(view, "raw")
    else
      local data = check.bytes(view, "data")
      data = data .. string.rep("\0", -#data % 4)
      if #data > 124 then
        check.bad(view, "data", "124 bytes at most")
      end
      out[i] = pack(">I2BB", int(view, "class", 16), int(view, "type", 8), int(view, "r", 3) << 5 | #data // 4)
        .. data
    end
  end
  local bytes = table.concat(out)
  return bytes .. string.rep("\0", -#bytes % 4)
end

local function decode_options(bytes, from, to)
  local list = {}
  local at = from
  while at <= to do
    local class, type, length = unpack(">I2BB", bytes, at)
    local last = at + 3 + 4 * (length & 31)
    if last > to then
      list[#list + 1] = {raw = string.sub(bytes, at, to), note = "cut off"}
      break
    end
    list[#list + 1] = {class = class, type = type, r = length >> 5, data = string.sub(bytes, at + 4, last)}
    at = last + 1
  end
  return list
end

---@class neap.packet.Geneve: neap.Layer
---@field version integer  2 bits; default 0
---@field opt_len integer  6 bits, the options' length in words of 4 bytes; automatic
---@field o boolean  a control packet; default false
---@field c boolean  critical options are there; default false
---@field reserved integer  6 bits; default 0
---@field protocol string|integer  16 bits, as the type of `eth`; `"eth"` for frames
---@field vni integer  24 bits, virtual network identifier; default 0
---@field reserved2 integer  8 bits; default 0
---@field options { class: integer?, type: integer?, r: integer?, data: string?, raw: string? }[]  class of
--- 16 bits, type of 8, r of 3; data filled up to words of 4 bytes, 124 at most; `raw` is bytes that are
--- no option

local geneve = core.kind {
  name = "geneve",
  fields = "version opt_len o c reserved protocol vni reserved2 options",
  defaults = {version = 0, o = false, c = false, reserved = 0, vni = 0, reserved2 = 0},
  automatic = "opt_len",
  header = "opt_len",
  lists = "options",
  hex = {protocol = 4},
  encode = function(layer, _, layers, i)
    local options = encode_options(layer)
    layer.opt_len = layer.opt_len or #options // 4
    return pack(">BBI2I4", int(layer, "version", 2) << 6 | int(layer, "opt_len", 6),
      check.bit(layer, "o") << 7 | check.bit(layer, "c") << 6 | int(layer, "reserved", 6),
      ethertypes.fill(layer, "protocol", layers, i), int(layer, "vni", 24) << 8 | int(layer, "reserved2", 8))
      .. options
  end,
  decode = function(bytes, from, to)
    if to - from < 7 then
      return nil, check.short("geneve", from, to, 8)
    end
    local first, second, protocol, id = unpack(">BBI2I4", bytes, from)
    local size = 8 + 4 * (first & 63)
    if to - from + 1 < size then
      return nil, check.short("geneve", from, to, size)
    end
    return {
      version = first >> 6,
      opt_len = first & 63,
      o = second & 0x80 ~= 0,
      c = second & 0x40 ~= 0,
      reserved = second & 0x3f,
      protocol = ethertypes.name(protocol),
      vni = id >> 8,
      reserved2 = id & 0xff,
      options = decode_options(bytes, from + 8, from + size - 1),
    }, from + size, to, ethertypes.inside(protocol)
  end,
  summary = function(layer)
    return tostring(layer.vni)
  end,
}

--- Geneve (RFC 8926), in datagrams to port 6081.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.udp {dst_port = 6081} / packet.geneve {vni = 7, options = {
---   {class = 0x0102, type = 1, data = "four"}}} / packet.ip {dst = "10.0.0.1"}
--- print(packet.dissect(p:bytes(), "udp").geneve.options[1].data)  --> four
--- ```
---@param fields? neap.packet.Geneve|table
---@return neap.Packet
function tunnel.geneve(fields)
  return geneve(fields)
end

return tunnel
