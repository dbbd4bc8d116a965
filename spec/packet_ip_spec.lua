local packet = require "neap.packet"

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

local function unhex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

describe("ip", function()
  it("has RFC 791's fields", function()
    local bytes = unhex "4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7" .. ("\0"):rep(95)
    local p = packet.dissect(bytes, "ip")
    local ip = p.ip
    assert.same({4, 5, 0, 115, 0, "DF", 0, 64, "udp", 0xb861, "192.168.0.1", "192.168.0.199"},
      {ip.version, ip.ihl, ip.tos, ip.total_length, ip.id, ip.flags, ip.fragment_offset, ip.ttl,
        ip.protocol, ip.checksum, ip.src, ip.dst})
    assert.same({}, ip.options)
    assert.is_nil(ip.note)
    assert.equal(bytes, p:bytes())
    ip.checksum, ip.ihl, ip.total_length = nil, nil, nil
    assert.equal(bytes, p:bytes())
  end)

  it("has flags as words", function()
    for value, text in pairs {[0] = "", "MF", "DF", "MF DF", "RESERVED", [7] = "MF DF RESERVED"} do
      local bytes = packet.ip({dst = "10.0.0.1", flags = value}):bytes()
      assert.equal(value << 5, bytes:byte(7))
      assert.equal(text, packet.dissect(bytes, "ip").ip.flags)
      assert.equal(bytes, packet.ip({dst = "10.0.0.1", flags = text}):bytes())
    end
  end)

  it("says what is no IPv4", function()
    local bytes = packet.ip({dst = "10.0.0.1"}):bytes()
    local function note(first)
      return packet.dissect(first .. bytes:sub(2), "ip").raw.note
    end
    assert.equal("ip: version 6, not 4", note "\x65")
    assert.equal("ip: a header of 16 bytes", note "\x44")
    assert.equal("ip: 20 bytes of 24", note "\x46")
    local p = packet.dissect(bytes:sub(1, 2) .. "\0\5" .. bytes:sub(5), "ip")
    assert.equal("ip: total length 5, less than the header's", p.ip.note)
  end)

  it("takes a total length of 0 for all there is", function()
    local bytes = (packet.ip {dst = "10.0.0.1", total_length = 0} / packet.udp {} / "x"):bytes()
    local p = packet.dissect(bytes, "ip")
    assert.equal("x", p.raw.data)
    assert.is_string(p.ip.note)
  end)

  it("leaves fragments as bytes", function()
    local p = packet.ip {dst = "10.0.0.1", fragment_offset = 1} / packet.udp {}
    assert.equal("raw", packet.dissect(p:bytes(), "ip")[2].name)
  end)

  it("keeps options of every kind", function()
    local sound = {
      {"94040000", {type = "router-alert", value = 0}},
      {"010101 00", {type = "nop"}, {type = "nop"}, {type = "nop"}, {type = "eol"}},
      {"0000ff00", {type = "eol", data = "\0\xff\0"}},
      {"0000000000000000", {type = "eol", data = "\0\0\0\0\0\0\0"}},
      {"8307 04 0a000001 00", {type = "loose-source-route", pointer = 4, route = {"10.0.0.1"}},
        {type = "eol"}},
      {"9e04abcd", {type = 158, data = "\xab\xcd"}},
      {"07020101", {type = "record-route"}, {type = "nop"}, {type = "nop"}},
      {"01019e", {type = "nop"}, {type = "nop"}, {raw = "\x9e\0", note = "length 0"}},
      {"0101019e", {type = "nop"}, {type = "nop"}, {type = "nop"},
        {raw = "\x9e", note = "no length"}},
      {"9e0500 00", {raw = "\x9e\5\0\0", note = "length 5"}},
    }
    for _, row in ipairs(sound) do
      local options = unhex(row[1])
      options = options .. ("\0"):rep(-#options % 4)
      local bytes = packet.ip({dst = "10.0.0.1", options = {{raw = options}}}):bytes()
      local p = packet.dissect(bytes, "ip")
      assert.same({table.unpack(row, 2)}, p.ip.options)
      assert.equal(hex(bytes), hex(p:bytes()))
      assert.is_true(p:verify())
    end
  end)

  it("has names as far as they are known", function()
    local p = packet.dissect(packet.ip({dst = "10.0.0.1", protocol = "sctp"}):bytes(), "ip")
    assert.equal("sctp", p.ip.protocol)
    p = packet.dissect(packet.ip({dst = "10.0.0.1", protocol = 99}):bytes(), "ip")
    assert.equal(99, p.ip.protocol)
    p = packet.dissect(packet.ip({dst = "10.0.0.1"}):bytes(), "ip")
    assert.equal("reserved", p.ip.protocol)
  end)
end)

describe("ipv6", function()
  it("has RFC 8200's fields", function()
    local p = packet.dissect(unhex [[6b81 2345 0003 3b40 2001 0db8 0000 0000 0000 0000 0000 0001
      ff02 0000 0000 0000 0000 0000 0000 0001 616263]], "ipv6")
    local ip = p.ipv6
    assert.same({6, 0xb8, 0x12345, 3, "none", 64, "2001:db8::1", "ff02::1"},
      {ip.version, ip.traffic_class, ip.flow_label, ip.payload_length, ip.next_header,
        ip.hop_limit, ip.src, ip.dst})
    assert.equal("abc", p.raw.data)
  end)

  it("has no next header when nothing follows", function()
    assert.equal("none", packet.ipv6({dst = "::1"}):complete().ipv6.next_header)
    assert.equal("reserved", (packet.ipv6 {dst = "::1"} / "x"):complete().ipv6.next_header)
  end)

  it("takes a payload length of 0 for all there is", function()
    local bytes = (packet.ipv6 {dst = "::1", payload_length = 0} / packet.udp {} / "x"):bytes()
    local p = packet.dissect(bytes, "ipv6")
    assert.equal("x", p.raw.data)
    assert.equal("ipv6: payload length 0", p.ipv6.note)
  end)

  it("pads options to 8 bytes (RFC 8200, 4.2)", function()
    for size = 0, 20 do
      local p = packet.dstopts {options = {{type = 30, data = ("x"):rep(size)}}}
      local bytes = p:bytes()
      assert.equal(0, #bytes % 8)
      assert.equal(#bytes // 8 - 1, bytes:byte(2))
      local q = packet.dissect(bytes, "dstopts")
      assert.equal(bytes, q:bytes())
      assert.equal(30, q.dstopts.options[1].type)
      assert.is_nil(q.dstopts.options[3])
    end
  end)

  it("keeps options that are none", function()
    local bytes = "\59\0\1\9\0\0\0\0"
    local p = packet.dissect(bytes, "hopopts")
    assert.same({{raw = "\1\9\0\0\0\0", note = "cut off"}}, p.hopopts.options)
    assert.equal(bytes, p:bytes())
  end)

  it("has a jumbo payload option (RFC 2675)", function()
    local p = packet.hopopts {options = {{type = "jumbo", value = 100000}}}
    assert.equal("3b00c204000186a0", hex(p:bytes()))
    assert.same({{type = "jumbo", value = 100000}},
      packet.dissect(p:bytes(), "hopopts").hopopts.options)
  end)

  it("is as long as that says, where it is a jumbogram", function()
    local outer = packet.ipv6 {src = "::1", dst = "::1"} / packet.hopopts {options = {"jumbo"}}
    local bytes = (outer / packet.udp {src_port = 1, dst_port = 2} / ("x"):rep(70000)):bytes()
    local p = packet.dissect(bytes .. "more", "ipv6")
    assert.equal(0, p.ipv6.payload_length)
    assert.equal(0, p.udp.length)
    assert.equal(#bytes - 40, p.hopopts.options[1].value)
    assert.equal("more", p.padding.data)
    assert.is_true(p:verify())
    assert.equal(bytes .. "more", p:recompute():bytes())
    p = packet.dissect(bytes:sub(1, -2) .. "y", "ipv6")
    assert.matches("^udp.checksum: ", select(2, p:verify())[1])
    local _, wrong = packet.dissect(bytes:sub(1, -2), "ipv6"):verify()
    assert.equal(("ipv6: %d bytes of %d"):format(#bytes - 1, #bytes), wrong[1])
    local none = (packet.ipv6 {src = "::1", dst = "::1"} / packet.udp() / ("x"):rep(70000))
    assert.is_false(pcall(none.bytes, none))
  end)

  it("leaves what is behind a fragment's offset as bytes", function()
    local p = packet.ipv6 {dst = "::1"} / packet.fragment {fragment_offset = 3, m = true, id = 9}
      / packet.udp {}
    local q = packet.dissect(p:bytes(), "ipv6")
    assert.equal("raw", q[3].name)
    assert.equal(3, q.fragment.fragment_offset)
    assert.is_true(q.fragment.m)
    assert.is_true(q:verify())
  end)

  it("cuts headers off where bytes are lacking", function()
    local bytes = packet.dstopts({options = {{type = 30, data = ("x"):rep(20)}}}):bytes()
    assert.equal("dstopts: 23 bytes of 24", packet.dissect(bytes:sub(1, 23), "dstopts").raw.note)
    assert.equal("routing: 7 bytes of 8", packet.dissect(("\0"):rep(7), "routing").raw.note)
  end)
end)
