-- Whose requests trusted proxies hand on, as http.serve tells it.

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"

--- The client and the scheme of a request with these fields, over TCP or another endpoint.
local function asked(trusted, fields, endpoint)
  local listener <close> = assert(net.listen(endpoint or "tcp://127.0.0.1:0"))
  local server = task.spawn(http.serve, listener, function(request)
    local address = request.remoteaddr
    local port = address and address.port or 0
    return ("%s %d %s"):format(address and address.ip or "none", request.stream.remoteaddr
      and port == request.stream.remoteaddr.port and -1 or port, request.scheme)
  end, {trusted = trusted})
  local client <close> = assert(net.connect(listener.endpoint))
  client:write(("GET / HTTP/1.0\r\n%s\r\n"):format(fields or ""))
  local all = assert(client:read "a")
  server:cancel()
  server:join()
  return all:match "\r\n\r\n(.*)$"
end

describe("http.serve", function()
  local DIRECT = "127.0.0.1 -1 http"
  local ours = {"127.0.0.0/8", "10.0.0.0/8", "fd00::/8"}

  it("believes nobody who is not said to be trusted", function()
    local fields = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.2.3.4;proto=https\r\n"
    assert.equal(DIRECT, asked(nil, fields))
    assert.equal(DIRECT, asked({"10.0.0.0/8", "unix"}, fields))
    assert.equal("none 0 http", asked(nil, fields, "mem:forwarded"))
    assert.equal("none 0 http", asked(ours, fields, "mem:forwarded"))
    assert.equal("1.2.3.4 0 https", asked({"unix"}, fields, "mem:forwarded"))
  end)

  it("takes the last address that is no proxy's of x-forwarded-for", function()
    for said, expected in pairs {
      ["1.2.3.4"] = "1.2.3.4 0", ["9.9.9.9, 1.2.3.4"] = "1.2.3.4 0", ["9.9.9.9,1.2.3.4 , 10.0.0.1"] = "1.2.3.4 0",
      ["1.2.3.4,fd00::1, [fd00::2]:80"] = "1.2.3.4 0", ["1.2.3.4:80"] = "1.2.3.4 80", ["2001:db8::1"] = "2001:db8::1 0",
      ["[2001:db8::1]"] = "2001:db8::1 0",
      ["[2001:db8::1]:443"] = "2001:db8::1 443", ["10.0.0.2,10.0.0.1"] = "10.0.0.2 0",
      ["1.2.3.4, unknown, 10.0.0.1"] = "10.0.0.1 0", ["1.2.3.4, 10.0.0.1x"] = "127.0.0.1 -1",
      ["::ffff:1.2.3.4"] = "1.2.3.4 0",
      ["1.2.3.4,,"] = "1.2.3.4 0", [""] = "127.0.0.1 -1", [","] = "127.0.0.1 -1", ["01.2.3.4"] = "127.0.0.1 -1",
      ["1.2.3.4:99999"] = "127.0.0.1 -1", ["a.b"] = "127.0.0.1 -1",
    } do
      assert.equal(expected .. " http", asked(ours, "X-Forwarded-For: " .. said .. "\r\n"), said)
    end
    assert.equal("1.2.3.4 0 http", asked(ours,
      "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=8.8.8.8\r\n"))
  end)

  it("takes the scheme of x-forwarded-proto", function()
    for said, expected in pairs {https = "https", HTTPS = "https", http = "http", ["http, https"] = "https",
      ftp = "http", [""] = "http"} do
      assert.equal("127.0.0.1 -1 " .. expected, asked(ours, "X-Forwarded-Proto: " .. said .. "\r\n"), said)
      assert.equal("1.2.3.4 0 " .. expected,
        asked(ours, "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: " .. said .. "\r\n"), said)
    end
  end)

  it("takes forwarded (RFC 7239) where that is what the proxies write", function()
    local by = {"127.0.0.0/8", "10.0.0.0/8", by = "forwarded"}
    for said, expected in pairs {
      ["for=1.2.3.4"] = "1.2.3.4 0 http", ['For="[2001:db8::1]:4711"'] = "2001:db8::1 4711 http",
      ["for=1.2.3.4;proto=https;by=10.0.0.9"] = "1.2.3.4 0 https", ["proto=https;for=1.2.3.4"] = "1.2.3.4 0 https",
      ["for=9.9.9.9;proto=http, for=1.2.3.4 ;proto=https , for=10.0.0.1;proto=http"] = "1.2.3.4 0 https",
      ['for="a,b;c", for=1.2.3.4'] = "1.2.3.4 0 http", ["for=unknown"] = DIRECT, ["for=_hidden"] = DIRECT,
      ["for=unknown;proto=https"] = "127.0.0.1 -1 https", ["host=x"] = DIRECT, ["for=1.2.3.4,"] = "127.0.0.1 -1 http",
      ['for="1.2.3.4'] = DIRECT, ["for 1.2.3.4"] = DIRECT, ["for=1.2.3.4 x"] = DIRECT, [""] = DIRECT,
      ['for="oops, for=6.6.6.6'] = "6.6.6.6 0 http", ["for=1.1.1.1;;, for=6.6.6.6"] = "6.6.6.6 0 http",
    } do
      assert.equal(expected, asked(by, "Forwarded: " .. said .. "\r\n"), said)
    end
    assert.equal(DIRECT, asked(by, "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"))
    assert.equal("1.2.3.4 0 http", asked(by, "Forwarded: for=9.9.9.9\r\nForwarded: for=1.2.3.4\r\n"))
  end)

  it("is told whom to trust by addresses", function()
    for _, value in ipairs {true, {}, "10.0.0.0/8", {"x"}, {"10.0.0.1/8"}, {"10.0.0.0/8", by = "x"}} do
      local _, why = pcall(function()
        http.serve("mem:forwarded", print, {trusted = value})
      end)
      assert.matches("^spec/http_forwarded_spec.lua:%d+: http.serve: option 'trusted': a list of addresses", why)
    end
  end)
end)
