-- neap.packet as a whole: composition, access, text, and what holds for any bytes.
-- Each family of layers has a spec of its own.

local address = require "neap.packet.address"
local captures = require "spec.support.captures"
local packet = require "neap.packet"
local process = require "neap.process"
local random = require "spec.support.random"
local samples = require "spec.support.packets"

local layers = {"eth", "vlan", "arp", "ip", "ipv6", "hopopts", "dstopts", "routing", "fragment",
  "icmp", "icmpv6", "udp", "tcp", "dns", "loopback", "sll", "sll2", "ah", "gre", "mpls", "pppoe", "ppp",
  "vxlan", "geneve", "sctp"}

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

local function unhex(text)
  return (text:gsub("%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- Calling it raises a text with this in it; HERE is the line of its first statement.
local function raises(expected, f)
  local ok, err = pcall(f)
  assert.is_false(ok, expected)
  local here = debug.getinfo(f, "S").linedefined + 1
  expected = expected:gsub("HERE", tostring(here))
  assert.is_truthy(err:find(expected, 1, true), err)
end

--- What must hold for any bytes: they come out as they went in, every layer is
--- of a known kind, and nothing raises.
local function check(bytes, first)
  local p = packet.dissect(bytes, first)
  if p:bytes() ~= bytes then
    error(("%s as %s gives %s\n%s"):format(hex(bytes), first, hex(p:bytes()), p:show()))
  end
  return p
end

describe("a packet", function()
  local p = packet.ip {dst = "10.0.0.1"} / packet.icmp {id = 1, seq = 2} / "payload"

  it("is a list of layers, and has them by name", function()
    assert.equal(3, #p)
    local names = {}
    for i, layer in ipairs(p) do
      names[i] = layer.name
    end
    assert.same({"ip", "icmp", "raw"}, names)
    assert.equal(p[2], p.icmp)
    assert.equal("payload", p.raw.data)
    assert.is_nil(p.tcp)
    assert.is_nil(p[4])
    assert.is_nil(p[0])
  end)

  it("has several layers of one name", function()
    local tunnel = packet.ip {dst = "10.0.0.1"} / packet.ip {dst = "10.0.0.2"}
    local inner, at = tunnel:get("ip", 2)
    assert.equal("10.0.0.2", inner.dst)
    assert.equal(2, at)
    assert.equal(tunnel.ip, (tunnel:get "ip"))
    assert.is_nil(tunnel:get("ip", 3))
  end)

  it("copies what it is made of", function()
    local ip = packet.ip {dst = "10.0.0.1", options = {{type = "nop"}}}
    local a, b = ip / "a", ip / "b"
    a.ip.ttl = 1
    a.ip.options[1].type = "eol"
    assert.equal(64, b.ip.ttl)
    assert.equal(64, ip.ip.ttl)
    assert.equal("nop", ip.ip.options[1].type)
    local c = a:copy()
    c.ip.ttl = 2
    assert.equal(1, a.ip.ttl)
  end)

  it("leaves the tables that it was given alone", function()
    local fields = {dst = "10.0.0.1"}
    local q = packet.ip(fields)
    q.ip.ttl = 3
    q:bytes()
    assert.same({dst = "10.0.0.1"}, fields)
  end)

  it("does not change when its bytes are made", function()
    local before = {}
    for key, value in next, p.ip do
      before[key] = value
    end
    p:bytes()
    p:show()
    p:verify()
    local after = {}
    for key, value in next, p.ip do
      after[key] = value
    end
    assert.same(before, after)
  end)

  it("takes strings on either side", function()
    assert.equal("ab", (packet.raw "a" / "b"):bytes())
    assert.equal("ab", ("a" / packet.raw "b"):bytes())
  end)

  it("takes explicit fields as they are", function()
    local q = packet.ip {dst = "10.0.0.1", total_length = 7, checksum = 0x1234, protocol = 200,
      version = 5, ihl = 9} / packet.udp {length = 1, checksum = 2}
    local bytes = q:bytes()
    assert.equal(28, #bytes)
    assert.equal("5900000700000000", hex(bytes:sub(1, 8)))
    assert.equal("40c81234", hex(bytes:sub(9, 12)))
    assert.equal("0000000000010002", hex(bytes:sub(21)))
  end)

  it("raises for a field that there is not", function()
    raises("spec.lua:HERE: ip: no field 'dts'", function()
      packet.ip {dts = "10.0.0.1"}
    end)
    raises("spec.lua:HERE: ip: no field 'hop'", function()
      p.ip.hop = 1
    end)
    raises("'ip' cannot be set", function()
      p.ip = 1
    end)
    raises("udp: a table of fields expected, got string", function()
      packet.udp "53"
    end)
    raises("spec.lua:HERE: packet: a packet or a string expected, got number", function()
      return p / 7
    end)
  end)

  it("raises for a value that does not fit, naming the field", function()
    local wrong = {
      {packet.ip {}, "ip.dst: an IPv4 address expected, got nil"},
      {packet.ip {dst = "::1"}, "ip.dst: an IPv4 address expected, got '::1'"},
      {packet.ip {dst = "10.0.0.1", ttl = 256}, "ip.ttl: 0 to 255 expected, got 256"},
      {packet.ip {dst = "10.0.0.1", ttl = -1}, "ip.ttl: 0 to 255 expected, got -1"},
      {packet.ip {dst = "10.0.0.1", ttl = 1.5}, "ip.ttl: 0 to 255 expected, got 1.5"},
      {packet.ip {dst = "10.0.0.1", ttl = "1"}, "ip.ttl: 0 to 255 expected, got '1'"},
      {packet.ip {dst = "10.0.0.1", ttl = 0/0}, "ip.ttl: 0 to 255 expected"},
      {packet.ip {dst = "10.0.0.1", ttl = math.mininteger}, "ip.ttl: 0 to 255 expected"},
      {packet.ip {dst = "10.0.0.1", protocol = "tpc"}, "ip.protocol: a name that is known"},
      {packet.ip {dst = "10.0.0.1", flags = "XX"}, "ip.flags: MF, DF, RESERVED expected"},
      {packet.ip {dst = "10.0.0.1"} / ("x"):rep(65536), "ip.total_length: 0 to 65535"},
      {packet.ip {dst = "10.0.0.1", options = {{type = 7, data = ("x"):rep(40)}}}, "40 bytes"},
      {packet.ipv6 {dst = "10.0.0.1"}, "ipv6.dst: an IPv6 address expected"},
      {packet.ipv6 {dst = "fe80::1%lo"}, "ipv6.dst: an IPv6 address expected"},
      {packet.eth {dst = "1:2:3:4:5:6"}, "eth.dst: an Ethernet address expected"},
      {packet.tcp {flags = 256}, "tcp.flags: 0 to 255 expected"},
      {packet.tcp {options = {7}}, "tcp.options: a list of names and tables expected"},
      {packet.vlan {dei = "yes"}, "vlan.dei: true or false expected"},
      {packet.raw {data = 7}, "raw.data: a string of bytes expected"},
      {packet.dns {question = {{name = "a..b"}}}, "dns.question.name: a domain name with labels"},
      {packet.dns {answer = {{type = "A", address = "x"}}}, "dns.answer.address: an IPv4"},
    }
    for _, row in ipairs(wrong) do
      local ok, err = pcall(row[1].bytes, row[1])
      assert.is_false(ok)
      assert.is_truthy(err:find(row[2], 1, true), err)
    end
    raises("spec.lua:HERE: ip.dst", function()
      wrong[1][1]:bytes()
    end)
  end)

  it("takes an Address", function()
    local net = require "neap.net"
    local q = packet.ip {dst = net.address "10.0.0.1:80"}
    assert.equal("0a000001", hex(q:bytes():sub(17)))
  end)

  it("prints as a line, and shows as a tree", function()
    assert.equal("ip 0.0.0.0 > 10.0.0.1 / icmp echo id=1 seq=2 / raw 7 bytes", tostring(p))
    local text = p:show()
    assert.matches("^ip\n  version          4\n", text)
    assert.matches("\n  checksum         0x%x%x%x%x\n", text)
    assert.matches("\nraw  7 bytes\n  00000000  70 61 79", text)
    local q = packet.dissect(p:bytes(), "ip")
    q.ip.ttl = 9
    assert.matches("checksum         0x%x+  %(0x%x+ expected%)", q:show())
    -- What cannot be built can still be looked at.
    assert.matches("ttl              900", packet.ip({ttl = 900}):show())
  end)

  it("recomputes what was dissected, when asked", function()
    local q = packet.dissect(p:bytes(), "ip")
    assert.is_true(q:verify())
    q.raw.data = "another payload"
    local ok, wrong = q:verify()
    assert.is_false(ok)
    assert.equal(3, #wrong)
    assert.equal("ip.total_length: 35, 43 expected", wrong[1])
    assert.matches("^ip.checksum: 0x%x+, 0x%x+ expected$", wrong[2])
    assert.matches("^icmp.checksum: ", wrong[3])
    assert.is_true(q:recompute "icmp" == q)
    ok, wrong = q:verify()
    assert.is_false(ok)
    assert.equal(2, #wrong)
    assert.is_true(q:recompute():verify())
    assert.equal(43, #q:bytes())
  end)

  it("leaves padding out of lengths and checksums", function()
    local frame = packet.eth {dst = "02:00:00:00:00:01"} / p / packet.padding(("\0"):rep(11))
    local bytes = frame:bytes()
    assert.equal(14 + 35 + 11, #bytes)
    local q = check(bytes, "eth")
    assert.equal(35, q.ip.total_length)
    assert.equal(("\0"):rep(11), q.padding.data)
    assert.equal("ip", q.padding.of)
    assert.is_true(q:verify())
    assert.equal(bytes, q:recompute():bytes())
  end)
end)

describe("what is not a packet's own", function()
  local cause = packet.ip {src = "10.0.0.1", dst = "192.0.2.1", checksum = 1}
    / packet.udp {src_port = 5, dst_port = 7, checksum = 2} / ("x"):rep(20)

  --- It is right as it is; with this field changed it is not, and recomputed it is again, and
  --- all but the header in front is as it was.
  local function keeps(built, own)
    local bytes = built:bytes()
    local p = packet.dissect(bytes, "ip")
    assert.is_true(p:verify())
    assert.equal(bytes, p:recompute():bytes())
    p = packet.dissect(bytes, "ip")
    p.ip.ttl = 9
    assert.is_false((p:verify()))
    assert.is_true(p:recompute():verify())
    assert.equal(bytes:sub(own + 1), p:bytes():sub(own + 1))
  end

  it("is what a fragment holds a piece of", function()
    keeps(packet.ip {dst = "10.0.0.2", flags = "MF"} / packet.udp {length = 3000, checksum = 0x1234}
      / ("x"):rep(1472), 20)
    local p = packet.dissect((packet.ipv6 {dst = "::1"} / packet.fragment {m = true, id = 1}
      / packet.udp {length = 3000, checksum = 0x1234} / ("x"):rep(16)):bytes(), "ipv6")
    assert.equal(3000, p:recompute():complete().udp.length)
  end)

  it("is what an error quotes, whole or not", function()
    for _, quote in ipairs {cause:bytes(), cause:bytes():sub(1, 28)} do
      keeps(packet.ip {dst = "10.0.0.2"} / packet.icmp {type = "time-exceeded"} / quote, 20)
    end
    -- Where one is built, it is computed all the same.
    local p = packet.ip {dst = "10.0.0.2"} / packet.icmp {type = "time-exceeded"} / packet.ip {dst = "10.0.0.1"}
    assert.equal(20, packet.dissect(p:bytes(), "ip"):get("ip", 2).total_length)
  end)

  it("is what was cut off", function()
    local bytes = (packet.ip {src = "10.0.0.1", dst = "10.0.0.2"} / packet.udp {} / ("x"):rep(20)):bytes():sub(1, 40)
    local p = packet.dissect(bytes, "ip")
    local ok, wrong = p:verify()
    assert.is_false(ok)
    assert.same({"ip: 40 bytes of 48"}, wrong)
    assert.equal(bytes, p:recompute():bytes())
    p = packet.dissect(bytes, "ip")
    p.ip.ttl = 1
    ok, wrong = p:verify()
    assert.is_false(ok)
    assert.matches("^ip.checksum", wrong[1])
    p:recompute()
    assert.same({"ip: 40 bytes of 48"}, select(2, p:verify()))
    assert.equal(48, p:complete().ip.total_length)
    assert.is_false((packet.dissect(bytes:sub(1, 15), "ip"):verify()))
  end)

  it("is the checksum over addresses that are not there", function()
    local bytes = (packet.udp {checksum = 0x1234} / "x"):bytes()
    local p = packet.dissect(bytes, "udp")
    assert.is_true(p:verify())
    assert.equal(bytes, p:recompute():bytes())
    bytes = (packet.ipv6 {dst = "::1"} / packet.routing {type = 99, segments_left = 1}
      / packet.tcp {checksum = 0x1234}):bytes()
    p = packet.dissect(bytes, "ipv6")
    assert.is_true(p:verify())
    assert.equal(bytes, p:recompute():bytes())
  end)

  it("is the padding of a frame around a tunnel", function()
    local inner = packet.ip {dst = "10.0.0.2"} / packet.udp {} / "x"
    local frame = packet.eth {dst = "02:00:00:00:00:01"} / packet.ip {dst = "10.0.0.1"} / inner
      / packet.padding "pad"
    local bytes = frame:bytes()
    local p = packet.dissect(bytes, "eth")
    assert.same({"ip", 1}, {p.padding.of, p.padding.n})
    assert.is_true(p:verify())
    assert.equal(bytes, p:recompute():bytes())
    assert.same({49, 29}, {p:complete().ip.total_length, p:complete():get("ip", 2).total_length})
    -- Put into another packet it stays where it is; both of them may have some.
    local around = packet.ip {dst = "10.0.0.3"} / packet.raw "?" / p / packet.padding "outer"
    assert.same({3 + 49 + 14 + 21, 49, 29}, {around:complete().ip.total_length,
      around:complete():get("ip", 2).total_length, around:complete():get("ip", 3).total_length})
    assert.equal("padouter", around:bytes():sub(-8))
    local unnamed = packet.eth {dst = "02:00:00:00:00:01"} / inner / packet.padding "pad"
    around = packet.ip {dst = "10.0.0.3"} / packet.ip {dst = "10.0.0.4"} / unnamed
    assert.equal(29, around:complete():get("ip", 3).total_length)
    assert.equal(29 + 14 + 3 + 40, around:complete().ip.total_length)
    assert.has_error(function()
      return packet.padding({data = "", of = "ip", n = "x"}):bytes()
    end)
  end)
end)

describe("a checksum", function()
  it("of all ones is as right as 0, and stays", function()
    local p = packet.ip {src = "10.0.0.1", dst = "10.0.0.2"} / packet.tcp()
    p.tcp.window = 0
    p.tcp.window = p:complete().tcp.checksum
    assert.equal(0, p:complete().tcp.checksum)
    p.tcp.checksum = 0xffff
    local q = packet.dissect(p:bytes(), "ip")
    assert.is_true(q:verify())
    assert.equal(p:bytes(), q:recompute():bytes())
    assert.equal(0xffff, q:copy():complete().tcp.checksum)
    q.tcp.seq = 9
    assert.is_true(q:verify())
    assert.not_equal(0xffff, q:complete().tcp.checksum)
    p.tcp.checksum = 0xfffe
    assert.is_false((p:verify()))
  end)

  it("of UDP may be missing, but not in IPv6", function()
    local p = packet.dissect((packet.ip {dst = "10.0.0.2"} / packet.udp {checksum = 0}):bytes(), "ip")
    assert.is_true(p:verify())
    assert.equal(0, p:recompute():complete().udp.checksum)
    p = packet.dissect((packet.ipv6 {dst = "::1"} / packet.udp {checksum = 0}):bytes(), "ipv6")
    assert.is_false((p:verify()))
    assert.not_equal(0, p:recompute():complete().udp.checksum)
  end)

  it("is over the addresses of both ends, wherever they are written", function()
    local direct = packet.ip {src = "10.0.0.1", dst = "10.0.0.9"} / packet.udp {dst_port = 7} / "x"
    for _, type in ipairs {"loose-source-route", "strict-source-route"} do
      local p = packet.ip {src = "10.0.0.1", dst = "10.0.0.2", options = {{type = type,
        route = {"10.0.0.3", "10.0.0.9"}}}} / packet.udp {dst_port = 7} / "x"
      assert.equal(direct:complete().udp.checksum, p:complete().udp.checksum)
      p.ip.dst, p.ip.options[1].pointer, p.ip.options[1].route[2] = "10.0.0.9", 12, "10.0.0.2"
      assert.equal(direct:complete().udp.checksum, p:complete().udp.checksum)
    end
    direct = packet.ipv6 {src = "2001:db8::1", dst = "2001:db8::9"} / packet.udp {dst_port = 7} / "x"
    local away = packet.ipv6 {src = "2001:db8:1::5", dst = "2001:db8::9"}
      / packet.dstopts {options = {{type = "home-address", address = "2001:db8::1"}}}
      / packet.udp {dst_port = 7} / "x"
    assert.equal(direct:complete().udp.checksum, away:complete().udp.checksum)
    assert.equal("2001:db8::1", packet.dissect(away:bytes(), "ipv6").dstopts.options[1].address)
    local low = packet.ipv6 {src = "2001:db8::1", dst = "2001:db8::2"}
      / packet.routing {type = 3, segments_left = 1, data = "\xff\x60\0\0\9\0\0\0\0\0\0\0"}
      / packet.udp {dst_port = 7} / "x"
    low.routing.data = "\xff\x30\0\0\9\0\0\0"
    assert.equal(direct:complete().udp.checksum, low:complete().udp.checksum)
  end)
end)

describe("packet.checksum", function()
  it("is RFC 1071's", function()
    assert.equal(0x220d, packet.checksum "\x00\x01\xf2\x03\xf4\xf5\xf6\xf7")
    assert.equal(0xffff, packet.checksum "")
    assert.equal(0xfeff, packet.checksum "\x01")
    assert.equal(0, packet.checksum(("\xff"):rep(65536)))
    assert.equal(0xb861,
      packet.checksum(unhex "450000730000400040110000c0a80001c0a800c7"))
  end)

  it("is that of adding word by word", function()
    local draw = random(3)
    for size = 0, 200 do
      local bytes = {}
      for i = 1, size do
        bytes[i] = string.char(draw(256))
      end
      bytes = table.concat(bytes)
      local sum = 0
      for i = 1, size, 2 do
        sum = sum + (">I2"):unpack(bytes:sub(i, i + 1) .. (i == size and "\0" or ""))
      end
      sum = sum % 65535 == 0 and sum > 0 and 65535 or sum % 65535
      assert.equal(~sum & 0xffff, packet.checksum(bytes))
    end
  end)
end)

describe("packet.hexdump", function()
  it("prints 16 bytes a line", function()
    assert.equal("", packet.hexdump "")
    assert.equal(
      "00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|\n" ..
      "00000010  41                                                |A|",
      packet.hexdump "\0\1\2\3\4\5\6\7\8\9\10\11\12\13\14\15A")
  end)
end)

describe("packet.dissect", function()
  it("takes the number of a link type", function()
    local v4 = packet.ip {dst = "10.0.0.1"}:bytes()
    local v6 = packet.ipv6 {dst = "::1"}:bytes()
    assert.equal("ip", packet.dissect(v4, 101)[1].name)
    assert.equal("ipv6", packet.dissect(v6, 101)[1].name)
    assert.equal("ip", packet.dissect(v4, 228)[1].name)
    assert.equal("ipv6", packet.dissect(v6, 229)[1].name)
    assert.equal("raw", packet.dissect(v6, 147)[1].name)
    assert.equal("raw", packet.dissect("", 101)[1].name)
  end)

  it("raises for what is no layer and no string", function()
    raises("spec.lua:HERE: dissect: no layer 'ethernet'", function()
      packet.dissect("", "ethernet")
    end)
    raises("a string of bytes expected, got number", function()
      packet.dissect(7)
    end)
  end)

  it("notes what is short", function()
    local bytes = (packet.ip {dst = "10.0.0.1"} / packet.tcp {}):bytes()
    local p = packet.dissect(bytes:sub(1, 10), "ip")
    assert.equal("raw", p[1].name)
    assert.equal("ip: 10 bytes of 20", p.raw.note)
    p = packet.dissect(bytes:sub(1, 30), "ip")
    assert.equal("ip: 30 bytes of 40", p.ip.note)
    assert.equal("tcp: 10 bytes of 20", p.tcp.note)
    assert.same({8, 0}, {p.tcp.present, p.tcp.dst_port})
    assert.is_nil(p.tcp.window)
    assert.equal(2, #p.raw.data)
    p.tcp.dst_port = 7
    assert.equal("\0\0\0\7", p:bytes():sub(21, 24))
    assert.equal("tcp: 7 bytes of 20", packet.dissect(bytes:sub(1, 27), "ip").raw.note)
    assert.equal("eth: 0 bytes of 14", packet.dissect("").raw.note)
  end)

  it("ends at 64 layers", function()
    local p = check(("\0\0\x81\0"):rep(1000), "vlan")
    assert.equal(65, #p)
    assert.equal("more than 64 layers", p.raw.note)
    assert.equal(1000 * 4 - 64 * 4, #p.raw.data)
  end)

  for _, sample in ipairs(samples) do
    it("gives back what was built: " .. sample.name, function()
      local bytes = sample.packet:bytes()
      assert.equal(sample.hex, hex(bytes))
      local p = check(bytes, sample.first)
      assert.is_true(p:verify())
      assert.equal(bytes, p:recompute():bytes())
      assert.equal(bytes, p:complete():bytes())
      for i, layer in ipairs(sample.packet) do
        if p[i].name ~= "raw" then
          assert.equal(layer.name, p[i].name)
        end
      end
      assert.is_string(p:show())
    end)

    it("takes it cut off anywhere: " .. sample.name, function()
      local bytes = sample.packet:bytes()
      for size = 0, #bytes - 1 do
        local p = check(bytes:sub(1, size), sample.first)
        local noted = false
        for _, layer in ipairs(p) do
          noted = noted or layer.note ~= nil
        end
        -- Nothing is lacking only where a header without a length has ended.
        local last = p[#p].name
        assert.is_true(noted or last ~= "raw" or sample.first == "eth", size)
        p:verify()
        p:show()
      end
    end)

    it("takes it with a bit flipped: " .. sample.name, function()
      local bytes = sample.packet:bytes()
      local draw = random(#bytes)
      for _ = 1, 60 do
        local at = draw(#bytes) + 1
        local flipped = string.char(bytes:byte(at) ~ (1 << draw(8)))
        local p = check(bytes:sub(1, at - 1) .. flipped .. bytes:sub(at + 1), sample.first)
        p:verify()
      end
    end)
  end

  -- NEAP_PACKET_STRINGS=1000000 takes so many as each layer: minutes, so
  -- NEAP_TEST_LIMIT has to be raised, too.
  local strings = tonumber(os.getenv "NEAP_PACKET_STRINGS") or 1500

  --- Bytes of any value; mostly few.
  local function noise(draw)
    local size = draw(8) == 0 and draw(400) or draw(64)
    local list = {}
    for _ = 1, size, 8 do
      list[#list + 1] = ("<I4I4"):pack(draw(1 << 32), draw(1 << 32))
    end
    return table.concat(list):sub(1, size)
  end

  --- Bytes with some of them changed, and perhaps the end cut off or doubled.
  local function spoil(bytes, draw)
    for _ = 1, 1 + draw(6) do
      local at = draw(#bytes + 1)
      local value = draw(3) == 0 and draw(2) * 255 or draw(256)
      bytes = bytes:sub(1, at) .. string.char(value) .. bytes:sub(at + 2)
    end
    if draw(4) == 0 then
      return bytes:sub(1, draw(#bytes + 1))
    elseif draw(8) == 0 then
      return bytes .. bytes
    end
    return bytes
  end

  for number, name in ipairs(layers) do
    -- What samples and captures have from a layer of this name on.
    local ours = {}
    local function take(p)
      local _, at = p:get(name)
      if at then
        local before = 0
        for i = 1, at - 1 do
          before = before + #packet[p[i].name](p[i]):bytes()
        end
        ours[#ours + 1] = p:bytes():sub(before + 1)
      end
    end
    for _, sample in ipairs(samples) do
      take(sample.packet:complete())
    end
    for i = 1, #captures, 3 do
      take(packet.dissect(captures[i].bytes, captures[i].link))
    end

    it(("takes %d random strings as %s #slow"):format(strings, name), function()
      local draw = random(number)
      local read = 0
      for n = 1, strings do
        local bytes = n % 2 == 0 and noise(draw) or spoil(ours[draw(#ours) + 1], draw)
        local p = check(bytes, name)
        read = read + (p[1].name == name and 1 or 0)
        if n % 50 == 0 then
          p:show()
          tostring(p)
          p:verify()
        end
      end
      assert.is_true(read > strings // 10, read)
    end)
  end
end)

describe("scapy", function()
  local found = process.run {"/usr/bin/python3", "-c", "import scapy", stderr = "null"}

  it("builds the same packets", function()
    if not found or found.code ~= 0 then
      pending "scapy is missing (Debian: python3-scapy)"
    end
    local script = {"from scapy.all import *"}
    for i, sample in ipairs(samples) do
      script[i + 1] = ("print(bytes(%s).hex())"):format(sample.scapy:gsub("\n%s*", ""))
    end
    local result = assert(process.run {"/usr/bin/python3", "-", input = table.concat(script, "\n"),
      stderr = "null"})
    local i = 0
    for line in result.stdout:gmatch "[^\n]+" do
      i = i + 1
      assert.equal(line, hex(samples[i].packet:bytes()), samples[i].name)
    end
    assert.equal(#samples, i)
  end)
end)

describe("addresses in layers", function()
  it("are RFC 5952's", function()
    local p = packet.dissect(packet.ipv6({dst = "2001:DB8:0:0:1:0:0:1"}):bytes(), "ipv6")
    assert.equal("2001:db8::1:0:0:1", p.ipv6.dst)
    assert.equal("::", p.ipv6.src)
    assert.equal(16, #address.to_ipv6(p.ipv6.dst))
  end)
end)
