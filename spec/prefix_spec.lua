local net = require "neap.net"
local prefix = require "neap.prefix"

describe("a prefix", function()
  it("prints as it is read", function()
    for text, printed in pairs {
      ["10.0.0.0/8"] = "10.0.0.0/8",
      ["0.0.0.0/0"] = "0.0.0.0/0",
      ["192.0.2.1"] = "192.0.2.1/32",
      ["192.0.2.128/25"] = "192.0.2.128/25",
      ["2001:DB8::/32"] = "2001:db8::/32",
      ["::/0"] = "::/0",
      ["::1"] = "::1/128",
      ["2001:db8:0:0:8000::/65"] = "2001:db8:0:0:8000::/65",
      ["::ffff:10.0.0.0/104"] = "10.0.0.0/8",
      ["::ffff:0:0/96"] = "0.0.0.0/0",
    } do
      local p = prefix.parse(text)
      assert.equal(printed, tostring(p))
      assert.is_true(p == prefix.parse(printed))
    end
    assert.is_true(prefix.parse "10.0.0.0/8" ~= prefix.parse "10.0.0.0/9")
  end)

  it("G3 G4: is not read from anything else", function()
    for _, text in ipairs {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08",
      "10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.1/8", "10/8", "10.0/16", "012.0.0.0/8", "0xa000000/8",
      "10.0.0.0/255.0.0.0", "::/129", "::1/127", "2001:db8::1/64", "fe80::%lo/10", "localhost",
      "10.0.0.0:80/8", "[::1]/128", "::ffff:10.0.0.0/95", "10.0.0.0/8/8", "/run/x.sock", "@x",
      "10.0.0.0/8\0", "10.0.0.0/1e1"} do
      local ok, err = pcall(prefix.parse, text)
      assert.is_false(ok, text)
      assert.matches("prefix.parse: ", err, 1, true)
    end
    assert.is_false(pcall(prefix.parse, nil))
    assert.is_false(pcall(prefix.parse, 10))
  end)

  it("G4: decides on the address in its one form", function()
    local ten = prefix.parse "10.0.0.0/8"
    for _, text in ipairs {"10.0.0.0", "10.255.255.255", "10.0.0.1:80", "::ffff:10.0.0.1",
      "[::ffff:a00:1]:80"} do
      assert.is_true(ten:contains(text), text)
      assert.is_true(ten:contains(net.address(text)), text)
    end
    for _, text in ipairs {"9.255.255.255", "11.0.0.0", "127.0.0.1", "::1", "::10.0.0.1",
      "a00:1::", "/run/10.0.0.1", "@10.0.0.1"} do
      assert.is_false(ten:contains(text), text)
    end
    for _, value in ipairs {"012.0.0.1", "0xa000001", "167772161", "10.1", "localhost",
      "10.0.0.1/8", "", 10} do
      assert.is_false(pcall(ten.contains, ten, value), value)
    end
  end)

  it("G4: decides on what a socket reports", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local client <close> = assert(net.connect(listener.endpoint))
    local stream <close> = assert(listener:accept())
    assert.is_true(prefix.parse "127.0.0.0/8":contains(stream.remoteaddr))
    assert.is_false(prefix.parse "10.0.0.0/8":contains(client.remoteaddr))
    assert.is_false(prefix.parse "::/0":contains(stream.remoteaddr))
  end)

  it("counts bits at every length", function()
    for length = 0, 128 do
      local bytes = ("\xff"):rep(length // 8)
        .. (length % 8 > 0 and string.char(0xff << (8 - length % 8) & 0xff) or "")
      bytes = bytes .. ("\0"):rep(16 - #bytes)
      local address = require "neap.packet.address"
      local p = prefix.parse(address.ipv6(bytes) .. "/" .. length)
      assert.is_true(p:contains "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
      if length > 0 then
        local at = (length - 1) // 8 + 1
        local other = bytes:sub(1, at - 1)
          .. string.char(bytes:byte(at) ~ (1 << (7 - (length - 1) % 8))) .. bytes:sub(at + 1)
        assert.is_false(p:contains(address.ipv6(other)), length)
      end
    end
  end)

  it("is at hand as net.prefix", function()
    assert.equal(prefix, net.prefix)
  end)
end)

describe("a set of prefixes", function()
  it("finds the longest that an address is in", function()
    local set = prefix.set {["0.0.0.0/0"] = 0, ["10.0.0.0/8"] = 8, ["10.1.0.0/16"] = 16,
      ["10.1.2.3"] = 32, ["::/0"] = "six", ["2001:db8::/33"] = 33, ["2001:db8::/65"] = 65}
    assert.equal(7, set.count)
    for address, value in pairs {["10.1.2.3"] = 32, ["10.1.2.4"] = 16, ["10.2.0.0"] = 8, ["9.9.9.9"] = 0,
      ["::ffff:10.1.2.3"] = 32, ["::1"] = "six", ["2001:db8::1"] = 65,
      ["2001:db8:0:0:8000::"] = 33, ["2001:db8:8000::"] = "six"} do
      assert.equal(value, (set:lookup(address)), address)
      assert.equal(value, (set:lookup(net.address(address))))
    end
    assert.equal("10.1.0.0/16", tostring(select(2, set:lookup "10.1.9.9")))
    assert.is_nil(set:lookup "/run/x.sock")
    assert.is_nil(prefix.set():lookup "10.0.0.1")
  end)

  it("has a value again, and none once it is taken out", function()
    local set = prefix.set():add "10.0.0.0/8"
    assert.is_true(set:lookup "10.0.0.1")
    set:add(prefix.parse "10.0.0.0/8", false):add("10.0.0.0/24", 1)
    assert.equal(2, set.count)
    assert.is_false((set:lookup "10.1.0.1"))
    assert.equal(1, set:remove "10.0.0.0/24")
    assert.is_nil(set:remove "10.0.0.0/24")
    assert.is_nil(set:remove "::/0")
    assert.is_false((set:lookup "10.0.0.1"))
    assert.is_false(set:remove(prefix.parse "10.0.0.0/8"))
    assert.equal(0, set.count)
    assert.is_nil(set:lookup "10.0.0.1")
  end)

  it("finds what a look at each of them would", function()
    local draw = require "spec.support.random"(11)
    local list, set = {}, prefix.set()
    for n = 1, 300 do
      local length = draw(33)
      local bits = (10 << 24 | draw(1 << 16)) & ~(0xffffffff >> length) & 0xffffffff
      local one = prefix.parse(("%s/%d"):format(net.address({bytes = (">I4"):pack(bits)}).ip, length))
      list[n] = one
      set:add(one, one)
    end
    for _ = 1, 300 do
      local address = net.address {bytes = (">I4"):pack(10 << 24 | draw(1 << 16))}
      local longest
      for _, one in ipairs(list) do
        if one:contains(address) and (not longest or one.length > longest.length) then
          longest = one
        end
      end
      assert.is_true(longest == set:lookup(address))
    end
  end)

  it("says at the caller's line what is none", function()
    for _, f in ipairs {
      function() prefix.set {["10.0.0.1/8"] = 1} end,
      function() prefix.set "10.0.0.0/8" end,
      function() prefix.set():add "x" end,
      function() prefix.set():remove(5) end,
      function() prefix.set():lookup "012.0.0.1" end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.matches("^spec/prefix_spec.lua:%d+: [%w.]+: .*expected", err:gsub("bits are set", "expected"))
    end
  end)
end)
