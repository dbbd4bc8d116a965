--- Packets: built from layers, and taken apart into them.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "10.0.0.1"} / packet.icmp {type = "echo", id = 1, seq = 1}
---   / "payload"
--- print(p)  --> ip 0.0.0.0 > 10.0.0.1 / icmp echo id=1 seq=1 / raw 7 bytes
--- print(#p:bytes(), p[2].name, p.icmp.seq)  --> 35 icmp 1
--- ```
---
--- - A packet is a list of layers, the outermost first: `#p`, `p[1]`, `ipairs(p)`.
---   `p.ip` is the first layer of that name, nil where there is none.
--- - `/` puts one packet into another, or bytes into a packet, and copies both.
--- - Fields have the names of the RFCs (`src` and `dst` for source and
---   destination). Each layer's class says what is automatic: a field that was not
---   given, and is computed by `bytes`. What is given is taken as it is, wrong or not.
--- - What `dissect` made has all fields given, so its `bytes` are those it came
---   from. After a change, `recompute` makes lengths and checksums automatic again.
--- - Numbers that have a name in a registry read as that: `p.ip.protocol == "tcp"`,
---   `p.eth.type == "arp"`; others stay numbers. Flags are a string,
---   `p.tcp.flags == "SYN ACK"`, or false and true where one stands alone.
--- - A field's name that there is not raises at once; a value that does not fit
---   raises from `bytes`.

local sums = require "neap.packet.checksum"
local core = require "neap.packet.core"
local dns = require "neap.packet.dns"
local filter = require "neap.packet.filter"
local icmp = require "neap.packet.icmp"
local ip = require "neap.packet.ip"
local link = require "neap.packet.link"
local sctp = require "neap.packet.sctp"
local show = require "neap.packet.show"
local transport = require "neap.packet.transport"
local tunnel = require "neap.packet.tunnel"

---@class neap.packet
local packet = {
  eth = link.eth,
  vlan = link.vlan,
  arp = link.arp,
  ip = ip.ip,
  ipv6 = ip.ipv6,
  hopopts = ip.hopopts,
  dstopts = ip.dstopts,
  routing = ip.routing,
  fragment = ip.fragment,
  icmp = icmp.icmp,
  icmpv6 = icmp.icmpv6,
  udp = transport.udp,
  tcp = transport.tcp,
  sctp = sctp.sctp,
  dns = dns.dns,
  loopback = link.loopback,
  sll = link.sll,
  sll2 = link.sll2,
  ah = ip.ah,
  gre = tunnel.gre,
  mpls = tunnel.mpls,
  pppoe = tunnel.pppoe,
  ppp = tunnel.ppp,
  vxlan = tunnel.vxlan,
  geneve = tunnel.geneve,
  filter = filter.filter,
}

--- Bytes as a layer; in `a / "bytes"` the string does.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- print(packet.raw("hi"):bytes())  --> hi
--- ```
---@param data string|{ data: string }
---@return neap.Packet
function packet.raw(data)
  return core.raw(data)
end

--- Bytes behind the end of a layer, which its lengths and checksums leave out:
--- what fills a short Ethernet frame up. Unless `of` names another, the layer is
--- the outermost IP, IPv6 or ARP; padding that was there stays where it is when other
--- layers are put around it.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "10.0.0.1"} / "hi" / packet.padding(("\0"):rep(24))
--- print(#p:bytes(), p:complete().ip.total_length)  --> 46 22
--- ```
---@param data string|{ data: string, of: string?, n: integer? }
---@return neap.Packet
function packet.padding(data)
  return core.padding(data)
end

--- First layers by link type, as captures number them (LINKTYPE_ values of
--- tcpdump.org); RAW is either IP, as its first bits say.
local links = {[0] = "loopback", [1] = "eth", [108] = "loopback", [113] = "sll", [228] = "ip", [229] = "ipv6",
  [276] = "sll2"}
local RAW = 101

--- Take bytes apart. Any bytes will do: what is too short or makes no sense
--- becomes a `raw` layer, with a `note` that says why; a header whose body is
--- shorter than it says has the note itself. Bytes behind the end that a header
--- gives are `padding`.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local bytes = (packet.ip {dst = "10.0.0.1"} / packet.udp {dst_port = 7} / "hi"):bytes()
--- local p = packet.dissect(bytes, "ip")
--- print(p.udp.dst_port, p.raw.data)  --> 7 hi
---
--- local cut = packet.dissect(bytes:sub(1, 25), "ip")
--- print(cut.ip.note)  --> ip: 25 bytes of 30
--- print(cut.raw.note)  --> udp: 5 bytes of 8
--- ```
---@param bytes string
---@param first? string|integer  the first layer's name, default `"eth"`; or the link type of a
--- capture (see `neap.pcap`). Raises for an unknown name; of an unknown link type all is raw
---@return neap.Packet
function packet.dissect(bytes, first)
  if type(bytes) ~= "string" then
    error(string.format("dissect: a string of bytes expected, got %s", type(bytes)), 2)
  end
  if math.type(first) == "integer" then
    if first == RAW then
      first = (string.byte(bytes, 1) or 0) >> 4 == 6 and "ipv6" or "ip"
    else
      first = links[first] or "raw"
    end
  elseif first == nil then
    first = "eth"
  elseif not core.kinds[first] then
    error(string.format("dissect: no layer '%s'", tostring(first)), 2)
  end
  return core.dissect(bytes, first)
end

--- The Internet checksum of bytes (RFC 1071): of a header with its checksum in
--- place it is 0.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- print(("%04x"):format(packet.checksum "\x00\x01\xf2\x03\xf4\xf5\xf6\xf7"))  --> 220d
--- ```
---@param bytes string
---@return integer checksum  16 bits
function packet.checksum(bytes)
  if type(bytes) ~= "string" then
    error(string.format("checksum: a string of bytes expected, got %s", type(bytes)), 2)
  end
  return sums.fold(sums.add(bytes, 0))
end

--- The classic dump: offset, 16 bytes in hexadecimal, and as text.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- print(packet.hexdump "neap\n")
--- --> 00000000  6e 65 61 70 0a                                    |neap.|
--- ```
---@param bytes string
---@return string text  a line for each 16 bytes, no newline at its end
function packet.hexdump(bytes)
  if type(bytes) ~= "string" then
    error(string.format("hexdump: a string of bytes expected, got %s", type(bytes)), 2)
  end
  return show.hexdump(bytes)
end

--- Is this a packet?
---
--- ```lua
--- local packet = require "neap.packet"
---
--- print(packet.is(packet.raw "hi"), packet.is "hi")  --> true false
--- ```
---@param value any
---@return boolean
function packet.is(value)
  return core.is(value)
end

return packet
