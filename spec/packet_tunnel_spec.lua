local packet = require "neap.packet"

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

local ip = packet.ip {src = "10.0.0.1", dst = "10.0.0.2"} / packet.udp {dst_port = 7} / "x"

--- Its layers, when the bytes are read as a layer of a name.
local function names_of(bytes, name)
  local p = packet.dissect(bytes, name)
  assert.equal(bytes, p:bytes())
  local names = {}
  for i, layer in ipairs(p) do
    names[i] = layer.name
  end
  return table.concat(names, " "), p
end

describe("gre", function()
  it("has what its flags say", function()
    local rows = {
      {{protocol = "ip"}, "00000800"},
      {{protocol = 0x1234, key = 7}, "2000123400000007"},
      {{protocol = "ipv6", seq = 8}, "100086dd00000008"},
      {{protocol = "ip", flags = "C"}, "80000800" .. "77ff0000"},
      {{protocol = "ip", flags = "C K S", key = 1, seq = 2}, "b0000800" .. "47fc0000" .. "0000000100000002"},
      {{version = 1, call_id = 5}, "2001880b" .. "00000005"},
      {{version = 1, call_id = 5, seq = 2, ack = 3}, "3081880b" .. "00000005" .. "0000000200000003"},
    }
    for _, row in ipairs(rows) do
      local p = packet.gre(row[1])
      assert.equal(row[2], hex(p:bytes()))
      local layer = packet.dissect(p:bytes(), "gre").gre
      for field, value in pairs(row[1]) do
        if field ~= "flags" then
          assert.equal(value, layer[field])
        end
      end
    end
  end)

  it("has a checksum over all that is in it, where it has one", function()
    local p = packet.dissect((packet.gre {flags = "C"} / ip):bytes(), "gre")
    assert.is_true(p:verify())
    p.raw.data = "y"
    assert.same(2, #select(2, p:verify()))
    assert.is_true(p:recompute():verify())
    p = packet.dissect((packet.gre() / ip):bytes(), "gre")
    assert.is_nil(p:recompute():complete().gre.checksum)
  end)

  it("of PPTP has the length of what it carries, and PPP in it as that may be", function()
    for _, row in ipairs {{{}, "0021"}, {{address = 0xff}, "ff030021"}, {{compressed = true}, "21"},
      {{address = 0xff, compressed = true}, "ff0321"}} do
      local outer = packet.gre {version = 1, call_id = 5, seq = 2} / packet.ppp(row[1]) / ip
      local bytes = outer:bytes()
      assert.equal(row[2], hex(bytes:sub(13, 12 + #row[2] // 2)))
      local p = packet.dissect(bytes .. "\0\0", "gre")
      assert.equal(#bytes - 12, p.gre.payload_length)
      assert.equal("\0\0", p.padding.data)
      assert.equal(row[1].compressed, p.ppp.compressed)
      assert.equal(bytes .. "\0\0", p:bytes())
      assert.is_true(p:verify())
      p.gre.payload_length = 1
      assert.matches("^gre.payload_length: 1, ", select(2, p:verify())[1])
      assert.is_true(p:recompute():verify())
      assert.matches(" bytes of ", packet.dissect(bytes:sub(1, -2), "gre").gre.note)
    end
    assert.equal("raw", (names_of("\xff\3\0\x21", "pppoe")))
    assert.is_false(pcall(packet.gre({version = 1, flags = "C K"}).bytes))
    assert.is_false(pcall(packet.gre({flags = "A"}).bytes))
    assert.is_false(pcall(packet.gre({version = 1, reserved = 0x10}).bytes))
  end)

  it("leaves other versions, and routing, as bytes", function()
    for _, bytes in ipairs {"\x20\2\x88\x0b\0\0\0\0", "\0\1\x88\x0b\0\0\0\0", "\x40\0\8\0\0\0\0\0"} do
      assert.equal("raw", (names_of(bytes, "gre")))
    end
    assert.is_false(pcall(packet.gre({flags = "R"}).bytes))
    local _, p = names_of("\x20\0\8\0\0\0\0", "gre")
    assert.equal("gre: 7 bytes of 8", p.raw.note)
  end)
end)

describe("mpls", function()
  it("is a stack, with what its first bits say behind it", function()
    local stack = packet.mpls {label = 0xfffff, tc = 7, ttl = 1} / packet.mpls {label = 1}
    assert.equal("fffffe01" .. "00001140", hex(stack:bytes()))
    assert.equal("mpls mpls ip udp raw", (names_of((stack / ip):bytes(), "mpls")))
    assert.equal("mpls mpls ipv6", (names_of((stack / packet.ipv6 {dst = "::1"}):bytes(), "mpls")))
    assert.equal("mpls mpls raw", (names_of((stack / "\0frame"):bytes(), "mpls")))
    assert.equal("mpls mpls", (names_of(stack:bytes(), "mpls")))
    assert.equal("mpls raw", (names_of(stack:bytes():sub(1, 6), "mpls")))
  end)
end)

describe("pppoe", function()
  it("has a length, and padding behind it", function()
    local p = packet.eth {dst = "02:00:00:00:00:01"} / packet.pppoe {session_id = 9} / packet.ppp() / ip
      / packet.padding "pad"
    local names, q = names_of(p:bytes(), "eth")
    assert.equal("eth pppoe ppp ip udp raw padding", names)
    assert.same({"pppoe", 31, "pppoe"}, {q.eth.type, q.pppoe.length, q.padding.of})
    q.raw.data = "longer"
    assert.is_false((q:verify()))
    assert.equal(36, q:recompute():complete().pppoe.length)
    names, q = names_of(p:bytes():sub(1, 30), "eth")
    assert.equal("eth pppoe ppp raw", names)
    assert.equal("pppoe: 16 bytes of 37", q.pppoe.note)
    assert.equal("pppoe ppp", (names_of("\x11\0\0\1\0\2\xc0\x21", "pppoe")))
    assert.equal("pppoe raw", (names_of("\x11\0\0\1\0\2\x21\x21", "pppoe")))
  end)

  it("has tags in discovery, and keeps what is none", function()
    for _, tags in ipairs {{}, {{type = "ac-name", data = "x"}, {type = 0x999, data = ""}}} do
      local p = packet.eth {dst = "02:00:00:00:00:01"} / packet.pppoe {code = "padi", tags = tags}
      local _, q = names_of(p:bytes(), "eth")
      assert.equal("pppoe-discovery", q.eth.type)
      assert.same(tags, q.pppoe.tags)
    end
    for _, tags in ipairs {"\1", "\1\1\0\9x", "\1\1\0\0\1"} do
      local _, q = names_of("\x11\x09\0\0\0" .. string.char(#tags) .. tags, "pppoe")
      assert.equal("cut off", q.pppoe.tags[#q.pppoe.tags].note)
    end
  end)
end)

describe("vxlan and geneve", function()
  local frame = packet.eth {dst = "02:00:00:00:00:01"} / ip

  it("carry frames in datagrams to their ports", function()
    local p = packet.udp {dst_port = 4789} / packet.vxlan {vni = 0xabcdef} / frame
    assert.equal("08000000abcdef00", hex(p:bytes():sub(9, 16)))
    assert.equal("udp vxlan eth ip udp raw", (names_of(p:bytes(), "udp")))
    p = packet.udp {dst_port = 6081} / packet.geneve {vni = 5, options = {{class = 1, type = 2, data = "five5"}}}
      / frame
    assert.equal("0300655800000500" .. "00010202" .. "6669766535000000", hex(p:bytes():sub(9, 28)))
    local names, q = names_of(p:bytes(), "udp")
    assert.equal("udp geneve eth ip udp raw", names)
    q.geneve.options = {}
    assert.is_false((q:verify()))
    assert.equal(0, q:recompute():complete().geneve.opt_len)
    assert.equal("geneve ip udp raw", (names_of((packet.geneve() / ip):bytes(), "geneve")))
    local _, cut = names_of("\1\0\8\0\0\0\0\0\0\0\0\5", "geneve")
    assert.equal("cut off", cut.geneve.options[1].note)
  end)

  it("may do without a checksum of UDP in IPv6, too (RFC 6935)", function()
    local p = packet.ipv6 {dst = "::1"} / packet.udp {dst_port = 4789, checksum = 0} / packet.vxlan() / frame
    p = packet.dissect(p:bytes(), "ipv6")
    assert.is_true(p:verify())
    assert.equal(0, p:recompute():complete().udp.checksum)
  end)
end)
