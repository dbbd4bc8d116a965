--- Ethernet (IEEE 802.3), VLAN tags (IEEE 802.1Q) and ARP (RFC 826).

local address = require "neap.packet.address"
local check = require "neap.packet.check"
local core = require "neap.packet.core"

local pack, unpack = string.pack, string.unpack
local int = check.int

---@class neap.packet
local link = {}

--- EtherTypes (IANA, IEEE 802 numbers).
local ethertypes = check.enum {
  [0x0800] = "ip",
  [0x0806] = "arp",
  [0x8100] = "vlan",
  [0x88a8] = "svlan",
  [0x86dd] = "ipv6",
  [0x8847] = "mpls",
  [0x8863] = "pppoe-discovery",
  [0x8864] = "pppoe",
  [0x888e] = "eapol",
  [0x88cc] = "lldp",
  [0x88f7] = "ptp",
}

--- For bytes of no known type: Local Experimental EtherType 1 (RFC 9542, 3).
local EXPERIMENTAL = 0x88b5

--- A length, not a type, up to here (IEEE 802.3, 3.2.6).
local MAX_LENGTH = 1500

--- The layer that a type announces.
local function inside(type)
  type = ethertypes.name(type)
  return type == "svlan" and "vlan" or type
end

--- The type field: as given, or what the next layer says.
local function fill_type(layer, layers, i)
  if layer.type == nil then
    local follower = layers[i + 1]
    layer.type = follower and ethertypes.numbers[follower.name] and follower.name or EXPERIMENTAL
  end
  return ethertypes.number(layer, "type", 16)
end

---@class neap.packet.Eth: neap.Layer
---@field dst string  `"02:00:00:00:00:01"`; has to be given
---@field src string  default all zeros
---@field type string|integer  16 bits: `"ip"`, `"ipv6"`, `"arp"`, `"vlan"`, `"svlan"`
--- (802.1ad), ...; a number where it has no name; up to 1500 it is the length of an 802.3
--- frame. Automatic: the next layer's, 0x88b5 for bytes

local eth = core.kind {
  name = "eth",
  fields = "dst src type",
  defaults = {src = "00:00:00:00:00:00"},
  hex = {type = 4},
  encode = function(layer, _, layers, i)
    return check.mac(layer, "dst") .. check.mac(layer, "src")
      .. pack(">I2", fill_type(layer, layers, i))
  end,
  decode = function(bytes, from, to)
    if to - from < 13 then
      return nil, check.short("eth", from, to, 14)
    end
    local type = unpack(">I2", bytes, from + 12)
    local layer = {
      dst = address.mac(bytes, from),
      src = address.mac(bytes, from + 6),
      type = ethertypes.name(type),
    }
    local last = to
    if type <= MAX_LENGTH then
      last = from + 13 + type
      if last > to then
        layer.note = check.short("802.3 frame", from + 14, to, type)
        last = to
      end
    end
    return layer, from + 14, last, inside(type)
  end,
  summary = function(layer)
    return string.format("%s > %s", layer.src, layer.dst)
  end,
}

