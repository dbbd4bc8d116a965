-- packet.filter beside tcpdump: a capture of each link type with packets of every layer,
-- and what each of the two chooses.

local packet = require "neap.packet"
local pcap = require "neap.pcap"
local process = require "neap.process"
local random = require "spec.support.random"
local task = require "neap.task"

local a, b = "10.0.0.1", "192.168.7.9"
local six_a, six_b = "2001:db8::1", "2001:db8:7::7"
local mac_a, mac_b = "02:00:00:00:00:01", "02:00:00:00:00:02"
local raw = packet.raw

local function ip(fields, body)
  fields.src, fields.dst = fields.src or a, fields.dst or b
  return packet.ip(fields) / (body or "")
end

local function ipv6(fields, body)
  fields.src, fields.dst = fields.src or six_a, fields.dst or six_b
  return packet.ipv6(fields) / (body or "")
end

local function udp(from, to, body)
  return packet.udp {src_port = from, dst_port = to} / (body or "data")
end

local function tcp(from, to, flags)
  return packet.tcp {src_port = from, dst_port = to, flags = flags} / (flags == "PSH ACK" and "hello" or "")
end

local query = packet.dns {question = {{name = "neap.example", type = "A"}}}

--- Packets that begin with IP's header.
local inside = {
  ip({}, udp(4000, 53, query)),
  ip({src = b, dst = a}, udp(53, 4000)),
  ip({}, udp(123, 123)),
  ip({}, udp(80, 443)),
  ip({dst = "10.1.2.3"}, udp(69, 2000)),
  ip({dst = "255.255.255.255"}, udp(68, 67)),
  ip({dst = "224.0.0.251", ttl = 1}, udp(5353, 5353)),
  ip({options = {"nop", "nop", "nop"}}, udp(4000, 53)),
  ip({options = {"nop", "nop", "nop"}}, tcp(4000, 80, "SYN")),
  ip({fragment_offset = 9, protocol = "udp"}, "\0\53\0\53later"),
  ip({flags = "MF"}, udp(4000, 53)),
  ip({flags = "DF", tos = 0x10}, tcp(4000, 80, "SYN")),
  ip({src = b, dst = a}, tcp(80, 4000, "SYN ACK")),
  ip({}, tcp(4000, 80, "ACK")),
  ip({}, tcp(4000, 80, "PSH ACK")),
  ip({}, tcp(4000, 80, "FIN ACK")),
  ip({src = b, dst = a}, tcp(22, 50000, "RST")),
  ip({}, tcp(443, 443, "ACK")),
  ip({}, packet.icmp {type = "echo", id = 1, seq = 1} / ("x"):rep(56)),
  ip({src = b, dst = a}, packet.icmp {type = "echo-reply", id = 1, seq = 1}),
  ip({ttl = 1, protocol = 2, dst = "224.0.0.22"}, "\x22\0\0\0\0\0\0\1"),
  ip({protocol = 132}, "\x0f\xa0\0\80\0\0\0\0\0\0\0\0\0\3\0\16"),
  ip({protocol = 50}, ("\x5a"):rep(40)),
  ip({protocol = 51}, ("\6\4\0\0"):rep(10)),
  ip({protocol = 112}, "\x21\1\100\1\0\1\0\0"),
  ip({protocol = 103}, "\x20\0\0\0\0\1\0\2"),
  ip({protocol = 253}, ("p"):rep(1400)),
  ipv6({}, udp(53, 4000, query)),
  ipv6({src = six_b, dst = six_a}, udp(4000, 53)),
  ipv6({}, tcp(80, 4000, "SYN")),
  ipv6({dst = "fe80::2"}, tcp(4000, 443, "ACK")),
  ipv6({}, packet.icmpv6 {type = "echo", id = 1, seq = 2}),
  ipv6({dst = "ff02::1", hop_limit = 255}, packet.icmpv6 {}),
  ipv6({}, packet.hopopts {} / udp(53, 4000)),
  ipv6({}, packet.dstopts {} / tcp(80, 4000, "SYN")),
  ipv6({}, packet.routing {} / udp(80, 4000)),
  ipv6({}, packet.fragment {id = 7, m = true} / udp(53, 4000)),
  ipv6({}, packet.fragment {id = 7, fragment_offset = 20, next_header = "udp"} / "the rest of it"),
  ipv6({}, packet.fragment {id = 8, m = true} / tcp(80, 4000, "SYN")),
  ipv6({}, packet.fragment {id = 9, m = true} / packet.icmpv6 {}),
  ipv6({next_header = 132}, "\x0f\xa0\0\80\0\0\0\0\0\0\0\0\0\3\0\16"),
}

