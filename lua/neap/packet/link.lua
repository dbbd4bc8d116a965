--- Ethernet (IEEE 802.3), VLAN tags (IEEE 802.1Q) and ARP (RFC 826); what captures have
--- instead of Ethernet (tcpdump.org, link-layer header types).

local address = require "neap.packet.address"
local check = require "neap.packet.check"
local core = require "neap.packet.core"
local ethertypes = require "neap.packet.ethertype"

local pack, unpack = string.pack, string.unpack
local int = check.int

---@class neap.packet
local link = {}

--- A length, not a type, up to here (IEEE 802.3, 3.2.6).
local MAX_LENGTH = 1500

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
      .. pack(">I2", ethertypes.fill(layer, "type", layers, i))
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
    return layer, from + 14, last, ethertypes.inside(type)
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
    return pack(">I2I2", tag, ethertypes.fill(layer, "type", layers, i))
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
    }, from + 4, to, ethertypes.inside(type)
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


-- Captures of other interfaces.

---@class neap.packet.Loopback: neap.Layer
---@field family integer  32 bits: the address family of the system that has captured, 2 for IPv4,
--- 24, 28 or 30 for IPv6; automatic: 2, 24 for `ipv6`, 0 for bytes
---@field order "little"|"big"  the byte order; default little

local families = {[2] = "ip", [10] = "ipv6", [24] = "ipv6", [28] = "ipv6", [30] = "ipv6"}

local loopback = core.kind {
  name = "loopback",
  fields = "family order",
  defaults = {order = "little"},
  encode = function(layer, _, layers, i)
    if layer.family == nil then
      local follower = layers[i + 1]
      local name = follower and follower.name
      layer.family = name == "ip" and 2 or name == "ipv6" and 24 or 0
    end
    if layer.order ~= "little" and layer.order ~= "big" then
      check.bad(layer, "order", "little or big")
    end
    return pack(layer.order == "big" and ">I4" or "<I4", int(layer, "family", 32))
  end,
  decode = function(bytes, from, to)
    if to - from < 3 then
      return nil, check.short("loopback", from, to, 4)
    end
    local little, big = unpack("<I4", bytes, from), unpack(">I4", bytes, from)
    local order = little <= big and "little" or "big"
    local family = order == "big" and big or little
    return {family = family, order = order}, from + 4, to, families[family]
  end,
  summary = function(layer)
    return tostring(layer.family)
  end,
}