--- An Ethernet header (IEEE 802.3, 3.1.1). The check sequence behind a frame is
--- the network card's.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.eth {dst = "ff:ff:ff:ff:ff:ff", src = "02:00:00:00:00:01"}
---   / packet.arp {op = "request", spa = "10.0.0.1", tpa = "10.0.0.2"}
--- print(#p:bytes(), p:complete().eth.type)  --> 42 arp
--- ```
---@param fields neap.packet.Eth|table
---@return neap.Packet
function link.eth(fields)
  return eth(fields)
end

---@class neap.packet.Vlan: neap.Layer
---@field pcp integer  3 bits, priority; default 0
---@field dei boolean  drop eligible; default false
---@field vid integer  12 bits, VLAN identifier; default 0: a priority tag
---@field type string|integer  16 bits, as of `eth`

local vlan = core.kind {
  name = "vlan",
  fields = "pcp dei vid type",
  defaults = {pcp = 0, dei = false, vid = 0},
  hex = {type = 4},
  encode = function(layer, _, layers, i)
    local tag = int(layer, "pcp", 3) << 13 | check.bit(layer, "dei") << 12 | int(layer, "vid", 12)
    return pack(">I2I2", tag, fill_type(layer, layers, i))
  end,
  decode = function(bytes, from, to)
    if to - from < 3 then
      return nil, check.short("vlan", from, to, 4)
    end
    local tag, type = unpack(">I2I2", bytes, from)
    return {
      pcp = tag >> 13,
      dei = tag & 0x1000 ~= 0,
      vid = tag & 0xfff,
      type = ethertypes.name(type),
    }, from + 4, to, inside(type)
  end,
  summary = function(layer)
    return tostring(layer.vid)
  end,
}

--- A VLAN tag (IEEE 802.1Q, 9.6), behind `eth` or another tag.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.eth {dst = "02:00:00:00:00:01"} / packet.vlan {vid = 7} / "hi"
--- print(p:complete().eth.type, #p:bytes())  --> vlan 20
--- ```
---@param fields? neap.packet.Vlan|table
---@return neap.Packet
function link.vlan(fields)
  return vlan(fields)
end

--- Operations (IANA, ARP parameters).
local operations = check.enum {
  "request",
  "reply",
  "rarp-request",
  "rarp-reply",
  [8] = "inarp-request",
  [9] = "inarp-reply",
}

---@class neap.packet.Arp: neap.Layer
---@field hrd integer  16 bits, hardware type; default 1: Ethernet
---@field pro string|integer  16 bits, protocol type, an EtherType; default `"ip"`
---@field hln integer  8 bits, bytes of a hardware address; default 6
---@field pln integer  8 bits, bytes of a protocol address; default 4
---@field op string|integer  16 bits: `"request"` (default), `"reply"`, ...
---@field sha string  sender's hardware address; `"02:00:00:00:00:01"`, and as bytes where
--- `hln` is not 6; default all zeros
---@field spa string  sender's protocol address; `"10.0.0.1"`, and as bytes where `pln` is not
--- 4; default all zeros
---@field tha string  target's hardware address
---@field tpa string  target's protocol address

--- An address of so many bytes: as text, where `convert` reads that.
local function address_bytes(layer, field, length, convert)
  if layer[field] == nil then
    return string.rep("\0", length)
  elseif convert then
    return convert(layer, field)
  elseif #check.bytes(layer, field) ~= length then
    check.bad(layer, field, string.format("%d bytes", length))
  end
  return layer[field]
end

local arp = core.kind {
  name = "arp",
  fields = "hrd pro hln pln op sha spa tha tpa",
  defaults = {hrd = 1, pro = "ip", hln = 6, pln = 4, op = "request"},
  hex = {pro = 4},
  network = true,
  encode = function(layer)
    local hln, pln = int(layer, "hln", 8), int(layer, "pln", 8)
    return pack(">I2I2BBI2", int(layer, "hrd", 16), ethertypes.number(layer, "pro", 16), hln,
      pln, operations.number(layer, "op", 16))
      .. address_bytes(layer, "sha", hln, hln == 6 and check.mac)
      .. address_bytes(layer, "spa", pln, pln == 4 and check.ipv4)
      .. address_bytes(layer, "tha", hln, hln == 6 and check.mac)
      .. address_bytes(layer, "tpa", pln, pln == 4 and check.ipv4)
  end,
  decode = function(bytes, from, to)
    if to - from < 7 then
      return nil, check.short("arp", from, to, 8)
    end
    local hrd, pro, hln, pln, op = unpack(">I2I2BBI2", bytes, from)
    local length = 8 + 2 * (hln + pln)
    if to - from + 1 < length then
      return nil, check.short("arp", from, to, length)
    end
    local at = from + 8
    local function take(n, size, text)
      local value = n == size and text(bytes, at) or string.sub(bytes, at, at + n - 1)
      at = at + n
      return value
    end
    return {
      hrd = hrd,
      pro = ethertypes.name(pro),
      hln = hln,
      pln = pln,
      op = operations.name(op),
      sha = take(hln, 6, address.mac),
      spa = take(pln, 4, address.ipv4),
      tha = take(hln, 6, address.mac),
      tpa = take(pln, 4, address.ipv4),
    }, from + length, from + length - 1, nil
  end,
  summary = function(layer)
    return string.format("%s %s > %s", layer.op, layer.spa or "0.0.0.0", layer.tpa or "0.0.0.0")
  end,
}

--- A packet of the Address Resolution Protocol (RFC 826), whose names these
--- fields have. What follows it in a frame is padding.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.arp {op = "reply", sha = "02:00:00:00:00:02", spa = "10.0.0.2",
---   tha = "02:00:00:00:00:01", tpa = "10.0.0.1"}
--- print(packet.dissect(p:bytes(), "arp"))  --> arp reply 10.0.0.2 > 10.0.0.1
--- ```
---@param fields? neap.packet.Arp|table
---@return neap.Packet
function link.arp(fields)
  return arp(fields)
end

return link
