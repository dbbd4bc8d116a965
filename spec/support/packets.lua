-- Packets of every layer: how they are built here, how scapy builds them, and the
-- bytes that scapy 2.5 made of that.

local address = require "neap.packet.address"
local packet = require "neap.packet"

---@class spec.Sample
---@field name string
---@field first string  the first layer
---@field packet neap.Packet
---@field scapy string  a Python expression
---@field hex string

---@type spec.Sample[]
local samples = {}

local function sample(name, built, scapy, hex)
  samples[#samples + 1] = {name = name, first = built[1].name, packet = built, scapy = scapy,
    hex = hex:gsub("%s", "")}
end

sample("arp request in a frame",
  packet.eth {dst = "ff:ff:ff:ff:ff:ff", src = "02:00:00:00:00:01"}
    / packet.arp {op = "request", sha = "02:00:00:00:00:01", spa = "10.0.0.1", tpa = "10.0.0.2"},
  [[Ether(dst="ff:ff:ff:ff:ff:ff",src="02:00:00:00:00:01")/ARP(op=1,
  hwsrc="02:00:00:00:00:01",psrc="10.0.0.1",hwdst="00:00:00:00:00:00",pdst="10.0.0.2")]],
  [[ffffffffffff020000000001080600010800060400010200000000010a0000010000000000000a000002]])

sample("two vlan tags",
  packet.eth {dst = "02:00:00:00:00:02", src = "02-00-00-00-00-01", type = "svlan"}
    / packet.vlan {pcp = 5, dei = true, vid = 100} / packet.vlan {vid = 7}
    / packet.ip {src = "10.0.0.1", dst = "10.0.0.2", id = 1}
    / packet.udp {src_port = 1, dst_port = 2} / "x",
  [[Ether(dst="02:00:00:00:00:02",src="02:00:00:00:00:01",type=0x88a8)/Dot1Q(prio=5,id=1,
  vlan=100)/Dot1Q(vlan=7)/IP(src="10.0.0.1",dst="10.0.0.2")/UDP(sport=1,dport=2)/b"x"]],
  [[02000000000202000000000188a8b0648100000708004500001d00010000401166cd0a0000010a00000200010002
  000973d678]])

sample("icmp echo",
  packet.ip {src = "192.0.2.1", dst = "10.0.0.1", id = 0xbeef, flags = "DF", tos = 0xb8}
    / packet.icmp {type = "echo", id = 1, seq = 1} / "payload",
  [[IP(src="192.0.2.1",dst="10.0.0.1",id=0xbeef,flags="DF",tos=0xb8)/ICMP(id=1,seq=1)/
  b"payload"]],
  [[45b80023beef40004001af30c00002010a00000108003ace000100017061796c6f6164]])

sample("icmp unreachable",
  packet.ip {src = "192.0.2.1", dst = "10.0.0.1", id = 1}
    / packet.icmp {type = "destination-unreachable", code = 4, next_hop_mtu = 1400}
    / packet.ip {src = "10.0.0.1", dst = "192.0.2.9", id = 1}
    / packet.udp {src_port = 40001, dst_port = 40002} / "abc",
  [[IP(src="192.0.2.1",dst="10.0.0.1")/ICMP(type=3,code=4,nexthopmtu=1400)/
  IP(src="10.0.0.1",dst="192.0.2.9",id=1)/UDP(sport=40001,dport=40002)/b"abc"]],
  [[4500003b000100004001aebfc00002010a0000010304c3aa000005784500001f000100004011aec30a000001c000
  02099c419c42000b36e7616263]])

sample("ip options",
  packet.ip {src = "10.0.0.1", dst = "224.0.0.22", ttl = 1, id = 1, options = {
      {type = "router-alert", value = 0}, "nop",
      {type = "record-route", pointer = 8, route = {"10.0.0.9", "0.0.0.0"}},
    }} / packet.tcp {src_port = 1, dst_port = 2, flags = "SYN", window = 8192},
  [[IP(src="10.0.0.1",dst="224.0.0.22",ttl=1,options=[IPOption_Router_Alert(),
  IPOption_NOP(),IPOption_RR(pointer=8,routers=["10.0.0.9","0.0.0.0"])],proto=6)/
  TCP(sport=1,dport=2,flags="S")]],
  [[49000038000100000106218c0a000001e00000169404000001070b080a0000090000000000010002000000000000
  000050022000a5c80000]])