--- What BSD's captures of a loopback interface have in front: link types NULL, in the order
--- of the machine, and LOOP, in network order.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.loopback() / packet.ip {dst = "127.0.0.1"}
--- print(packet.dissect(p:bytes(), 0), p:complete().loopback.family)
--- --> loopback 2 / ip 0.0.0.0 > 127.0.0.1 2
--- ```
---@param fields? neap.packet.Loopback|table
---@return neap.Packet
function link.loopback(fields)
  return loopback(fields)
end

local packet_types = check.enum {
  [0] = "host",
  [1] = "broadcast",
  [2] = "multicast",
  [3] = "otherhost",
  [4] = "outgoing",
}

--- Hardware types whose protocol field is no EtherType: radiotap, netlink.
local no_ethertype = {[803] = true, [824] = true}

--- The 8 bytes of a sender's address, of which not all count.
local function cooked_address(layer)
  local text = layer.address
  if text == nil then
    layer.address_length = layer.address_length or 0
    return string.rep("\0", 8)
  end
  local mac = type(text) == "string" and address.to_mac(text)
  if mac then
    layer.address_length = layer.address_length or 6
    return mac .. "\0\0"
  elseif #check.bytes(layer, "address") > 8 then
    check.bad(layer, "address", "an Ethernet address, or 8 bytes at most,")
  end
  layer.address_length = layer.address_length or #text
  return text .. string.rep("\0", 8 - #text)
end

local function read_cooked_address(bytes, at, length)
  if length == 6 and unpack(">I2", bytes, at + 6) == 0 then
    return address.mac(bytes, at)
  end
  return string.sub(bytes, at, at + 7)
end

local function cooked_inside(arphrd_type, protocol)
  return not no_ethertype[arphrd_type] and ethertypes.inside(protocol) or nil
end

---@class neap.packet.Sll: neap.Layer
---@field packet_type string|integer  16 bits: `"host"` (default), `"broadcast"`, `"multicast"`,
--- `"otherhost"`, `"outgoing"`
---@field arphrd_type integer  16 bits, hardware type as of Linux; default 1: Ethernet
---@field address_length integer  16 bits, bytes of the address that count; automatic
---@field address string?  the sender's: `"02:00:00:00:00:01"`, and as 8 bytes where its length is not 6
---@field protocol string|integer  16 bits, as the type of `eth`

local function cooked_summary(layer)
  return string.format("%s %s", layer.packet_type, layer.protocol or "")
end

local sll = core.kind {
  name = "sll",
  fields = "packet_type arphrd_type address_length address protocol",
  defaults = {packet_type = "host", arphrd_type = 1},
  hex = {protocol = 4},
  encode = function(layer, _, layers, i)
    local bytes = cooked_address(layer)
    return pack(">I2I2I2", packet_types.number(layer, "packet_type", 16), int(layer, "arphrd_type", 16),
      int(layer, "address_length", 16)) .. bytes
      .. pack(">I2", ethertypes.fill(layer, "protocol", layers, i))
  end,
  decode = function(bytes, from, to)
    if to - from < 15 then
      return nil, check.short("sll", from, to, 16)
    end
    local packet_type, arphrd_type, length = unpack(">I2I2I2", bytes, from)
    local protocol = unpack(">I2", bytes, from + 14)
    return {
      packet_type = packet_types.name(packet_type),
      arphrd_type = arphrd_type,
      address_length = length,
      address = read_cooked_address(bytes, from + 6, length),
      protocol = ethertypes.name(protocol),
    }, from + 16, to, cooked_inside(arphrd_type, protocol)
  end,
  summary = cooked_summary,
}

--- What Linux has in front of a packet of any interface (`tcpdump -i any`): link type
--- LINUX_SLL.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.sll {packet_type = "outgoing", address = "02:00:00:00:00:01"}
---   / packet.ip {dst = "10.0.0.1"}
--- print(packet.dissect(p:bytes(), 113))  --> sll outgoing ip / ip 0.0.0.0 > 10.0.0.1
--- ```
---@param fields? neap.packet.Sll|table
---@return neap.Packet
function link.sll(fields)
  return sll(fields)
end

---@class neap.packet.Sll2: neap.Layer
---@field protocol string|integer  16 bits, as the type of `eth`
---@field reserved integer  16 bits; default 0
---@field interface_index integer  32 bits; default 0
---@field arphrd_type integer  16 bits, hardware type as of Linux; default 1: Ethernet
---@field packet_type string|integer  8 bits, as of `sll`
---@field address_length integer  8 bits, bytes of the address that count; automatic
---@field address string?  as of `sll`

local sll2 = core.kind {
  name = "sll2",
  fields = "protocol reserved interface_index arphrd_type packet_type address_length address",
  defaults = {reserved = 0, interface_index = 0, packet_type = "host", arphrd_type = 1},
  hex = {protocol = 4},
  encode = function(layer, _, layers, i)
    local bytes = cooked_address(layer)
    return pack(">I2I2I4I2BB", ethertypes.fill(layer, "protocol", layers, i), int(layer, "reserved", 16),
      int(layer, "interface_index", 32), int(layer, "arphrd_type", 16),
      packet_types.number(layer, "packet_type", 8), int(layer, "address_length", 8)) .. bytes
  end,
  decode = function(bytes, from, to)
    if to - from < 19 then
      return nil, check.short("sll2", from, to, 20)
    end
    local protocol, reserved, index, arphrd_type, packet_type, length = unpack(">I2I2I4I2BB", bytes, from)
    return {
      protocol = ethertypes.name(protocol),
      reserved = reserved,
      interface_index = index,
      arphrd_type = arphrd_type,
      packet_type = packet_types.name(packet_type),
      address_length = length,
      address = read_cooked_address(bytes, from + 12, length),
    }, from + 20, to, cooked_inside(arphrd_type, protocol)
  end,
  summary = cooked_summary,
}

--- The same with the interface: link type LINUX_SLL2.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.sll2 {interface_index = 3} / packet.ip {dst = "10.0.0.1"}
--- print(packet.dissect(p:bytes(), 276).sll2.interface_index)  --> 3
--- ```
---@param fields? neap.packet.Sll2|table
---@return neap.Packet
function link.sll2(fields)
  return sll2(fields)
end

return link
