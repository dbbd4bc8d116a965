local child = require "spec.support.child"
local from_zero = require "spec.support.random"
local endpoint = require "neap.endpoint"

local parse, print_endpoint = endpoint.parse, endpoint.print

--- From 1 to n.
local function random(seed)
  local draw = from_zero(seed)
  return function(n)
    return draw(n) + 1
  end
end

local long_label = ("a"):rep(63)
local long_host = (long_label .. "."):rep(3) .. ("b"):rep(61) -- 253 letters

-- NEAP_ADDRESS_STRINGS=1000000 takes so many random texts: NEAP_TEST_LIMIT has to be
-- raised then, too.
local strings = tonumber(os.getenv "NEAP_ADDRESS_STRINGS") or 10 * child.many

describe("an endpoint", function()
  -- text; its fields; what it prints as, if that is another
  local accepted = {
    {"tcp://127.0.0.1:7000", {host = "127.0.0.1", port = 7000, address = "127.0.0.1:7000"}},
    {"tcp://127.0.0.1:0", {host = "127.0.0.1", port = 0, address = "127.0.0.1"}},
    {"tcp://[::1]:80", {host = "::1", port = 80, address = "[::1]:80"}},
    {"tcp://[0::1]:80", {host = "::1", port = 80, address = "[::1]:80"}, "tcp://[::1]:80"},
    {"tcp://[::ffff:1.2.3.4]:80", {host = "1.2.3.4", port = 80, address = "1.2.3.4:80"},
      "tcp://1.2.3.4:80"},
    {"tcp6://[fe80::1%lo]:80", {host = "fe80::1%lo", port = 80, address = "[fe80::1%lo]:80"}},
    {"tcp://*:80", {host = "*", port = 80, address = "[::]:80"}},
    {"tcp4://*:80", {host = "*", port = 80, address = "0.0.0.0:80"}},
    {"tcp6://*:80", {host = "*", port = 80, address = "[::]:80"}},
    {"tcp://:80", {host = "127.0.0.1", port = 80, address = "127.0.0.1:80"}, "tcp://127.0.0.1:80"},
    {"tcp6://:80", {host = "::1", port = 80, address = "[::1]:80"}, "tcp6://[::1]:80"},
    {"tcp://example.com:80", {host = "example.com", port = 80}},
    {"tcp://localhost.:80", {host = "localhost.", port = 80}},
    {"tcp4://a-b_c.x1:65535", {host = "a-b_c.x1", port = 65535}},
    {"tcp://1.2.3.example:80", {host = "1.2.3.example", port = 80}},
    {"tcp://" .. long_host .. ":80", {host = long_host, port = 80}},
    {"udp://127.0.0.1:53", {host = "127.0.0.1", port = 53, address = "127.0.0.1:53"}},
    {"udp4://*:53", {host = "*", port = 53, address = "0.0.0.0:53"}},
    {"udp6://[ff02::1%lo]:53", {host = "ff02::1%lo", port = 53, address = "[ff02::1%lo]:53"}},
    {"unix:/run/x.sock", {path = "/run/x.sock", address = "/run/x.sock"}},
    {"unix:///run/x.sock", {path = "/run/x.sock", address = "/run/x.sock"}, "unix:/run/x.sock"},
    {"unix:x.sock", {path = "x.sock", address = "unix:x.sock"}},
    {"unix:/run/a:b c", {path = "/run/a:b c", address = "/run/a:b c"}},
    {"unix:@svc1", {path = "@svc1", address = "@svc1"}},
    {"unix:@a\0b", {path = "@a\\x00b", address = "@a\\x00b"}, "unix:@a\\x00b"},
    {"unix:@", {path = "@"}},
    {"unixgram:/run/log", {path = "/run/log", address = "/run/log"}},
    {"seqpacket:@q", {path = "@q", address = "@q"}},
    {"sctp://127.0.0.1:7000", {host = "127.0.0.1", port = 7000, address = "127.0.0.1:7000"}},
    {"sctp://[0::1]:80", {host = "::1", port = 80, address = "[::1]:80"}, "sctp://[::1]:80"},
    {"sctp4://*:0", {host = "*", port = 0, address = "0.0.0.0"}},
    {"sctp6://:80", {host = "::1", port = 80, address = "[::1]:80"}, "sctp6://[::1]:80"},
    {"sctp://example.com:80", {host = "example.com", port = 80}},
    {"vsock://2:7000", {host = "2", port = 7000, address = "vsock:2:7000"}},
    {"vsock://host:7000", {host = "2", port = 7000, address = "vsock:2:7000"}, "vsock://2:7000"},
    {"vsock://local:4294967294", {host = "1", port = 4294967294, address = "vsock:1:4294967294"},
      "vsock://1:4294967294"},
    {"vsock://:80", {host = "1", port = 80, address = "vsock:1:80"}, "vsock://1:80"},
    {"vsock://any:0", {host = "*", port = 0, address = "vsock:*"}, "vsock://*:0"},
    {"vsock://*:2147483648", {host = "*", port = 2147483648, address = "vsock:*:2147483648"}},
    {"vsock://4294967294:1", {host = "4294967294", port = 1, address = "vsock:4294967294:1"}},
    {"mem:name", {name = "name"}},
    {"mem:a:b/c", {name = "a:b/c"}},
    {"fd:0", {fd = 0}},
    {"fd:2147483647", {fd = 2147483647}},
  }

  for _, row in ipairs(accepted) do
    local text, fields, printed = table.unpack(row)
    printed = printed or text
    it(("G3 F6: is read from %q and printed"):format(text:sub(1, 40)), function()
      local got = assert(parse(text))
      assert.equal(text:match "^%w+", got.scheme)
      for _, field in ipairs {"host", "port", "path", "name", "fd"} do
        assert.equal(fields[field], got[field], field)
      end
      assert.equal(fields.address, got.address and tostring(got.address))
      assert.equal(fields.address ~= nil or text == "unix:@", got.numeric)
      assert.equal(printed, print_endpoint(text))
      assert.equal(printed, print_endpoint(printed))
      assert.equal(printed, print_endpoint(got))
    end)
  end

  local refused = {
    [""] = "expected scheme:",
    ["x"] = "expected scheme:",
    ["127.0.0.1:80"] = "did you mean tcp://127.0.0.1:80%?",
    ["localhost:80"] = "did you mean tcp://localhost:80%?",
    ["[::1]:80"] = "did you mean tcp://%[::1%]:80%?",
    ["/tmp/x:y"] = "did you mean unix:/tmp/x:y%?",
    ["127.0.0.1:99999"] = "unknown scheme '127.0.0.1' %(known: tcp, .*fd%)",
    ["TCP://127.0.0.1:80"] = "unknown scheme 'TCP'",
    ["tcp\0://127.0.0.1:80"] = "unknown scheme 'tcp%?'",
    ["://"] = "unknown scheme ''",
    ["http://x:80"] = "unknown scheme 'http'",
    ["tcp:"] = "expected tcp://host:port",
    ["tcp:127.0.0.1:80"] = "expected tcp://host:port",
    ["tcp:/127.0.0.1:80"] = "expected tcp://host:port",
    ["tcp://"] = "a port is expected",
    ["tcp://127.0.0.1"] = "a port is expected",
    ["tcp://127.0.0.1:"] = "a port is expected",
    ["tcp://[::1]"] = "a port is expected",
    ["tcp://[::1]80"] = "a port is expected",
    ["tcp://127.0.0.1:65536"] = "a port is a whole number, 0 to 65535",
    ["tcp://127.0.0.1:70000"] = "a port is a whole number, 0 to 65535",
    ["tcp://127.0.0.1:-1"] = "a port is a whole number",
    ["tcp://127.0.0.1:+1"] = "a port is a whole number",
    ["tcp://127.0.0.1: 80"] = "a port is a whole number",
    ["tcp://127.0.0.1:80 "] = "a port is a whole number",
    ["tcp://127.0.0.1:80.5"] = "a port is a whole number",
    ["tcp://127.0.0.1:80abc"] = "a port is a whole number",
    ["tcp://127.0.0.1:80/"] = "a port is a whole number",
    ["tcp://127.0.0.1:0x50"] = "a port is a whole number",
    ["tcp://127.0.0.1:1e300"] = "a port is a whole number",
    ["tcp://127.0.0.1:http\0"] = "a port is a whole number",
    ["tcp://127.0.0.1:99999999999999999999"] = "a port is a whole number",
    ["tcp://::1:80"] = "an IPv6 address stands in brackets",
    ["tcp://[127.0.0.1]:80"] = "only an IPv6 address stands in brackets",
    ["tcp://[]:80"] = "only an IPv6 address",
    ["tcp://[::1:80"] = "expected tcp://%[ipv6%]:port",
    ["tcp://[:::1]:80"] = "not an IPv6 address",
    ["tcp://[::1%lo]:80"] = "only a link%-local address has a scope",
    ["tcp://[fe80::1%]:80"] = "an interface is expected",
    ["tcp://1.2.3.4%eth0:80"] = "%% cannot be in a host's name",
    ["tcp4://[::1]:80"] = "tcp4 takes an IPv4 address",
    ["tcp6://127.0.0.1:80"] = "tcp6 takes an IPv6 address",
    ["tcp6://[::ffff:127.0.0.1]:80"] = "tcp6 takes an IPv6 address",
    ["tcp://127.1:80"] = "neither a name nor four decimal numbers",
    ["tcp://1.2.3:80"] = "neither a name nor four decimal numbers",
    ["tcp://0x7f.1:80"] = "neither a name nor four decimal numbers",
    ["tcp://0x7f000001:80"] = "neither a name nor four decimal numbers",
    ["tcp://0xa000001:80"] = "neither a name nor four decimal numbers",
    ["tcp://012.0.0.1:80"] = "neither a name nor four decimal numbers",
    ["tcp://2130706433:80"] = "neither a name nor four decimal numbers",
    ["tcp://1.2.3.256:80"] = "neither a name nor four decimal numbers",
    ["tcp://1.2.3.4.:80"] = "neither a name nor four decimal numbers",
    ["tcp://example.0x:80"] = "neither a name nor four decimal numbers",
    ["tcp://example.com\0.evil.com:80"] = "byte 0 cannot be in a host's name",
    ["tcp://exa mple.com:80"] = "byte 32 cannot be in a host's name",
    ["tcp://user@example.com:80"] = "@ cannot be in a host's name",
    ["tcp://**:80"] = "%* cannot be in a host's name",
    ["tcp://b\xc3\xbccher.example:80"] = "not ASCII",
    ["tcp://a..b:80"] = "a label of the host's name is empty",
    ["tcp://.:80"] = "a label of the host's name is empty",
    ["tcp://" .. ("a"):rep(64) .. ".de:80"] = "over 63 letters",
    ["tcp://" .. long_host .. "b:80"] = "at most 253 letters",
    ["unix:"] = "the path is empty",
    ["unix:/tmp/a\0b"] = "the path holds a zero byte",
    ["unix://run/x"] = "a path is expected",
    ["sctp://127.0.0.1"] = "a port is expected: sctp://host:port",
    ["sctp:"] = "expected sctp://host:port",
    ["sctp4://[::1]:80"] = "sctp4 takes an IPv4 address",
    ["sctp6://127.0.0.1:80"] = "sctp6 takes an IPv6 address",
    ["sctp://127.1:80"] = "neither a name nor four decimal numbers",
    ["sctp://127.0.0.1:65536"] = "a port is a whole number, 0 to 65535",
    ["vsock:"] = "expected vsock://cid:port",
    ["vsock:2:80"] = "expected vsock://cid:port",
    ["vsock://"] = "a port is expected: vsock://cid:port",
    ["vsock://2"] = "a port is expected: vsock://cid:port",
    ["vsock://2:"] = "a port of vsock is a whole number, 0 to 4294967294",
    ["vsock://2:http"] = "a port of vsock is a whole number",
    ["vsock://2:4294967295"] = "a port of vsock is a whole number",
    ["vsock://2:-1"] = "a port of vsock is a whole number",
    ["vsock://2:01"] = "a port of vsock is a whole number",
    ["vsock://2:1/"] = "a port of vsock is a whole number",
    ["vsock://4294967295:1"] = "a cid is a number below 4294967295, host, local or any",
    ["vsock://-1:1"] = "a cid is a number",
    ["vsock://02:1"] = "a cid is a number",
    ["vsock://example.com:1"] = "a cid is a number",
    ["vsock://[2]:1"] = "a cid is a number",
    ["vsock://2\0:1"] = "a cid is a number",
    ["mem:"] = "a name is expected",
    ["mem:a b"] = "byte 32 cannot be in a name",
    ["mem:a\0b"] = "byte 0 cannot be in a name",
    ["mem:" .. ("m"):rep(256)] = "at most 255 bytes",
    ["fd:"] = "a descriptor is a whole number",
    ["fd:-1"] = "a descriptor is a whole number",
    ["fd:3 "] = "a descriptor is a whole number",
    ["fd:03"] = "a descriptor is a whole number",
    ["fd:0x3"] = "a descriptor is a whole number",
    ["fd:2147483648"] = "a descriptor is a whole number",
    ["fd:" .. ("9"):rep(1 << 20)] = "a descriptor is a whole number",
  }

  for text, why in pairs(refused) do
    it(("G3 G4 O3: is not read from %q"):format(text:sub(1, 40)), function()
      assert.error_matches(function()
        parse(text)
      end, "bad argument #1 to '.*' %(malformed endpoint '.*': .*" .. why)
      assert.has_error(function()
        print_endpoint(text)
      end)
    end)
  end

  it("F1: has a path or an abstract name of at most 107 bytes", function()
    for _, scheme in ipairs {"unix:", "unixgram:", "seqpacket:"} do
      local path = "/" .. ("p"):rep(106)
      assert.equal(path, assert(parse(scheme .. path)).path)
      assert.equal("@" .. path, assert(parse(scheme .. "@" .. path)).path)
      for _, long in ipairs {path .. "p", path .. ("p"):rep(93), "@" .. path .. "p"} do
        local got, err = parse(scheme .. long)
        assert.is_nil(got)
        assert.equal("ENAMETOOLONG", err.code)
        assert.equal("ENAMETOOLONG", select(2, print_endpoint(scheme .. long)).code)
      end
    end
  end)

  it("has an IPv6 host with or without brackets, where no port follows", function()
    for text, printed in pairs {
      ["icmp://::1"] = "icmp://[::1]",
      ["icmp6://::1"] = "icmp6://[::1]",
      ["icmp6://fe80::1%lo"] = "icmp6://[fe80::1%lo]",
      ["raw6://::1/58"] = "raw6://[::1]/58",
      ["icmp://::ffff:1.2.3.4"] = "icmp://1.2.3.4",
      ["icmp4://[::ffff:1.2.3.4]"] = "icmp4://1.2.3.4",
    } do
      assert.equal(printed, print_endpoint(text))
      assert.equal(printed, print_endpoint(printed))
      assert.equal(printed, print_endpoint(parse(text)))
      assert.equal(parse(printed).address, parse(text).address)
    end
    for _, text in ipairs {
      "icmp4://::1", "raw4://::1/1", "icmp4://[::1]", "icmp6://1.2.3.4", "icmp6://::ffff:1.2.3.4",
      "icmp://::1]", "icmp://[::1", "icmp://[]", "icmp://:", "icmp://1.2.3.4:80", "icmp://h:80",
    } do
      assert.error_matches(function()
        parse(text)
      end, "malformed endpoint")
    end
  end)

  it("G2: does not name an interface that there is not", function()
    local got, err = parse "tcp://[fe80::1%nosuchif]:80"
    assert.is_nil(got)
    assert.equal("ENODEV", err.code)
    assert.matches("nosuchif", tostring(err), 1, true)
  end)

  it("has a service's name for a port", function()
    local got, err = parse "tcp://127.0.0.1:http"
    if got then -- /etc/services may be missing
      assert.equal(80, got.port)
      assert.equal("127.0.0.1:80", tostring(got.address))
      assert.equal("udp://h:53", print_endpoint "udp://h:domain")
    else
      assert.equal("EAI_SERVICE", err.code)
    end
    assert.equal("EAI_SERVICE", select(2, parse "tcp://127.0.0.1:no-such-service").code)
  end)

  it("O1 O7: is a string", function()
    for _, value in ipairs {true, 80, 1.5, {}, print, io.stdout, coroutine.create(print)} do
      assert.error_matches(function()
        parse(value)
      end, "string expected")
    end
    assert.has_error(function()
      parse()
    end)
    assert.has_error(function()
      print_endpoint(80)
    end)
  end)

  it("O7: is printed from a table, whose port is a whole number", function()
    local function tcp(port)
      return print_endpoint {scheme = "tcp", host = "::1", port = port}
    end
    assert.equal("tcp://[::1]:80", tcp(80))
    assert.equal("tcp://[::1]:80", tcp(80.0))
    assert.equal("tcp://[::1]:80", tcp "80")
    assert.equal("fd:3", print_endpoint {scheme = "fd", fd = 3.0})
    for _, port in ipairs {80.5, -1, 65536, 0 / 0, 1e300, true, "80x", ""} do
      assert.has_error(function()
        tcp(port)
      end)
    end
    for _, fields in ipairs {
      {}, {scheme = "http"}, {scheme = "tcp"}, {scheme = "unix"}, {scheme = "mem", name = "a\0"},
      {scheme = 1}, {scheme = "tcp", host = {}, port = 1}, {scheme = "tcp", host = "x"},
    } do
      assert.has_error(function()
        print_endpoint(fields)
      end)
    end
  end)

  it("O1: survives random texts, and prints those it reads reversibly", function()
    local draw = random(20240301)
    local schemes = {
      "tcp://", "tcp4://", "tcp6://", "udp://", "unix:", "unixgram:", "seqpacket:", "mem:", "fd:",
      "sctp://", "vsock://", "vsock://", "tcp:", "", "x:",
    }
    local parts = {
      "1", "0", "127.0.0.1", "[::1]", "[fe80::1%lo]", ":80", ":80", ":http", ":", "*", "a", "host", ".com",
      ".", "-", "@", "/", "//", "\\x00", "\\", "\0", " ", "[", "]", "%", "\xff", "65536",
    }
    local read = 0
    for _ = 1, strings do
      local text = {schemes[draw(#schemes)]}
      for i = 2, draw(6) do
        text[i] = parts[draw(#parts)]
      end
      text = table.concat(text)
      local ok, got, err = pcall(parse, text)
      if ok and got then
        read = read + 1
        local printed = print_endpoint(text)
        if print_endpoint(printed) ~= printed or print_endpoint(got) ~= printed
          or parse(printed).address ~= got.address then
          error(("%q prints as %q"):format(text, printed))
        end
      elseif not ok and not got:find "malformed endpoint" then
        error(got)
      elseif ok and not err.code then
        error(text)
      end
    end
    assert.is_true(read > strings // 20, read)
  end)

  it("O1: survives strings of random bytes behind each scheme", function()
    local draw = random(11)
    local schemes = {
      "tcp://", "udp6://", "unix:", "unixgram:@", "seqpacket:", "icmp://", "raw://127.0.0.1/",
      "raw://", "packet://", "mem:", "fd:", "tcp://[fe80::1%", "tcp://h:", "",
    }
    for _ = 1, strings // 10 do
      local bytes = {schemes[draw(#schemes)]}
      for i = 1, draw(24) do
        bytes[#bytes + 1] = string.char(draw(256) - 1)
        if i > 20 then
          bytes[#bytes + 1] = ("x"):rep(draw(300))
        end
      end
      local text = table.concat(bytes)
      local ok, got, err = pcall(parse, text)
      if ok and got then
        local printed = print_endpoint(text)
        if print_endpoint(printed) ~= printed or print_endpoint(got) ~= printed then
          error(("%q prints as %q"):format(text, printed))
        end
      elseif not ok and not got:find "malformed endpoint" or ok and not err.code then
        error(text)
      end
    end
  end)
end)
