local packet = require "neap.packet"

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

describe("icmp", function()
  it("has the fields of its type", function()
    local rows = {
      {{type = "echo", id = 1, seq = 2}, "0800f7fc00010002"},
      {{type = "echo-reply", id = 0xffff, seq = 0}, "00000000ffff0000"},
      {{type = "redirect", code = 1, gateway = "10.0.0.1"}, "0501f0fd0a000001"},
      {{type = "parameter-problem", pointer = 20}, "0c00dfff14000000"},
      {{type = 42, rest = 0x01020304}, "2a00d1f901020304"},
      {{type = "time-exceeded", code = 1}, "0b01f4fe00000000"},
      {{type = "destination-unreachable", code = 4, next_hop_mtu = 1400}, "0304f78300000578"},
    }
    for _, row in ipairs(rows) do
      local bytes = packet.icmp(row[1]):bytes()
      assert.equal(row[2], hex(bytes))
      local layer = packet.dissect(bytes, "icmp").icmp
      for field, value in pairs(row[1]) do
        assert.equal(value, layer[field], field)
      end
    end
  end)

  it("holds the packet that an error is about", function()
    local cause = packet.ip {src = "10.0.0.1", dst = "192.0.2.1"}
      / packet.udp {src_port = 5, dst_port = 7} / ("x"):rep(100)
    local p = packet.ip {dst = "10.0.0.1"} / packet.icmp {type = "time-exceeded"}
      / cause:bytes():sub(1, 28)
    local q = packet.dissect(p:bytes(), "ip")
    assert.equal("192.0.2.1", q:get("ip", 2).dst)
    assert.equal("ip: 28 bytes of 128", q:get("ip", 2).note)
    assert.equal(7, q.udp.dst_port)
    assert.equal(p:bytes(), q:bytes())
    assert.is_true(q:verify())
    q.icmp.checksum = 0
    assert.is_false(q:verify())
  end)

  it("says what is short", function()
    local bytes = packet.icmp({type = "timestamp"}):bytes()
    assert.equal(20, #bytes)
    local p = packet.dissect(bytes:sub(1, 19), "icmp")
    assert.equal("icmp timestamp: 19 bytes of 20", p.raw.note)
  end)
end)

describe("icmpv6", function()
  it("has no checksum without an ipv6 around", function()
    assert.equal("8000000000010002", hex(packet.icmpv6({id = 1, seq = 2}):bytes()))
  end)

  it("has flags as letters, or a number", function()
    local p = packet.icmpv6 {type = "neighbor-advertisement", target = "::1", flags = "R S O"}
    assert.equal("e0000000", hex(p:bytes():sub(5, 8)))
    assert.equal("R S O", packet.dissect(p:bytes(), "icmpv6").icmpv6.flags)
    p.icmpv6.flags = 0x80000001
    assert.equal(0x80000001, packet.dissect(p:bytes(), "icmpv6").icmpv6.flags)
    p.icmpv6.flags = "M"
    local ok, err = pcall(p.bytes, p)
    assert.is_false(ok)
    assert.matches("icmpv6.flags: letters of known flags expected, got 'M'", err)
    p = packet.icmpv6 {type = "router-advertisement", flags = "M O"}
    assert.equal("M O", packet.dissect(p:bytes(), "icmpv6").icmpv6.flags)
  end)

  it("keeps options that it does not know, and what is none", function()
    for _, options in ipairs {"\x0e\1abcdef", "\1\2" .. ("x"):rep(14), "\5\2" .. ("y"):rep(14),
      "\1\0abcdef", "\1\9abcdef", "\1", "\3\4" .. ("\xff"):rep(30)} do
      local bytes = packet.icmpv6({type = "router-solicitation"}):bytes() .. options
      local p = packet.dissect(bytes, "icmpv6")
      assert.equal(1, #p)
      assert.equal(1, #p.icmpv6.options)
      assert.equal(bytes, p:bytes())
    end
  end)

  it("names the addresses of neighbour discovery", function()
    local p = packet.ipv6 {src = "fe80::1", dst = "fe80::2"} / packet.icmpv6 {type = "redirect",
      target = "fe80::3", dst = "2001:db8::1", options = {
        {type = "target-link-layer-address", address = "02:00:00:00:00:03"},
        {type = "redirected-header", data = "123456" .. ("x"):rep(8)},
      }}
    local layer = packet.dissect(p:bytes(), "ipv6").icmpv6
    assert.equal("fe80::3", layer.target)
    assert.equal("2001:db8::1", layer.dst)
    assert.equal("02:00:00:00:00:03", layer.options[1].address)
    assert.equal("123456xxxxxxxx", layer.options[2].data)
  end)
end)
