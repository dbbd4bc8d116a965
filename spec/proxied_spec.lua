-- The PROXY protocol: what proxies say of clients, before their first byte.

local http = require "neap.http"
local net = require "neap.net"
local prefix = require "neap.prefix"
local process = require "neap.process"
local proxied = require "neap.net.proxied"
local task = require "neap.task"
local tls = require "neap.tls"
local await = require "spec.support.tasks".await

local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"

--- Version 2: its command and version, its family, and what follows.
local function binary(command, family, rest)
  return SIGNATURE .. string.pack(">BBs2", command, family, rest)
end

local IPV4 = "\10\1\2\3\192\168\0\1" .. string.pack(">I2I2", 1234, 443)
local IPV6 = ("\0"):rep(15) .. "\1" .. ("\0"):rep(15) .. "\2" .. string.pack(">I2I2", 1, 2)

local listener, server, failures

local function serve(opts, endpoint, listen_opts)
  listener = assert(net.listen(endpoint or "tcp://127.0.0.1:0", listen_opts))
  failures = {}
  opts.onerror = function(err)
    failures[#failures + 1] = err.code or tostring(err)
  end
  server = task.spawn(listener.serve, listener, function(stream)
    local remote, own = stream.remoteaddr, stream.localaddr
    stream:write(("%s %s "):format(remote and remote.ip and tostring(remote) or "none",
      own and own.ip and tostring(own) or "none"), stream:read() or "", "\n")
  end, opts)
end

local function connect()
  return assert(net.connect(listener.endpoint))
end

--- The answer to these pieces.
local function talk(...)
  local client <close> = connect()
  for _, piece in ipairs {...} do
    client:write(piece)
    task.yield()
    task.yield()
  end
  return (client:read())
end

describe("the PROXY protocol", function()
  after_each(function()
    if listener then
      listener:close()
      server:cancel()
      server:join()
      listener = nil
    end
  end)

  it("tells the client's address, and what it has connected to", function()
    serve {proxied = true}
    for header, expected in pairs {
      ["PROXY TCP4 10.1.2.3 192.168.0.1 1234 443\r\n"] = "10.1.2.3:1234 192.168.0.1:443 hi",
      ["PROXY TCP6 2001:db8::1 ::2 65535 1\r\n"] = "[2001:db8::1]:65535 [::2]:1 hi",
      ["PROXY TCP6 " .. ("ffff:"):rep(7) .. "ffff " .. ("ffff:"):rep(7) .. "ffff 65535 65535\r\n"] =
        "[" .. ("ffff:"):rep(7) .. "ffff]:65535 [" .. ("ffff:"):rep(7) .. "ffff]:65535 hi",
      [binary(0x21, 0x11, IPV4)] = "10.1.2.3:1234 192.168.0.1:443 hi",
      [binary(0x21, 0x11, IPV4 .. "\4\0\1x" .. ("t"):rep(500))] = "10.1.2.3:1234 192.168.0.1:443 hi",
      [binary(0x21, 0x21, IPV6)] = "[::1]:1 [::2]:2 hi",
    } do
      assert.equal(expected, talk(header .. "hi\n"), header)
      assert.equal(expected, talk(header, "hi\n"), header)
    end
    local text = "PROXY TCP4 10.1.2.3 192.168.0.1 1234 443\r\nhi\n"
    local other = binary(0x21, 0x11, IPV4) .. "hi\n"
    for _, one in ipairs {text, other} do
      for cut = 1, #one - 1 do
        assert.equal("10.1.2.3:1234 192.168.0.1:443 hi", talk(one:sub(1, cut), one:sub(cut + 1)), cut)
      end
    end
    assert.same({}, failures)
  end)

  it("tells nothing of the proxy's own connections, and of what has no addresses", function()
    serve {proxied = true}
    for _, header in ipairs {
      "PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::f...f ffff::f 65535 65535\r\n", binary(0x20, 0, ""),
      binary(0x20, 0x11, IPV4), binary(0x21, 0, ""), binary(0x21, 0x31, ("\0"):rep(216)),
    } do
      assert.matches("^127.0.0.1:%d+ 127.0.0.1:%d+ hi$", talk(header .. "hi\n"))
    end
    assert.same({}, failures)
  end)

  it("is refused where it is not as it is written", function()
    serve {proxied = true}
    local rows = {
      "GET / HTTP/1.1\r\n\r\n", "PROXY\r\n" .. ("x"):rep(20), "PROXY TCP4 10.1.2.3 192.168.0.1 1234\r\n",
      "PROXY TCP4  10.1.2.3 192.168.0.1 1234 443\r\n", "PROXY TCP4 10.1.2.3 192.168.0.1 1234 443 \r\n",
      "PROXY TCP4 10.1.2.3 192.168.0.1 01234 443\r\n", "PROXY TCP4 10.1.2.3 192.168.0.1 1234 65536\r\n",
      "PROXY TCP4 010.1.2.3 192.168.0.1 1234 443\r\n", "PROXY TCP4 ::1 ::1 1234 443\r\n",
      "PROXY TCP6 10.1.2.3 192.168.0.1 1234 443\r\n", "proxy TCP4 10.1.2.3 192.168.0.1 1234 443\r\n",
      "PROXY UDP4 10.1.2.3 192.168.0.1 1234 443\r\n", "PROXY TCP4 10.1.2.3 192.168.0.1 -1 443\r\n",
      "PROXY UNKNOWNX\r\n  ", "PROXY TCP4\r\n10.1.2.3 192.168.0.1 1234 443\r\n", "PROXY TCP4 10.1.2.3 a.b 1 2\r\n",
      binary(0x11, 0x11, IPV4), binary(0x22, 0x11, IPV4), binary(0x21, 0x12, IPV4), binary(0x21, 0x41, IPV4),
      binary(0x21, 0x11, IPV4:sub(1, 11)), binary(0x21, 0x21, IPV4), binary(0x21, 0x01, ""),
      binary(0x21, 0x11, ("x"):rep(521)), "PROXY UNKNOWN " .. ("x"):rep(92) .. "\r\n",
    }
    for i, row in ipairs(rows) do
      assert.is_nil(talk(row .. "hi\n"), row)
      await(function()
        return #failures == i
      end)
    end
    local codes = {}
    for _, code in ipairs(failures) do
      codes[code] = (codes[code] or 0) + 1
    end
    assert.same({EBADMSG = #rows - 1, EMSGSIZE = 1}, codes)
    assert.matches(" hi$", talk("PROXY UNKNOWN " .. ("x"):rep(91) .. "\r\nhi\n"))
  end)

  it("fails where it is cut or late, and not where nothing comes", function()
    serve {proxied = true}
    for _, text in ipairs {"P", "PROXY TCP4 1", "PROXY TCP4 10.1.2.3", SIGNATURE,
      binary(0x21, 0x11, IPV4):sub(1, -2)} do
      local client <close> = connect()
      client:write(text)
      client:shutdown()
      assert.is_nil((client:read()))
    end
    assert.equal("ENODATA ENODATA ENODATA ENODATA ENODATA", table.concat(failures, " "))
    local silent <close> = connect()
    silent:shutdown()
    assert.is_nil((silent:read()))
    assert.equal(5, #failures)
    local seconds = proxied.SECONDS
    proxied.SECONDS = 0.02
    local late <close> = connect()
    late:write "PROXY "
    assert.is_nil((late:read()))
    proxied.SECONDS = seconds
    assert.equal("ETIMEDOUT", failures[6])
  end)

  it("is spoken by those peers that are said, and by no other", function()
    local header = "PROXY TCP4 10.1.2.3 192.168.0.1 1234 443\r\n"
    serve {proxied = {"10.0.0.0/8", prefix.parse "127.0.0.0/30"}}
    assert.equal("10.1.2.3:1234 192.168.0.1:443 hi", talk(header .. "hi\n"))
    listener:close()
    server:join()
    serve {proxied = {"10.0.0.0/8", "::/0", "unix"}}
    assert.matches("^127.0.0.1:%d+ .* PROXY TCP4 10", talk(header .. "hi\n"))
    listener:close()
    server:join()
    serve({proxied = {"unix"}}, "mem:proxied")
    assert.equal("10.1.2.3:1234 192.168.0.1:443 hi", talk(header .. "hi\n"))
    listener:close()
    server:join()
    serve({proxied = {"::/0"}}, "mem:proxied")
    assert.matches("none none PROXY", talk(header .. "hi\n"))
  end)

  it("is counted by its clients, and not by the proxy", function()
    serve {proxied = true, per_peer = 1}
    local first, second, third = connect(), connect(), connect()
    first:write "PROXY TCP4 10.1.2.3 192.168.0.1 1234 443\r\n"
    second:write "PROXY TCP4 10.1.2.4 192.168.0.1 1234 443\r\nhi\n"
    assert.matches("^10.1.2.4", (second:read()))
    third:write "PROXY TCP4 10.1.2.3 192.168.0.1 1235 443\r\nhi\n"
    assert.is_nil((third:read()))
    first:write "hi\n"
    assert.matches("^10.1.2.3:1234", (first:read()))
    for _, client in ipairs {first, second, third} do
      client:close()
    end
  end)

  it("comes before TLS", function()
    local cert, key = tls.selfsigned {names = {"localhost"}}
    local options = {ca = cert, server_name = "localhost"}
    serve({proxied = true}, "tcp://127.0.0.1:0", {tls = {cert = cert, key = key}})
    local endpoint = listener.endpoint:gsub("^tls", "tcp")
    for _, together in ipairs {true, false} do
      local client <close> = assert(net.connect(endpoint))
      client:write "PROXY TCP4 10.1.2.3 192.168.0.1 1234 443\r\n"
      if not together then
        task.sleep(0.01)
      end
      assert(client:starttls(options))
      client:write "hi\n"
      assert.equal("10.1.2.3:1234 192.168.0.1:443 hi", (client:read()))
    end
    local bare <close> = assert(net.connect(endpoint))
    assert.is_nil((bare:starttls(options)))
    server:cancel()
    server:join()
    local accepted = task.spawn(listener.accept, listener)
    local client <close> = assert(net.connect(endpoint))
    assert.equal(false, (accepted:join()).tls)
    client:close()
  end)

  it("comes before TLS for one of those who serve a listener", function()
    local cert, key = tls.selfsigned {names = {"localhost"}}
    serve({proxied = true}, "tcp://127.0.0.1:0", {tls = {cert = cert, key = key}})
    task.yield()
    local good, err = pcall(function()
      return (listener:serve(print, {proxied = true}))
    end)
    assert.is_false(good)
    assert.matches("^spec/proxied_spec.lua:%d+: another serve of this listener is proxied %(EBUSY%)$", err)
    local client <close> = assert(net.connect((listener.endpoint:gsub("^tls", "tcp"))))
    client:write "PROXY TCP4 10.1.2.3 192.168.0.1 1234 443\r\n"
    assert(client:starttls {ca = cert, server_name = "localhost"})
    client:write "hi\n"
    assert.equal("10.1.2.3:1234 192.168.0.1:443 hi", (client:read()))
    assert.same({}, failures)
  end)

  it("is understood by http.serve, as curl says it", function()
    listener = assert(net.listen "tcp://127.0.0.1:0")
    server = task.spawn(http.serve, listener, function(request)
      return tostring(request.remoteaddr) .. " " .. tostring(request.stream.localaddr)
    end, {proxied = true})
    local at = listener.endpoint:match "^tcp://(.*)$"
    local result = process.run {"curl", "-sS", "--haproxy-protocol", "http://" .. at .. "/"}
    assert.matches("^127.0.0.1:%d+ " .. at:gsub("%p", "%%%0") .. "$", result and result.stdout)
  end)

  it("is asked for by true, or by addresses", function()
    listener = assert(net.listen "mem:proxied")
    for _, value in ipairs {false, {}, "10.0.0.0/8", {"x"}, {"10.0.0.1/8"}, {7}, 1} do
      local _, why = pcall(listener.serve, listener, print, {proxied = value})
      assert.matches("serve: option 'proxied': true, or a list of addresses and prefixes expected", why)
    end
    server = task.spawn(task.yield)
  end)
end)
