-- SCTP, one-to-one, as the kernel has it (sctp(7)). Where it has none,
-- scripts/check-sctp runs this file, and those of the other protocols that a
-- kernel may lack, in a virtual machine; the last row here does that once.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local child = require "spec.support.child"
local connections = require "spec.support.connections"
local transports = require "spec.support.transports"

local in_machine = os.getenv "NEAP_VM" ~= nil

--- The error of a kernel without SCTP.
local function missing()
  local listener <close>, err = net.listen "sctp://127.0.0.1:0"
  return not listener and err
end

local function pair(endpoint, options)
  local client, server = connections.pair(endpoint or "sctp://127.0.0.1:0", options)
  return client, server, connections.closing(client, server)
end

describe("sctp", function()
  if missing() then
    it("says which module the kernel lacks", function()
      for verb, open in pairs {listen = net.listen, connect = net.connect} do
        local none, err = open "sctp://127.0.0.1:7000"
        assert.is_nil(none)
        assert.equal(verb .. " sctp://127.0.0.1:7000: protocol not supported: the kernel has no "
          .. "SCTP (modprobe sctp) (EPROTONOSUPPORT)", tostring(err))
      end
    end)

    it("is tested where the kernel has it", function()
      pending("the kernel has no SCTP: `sh scripts/check-sctp` tests it in a virtual machine")
    end)
    return
  end

  connections.rows(it, {
    name = "sctp", endpoint = "sctp://127.0.0.1:0", half_close = false, abort = true,
  })

  it("has the addresses of both ends", function()
    for _, ip in ipairs {"127.0.0.1", "[::1]"} do
      local listener <close> = assert(net.listen("sctp://" .. ip .. ":0"))
      local client <close> = assert(net.connect(listener.endpoint))
      local server = assert(listener:accept())
      assert.equal(ip == "[::1]" and "inet6" or "inet", client.family)
      assert.equal(("sctp://%s:%d"):format(ip, listener.port), listener.endpoint)
      assert.equal(listener.address, client.remoteaddr)
      assert.equal(listener.address, server.localaddr)
      assert.equal(client.localaddr, server.remoteaddr)
      assert.truthy(tostring(server):find("(sctp://" .. tostring(client.localaddr) .. ")", 1, true))
      client:close()
      assert.is_nil(server:read())
      assert.equal("inet", (net.address "127.0.0.1:1").family)
      assert.truthy(server.remoteaddr) -- of who is gone, too
      server:close()
    end
  end)

  it("listens on every address, and takes the families that its scheme says", function()
    local listener <close> = assert(net.listen "sctp://*:0")
    for _, endpoint in ipairs {
      "sctp://127.0.0.1:", "sctp://[::1]:", "sctp4://localhost:", "sctp6://localhost:", "sctp://:",
      "sctp://localhost:",
    } do
      local client <close> = assert(net.connect(endpoint .. listener.port, {timeout = 5}))
      local server <close> = assert(listener:accept())
      assert.equal(client.remoteaddr.family, server.remoteaddr.family)
      client:write "here\n"
      assert.equal("here", server:read())
    end
  end)

  it("connects from where it is told", function()
    local listener <close> = assert(net.listen "sctp://127.0.0.1:0")
    local client <close> = assert(net.connect(listener.endpoint, {localaddr = "127.0.0.2"}))
    local server <close> = assert(listener:accept())
    assert.equal("127.0.0.2", client.localaddr.ip)
    assert.equal("127.0.0.2", server.remoteaddr.ip)
  end)

  it("says ECONNREFUSED at once, and EADDRINUSE", function()
    local listener = assert(net.listen "sctp://127.0.0.1:0")
    assert.equal("EADDRINUSE", select(2, net.listen(listener.endpoint)).code)
    local endpoint = listener.endpoint
    listener:close()
    local before = time.now()
    local none, err = net.connect(endpoint)
    assert.is_nil(none)
    assert.equal("connect " .. endpoint .. ": connection refused (ECONNREFUSED)", tostring(err))
    assert.is_true(time.now() - before < 1)
    local again <close> = assert(net.listen(endpoint))
    assert.equal(endpoint, again.endpoint)
  end)

  it("waits for an answer no longer than it is told", function()
    if not in_machine then
      pending "only the virtual machine has an address that swallows everything"
    end
    local before = time.now()
    local none, err = net.connect("sctp://192.0.2.2:7", {timeout = 0.1})
    assert.is_nil(none)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(time.now() - before < 5)
    assert.is_nil((task.timeout(0.1, net.connect, "sctp://192.0.2.2:7")))
  end)

  it("has options: small messages leave at once, unless they are not to", function()
    local client, server, _ <close> = pair()
    assert.is_true(client:get "nodelay")
    assert.is_true(server:get "nodelay")
    assert(client:set {nodelay = false, linger = 2, tos = 8, ttl = 9})
    assert.is_false(client:get "nodelay")
    -- The lowest two bits are the kernel's: SCTP uses ECN (RFC 3168).
    assert.same({2, 8, 9}, {client:get "linger", client:get "tos" & 0xfc, client:get "ttl"})
    assert.is_false(client:get "error")
    assert.is_false(client:get "mptcp")
    assert.equal("EOPNOTSUPP", select(2, client:get "cork").code)
    local slow, _, _ <close> = pair("sctp6://[::1]:0", {nodelay = false, rcvbuf = 100000})
    assert.is_false(slow:get "nodelay")
    assert.equal(200000, slow:get "rcvbuf")
    local listener <close> = assert(net.listen("sctp://127.0.0.1:0", {nodelay = false}))
    assert.is_false(listener:get "nodelay")
    assert(listener:set {nodelay = true})
    assert.is_true(listener:get "nodelay")
  end)

  it("reads what was under way when it was shut, and then the end", function()
    local client, server, _ <close> = pair()
    server:write(transports.pattern(30000))
    server:flush()
    client:shutdown()
    assert.equal(30000, #client:read "a")
    assert.is_nil(client:recv())
    assert.is_nil(server:recv())
    assert.equal("EPIPE", select(2, server:write(("x"):rep(100000))).code)
  end)

  it("wakes its own reader when it was shut and the peer closes", function()
    local client, server, _ <close> = pair()
    local reader = task.spawn(function()
      return client:read "a"
    end)
    task.yield()
    client:shutdown()
    assert.is_nil(server:read())
    server:close()
    assert.equal("", reader:join())
  end)

  it("tells an abort to the reader, even where a writer has been told before", function()
    local client, server, _ <close> = pair()
    local reader = task.spawn(function()
      return select(2, server:read()).code
    end)
    task.yield()
    client:reset()
    local ok, err = server:write(("x"):rep(100000))
    assert.is_nil(ok)
    assert.equal("ECONNRESET", err.code)
    assert.equal("ECONNRESET", reader:join())
    assert.equal("ECONNRESET", select(2, server:read()).code)
  end)

  it("tells an abort behind its own shutdown", function()
    local client, server, _ <close> = pair()
    client:write "x"
    client:flush()
    server:shutdown() -- waits in the kernel for what is not acknowledged
    client:reset()
    assert.equal("x", server:read(1))
    local got, err = server:read()
    assert.is_nil(got)
    assert.is_true(err == nil or err.code == "ECONNRESET")
  end)

  it("passes the end through a relay", function()
    local client, a, _ <close> = pair()
    local b, server = net.socketpair()
    local relay = task.spawn(net.relay, a, b)
    server:write "greeting"
    assert.equal("greeting", client:read(8))
    client:write "question"
    client:shutdown()
    assert.equal("question", server:read "a")
    server:close()
    assert.is_nil(client:read())
    assert.same({8, 8}, {relay:join()})
    b:close()
  end)

  it("is known again by who adopts a descriptor of it", function()
    local listener <close> = assert(net.listen "sctp://127.0.0.1:0")
    local p <close> = assert(process.spawn {
      child.neap, "-e", [[
        local listener = assert(net.listen "fd:0")
        local stream = listener:accept()
        stream:write(stream.protocol, " ", tostring(stream:get "nodelay"))
        stream:close()
      ]], stdin = listener,
    })
    local client <close> = assert(net.connect(listener.endpoint))
    assert.equal("sctp true", client:read "a")
    assert.equal(0, (p:wait()))
  end)
end)

--- Why the virtual machine is not to be started here; nil: it is.
local function why_not()
  if child.kind ~= "release" then
    return "only the release build starts a virtual machine"
  elseif (os.getenv "LD_PRELOAD" or ""):find "valgrind" then
    return "a virtual machine is not started under valgrind"
  end
end

if not in_machine then
  -- It takes longer than a test may, so it runs as the tests are collected.
  describe("scripts/check-sctp", function()
    local why = why_not()
    local result = not why
      and assert(process.run {"sh", "scripts/check-sctp", "--cached", max = 1 << 20})

    it("passes in the virtual machine", function()
      if why or result.code == 77 then
        pending(why or result.stderr:match "[^\n]*")
      end
      assert(result.code == 0, result.stdout .. result.stderr)
      assert.truthy(result.stdout:find " 0 failures / 0 errors / 0 pending")
    end)
  end)
end
