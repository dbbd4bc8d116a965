local packet = require "neap.packet"

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

local ip = packet.ip {src = "10.0.0.1", dst = "10.0.0.2"}

describe("udp", function()
  it("computes length and checksum", function()
    local p = packet.dissect((ip / packet.udp {src_port = 1, dst_port = 2} / "abc"):bytes(), "ip")
    assert.equal(11, p.udp.length)
    local pseudo = "\x0a\0\0\1\x0a\0\0\2\0\17\0\11"
    assert.equal(0, packet.checksum(pseudo .. p:bytes():sub(21)))
  end)

  it("sends a computed 0 as all ones (RFC 768)", function()
    -- The rest sums up to 0xffff.
    local p = ip / packet.udp {src_port = 0, dst_port = 0} / "\0\0"
    local sum = p:complete().udp.checksum
    p.raw.data = (">I2"):pack(sum)
    assert.equal(0xffff, p:complete().udp.checksum)
    assert.is_true(packet.dissect(p:bytes(), "ip"):verify())
  end)

  it("may have no checksum", function()
    local p = packet.dissect((ip / packet.udp {checksum = 0} / "abc"):bytes(), "ip")
    assert.is_true(p:verify())
    assert.equal(0, packet.udp({}):complete().udp.checksum)
  end)

  it("has an end of its own", function()
    local p = packet.dissect((ip / packet.udp {length = 10} / "abcd"):bytes(), "ip")
    assert.equal("ab", p.raw.data)
    assert.equal("cd", p.padding.data)
    assert.equal("udp", p.padding.of)
    assert.equal(32, p:recompute():complete().ip.total_length)
    p = packet.dissect((ip / packet.udp {length = 7} / "abcd"):bytes(), "ip")
    assert.equal("udp: length 7, less than the header's", p.udp.note)
    p = packet.dissect((ip / packet.udp {length = 99} / "abcd"):bytes(), "ip")
    assert.equal("udp: 12 bytes of 99", p.udp.note)
  end)
end)

describe("tcp", function()
  it("has flags as words, in one order", function()
    for _, text in ipairs {"", "SYN", "SYN ACK", "FIN ACK", "PSH ACK", "RST",
      "FIN SYN RST PSH ACK URG ECE CWR"} do
      local bytes = (ip / packet.tcp {flags = text}):bytes()
      assert.equal(text, packet.dissect(bytes, "ip").tcp.flags)
    end
    assert.equal("\x12", packet.tcp({flags = "ack|syn"}):bytes():sub(14, 14))
    assert.equal("\x12", packet.tcp({flags = 0x12}):bytes():sub(14, 14))
  end)

  it("keeps options of every kind", function()
    local rows = {
      {"020405b4", {kind = "mss", mss = 1460}},
      {"03030701", {kind = "window-scale", shift = 7}, {kind = "nop"}},
      {"04020101", {kind = "sack-permitted"}, {kind = "nop"}, {kind = "nop"}},
      {"0101080a0000000100000002", {kind = "nop"}, {kind = "nop"},
        {kind = "timestamps", tsval = 1, tsecr = 2}},
      {"0101050a0000000100000002", {kind = "nop"}, {kind = "nop"},
        {kind = "sack", blocks = {{1, 2}}}},
      {"2206abcd00000000", {kind = "fast-open", data = "\xab\xcd\0\0"}, {kind = "eol"}},
      {"02030101", {kind = "mss", data = "\1"}, {kind = "nop"}},
      {"00010203", {kind = "eol", data = "\1\2\3"}},
      {"fe040102", {kind = 254, data = "\1\2"}},
      {"01010201", {kind = "nop"}, {kind = "nop"}, {raw = "\2\1", note = "length 1"}},
      {"010101fe", {kind = "nop"}, {kind = "nop"}, {kind = "nop"},
        {raw = "\xfe", note = "no length"}},
      {"fe080102", {raw = "\xfe\8\1\2", note = "length 8"}},
    }
    for _, row in ipairs(rows) do
      local list = {table.unpack(row, 2)}
      local bytes = (ip / packet.tcp {options = list}):bytes()
      assert.equal(row[1], hex(bytes:sub(41)))
      local p = packet.dissect(bytes, "ip")
      assert.same(list, p.tcp.options)
      assert.equal(bytes, p:bytes())
    end
  end)

  it("says what is no header", function()
    local bytes = packet.tcp({}):bytes()
    local function note(offset)
      return packet.dissect(bytes:sub(1, 12) .. offset .. bytes:sub(14), "tcp").raw.note
    end
    assert.equal("tcp: a header of 16 bytes", note "\x40")
    assert.equal("tcp: 20 bytes of 60", note "\xf0")
  end)
end)
