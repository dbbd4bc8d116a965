-- packet.filter: what a program lets through, as a small BPF machine runs it
-- here, as tcpdump decides, and as the kernel does.

local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local process = require "neap.process"
local task = require "neap.task"

--- What a program returns for a packet: bytes to pass on.
local function run(program, bytes)
  local a, x, at = 0, 0, 1
  local function load(format, offset)
    local ok, value = pcall(string.unpack, format, bytes, offset + 1)
    return ok and value or nil
  end
  while true do
    local code, yes, no, k = table.unpack(program[at])
    at = at + 1
    if code == 0x06 then
      return k
    elseif code == 0x05 then
      at = at + k
    elseif code == 0x15 then
      at = at + (a == k and yes or no)
    elseif code == 0x45 then
      at = at + (a & k ~= 0 and yes or no)
    elseif code == 0x54 then
      a = a & k
    elseif code == 0xb1 then
      x = 4 * ((load("B", k) or 0) & 15)
    else
      a = load(({[0x20] = ">I4", [0x28] = ">I2", [0x30] = "B", [0x48] = ">I2"})[code],
        code == 0x48 and x + k or k)
    end
    if not a then
      return 0 -- a load behind the end rejects
    end
  end
end

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

-- What passes. Where tcpdump knows more than we do, `arp` is left out by hand.
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

local function passed(program, cut)
  local list = {}
  for _, name in ipairs(names) do
    if run(program, packets[name]:bytes():sub(cut + 1)) > 0 then
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

  it("decides as tcpdump does", function()
    local found = process.run {"sh", "-c", "command -v tcpdump"}
    if found.code ~= 0 then
      pending "tcpdump is not installed"
    end
    local path = os.tmpname()
    local capture <close> = assert(pcap.writer(path))
    for i, name in ipairs(names) do
      capture:write(packets[name], {time = i})
    end
    capture:close()
    for text in pairs(filters) do
      local result = assert(process.run {"tcpdump", "-tt", "-n", "-r", path, text})
      assert.equal(0, result.code, result.stderr)
      local list = {}
      for second in ("\n" .. result.stdout):gmatch "\n(%d+)%.000000 " do
        list[#list + 1] = names[tonumber(second)]
      end
      assert.equal(expected(text), table.concat(list, " "), text)
    end
    os.remove(path)
  end)

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

  it("refuses what is too long, and what is no filter", function()
    assert.has_error(function()
      packet.filter(("port 1 or "):rep(200) .. "port 2")
    end, "filter: too long")
    for text, why in pairs {
      [""] = "a protocol, 'host', 'net', 'port', 'src' or 'dst' expected, got the end",
      ["tcp port"] = "a port, 0 to 65535, expected, got the end",
      ["tcp port 65536"] = "a port, 0 to 65535, expected, got '65536'",
      ["tcp port 1e3"] = "a port, 0 to 65535, expected, got '1e3'",
      ["tcp src host"] = "'port' expected, got 'host'",
      ["udp tcp"] = "'and', 'or' or the end expected, got 'tcp'",
      ["(udp"] = "')' expected, got the end",
      ["host localhost"] = "an IP address expected, got 'localhost'",
      ["host 10.0.0.0/8"] = "an IP address expected, got '10.0.0.0/8'",
      ["net 10.0.0.1/8"] = "a prefix, such as 10.0.0.0/8, expected, got '10.0.0.1/8'",
    } do
      local ok, message = pcall(packet.filter, text)
      assert.is_false(ok)
      assert.equal(("filter '%s': %s"):format(text, why), (message:gsub("^.-: filter", "filter")))
    end
    assert.has_error(function() packet.filter(7) end, "filter: a text expected, got number")
    assert.has_error(function() packet.filter("ip", "x") end,
      "filter: 'eth' or 'raw' expected, got 'x'")
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
end)
