--- Addresses and endpoints: what a text names is printed in one form, which names the same;
--- what is none is told in words.
---
--- An input is two lines: the addresses of both are compared, too.

local endpoint = require "neap.endpoint"
local net = require "neap.net"

local WORLD = {ENAMETOOLONG = true, ENODEV = true, EAI_SERVICE = true}

local function refused(err)
  assert(type(err) == "string" and not err:find "^[^']*attempt to ", err) -- what was given is in quotes
end

local function check_address(text)
  local good, a = pcall(net.address, text)
  if not good then
    refused(a)
    return nil
  end
  assert(rawequal(net.address(tostring(a)), a), "another address when it is printed")
  local bytes = a.bytes
  if bytes then
    assert(#bytes == (a.family == "inet" and 4 or 16), "an odd number of bytes")
    local same = net.address {bytes = bytes, port = a.port}
    assert(same.ip == a.ip and same.port == a.port and (a.scope or same == a), "another address of its bytes")
  end
  return a
end

local FIELDS <const> = {"scheme", "numeric", "host", "port", "protocol", "interface", "path", "name", "fd", "address"}

local function same(a, b)
  for _, field in ipairs(FIELDS) do
    assert(a[field] == b[field], field)
  end
end

local function check_endpoint(text)
  local good, parts, err = pcall(endpoint.parse, text)
  if not good then
    refused(parts)
    return
  elseif not parts then
    assert(WORLD[err.code], err)
    assert(endpoint.print(text) == nil)
    return
  end
  local printed = assert(endpoint.print(text))
  local again = assert(endpoint.parse(printed))
  same(parts, again)
  assert(endpoint.print(printed) == printed, "two forms")
  assert(endpoint.print(parts) == printed, "another endpoint of its parts")
  assert(not parts.port or parts.port >= 0 and parts.port < 1 << 32, "an odd port")
end

local function check(bytes)
  local one, two = bytes:match "^([^\n]*)\n?(.*)$"
  check_endpoint(one)
  local a, b = check_address(one), check_address(two)
  if a and b then
    local less, more = a < b, b < a
    assert((a == b) == not (less or more) and not (less and more), "no order")
    assert((a <= b) == not more, "no order")
  end
end

local seeds = {
  "127.0.0.1\n127.0.0.1:80", "[::1]:80\n::1", "[fe80::1%lo]:80\n[fe80::1%1]:80", "::ffff:1.2.3.4\n1.2.3.4",
  "/run/x.sock\n@name", "@a\\x00b\n@a", "vsock:2:80\nvsock:*:80", "1:2:3:4:5:6:7:8\n1::8", "unnamed\nunix:x",
  "tcp://127.0.0.1:7000\n255.255.255.255:65535", "tcp6://[fe80::1%lo]:80", "tcp://*:http", "udp6://:53",
  "tcp4://a-b_c.x1:65535", "unix:/run/x.sock", "unix:@", "unixgram:x", "seqpacket:@q\\x00", "vsock://host:7000",
  "vsock://*:0", "mem:a:b/c", "fd:2147483647", "icmp6://[::1]", "raw://[::1]/icmp", "raw4://1.2.3.4/255",
  "packet://lo", "packet://*", "tls://example.com:https", "sctp://:80", "tcp://1.2.3.4:065536", "tcp://0x7f.1:80",
}

return {check = check, seeds = seeds}