sample("tcp syn with options",
  packet.ip {src = "10.0.0.1", dst = "10.0.0.2", id = 1} / packet.tcp {
      src_port = 40000, dst_port = 80, seq = 0x01020304, flags = "SYN", window = 64240, options = {
        {kind = "mss", mss = 1460}, "sack-permitted", {kind = "timestamps", tsval = 123456}, "nop",
        {kind = "window-scale", shift = 7},
      },
    },
  [[IP(src="10.0.0.1",dst="10.0.0.2")/TCP(sport=40000,dport=80,seq=0x01020304,flags="S",
  window=64240,options=[("MSS",1460),("SAckOK",b""),("Timestamp",(123456,0)),("NOP",
  None),("WScale",7)])]],
  [[4500003c00010000400666b90a0000010a0000029c4000500102030400000000a002faf0b6340000020405b40402
  080a0001e2400000000001030307]])

sample("tcp sack",
  packet.ip {src = "10.0.0.1", dst = "10.0.0.2", id = 1} / packet.tcp {
      src_port = 40000, dst_port = 80, seq = 1, ack = 0xffffffff, flags = "ACK", window = 1,
      options = {"nop", "nop", {kind = "sack", blocks = {{100, 200}, {300, 400}}}},
    } / "odd",
  [[IP(src="10.0.0.1",dst="10.0.0.2")/TCP(sport=40000,dport=80,seq=1,ack=0xffffffff,
  flags="A",window=1,options=[("NOP",None),("NOP",None),("SAck",(100,200,300,400))])/
  b"odd"]],
  [[4500003f00010000400666b60a0000010a0000029c40005000000001ffffffffa0100001d1c80000010105120000
  0064000000c80000012c000001906f6464]])

sample("tcp over ipv6",
  packet.ipv6 {src = "2001:db8::1", dst = "2001:db8::2", flow_label = 0x12345,
      traffic_class = 0xb8, hop_limit = 3}
    / packet.tcp {src_port = 1, dst_port = 443, flags = "fin,psh,ack,ece", seq = 9, ack = 8,
      window = 7, urgent_pointer = 6} / "hello",
  [[IPv6(src="2001:db8::1",dst="2001:db8::2",fl=0x12345,tc=0xb8,hlim=3)/TCP(sport=1,
  dport=443,flags="FPAE",seq=9,ack=8,window=7,urgptr=6)/b"hello"]],
  [[6b8123450019060320010db800000000000000000000000120010db8000000000000000000000002000101bb0000
  000900000008505900070e66000668656c6c6f]])

sample("udp over ipv6 with extension headers",
  packet.ipv6 {src = "2001:db8::1", dst = "2001:db8::2"}
    / packet.hopopts {options = {{type = "router-alert", value = 0}}} / packet.dstopts()
    / packet.fragment {id = 0x01020304} / packet.udp {src_port = 5, dst_port = 6} / "hello",
  [[IPv6(src="2001:db8::1",dst="2001:db8::2")/
  IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)])/IPv6ExtHdrDestOpt(options=[])/
  IPv6ExtHdrFragment(id=0x01020304,m=0,offset=0)/UDP(sport=5,dport=6)/b"hello"]],
  [[600000000025004020010db800000000000000000000000120010db80000000000000000000000023c0005020000
  01002c00010400000000110000000102030400050006000d608268656c6c6f]])

sample("udp behind a routing header",
  packet.ipv6 {src = "2001:db8::1", dst = "2001:db8::2"}
    / packet.routing {segments_left = 1, data = "\1\0\0\0" .. address.to_ipv6 "2001:db8::9"
      .. address.to_ipv6 "2001:db8::2"}
    / packet.udp {src_port = 5, dst_port = 6} / "hello",
  [[IPv6(src="2001:db8::1",dst="2001:db8::2")/
  IPv6ExtHdrSegmentRouting(addresses=["2001:db8::9","2001:db8::2"],segleft=1,
  lastentry=1,tlv_objects=[])/UDP(sport=5,dport=6)/b"hello"]],
  [[6000000000352b4020010db800000000000000000000000120010db8000000000000000000000002110404010100
  000020010db800000000000000000000000920010db800000000000000000000000200050006000d607b68656c6c
  6f]])

