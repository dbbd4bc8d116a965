local child = require "spec.support.child"
local from_zero = require "spec.support.random"
local net = require "neap.net"

local address = net.address

--- From 1 to n.
local function random(seed)
  local draw = from_zero(seed)
  return function(n)
    return draw(n) + 1
  end
end

-- NEAP_ADDRESS_STRINGS=1000000 takes so many random texts: NEAP_TEST_LIMIT has to be
-- raised then, too.
local strings = tonumber(os.getenv "NEAP_ADDRESS_STRINGS") or 10 * child.many

describe("an address", function()
  -- text, family, ip or path, port, scope, and what it prints as
  local accepted = {
    {"127.0.0.1:80", "inet", "127.0.0.1", 80},
    {"0.0.0.0:1", "inet", "0.0.0.0", 1},
    {"255.255.255.255:65535", "inet", "255.255.255.255", 65535},
    {"127.0.0.1", "inet", "127.0.0.1", 0},
    {"127.0.0.1:0", "inet", "127.0.0.1", 0, nil, "127.0.0.1"},
    {"[::1]:80", "inet6", "::1", 80},
    {"::1", "inet6", "::1", 0},
    {"::", "inet6", "::", 0},
    {"[::]:80", "inet6", "::", 80},
    {"::1:80", "inet6", "::1:80", 0},
    {"::0.1.0.128", "inet6", "::1:80", 0, nil, "::1:80"},
    {"2001:DB8::0:1", "inet6", "2001:db8::1", 0, nil, "2001:db8::1"},
    {"[fe80::1%lo]:80", "inet6", "fe80::1", 80, "lo"},
    {"[fe80::1%1]:80", "inet6", "fe80::1", 80, "lo", "[fe80::1%lo]:80"},
    {"fe80::1%lo", "inet6", "fe80::1", 0, "lo"},
    {"ff02::1%lo", "inet6", "ff02::1", 0, "lo"},
    {"[::ffff:127.0.0.1]:80", "inet", "127.0.0.1", 80, nil, "127.0.0.1:80"},
    {"::ffff:7f00:1", "inet", "127.0.0.1", 0, nil, "127.0.0.1"},
    {"/run/x.sock", "unix", "/run/x.sock"},
    {"/run/a b:80", "unix", "/run/a b:80"},
    {"unix:/run/x.sock", "unix", "/run/x.sock", nil, nil, "/run/x.sock"},
    {"unix:///run/x.sock", "unix", "/run/x.sock", nil, nil, "/run/x.sock"},
    {"unix:x.sock", "unix", "x.sock"},
    {"@name", "unix", "@name"},
    {"unix:@name", "unix", "@name", nil, nil, "@name"},
    {"@a\0b", "unix", "@a\\x00b", nil, nil, "@a\\x00b"},
    {"@a\\x00b", "unix", "@a\\x00b"},
    {"@a\\b", "unix", "@a\\x5cb", nil, nil, "@a\\x5cb"},
    {"@\xff\n", "unix", "@\\xff\\x0a", nil, nil, "@\\xff\\x0a"},
    {"vsock:2:1024", "vsock", 2, 1024},
    {"vsock:host:1024", "vsock", 2, 1024, nil, "vsock:2:1024"},
    {"vsock:local:1", "vsock", 1, 1, nil, "vsock:1:1"},
    {"vsock:0:4294967294", "vsock", 0, 4294967294},
    {"vsock:4294967294:2147483648", "vsock", 4294967294, 2147483648},
    {"vsock:any:7", "vsock", 4294967295, 7, nil, "vsock:*:7"},
    {"vsock:*:7", "vsock", 4294967295, 7},
    {"vsock:3", "vsock", 3, 0},
    {"vsock:3:0", "vsock", 3, 0, nil, "vsock:3"},
    {"vsock:*", "vsock", 4294967295, 0},
  }

  for _, row in ipairs(accepted) do
    local text, family, where, port, scope, printed = table.unpack(row, 1, 6)
    it(("G1 G3 F6: is read from %q"):format(text), function()
      local a = address(text)
      assert.equal(family, a.family)
      assert.equal(where, a.ip or a.path or a.cid)
      assert.equal(port, a.port)
      assert.equal(scope, a.scope)
      assert.equal(printed or text, tostring(a))
      assert.equal(a, address(tostring(a)))
      assert.is_true(rawequal(a, address(tostring(a))))
    end)
  end

  local refused = {
    "", " ", "x", "localhost", "localhost:80",
    "1.2.3", "0x7f.1", "127.1", "1", "2130706433", "0x7f000001", "012.0.0.1",
    "127.0.0.1 ", " 127.0.0.1", "1.2.3.4%eth0", "1.2.3.4%", "256.0.0.1",
    "1.2.3.4.", "1.2.3.4.5", "127.0.0.1\0", "127.0.0.1\0.example.com",
    "127.0.0.1:70000", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1",
    "127.0.0.1:80.5", "127.0.0.1:80abc", "127.0.0.1:0x50", "127.0.0.1: 80",
    "127.0.0.1:80 ", "127.0.0.1:", "127.0.0.1:nan", "127.0.0.1:1e300",
    "127.0.0.1:080", "127.0.0.1:80\0", "127.0.0.1:18446744073709551696",
    ":80", "[]:80", "[::1]", "[::1]80", "[::1]:", "[::1]:70000", "[::1:80",
    "[127.0.0.1]:80", "::1]:80", "[::1%lo]:80", "::1%lo", "1::2::3", ":::",
    "fe80::1%", "fe80::1%nosuchif", "fe80::1%99999999999", "fe80::1%-1",
    "fe80::1%lo\0", "fe80::1%0", "[fe80::1%lo:80", "::ffff:012.0.0.1",
    "unix:", "unix:@", "@", "unix:/a\0b", "/a\0b", "/tmp/a\0", "unix://x/y",
    "/" .. ("x"):rep(107), "@" .. ("x"):rep(108), ("1"):rep(1 << 20),
    "tcp://127.0.0.1:80",
    "vsock", "vsock:", "vsock::", "vsock::1", "vsock:2:", "vsock:2:-1", "vsock:2:4294967295",
    "vsock:2:4294967296", "vsock:2:01", "vsock:2: 1", "vsock:2:1:1", "vsock:02:1", "vsock:-1:1",
    "vsock:4294967295:1", "vsock:4294967296:1", "vsock:0x2:1", "vsock:HOST:1", "vsock:hos:1",
    "vsock:hosts:1", "vsock:**:1", "vsock:2\0:1", "vsock:[2]:1", "vsock://2:1", "2:1",
  }

  for _, text in ipairs(refused) do
    it(("G3 O3 F1: is not read from %q"):format(text:sub(1, 40)), function()
      assert.error_matches(function()
        address(text)
      end, "bad argument #1 to '.*' %(an address such as .* expected, got ")
    end)
  end

  it("G2: names the interface that there is not", function()
    assert.error_matches(function()
      address "[fe80::1%nosuchif]:80"
    end, "'%[fe80::1%%nosuchif%]:80': no interface")
    assert.error_matches(function() -- else the kernel takes lo:80 for a name of lo
      address "fe80::1%lo:80"
    end, "with a port, an IPv6 address is in brackets")
  end)

  it("F1: takes a path of 107 bytes and an abstract name of as many", function()
    local path, name = "/" .. ("x"):rep(106), "@" .. ("y"):rep(107)
    assert.equal(path, address(path).path)
    assert.equal(name, address(name).path)
  end)

  it("O1 O7: is made of a string, an address or bytes, of nothing else", function()
    local a = address "127.0.0.1:80"
    assert.equal(a, address(a))
    for _, value in ipairs {true, 80, 1.5, print, io.stdout, coroutine.create(print)} do
      assert.error_matches(function()
        address(value)
      end, "neap.Address or string expected")
    end
    assert.error_matches(function()
      address(nil)
    end, "neap.Address or string expected")
  end)

  it("is made of bytes, and has them", function()
    for bytes, text in pairs {["\127\0\0\1"] = "127.0.0.1", [("\0"):rep(15) .. "\1"] = "::1",
      ["\x20\1\x0d\xb8" .. ("\0"):rep(12)] = "2001:db8::"} do
      local a = address {bytes = bytes, port = 80}
      assert.same({text, 80, bytes}, {a.ip, a.port, a.bytes})
      assert.is_true(address {bytes = bytes} == address(text))
    end
    assert.equal("127.0.0.1", address({bytes = ("\0"):rep(10) .. "\xff\xff\127\0\0\1"}).ip)
    assert.is_nil(address("/run/x.sock").bytes)
    for _, fields in ipairs {{}, {bytes = ""}, {bytes = "123"}, {bytes = 1234}, {port = 80}, {"1234"},
      {bytes = "1234", port = -1}, {bytes = "1234", port = 65536}, {bytes = "1234", port = 1.5},
      {bytes = "1234", port = "x"}, {bytes = "1234", host = 1}, {[{}] = 1}} do
      local ok, err = pcall(address, fields)
      assert.is_false(ok)
      assert.matches("expected", err)
    end
  end)

  it("is one object as long as it is held, and a key of tables", function()
    local a = address "[fe80::1%lo]:80"
    local seen = {[a] = true}
    collectgarbage()
    assert.is_true(seen[address "[fe80::1%1]:80"])
    assert.is_nil(seen[address "[fe80::1%lo]:81"])
    for port = 1, 1000 do
      assert.equal(port, address("10.0.0.1:" .. port).port)
    end
    collectgarbage()
    assert.is_true(seen[address "[fe80::1%lo]:80"])
  end)

  it("has an order: family, ip, port", function()
    local texts = {
      "9.0.0.1:7", "10.0.0.1:80", "10.0.0.1:443", "10.0.0.2:1", "::1", "[::1]:80",
      "fe80::1", "/a", "/ab", "/b", "vsock:1:9", "vsock:2:1", "vsock:2:3000000000", "vsock:2",
      "vsock:*:1",
    }
    -- An abstract name begins with zero.
    table.insert(texts, 8, "@a")
    for i, x in ipairs(texts) do
      for j, y in ipairs(texts) do
        local a, b = address(x), address(y)
        assert.equal(i < j, a < b, x .. " < " .. y)
        assert.equal(i <= j, a <= b, x .. " <= " .. y)
        assert.equal(i == j, a == b, x .. " == " .. y)
      end
    end
    assert.has_error(function()
      return address "::1" < "::1"
    end)
    assert.is_false(address "::1" == "::1")
  end)

  it("is immutable", function()
    local a = address "127.0.0.1:80"
    for _, field in ipairs {"port", "ip", "new"} do
      assert.error_matches(function()
        a[field] = 1
      end, "immutable")
    end
    assert.equal(80, a.port)
  end)

  it("has no other fields, and what does not apply is nil", function()
    local a, b, c = address "127.0.0.1:80", address "/run/x.sock", address "vsock:2:1"
    assert.is_nil(a.path or a.cid or a.scope or a.host or a[1] or a[a] or a["port\0"])
    assert.is_nil(b.ip or b.port or b.scope or b.cid)
    assert.is_nil(c.ip or c.path or c.scope)
  end)

  it("concatenates", function()
    assert.equal("at 127.0.0.1:80!", "at " .. address "127.0.0.1:80" .. "!")
  end)

  it("O1: survives random texts, and prints those it reads reversibly", function()
    local draw = random(20240229)
    local parts = {
      "1", "0", "12", "255", "256", ".", ".", ".", ":", ":", "::", "[", "]", "%", "lo",
      "fe80", "ffff", "127.0.0.1", "[::1]", ":80", "@", "/", "unix:", "vsock:", "host", "\\x41", "\\x", "\\",
      "\0", " ", "-", "+", "x", "a", "\xff", "\n",
    }
    local read = 0
    for _ = 1, strings do
      local text = {}
      for i = 1, draw(8) do
        text[i] = parts[draw(#parts)]
      end
      text = table.concat(text)
      local ok, a = pcall(address, text)
      if ok then
        read = read + 1
        local printed = tostring(a)
        if address(printed) ~= a or tostring(address(printed)) ~= printed then
          error(("%q prints as %q"):format(text, printed))
        end
      elseif not a:find "expected, got" then
        error(a)
      end
    end
    assert.is_true(read > strings // 20, read)
  end)

  it("O1: survives strings of random bytes", function()
    local draw = random(7)
    for _ = 1, strings do
      local bytes = {}
      for i = 1, draw(24) do
        bytes[i] = string.char(draw(256) - 1)
      end
      pcall(address, table.concat(bytes))
    end
  end)
end)
