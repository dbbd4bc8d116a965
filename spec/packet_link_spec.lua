local packet = require "neap.packet"

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

describe("eth", function()
  it("says what is inside", function()
    local to = {dst = "02:00:00:00:00:01"}
    assert.equal("0800", hex((packet.eth(to) / packet.ip {dst = "1.2.3.4"}):bytes():sub(13, 14)))
    assert.equal("86dd", hex((packet.eth(to) / packet.ipv6 {dst = "::1"}):bytes():sub(13, 14)))
    assert.equal("0806", hex((packet.eth(to) / packet.arp()):bytes():sub(13, 14)))
    assert.equal("8100", hex((packet.eth(to) / packet.vlan()):bytes():sub(13, 14)))
    assert.equal("88b5", hex((packet.eth(to) / "x"):bytes():sub(13, 14)))
    assert.equal("88b5", hex(packet.eth(to):bytes():sub(13, 14)))
  end)

  it("has numbers for types without a name", function()
    local p = packet.dissect(packet.eth({dst = "02:00:00:00:00:01", type = 0x9000}):bytes())
    assert.equal(0x9000, p.eth.type)
    p = packet.dissect(packet.eth({dst = "02:00:00:00:00:01", type = "lldp"}):bytes())
    assert.equal("lldp", p.eth.type)
  end)

  it("takes a type up to 1500 for a length", function()
    local p = packet.dissect(("\2"):rep(12) .. "\0\3\x42\x42\3" .. ("\0"):rep(43))
    assert.equal(3, p.eth.type)
    assert.equal("\x42\x42\3", p.raw.data)
    assert.equal(43, #p.padding.data)
    p = packet.dissect(("\2"):rep(12) .. "\0\9\x42\x42\3")
    assert.equal("802.3 frame: 3 bytes of 9", p.eth.note)
  end)
end)

describe("vlan", function()
  it("has its bits", function()
    local p = packet.vlan {pcp = 7, dei = true, vid = 0xabc, type = "ip"}
    assert.equal("fabc0800", hex(p:bytes()))
    local vlan = packet.dissect(p:bytes(), "vlan").vlan
    assert.same({7, true, 0xabc, "ip"}, {vlan.pcp, vlan.dei, vlan.vid, vlan.type})
  end)
end)

describe("arp", function()
  it("has RFC 826's fields", function()
    local arp = packet.dissect(packet.arp({op = "reply", sha = "02:00:00:00:00:02",
      spa = "10.0.0.2", tha = "02:00:00:00:00:01", tpa = "10.0.0.1"}):bytes(), "arp").arp
    assert.equal(1, arp.hrd)
    assert.equal("ip", arp.pro)
    assert.equal(6, arp.hln)
    assert.equal(4, arp.pln)
    assert.equal("reply", arp.op)
    assert.equal("02:00:00:00:00:02", arp.sha)
    assert.equal("10.0.0.2", arp.spa)
    assert.equal("02:00:00:00:00:01", arp.tha)
    assert.equal("10.0.0.1", arp.tpa)
  end)

  it("keeps addresses of other lengths as bytes", function()
    local bytes = "\0\x20\x08\0\3\6\0\1" .. "abc" .. "123456" .. "def" .. "789012"
    local p = packet.dissect(bytes .. "pad", "arp")
    assert.equal("abc", p.arp.sha)
    assert.equal("123456", p.arp.spa)
    assert.equal("pad", p.padding.data)
    assert.equal(bytes .. "pad", p:bytes())
  end)
end)

describe("captures of other interfaces", function()
  local ip = packet.ip {src = "10.0.0.1", dst = "10.0.0.2"}

  it("have a family in front, in either order", function()
    for family = 0, 40 do
      for _, order in ipairs {"little", "big"} do
        local bytes = (packet.loopback {family = family, order = order} / ip):bytes()
        local p = packet.dissect(bytes, order == "big" and 108 or 0)
        assert.equal(bytes, p:bytes())
        assert.equal(family, p.loopback.family)
        assert.equal(family == 2 and "ip" or "raw", p[2].name)
      end
    end
    for _, family in ipairs {10, 24, 28, 30} do
      local p = packet.loopback {family = family} / packet.ipv6 {dst = "::1"}
      assert.equal("ipv6", packet.dissect(p:bytes(), 0)[2].name)
    end
    assert.equal("loopback: 3 bytes of 4", packet.dissect("abc", 0).raw.note)
    assert.is_false(pcall(packet.loopback({order = "?"}).bytes))
  end)

  it("have Linux's header of any interface", function()
    for name, link in pairs {sll = 113, sll2 = 276} do
      for _, address in ipairs {"02:00:00:00:00:01", "12345678", ("\0"):rep(8)} do
        local p = packet[name] {packet_type = "outgoing", address = address} / ip / packet.padding "pad"
        local q = packet.dissect(p:bytes(), link)
        assert.equal(p:bytes(), q:bytes())
        assert.same({address, "outgoing", "ip"}, {q[1].address, q[1].packet_type, q[1].protocol})
        assert.equal("ip", q[2].name)
      end
      local p = packet[name] {address_length = 6, address = "1234567\0"} / ip
      assert.equal("1234567\0", packet.dissect(p:bytes(), link)[1].address)
      p = packet[name] {arphrd_type = 824} / ip -- netlink: a protocol of its own
      assert.equal("raw", packet.dissect(p:bytes(), link)[2].name)
      assert.matches("^" .. name .. ": 10 bytes of", packet.dissect(("\0"):rep(10), link).raw.note)
      assert.is_false(pcall(packet[name]({address = "123456789"}).bytes))
    end
  end)
end)
