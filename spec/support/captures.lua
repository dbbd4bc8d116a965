-- Packets of every layer as captures have them: whole, wrong, and cut off. Each has a link
-- type, its bytes, and how many there were.

local packet = require "neap.packet"

---@class spec.Capture
---@field name string
---@field link integer
---@field bytes string
---@field original integer
---@field cut boolean

---@type spec.Capture[]
local captures = {}

local function add(name, link, bytes, original)
  captures[#captures + 1] = {name = name, link = link, bytes = bytes, original = original or #bytes,
    cut = original ~= nil and original > #bytes}
end

--- The packet as it is; with its last byte another; and cut off behind three quarters of it.
local function capture(name, p, link)
  local bytes = p:bytes()
  add(name, link or 1, bytes)
  add(name .. ", wrong", link or 1, bytes:sub(1, -2) .. string.char(bytes:byte(-1) ~ 0x10))
  add(name .. ", cut off", link or 1, bytes:sub(1, #bytes * 3 // 4), #bytes)
end

local eth = packet.eth {dst = "02:00:00:00:00:02", src = "02:00:00:00:00:01"}
local ip = packet.ip {src = "10.0.0.1", dst = "10.0.0.2", id = 7}
local ipv6 = packet.ipv6 {src = "2001:db8::1", dst = "2001:db8::2"}
local udp = packet.udp {src_port = 40000, dst_port = 40001} / "a payload of some bytes"
local tcp = packet.tcp {src_port = 40000, dst_port = 40001, seq = 0x01020304, ack = 5, flags = "PSH ACK",
  options = {"nop", "nop", {kind = "timestamps", tsval = 1, tsecr = 2}}} / "a payload of some bytes"
local inner = packet.ip {src = "192.0.2.1", dst = "192.0.2.2", id = 8} / udp
local inner6 = packet.ipv6 {src = "2001:db8:1::1", dst = "2001:db8:1::2"} / udp
local frame = packet.eth {dst = "02:00:00:00:00:04", src = "02:00:00:00:00:03"} / inner
local padding = packet.padding(("\0"):rep(9) .. "x")

capture("udp", eth / ip / udp)
capture("tcp", eth / ip / tcp)
capture("udp over ipv6", eth / ipv6 / udp)
capture("tcp over ipv6", eth / ipv6 / tcp)
capture("a tag", eth / packet.vlan {vid = 5, pcp = 3} / ip / udp)
capture("two tags", eth / packet.vlan {vid = 5} / packet.vlan {vid = 6} / ip / udp)
capture("icmp", eth / ip / packet.icmp {id = 1, seq = 2} / "a payload")
capture("icmpv6", eth / ipv6 / packet.icmpv6 {id = 1, seq = 2} / "a payload")
capture("neighbour discovery", eth / packet.ipv6 {src = "fe80::1", dst = "ff02::1:ff00:2", hop_limit = 255}
  / packet.icmpv6 {type = "neighbor-solicitation", target = "fe80::2", options = {
    {type = "source-link-layer-address", address = "02:00:00:00:00:01"}}})
capture("udp of a padded frame", eth / ip / packet.udp {src_port = 1, dst_port = 2} / "x" / padding)
capture("ip in ip of a padded frame", eth / ip / inner / padding)
capture("ipv6 in ip", eth / ip / inner6)
capture("ip options", eth / packet.ip {src = "10.0.0.1", dst = "10.0.0.2", options = {
  {type = "router-alert", value = 0}}} / udp)
capture("a loose route", eth / packet.ip {src = "10.0.0.1", dst = "10.0.0.2", options = {
  {type = "loose-source-route", route = {"10.0.0.3", "10.0.0.4"}}}} / udp)
capture("a strict route that is used up", eth / packet.ip {src = "10.0.0.1", dst = "10.0.0.2", options = {
  {type = "strict-source-route", pointer = 12, route = {"10.0.0.3", "10.0.0.4"}}}} / tcp)
capture("extension headers", eth / ipv6 / packet.hopopts {options = {{type = "router-alert", value = 0}}}
  / packet.dstopts() / udp)
capture("a segment routing header", eth / ipv6 / packet.routing {segments_left = 1,
  data = "\1\0\0\0" .. ("\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\9") .. ("\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\2")}
  / udp)
capture("a mobile node's routing header", eth / ipv6 / packet.routing {type = 2, segments_left = 1,
  data = "\0\0\0\0\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\9"} / udp)
capture("a first fragment", eth / packet.ip {src = "10.0.0.1", dst = "10.0.0.2", flags = "MF"}
  / packet.udp {src_port = 1, dst_port = 2, length = 3000, checksum = 0x1234} / ("x"):rep(32))
capture("a later fragment", eth / packet.ip {src = "10.0.0.1", dst = "10.0.0.2", protocol = "udp",
  fragment_offset = 5} / ("x"):rep(32))
capture("a first fragment of ipv6", eth / ipv6 / packet.fragment {m = true, id = 5}
  / packet.udp {src_port = 1, dst_port = 2, length = 3000, checksum = 0x1234} / ("x"):rep(32))
capture("a whole quote", eth / ip / packet.icmp {type = "destination-unreachable", code = 3} / inner)
capture("a short quote", eth / ip / packet.icmp {type = "time-exceeded"}
  / (packet.ip {src = "192.0.2.1", dst = "192.0.2.2"} / tcp):bytes():sub(1, 28))
capture("a quote of udp", eth / ip / packet.icmp {type = "time-exceeded"} / inner:bytes():sub(1, 28))
capture("a quote of ipv6", eth / ipv6 / packet.icmpv6 {type = "packet-too-big", mtu = 1280} / inner6)
capture("no checksum", eth / ip / packet.udp {src_port = 1, dst_port = 2, checksum = 0} / "x")
capture("no checksum, which ipv6 has to have", eth / ipv6
  / packet.udp {src_port = 1, dst_port = 2, checksum = 0} / "x")
capture("ah", eth / ip / packet.ah {spi = 0x100, seq = 3} / udp)
capture("ah of ipv6", eth / ipv6 / packet.ah {spi = 0x100, seq = 3, icv = ("i"):rep(16)} / tcp)
capture("gre", eth / ip / packet.gre() / inner)
capture("gre with all it may have", eth / ip / packet.gre {flags = "C K S", key = 7, seq = 8} / inner6)
capture("gre with a frame", eth / ip / packet.gre() / frame)
capture("gre of pptp", eth / ip / packet.gre {version = 1, call_id = 9, seq = 1, ack = 2} / packet.ppp() / inner)
capture("gre of pptp, as in hdlc", eth / ip / packet.gre {version = 1, call_id = 9, seq = 3}
  / packet.ppp {address = 0xff} / inner6)
capture("gre of pptp, with a protocol of one byte", eth / ip / packet.gre {version = 1, call_id = 10, seq = 4}
  / packet.ppp {compressed = true} / inner)
capture("gre of pptp, an acknowledgment", eth / ip / packet.gre {version = 1, call_id = 9, ack = 7} / padding)
capture("a jumbogram of udp", eth / ipv6 / packet.hopopts {options = {"jumbo"}}
  / packet.udp {src_port = 1, dst_port = 2} / ("j"):rep(66001))
capture("a jumbogram of tcp", eth / ipv6 / packet.hopopts {options = {"jumbo"}} / tcp / ("j"):rep(66000))
capture("mpls", eth / packet.mpls {label = 16, tc = 1} / packet.mpls {label = 17} / inner)
capture("mpls with ipv6", eth / packet.mpls {label = 18} / inner6)
capture("pppoe", eth / packet.pppoe {session_id = 5} / packet.ppp() / inner / padding)
capture("pppoe with ipv6", eth / packet.pppoe {session_id = 5} / packet.ppp() / inner6)
capture("pppoe discovery", eth / packet.pppoe {code = "pado", tags = {
  {type = "service-name", data = ""}, {type = "ac-name", data = "access"}}})
capture("vxlan", eth / ip / packet.udp {src_port = 50000, dst_port = 4789} / packet.vxlan {vni = 77} / frame)
capture("geneve", eth / ip / packet.udp {src_port = 50000, dst_port = 6081} / packet.geneve {vni = 78,
  options = {{class = 0x0102, type = 1, data = "four"}}} / frame)
capture("sctp", eth / ip / packet.sctp {src_port = 5000, dst_port = 5001, verification_tag = 9, chunks = {
  {type = "sack", cumulative_tsn_ack = 5, a_rwnd = 6, gaps = {{2, 3}}, duplicates = {4}},
  {type = "data", flags = 3, tsn = 1, stream = 2, seq = 3, ppid = 0, data = "seven b"}}})
capture("sctp's beginning", eth / ipv6 / packet.sctp {src_port = 5000, dst_port = 5001, chunks = {
  {type = "init", initiate_tag = 1, a_rwnd = 2, outbound_streams = 3, inbound_streams = 4, initial_tsn = 5}}})
capture("dns", eth / ip / packet.udp {src_port = 53, dst_port = 40000} / packet.dns {id = 3, qr = true,
  question = {{name = "www.example.com"}}, answer = {
    {name = "www.example.com", ttl = 5, address = "192.0.2.1"}, {name = "example.com", type = "MX",
      preference = 1, exchange = "www.example.com"}}})
capture("dns in tcp", eth / ip / packet.tcp {src_port = 53, dst_port = 40000, flags = "ACK"} / packet.dns {id = 3,
  qr = true, question = {{name = "www.example.com"}}} / packet.dns {id = 4, question = {{name = "example.com"}}})
capture("multicast dns", eth / ip / packet.udp {src_port = 5353, dst_port = 5353} / packet.dns {qr = true,
  answer = {{name = "host.local", address = "192.0.2.1", cache_flush = true}}})
capture("loopback of BSD", packet.loopback() / ip / udp, 0)
capture("loopback of BSD, ipv6", packet.loopback {order = "big", family = 30} / ipv6 / tcp, 0)
capture("loopback of OpenBSD", packet.loopback {order = "big"} / ipv6 / udp, 108)
capture("any interface", packet.sll {packet_type = "outgoing", address = "02:00:00:00:00:01"} / ip / udp, 113)
capture("any interface, arp", packet.sll {packet_type = "broadcast", address = "02:00:00:00:00:01"}
  / packet.arp {spa = "10.0.0.1", tpa = "10.0.0.2"}, 113)
capture("any interface, with its number", packet.sll2 {interface_index = 3, address = "02:00:00:00:00:01"}
  / ipv6 / tcp, 276)
capture("raw ip", ip / udp, 101)
capture("raw ipv6", ipv6 / udp, 101)
capture("arp", eth / packet.arp {sha = "02:00:00:00:00:01", spa = "10.0.0.1", tpa = "10.0.0.2"} / padding)

-- A checksum of 0, written so and as all ones.
local zero = packet.ip {src = "10.0.0.1", dst = "10.0.0.2"} / packet.tcp {src_port = 1, window = 0}
zero.tcp.window = zero:complete().tcp.checksum
add("a checksum of 0", 1, (eth / zero):bytes())
zero.tcp.checksum = 0xffff
add("a checksum of 0 as all ones", 1, (eth / zero):bytes())

return captures