local eth = packet.eth {dst = mac_b, src = mac_a}
local to_all = packet.eth {dst = "ff:ff:ff:ff:ff:ff", src = mac_a}
local arp = packet.arp {spa = a, tpa = b, sha = mac_a}

--- Frames of Ethernet: those, and what only is there.
local function frames()
  local list = {}
  for i, one in ipairs(inside) do
    local outside = i % 7 == 6 and to_all or eth
    list[#list + 1] = (outside / one):bytes()
    if i % 4 == 0 then
      list[#list + 1] = (eth / packet.vlan {vid = 5} / one):bytes()
    elseif i % 9 == 1 then
      list[#list + 1] = (eth / packet.vlan {vid = 7, pcp = 3} / packet.vlan {vid = 5} / one):bytes()
    end
  end
  for _, one in ipairs {
    to_all / arp, eth / packet.vlan {vid = 100} / arp,
    eth / packet.arp {spa = b, tpa = a, op = "reply"},
    packet.eth {dst = mac_a, src = mac_b, type = 0x8035} / arp:bytes(),
    packet.eth {dst = "01:80:c2:00:00:00", src = mac_a, type = 38} / ("\x42\x42\3" .. ("\0"):rep(35)),
    packet.eth {dst = mac_a, src = mac_b, type = 60} / ("\xaa\xaa\3" .. ("\0"):rep(57)),
    packet.eth {dst = "33:33:00:00:00:01", src = mac_a} / ipv6({dst = "ff02::1"}, udp(546, 547)),
    packet.eth {dst = mac_a, src = mac_b, type = 0x88cc} / "\2\7\4",
    eth / raw "",
  } do
    list[#list + 1] = one:bytes()
  end
  return list
end

local function of_family(family)
  local list = {}
  for _, one in ipairs(inside) do
    list[#list + 1] = (family == nil or one[family]) and one:bytes() or nil
  end
  return list
end

--- Each with a header in front, by its family's two texts.
local function behind(four, six)
  local list = {}
  for _, one in ipairs(inside) do
    list[#list + 1] = (one.ip and four or six) .. one:bytes()
  end
  return list
end

local captures = {
  [1] = frames(), [101] = of_family(), [228] = of_family "ip", [229] = of_family "ipv6",
  [0] = behind("\2\0\0\0", "\30\0\0\0"), [108] = behind("\0\0\0\2", "\0\0\0\24"),
  [113] = behind("\0\0\0\1\0\6\2\0\0\0\0\1\0\0\8\0", "\0\0\0\1\0\6\2\0\0\0\0\1\0\0\x86\xdd"),
  [276] = behind("\8\0\0\0\0\0\0\1\0\1\0\6\2\0\0\0\0\1\0\0", "\x86\xdd\0\0\0\0\0\1\0\1\0\6\2\0\0\0\0\1\0\0"),
}
-- Some are cut, each at another place: the bytes, and how many there were.
for _, list in pairs(captures) do
  for i = 1, #list, 3 do
    list[#list + 1] = {list[i]:sub(1, 10 + i % 50), #list[i]}
  end
end
captures.whole = frames()

-- What is of any link, by the line.
local expressions = {}
for line in ([=[
ip
ip6
tcp
udp
sctp
icmp
icmp6
igmp
pim
vrrp
ah
esp
not ip
! udp
not not tcp
ip proto 17
ip proto \tcp
ip proto \icmp or \udp
ip6 proto 17
ip6 proto 44
proto 6
proto 132
proto \udp
host 10.0.0.1
src host 10.0.0.1
dst host 10.0.0.1
src 192.168.7.9
src or dst host 192.168.7.9
src and dst host 10.0.0.1
ip host 10.1.2.3
host 10.0.0.1 and 192.168.7.9
host 10.1.2.3 or 255.255.255.255
host (10.1.2.3 or 224.0.0.22)
host 10.0.0.1 and not (10.1.2.3 or 192.168.7.9)
not host 10.0.0.1
host 10.1
ip host 0x0a000001
host 2001:db8::1
src host 2001:db8:7::7
dst 2001:db8:0:0::1
ip6 host fe80::2
net 10
net 192.168
dst net 192.168.7
src net 10.0.0.0/8
net 10.0.0.0/15
net 10.1/16
net 192.168.7.8/30
net 10.0.0.0 mask 255.0.0.0
net 192.168 mask 255.254
ip net 10.1.2.3
net 0.0.0.0/0
net 224.0.0.0/4 or 10.1
net 2001:db8:7::/48
dst net 2001:db8:7:0::/65
net ::/0
net ff00::/8
ip6 net fe80::/10
src and dst net 10
port 53
port 80||443
port 80 or 443
tcp port 80
udp port 53
sctp port 80
src port 53
udp dst port 53
tcp src or dst port 443
udp src and dst port 123
port domain
port http
port tftp
tcp port http or https
port (80 or 443) and tcp
not port 53
not udp port 53 or 67
port 80 or 443 and host 10.0.0.1
port 0x50
portrange 1-1023
portrange 443-80
udp portrange 53-69
src portrange 4000-4000
dst portrange 0-100
portrange 80
portrange 22-http
tcp portrange 80-443 or 50000-60000
ip multicast
ip6 multicast
ip broadcast
less 60
greater 100
len = 42
len <= 54
len > 0x100
len - 20 >= 28
len != 28 and len != 48
ip[0] = 0x45
ip[0] & 0xf != 5
ip[0] & 15 > 5
ip[6:2] & 0x1fff = 0
ip[6:2]&0x1fff!=0
ip[6] & 0x40 = 0x40
ip[8] < 5
ip[8] - 1 = 0
ip[2:2] - ((ip[0] & 0xf) << 2) > 30
ip[12:4] = 0x0a000001
ip[16:4] >> 24 = 192
ip[9] = 6 or ip[9] = 17
ip[19] % 2 = 1
ip[16] * 256 + ip[17] = 0xc0a8
ip[16] ^ 0xff = 63
ip[8] / 16 == 4
ip[1] | 1 = 0x11
ip[ip[8]:1] = 0
ip[ip[0] & 0xf] = 1
ip6[6] = 17
ip6[6] = 44 and ip6[40] = 6
ip6[7] = 255
ip6[4:2] > 20
ip6[24] = 0xff
tcp[13] = 2
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0
tcp[tcpflags] & (tcp-syn | tcp-ack) == (tcp-syn | tcp-ack)
tcp[tcpflags] == tcp-syn
tcp[13] & 8 != 0 and port 80
(tcp[tcpflags] & tcp-rst) != 0
not tcp[tcpflags] & tcp-ack != 0
tcp[2:2] = 80
tcp[0:2] > 1023 && tcp[2:2] < 1024
tcp[0:2] = tcp[2:2]
tcp[((tcp[12] & 0xf0) >> 2):4] = 0x68656c6c
udp[4:2] > 12
udp[0:2] < 1024 or udp[2:2] < 1024
udp[8:2] != 0
icmp[icmptype] = icmp-echo
icmp[0] != icmp-echo and icmp[0] != icmp-echoreply
icmp[icmpcode] = 0
icmp6[icmp6type] = icmp6-echo
icmp6[0] > 100
igmp[0] = 0x22
sctp[2:2] = 80
pim[0] = 0x20
vrrp[1] = 1
ip[0] = ip6[0]
1 = 1
5 > 6
(5) = 5
len = 20 + 22
(-ip[8]) = -64
0 - 1 = 0xffffffff
ip[8] + ip[9] * 2 > 80
ip[8] + (ip[9] + (ip[1] + ip[2])) > 80
(ip[8] > 1 and udp) or tcp
((ip and (udp)))
((ip[0])) = 0x45
udp or tcp and port 80
udp or (tcp and port 80)
icmp or tcp and ip6
(icmp or tcp) and not ip6
ip and not (tcp or udp or icmp)
host 10.0.0.1 and (tcp or udp) or 10.1.2.3
]=]):gmatch "[^\n]+" do
  expressions[#expressions + 1] = line
end

-- What asks for Ethernet's header, or other types.
local of_frames = {}
for line in ([=[
arp
rarp
arp host 10.0.0.1
arp src host 10.0.0.1
arp dst host 10.0.0.1
arp net 192.168
rarp host 192.168.7.9
arp[6:2] = 2
arp[7] = 1 and not host 10.1.2.3
not arp and not ip and not ip6
ether host 02:00:00:00:00:01
ether src 2:0:0:0:0:2
ether dst host 02-00-00-00-00-01
ether src or dst 02:00:00:00:00:02
not ether dst ff:ff:ff:ff:ff:ff
ether proto 0x800
ether proto \arp
ether proto \ip6 or \ip
ether proto 0x88cc
ether proto 0x42
ether broadcast
broadcast
ether multicast
multicast
multicast and not broadcast
ether[0] & 1 = 0 and ip[16] >= 224
ether[12:2] = 0x8100
ether[6:4] = 0x02000000
ether[ether[5]] = 0
vlan
vlan 5
vlan 5 and ip
vlan 7 and vlan 5
vlan and vlan and udp port 53
vlan and arp
vlan && ip host 10.0.0.1
vlan and tcp[13] = 2
ip or vlan 5 and tcp
(vlan 5 or vlan 5) and ip
not vlan
vlan and not ip
vlan and ether proto \ip
vlan and port 53
vlan and less 70
vlan 0x5
]=]):gmatch "[^\n]+" do
  of_frames[#of_frames + 1] = line
end

--- So many of them are joined.
local JOINED = 60

describe("packet.filter, beside tcpdump", function()
  local folder
  local paths = {}
  local tcpdump = process.run({"sh", "-c", "command -v tcpdump"}).code == 0

  setup(function()
    folder = os.tmpname()
    for name, list in pairs(captures) do
      paths[name] = ("%s-%s"):format(folder, name)
      local capture <close> = assert(pcap.writer(paths[name], {linktype = tonumber(name)}))
      for i, one in ipairs(list) do
        local bytes, length = one, nil
        if type(one) == "table" then
          bytes, length = table.unpack(one)
        end
        assert(capture:write(bytes, {time = i, original = length}))
      end
    end
  end)

  teardown(function()
    os.remove(folder)
    for _, path in pairs(paths) do
      os.remove(path)
    end
  end)

  --- The numbers of what passes.
  local function ours(name, text)
    local wanted
    local found = {}
    for bytes, info in assert(pcap.reader(paths[name])) do
      wanted = wanted or packet.filter(text, info.linktype)
      found[#found + 1] = wanted:match(bytes, info.original) and math.tointeger(info.time) or nil
    end
    return table.concat(found, " ")
  end

  local function theirs(link, text)
    local result = assert(process.run {"tcpdump", "-tt", "-n", "-q", "-r", paths[link], text})
    if result.stderr:find "rejects all packets" then
      return ""
    end
    assert(result.code == 0, text .. ": " .. result.stderr)
    local found = {}
    for second in ("\n" .. result.stdout):gmatch "\n(%d+)%.000000" do
      found[#found + 1] = second
    end
    return table.concat(found, " ")
  end

  --- Several at once: to start a program takes longer than to decide.
  local function compare(link, list)
    local at, wrong, tasks = 0, {}, {}
    for i = 1, 4 do
      tasks[i] = task.spawn(function()
        while at < #list do
          at = at + 1
          local text = list[at]
          local wanted, found = theirs(link, text), ours(link, text)
          if wanted ~= found then
            wrong[text] = {tcpdump = wanted, neap = found}
          end
        end
      end)
    end
    for _, one in ipairs(tasks) do
      one:join()
    end
    assert.same({}, wrong)
  end

  it("is asked some 250 expressions", function()
    assert.is_true(#expressions + #of_frames + JOINED >= 250)
  end)

  --- Some of the two lists, joined by words.
  local function mixed(count, seed)
    local draw = random(seed)
    local function one()
      local n = 1 + draw(#expressions + #of_frames)
      return expressions[n] or of_frames[n - #expressions]
    end
    local found = {}
    for i = 1, count do
      found[i] = ("(%s) %s %s(%s)"):format(one(), draw(2) == 1 and "and" or "or",
        draw(3) == 1 and "not " or "", one())
    end
    return found
  end

  --- Each so many of a list.
  local function some(list, step, first)
    local found = {}
    for i = first, #list, step do
      found[#found + 1] = list[i]
    end
    return found
  end

  local function beside(what, list, name)
    it("chooses the same " .. what .. " #slow", function()
      if not tcpdump then
        pending "tcpdump is not installed"
      end
      compare(name, list)
    end)
  end

  for i = 1, 4 do
    beside(("by what any link has, %d of 4"):format(i), some(expressions, 4, i), 1)
  end
  beside("by what Ethernet has", of_frames, 1)
  beside("by what is joined", mixed(JOINED, 7), "whole")
  for i, link in ipairs {0, 101, 108, 113, 228, 229, 276} do
    beside("of link type " .. link, some(expressions, 16, 2 * i), link)
  end
end)
