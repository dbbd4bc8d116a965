-- packet.filter: what it lets through, here and in the kernel. Beside tcpdump it is in
-- packet_filter_peers_spec.

local linear = require "spec.support.linear"
local net = require "neap.net"
local packet = require "neap.packet"
local random = require "spec.support.random"
local task = require "neap.task"

local eth = packet.eth {dst = "02:00:00:00:00:02", src = "02:00:00:00:00:01"}
local four = packet.ip {src = "10.0.0.1", dst = "192.0.2.7"}
local six = packet.ipv6 {src = "2001:db8::1", dst = "2001:db8:7::7"}

local packets = {
  udp = eth / four / packet.udp {src_port = 4000, dst_port = 53} / "question",
  back = eth / packet.ip {src = "192.0.2.7", dst = "10.0.0.1"}
    / packet.udp {src_port = 53, dst_port = 4000},
  options = eth / packet.ip {src = "10.0.0.1", dst = "192.0.2.7", options = {"nop", "nop", "nop"}}
    / packet.udp {src_port = 4000, dst_port = 53},
  fragment = eth / packet.ip {src = "10.0.0.1", dst = "192.0.2.7", fragment_offset = 9,
    protocol = "udp"} / "\0\53\0\53later",
  tcp = eth / four / packet.tcp {src_port = 4000, dst_port = 80},
  icmp = eth / four / packet.icmp {},
  udp6 = eth / six / packet.udp {src_port = 53, dst_port = 4000},
  tcp6 = eth / six / packet.tcp {src_port = 80, dst_port = 4000},
  icmp6 = eth / six / packet.icmpv6 {},
  arp = eth / packet.arp {spa = "10.0.0.1", tpa = "10.0.0.9"},
}

-- What passes.
local filters = {
  ["ip"] = "udp back options fragment tcp icmp",
  ["ip6"] = "udp6 tcp6 icmp6",
  ["arp"] = "arp",
  ["icmp"] = "icmp",
  ["icmp6"] = "icmp6",
  ["udp"] = "udp back options fragment udp6",
  ["tcp"] = "tcp tcp6",
  ["sctp"] = "",
  ["udp port 53"] = "udp back options udp6",
  ["udp port domain"] = "udp back options udp6",
  ["udp src port 53"] = "back udp6",
  ["udp dst port 53"] = "udp options",
  ["port 80"] = "tcp tcp6",
  ["tcp port 53"] = "",
  ["src port 53"] = "back udp6",
  ["ip and host 10.0.0.1"] = "udp back options fragment tcp icmp",
  ["ip and src host 192.0.2.7"] = "back",
  ["ip and dst 192.0.2.7"] = "udp options fragment tcp icmp",
  ["host 2001:db8::1"] = "udp6 tcp6 icmp6",
  ["dst host 2001:db8::1"] = "",
  ["ip and net 192.0.0.0/9"] = "udp back options fragment tcp icmp",
  ["ip and src net 192.0.0.0/9"] = "back",
  ["net 2001:db8:7::/48"] = "udp6 tcp6 icmp6",
  ["dst net 2001:db8:7:0::/65"] = "udp6 tcp6 icmp6",
  ["src net 2001:db8:7::/48"] = "",
  ["net ::/0"] = "udp6 tcp6 icmp6",
  ["not ip and not ip6"] = "arp",
  ["! ( ip or ip6 )"] = "arp",
  ["icmp or tcp and ip6"] = "tcp6",
  ["icmp or (tcp and ip6)"] = "icmp tcp6",
  ["udp || tcp && port 80"] = "tcp tcp6",
  ["not not arp"] = "arp",
}