sample("icmpv6 echo",
  packet.ipv6 {src = "fe80::1", dst = "ff02::1"} / packet.icmpv6 {id = 7, seq = 8} / "abc",
  [[IPv6(src="fe80::1",dst="ff02::1")/ICMPv6EchoRequest(id=7,seq=8,data=b"abc")]],
  [[60000000000b3a40fe800000000000000000000000000001ff0200000000000000000000000000018000bdc20007
  0008616263]])

sample("icmpv6 packet too big",
  packet.ipv6 {src = "fe80::1", dst = "fe80::2"}
    / packet.icmpv6 {type = "packet-too-big", mtu = 1280}
    / packet.ipv6 {src = "fe80::2", dst = "fe80::3"}
    / packet.udp {src_port = 1, dst_port = 2} / "abc",
  [[IPv6(src="fe80::1",dst="fe80::2")/ICMPv6PacketTooBig(mtu=1280)/IPv6(src="fe80::2",
  dst="fe80::3")/UDP(sport=1,dport=2)/b"abc"]],
  [[60000000003b3a40fe800000000000000000000000000001fe80000000000000000000000000000202008a560000
  050060000000000b1140fe800000000000000000000000000002fe80000000000000000000000000000300010002
  000b3e6c616263]])

sample("neighbor solicitation",
  packet.ipv6 {src = "fe80::1", dst = "ff02::1:ff00:2", hop_limit = 255}
    / packet.icmpv6 {type = "neighbor-solicitation", target = "fe80::2", options = {
      {type = "source-link-layer-address", address = "02:00:00:00:00:01"}}},
  [[IPv6(src="fe80::1",dst="ff02::1:ff00:2",hlim=255)/ICMPv6ND_NS(tgt="fe80::2")/
  ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01")]],
  [[6000000000203afffe800000000000000000000000000001ff0200000000000000000001ff00000287007a970000
  0000fe8000000000000000000000000000020101020000000001]])

sample("neighbor advertisement",
  packet.ipv6 {src = "fe80::2", dst = "fe80::1", hop_limit = 255}
    / packet.icmpv6 {type = "neighbor-advertisement", flags = "S O", target = "fe80::2", options = {
      {type = "target-link-layer-address", address = "02:00:00:00:00:02"}}},
  [[IPv6(src="fe80::2",dst="fe80::1",hlim=255)/ICMPv6ND_NA(R=0,S=1,O=1,tgt="fe80::2")/
  ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:02")]],
  [[6000000000203afffe800000000000000000000000000002fe8000000000000000000000000000018800181a6000
  0000fe8000000000000000000000000000020201020000000002]])

sample("router advertisement",
  packet.ipv6 {src = "fe80::1", dst = "ff02::1", hop_limit = 255}
    / packet.icmpv6 {type = "router-advertisement", cur_hop_limit = 64, flags = "O",
      router_lifetime = 1800, reachable_time = 5, retrans_timer = 6, options = {
        {type = "prefix-information", prefix = "2001:db8::", prefix_length = 64, flags = "L A",
          valid_lifetime = 86400, preferred_lifetime = 14400},
        {type = "mtu", mtu = 1500},
      }},
  [[IPv6(src="fe80::1",dst="ff02::1",hlim=255)/ICMPv6ND_RA(chlim=64,M=0,O=1,prf=0,
  routerlifetime=1800,reachabletime=5,retranstimer=6)/
  ICMPv6NDOptPrefixInfo(prefix="2001:db8::",prefixlen=64,L=1,A=1,validlifetime=86400,
  preferredlifetime=14400)/ICMPv6NDOptMTU(mtu=1500)]],
  [[6000000000383afffe800000000000000000000000000001ff02000000000000000000000000000186002e984040
  07080000000500000006030440c000015180000038400000000020010db800000000000000000000000005010000
  000005dc]])

sample("dns answer",
  packet.ip {src = "192.0.2.53", dst = "10.0.0.1", id = 1}
    / packet.udp {src_port = 53, dst_port = 40000}
    / packet.dns {id = 0x1234, qr = true, aa = true, rd = true, ra = true,
      question = {{name = "www.example.com", type = "A"}},
      answer = {{name = "www.example.com", type = "A", ttl = 300, address = "192.0.2.80"}}},
  [[dns_compress(IP(src="192.0.2.53",dst="10.0.0.1")/UDP(sport=53,dport=40000)/
  DNS(id=0x1234,qr=1,aa=1,rd=1,ra=1,qd=DNSQR(qname="www.example.com",qtype="A"),
  an=DNSRR(rrname="www.example.com",type="A",ttl=300,rdata="192.0.2.80")))]],
  [[4500004d000100004011ae69c00002350a00000100359c400039263b123485800001000100000000037777770765
  78616d706c6503636f6d0000010001c00c000100010000012c0004c0000250]])

sample("ip in ip",
  packet.ip {src = "10.0.0.1", dst = "10.0.0.2", id = 1}
    / packet.ip {src = "192.0.2.1", dst = "192.0.2.2", id = 1}
    / packet.icmp {type = "echo-reply", id = 1, seq = 2},
  [[IP(src="10.0.0.1",dst="10.0.0.2")/IP(src="192.0.2.1",dst="192.0.2.2")/ICMP(type=0,
  id=1,seq=2)]],
  [[4500003000010000400466c70a0000010a0000024500001c000100004001f6dcc0000201c00002020000fffc0001
  0002]])

sample("ipv6 in ip",
  packet.ip {src = "10.0.0.1", dst = "10.0.0.2", id = 1}
    / packet.ipv6 {src = "::1", dst = "::ffff:10.0.0.2"} / packet.udp {src_port = 1, dst_port = 2},
  [[IP(src="10.0.0.1",dst="10.0.0.2")/IPv6(src="::1",dst="::ffff:10.0.0.2")/UDP(sport=1,
  dport=2)]],
  [[45000044000100004029668e0a0000010a0000026000000000081140000000000000000000000000000000010000
  0000000000000000ffff0a000002000100020008f5d8]])

sample("a fragment",
  packet.ip {src = "10.0.0.1", dst = "10.0.0.2", id = 9, flags = "MF",
      fragment_offset = 100, protocol = "udp"} / "eightbyt",
  [[IP(src="10.0.0.1",dst="10.0.0.2",id=9,flags="MF",frag=100,proto=17)/b"eightbyt"]],
  [[4500001c00092064401146620a0000010a0000026569676874627974]])

sample("icmp timestamp",
  packet.ip {src = "10.0.0.1", dst = "10.0.0.2", id = 1}
    / packet.icmp {type = "timestamp", id = 3, seq = 4, originate = 1000, receive = 2000,
      transmit = 3000},
  [[IP(src="10.0.0.1",dst="10.0.0.2")/ICMP(type=13,id=3,seq=4,ts_ori=1000,ts_rx=2000,
  ts_tx=3000)]],
  [[4500002800010000400166d20a0000010a0000020d00db8800030004000003e8000007d000000bb8]])

sample("icmp redirect",
  packet.ip {src = "10.0.0.1", dst = "10.0.0.2", id = 1}
    / packet.icmp {type = "redirect", code = 1, gateway = "10.0.0.254"}
    / packet.ip {src = "10.0.0.2", dst = "192.0.2.9", id = 1} / packet.icmp {id = 1, seq = 1},
  [[IP(src="10.0.0.1",dst="10.0.0.2")/ICMP(type=5,code=1,gw="10.0.0.254")/
  IP(src="10.0.0.2",dst="192.0.2.9",id=1)/ICMP(id=1,seq=1)]],
  [[4500003800010000400166c20a0000010a0000020501f0000a0000fe4500001c000100004001aed50a000002c000
  02090800f7fd00010001]])

return samples
