local address = require "neap.packet.address"
local net = require "neap.net"

describe("packet addresses", function()
  it("read and print IPv4", function()
    for _, text in ipairs {"0.0.0.0", "10.0.0.1", "255.255.255.255", "1.20.255.0"} do
      assert.equal(text, address.ipv4(address.to_ipv4(text)))
    end
    assert.equal("1.2.3.4", address.ipv4("xx\1\2\3\4", 3))
    for _, text in ipairs {"", "1", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ",
      " 1.2.3.4", "1.2.3.-4", "0x1.2.3.4", "1..2.3", "1.2.3.4\0", "1.2.3.4567"} do
      assert.is_nil(address.to_ipv4(text), text)
    end
  end)

  -- RFC 5952, sections 1 to 5, and RFC 4291, 2.2.
  local spelt = {
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"2001:0db8::0001", "2001:db8::1"},
    {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
    {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
    {"2001:DB8:AAAA::", "2001:db8:aaaa::"},
    {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
    {"::FFFF:c000:201", "::ffff:192.0.2.1"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"0:0:0:0:0:0:0:0", "::"},
    {"0:0:0:0:0:0:0:1", "::1"},
    {"1::", "1::"},
    {"::1.2.3.4", "::102:304"},
  }

  it("read and print IPv6", function()
    for _, row in ipairs(spelt) do
      local bytes = address.to_ipv6(row[1])
      assert.equal(16, #(bytes or ""), row[1])
      assert.equal(row[2], address.ipv6(bytes))
      assert.equal(row[2], address.ipv6("x" .. bytes, 2))
      assert.equal(bytes, address.to_ipv6(row[2]))
    end
    for _, text in ipairs {"", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3",
      "12345::", "g::", "::1 ", "[::1]", "fe80::1%lo", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3",
      "::1.2.3.4:5", "1:2:3:4::5:6:7:8", ":1::2", "1:", ("1"):rep(100000), ("::"):rep(50000)} do
      assert.is_nil(address.to_ipv6(text), text:sub(1, 40))
    end
  end)

  it("agree with net.address", function()
    local state = 5
    local function draw(n)
      state = (state * 6364136223846793005 + 1442695040888963407)
      return (state >> 33) % n
    end
    for _ = 1, 5000 do
      local groups = {}
      for i = 1, 8 do
        groups[i] = draw(2) == 0 and 0 or draw(65536)
      end
      local bytes = (">I2I2I2I2I2I2I2I2"):pack(table.unpack(groups))
      local text = address.ipv6(bytes)
      assert.equal(bytes, address.to_ipv6(text))
      if groups[1] ~= 0 and groups[1] & 0xffc0 ~= 0xfe80 and groups[1] >> 8 ~= 0xff then
        assert.equal(net.address(text).ip, text)
      end
    end
  end)

  it("read and print Ethernet", function()
    assert.equal("02:00:00:00:00:ff", address.mac(address.to_mac "02:00:00:00:00:FF"))
    assert.equal("02:00:00:00:00:ff", address.mac("x\2\0\0\0\0\xff", 2))
    for _, text in ipairs {"", "02:00:00:00:00", "02:00:00:00:00:0", "02:00:00:00:00:00:00",
      "02:00:00-00:00:00", "0200.0000.0000.00", "gg:00:00:00:00:00", "02 00 00 00 00 00"} do
      assert.is_nil(address.to_mac(text), text)
    end
  end)
end)