local names = {}
for name in pairs(packets) do
  names[#names + 1] = name
end
table.sort(names)

local function expected(text)
  local set, list = {}, {}
  for name in filters[text]:gmatch "%S+" do
    set[name] = true
  end
  for _, name in ipairs(names) do
    list[#list + 1] = set[name] and name or nil
  end
  return table.concat(list, " ")
end

local function passed(wanted, cut)
  local list = {}
  for _, name in ipairs(names) do
    if wanted:match(packets[name]:bytes():sub(cut + 1)) then
      list[#list + 1] = name
    end
  end
  return table.concat(list, " ")
end

describe("packet.filter", function()
  for text in pairs(filters) do
    it("decides " .. text, function()
      assert.equal(expected(text), passed(packet.filter(text), 0))
      if not text:find "arp" and not text:find "not" and not text:find "!" then
        assert.equal(expected(text), passed(packet.filter(text, "raw"), 14))
      end
    end)
  end

  it("jumps over more than 255 instructions", function()
    local ports = {}
    for port = 1000, 1099 do
      ports[#ports + 1] = "udp port " .. port
    end
    local text = ("(ip and (%s)) or icmp"):format(table.concat(ports, " or "))
    local program = packet.filter(text)
    assert.is_true(#program > 1000)
    assert.equal("icmp", passed(program, 0))
    assert.equal("icmp", passed(packet.filter("not not " .. text:gsub("^", "(") .. ")"), 0))
    program = packet.filter(text .. " or udp port 53")
    assert.equal("back icmp options udp udp6", passed(program, 0))
  end)

  it("tells what is no filter, and where", function()
    for text, why in pairs {
      [""] = "1: a protocol, 'host', 'net', 'port', 'src', 'dst' or a value expected, got the end",
      ["tpc port 80"] = "1: a protocol, 'host', 'net', 'port', 'src', 'dst' or a value expected, got 'tpc'",
      ["ip and"] = "7: a protocol, 'host', 'net', 'port', 'src', 'dst' or a value expected, got the end",
      ["tcp port"] = "9: a port, 0 to 65535, expected, got the end",
      ["tcp port 65536"] = "10: a port, 0 to 65535, expected, got '65536'",
      ["tcp port 1e3"] = "10: a port, 0 to 65535, expected, got '1e3'",
      ["port 080"] = "6: a port, 0 to 65535, expected, got '080'",
      ["port 80-90"] = "6: a port, 0 to 65535, expected, got '80-90'",
      ["portrange 1-70000"] = "11: a port, 0 to 65535, expected, got '1-70000'",
      ["port 80 or 10.0.0.1"] = "12: a port, 0 to 65535, expected, got '10.0.0.1'",
      ["tcp src host 10.0.0.1"] = "9: 'host' does not go with 'tcp'",
      ["icmp port 80"] = "6: 'port' does not go with 'icmp'",
      ["tcp 80"] = "5: 'and', 'or' or the end expected, got '80'",
      ["udp tcp"] = "5: 'and', 'or' or the end expected, got 'tcp'",
      ["tcp or 80"] = "8: a protocol, 'host', 'net', 'port', 'src', 'dst' or a value expected, got '80'",
      ["(udp"] = "5: ')' expected, got the end",
      ["udp)"] = "4: 'and', 'or' or the end expected, got ')'",
      ["host 10.0.0.0/8"] = "14: 'and', 'or' or the end expected, got '/'",
      ["host 10.0.0.256"] = "6: an address or a name expected, got '10.0.0.256'",
      ["host tcp"] = "6: an address or a name expected, got 'tcp'",
      ["ip host ::1"] = "9: an address of ip expected, got '::1'",
      ["ip6 host 10.0.0.1"] = "10: an address of ip6 expected, got '10.0.0.1'",
      ["net 10.0.0.1/8"] = "5: bits are set that do not count",
      ["net 10.0.0.0/33"] = "14: a length, 0 to 32, expected, got '33'",
      ["net 10.0.0.0 mask 255.x"] = "19: a mask such as 255.255.0.0 expected, got '255.x'",
      ["net localhost"] = "5: a prefix, such as 10.0.0.0/8, expected, got 'localhost'",
      ["host 02:00:00:00:00:01"] = "6: an address or a name expected, got '02:00:00:00:00:01'",
      ["ether host 10.0.0.1"] = "12: an Ethernet address expected, got '10.0.0.1'",
      ["ether"] = "6: 'host', 'src', 'dst', 'proto', 'broadcast' or 'multicast' expected, got the end",
      ["tcp multicast"] = "5: there is no 'tcp multicast'",
      ["proto 256"] = "7: a protocol, 0 to 255 or a name, expected, got '256'",
      ["ether proto nothing"] = "13: a protocol, 0 to 65535 or a name, expected, got 'nothing'",
      ["vlan 4096"] = "6: a number of a VLAN, 0 to 4095, expected, got '4096'",
      ["less x"] = "6: a length, 0 to 4294967295, expected, got 'x'",
      ["ip[0"] = "5: ']' expected, got the end",
      ["ip[0:3] = 1"] = "6: a size of 1, 2 or 4 expected, got '3'",
      ["ip[65536] = 1"] = "4: an offset of 65535 at most expected, got '65536'",
      ["ip[0]"] = "6: an operator expected, got the end",
      ["ip[0] + = 1"] = "9: a number, 'len', or bytes such as ip[0] expected, got '='",
      ["ip[0] / 0 = 1"] = "7: division by zero",
      ["ip[0] << 32 = 1"] = "7: a shift by more than 31 bits",
      ["esp[0] = 1"] = "1: a protocol whose bytes can be had expected, got 'esp'",
      ["len = 4294967296"] = "7: a number, 'len', or bytes such as ip[0] expected, got '4294967296'",
      ["ip and \1\255"] = "8: a word or an operator expected, got '\\x01'",
      ["ip # what"] = "4: a word or an operator expected, got '#'",
    } do
      local ok, message = pcall(packet.filter, text)
      assert.is_false(ok, text)
      assert.equal("at " .. why, (message:gsub("^.-': ", "")))
    end
    for text, why in pairs {
      ["ether host 02:00:00:00:00:01"] = "1", ["ip and vlan"] = "8", ["broadcast"] = "1", ["not ether multicast"] = "5",
    } do
      assert.has_error(function() packet.filter(text, "raw") end,
        ("filter '%s': at %s: packets of this link have no header of Ethernet"):format(text, why))
    end
    assert.has_error(function() packet.filter(7) end, "filter: a text expected, got number")
    for _, first in ipairs {"x", "null", 105, 1.5} do
      assert.has_error(function() packet.filter("ip", first) end,
        ("filter: 'eth', 'raw' or a known link type expected, got '%s'"):format(first))
    end
  end)

  it("holds what is too large, and soon", function()
    local function refused(text, why)
      local ok, message = pcall(packet.filter, text)
      assert.is_false(ok)
      assert.is_true(#message < 200)
      assert.matches(why, message)
    end
    refused(("port 1 or "):rep(400) .. "port 2", "^.-filter: more than 4096 instructions$")
    refused(("("):rep(60000), "at 102: too deep$")
    refused(("not "):rep(10000) .. "ip", "too deep$")
    refused("len = " .. ("("):rep(60000), "too deep$")
    refused("len = " .. ("-"):rep(60000) .. "1", "too deep$")
    refused("port " .. ("("):rep(60000), "too deep$")
    refused("ip[" .. ("ip["):rep(20000), "too deep$")
    refused(("1+("):rep(40) .. "ip[0]" .. (")"):rep(40) .. " = 1" .. (" and ip"):rep(9000), "more than 4096")
    refused(("ip[0]+("):rep(20) .. "ip[0]" .. (")"):rep(20) .. " = 1", "filter: too deep$")
    refused(("ip or "):rep(20000) .. "ip", "filter: 120002 bytes, 65536 at most expected")
    refused(("x"):rep(60000), "expected, got 'x+%.%.%.'$")
    assert.is_true(#packet.filter(("1+"):rep(20000) .. "1 = len") < 10)
    assert.is_true(packet.filter(("ip[0]+"):rep(300) .. "ip[1]=20700"):match(packets.tcp:bytes()))
  end)

  it("looks names of hosts up, and says which is not found", function()
    local wanted = packet.filter("src host localhost", "raw")
    assert.equal("src host localhost", tostring(wanted))
    local p = packet.ip {src = "127.0.0.1", dst = "10.0.0.1"} / packet.udp {}
    assert.is_true(wanted:match(p:bytes()))
    assert.is_false(wanted:match((packet.ip {src = "127.0.0.2", dst = "127.0.0.1"} / packet.udp {}):bytes()))
    local none, err = packet.filter("udp or host no.such.name.invalid")
    assert.is_nil(none)
    assert.equal("resolve", err.op)
  end)

  it("is none, and no error either, where the task is cancelled meanwhile", function()
    local resolve <const> = net.resolve
    local _ <close> = setmetatable({}, {__close = function()
      net.resolve = resolve
    end})
    net.resolve = function()
      task.sleep(100)
    end
    local went_on = false
    local asking = task.spawn(function()
      packet.filter "host name.invalid"
      went_on = true
    end)
    task.yield()
    asking:cancel()
    asking:join()
    assert.is_false(went_on)
  end)

  it("is read in a time that goes with its length", function()
    for _, words in ipairs {"a:", ":", "1.", "0x"} do
      linear(function(n)
        pcall(packet.filter, words:rep(n))
      end, 1000)
    end
  end)

  it("matches bytes, and the length of what was cut", function()
    local wanted = packet.filter("less 50", "raw")
    assert.is_true(wanted:match "x")
    assert.is_false(wanted:match("x", 51))
    assert.is_false(packet.filter("ip[3] = 1", "raw"):match "\x45\0\0") -- and so not the rest
    assert.is_false(packet.filter("not ip[3] = 1", "raw"):match "\x45\0\0")
    assert.is_false(packet.filter("ip", "raw"):match "")
    assert.has_error(function() wanted:match(7) end, "match: a string of bytes expected, got number")
    assert.has_error(function() wanted:match("x", -1) end, "match: a length expected, got '-1'")
    assert.has_error(function() wanted:match("x", 1.5) end, "match: a length expected, got '1.5'")
  end)

  it("runs any program to its end", function()
    local match = require "neap.net.core".match
    local draw = random(11)
    for _ = 1, 3000 do
      local code = {}
      for i = 1, draw(12) do
        code[i] = ("=I2BBI4"):pack(draw(256), draw(4), draw(4), draw(3) == 0 and 0xffffffff - draw(5000) or draw(20))
      end
      assert.is_boolean(match(table.concat(code) .. ("x"):rep(draw(8)), ("\x45"):rep(draw(40)), draw(99)))
    end
  end)

  it("is taken by the kernel", function()
    local socket <close>, err = net.bind("packet://lo", {filter = packet.filter "udp port 9"})
    if not socket and err.code == "EPERM" then
      pending "needs CAP_NET_RAW"
    end
    assert(socket, err):settimeout(5)
    local sender <close> = assert(net.bind "udp://127.77.0.1:0")
    sender:send("other", "127.77.0.1:10")
    sender:send("wanted", "127.77.0.1:9")
    sender:flush()
    repeat -- others may use that port on this machine, too
      local p = packet.dissect(task.timeout(5, socket.recv, socket))
    until p.ip and p.ip.dst == "127.77.0.1"
      and (assert.equal(9, p.udp.dst_port) or assert.equal("wanted", p.raw.data))
  end)

  it("knows a tag in a frame, and one that the kernel took out", function()
    local wanted = packet.filter "vlan 77 and udp port 9"
    local socket <close>, err = net.bind("packet://lo", {filter = wanted})
    if not socket and err.code == "EPERM" then
      pending "needs CAP_NET_RAW"
    end
    assert(socket, err):settimeout(5)
    local sender <close> = assert(net.bind "packet://lo")
    local function send(tags, port)
      local p = eth
      for _, vid in ipairs(tags) do
        p = p / packet.vlan {vid = vid}
      end
      assert(sender:send((p / four / packet.udp {src_port = 7, dst_port = port}):bytes()))
    end
    send({}, 9)
    send({78}, 9)
    send({77}, 10)
    send({77}, 9)
    sender:flush()
    local kinds = {}
    for _ = 1, 2 do -- as it is sent, and as it comes in
      local bytes, _, info = socket:recv()
      kinds[info.kind] = true
      assert.equal(9, packet.dissect(bytes).udp.dst_port)
      assert.equal(77, packet.dissect(bytes).vlan.vid)
      assert.is_true(wanted:match(bytes))
    end
    assert.is_true(kinds.outgoing)
  end)
end)
