-- vsock: streams between a machine and its virtual machines, and here with the
-- machine itself, where the kernel has vsock_loopback. Where it has not,
-- scripts/check-sctp runs this file in a virtual machine.

local net = require "neap.net"
local process = require "neap.process"
local child = require "spec.support.child"
local connections = require "spec.support.connections"

--- Why this kernel has no loopback of it.
local function missing()
  local listener <close>, err = net.listen "vsock://local:0"
  return not listener and err
end

describe("vsock", function()
  it("listens on every cid, or says which module the kernel lacks", function()
    local listener <close>, err = net.listen "vsock://*:0"
    if not listener then
      assert.equal("EAFNOSUPPORT", err.code)
      assert.truthy(tostring(err):find("the kernel has no vsock (modprobe vsock)", 1, true))
      return
    end
    assert.is_true(listener.port > 0)
    assert.equal("vsock://*:" .. listener.port, listener.endpoint)
    assert.equal(net.address("vsock:*:" .. listener.port), listener.address)
    assert.equal("vsock", listener.address.family)
    assert.equal(4294967295, listener.address.cid)
    assert.equal("EADDRINUSE", select(2, net.listen(listener.endpoint)).code)
    assert.is_true(listener:get "acceptconn")
  end)

  it("takes the ports that have more than 31 bits", function()
    local listener <close>, err = net.listen "vsock://*:4294967294"
    if listener then
      assert.equal(4294967294, listener.port)
      assert.equal("vsock:*:4294967294", tostring(listener.address))
    else
      assert.equal("EAFNOSUPPORT", err.code)
    end
  end)

  if missing() then
    it("says what the kernel lacks for its loopback", function()
      local err = missing()
      assert.is_true(err.code == "EADDRNOTAVAIL" or err.code == "EAFNOSUPPORT", err.code)
      assert.truthy(tostring(err):find("(modprobe vsock", 1, true))
    end)

    it("is tested where the kernel has its loopback", function()
      pending("no loopback of vsock: `sh scripts/check-sctp` tests it in a virtual machine")
    end)
    return
  end

  connections.rows(it, {
    name = "vsock", endpoint = "vsock://local:0", half_close = true, abort = false,
  })

  it("has the addresses of both ends", function()
    local listener <close> = assert(net.listen "vsock://*:0")
    local client <close> = assert(net.connect("vsock://local:" .. listener.port))
    local server = assert(listener:accept())
    assert.equal("vsock", client.family)
    assert.equal(net.address("vsock:1:" .. listener.port), client.remoteaddr)
    assert.equal(1, server.remoteaddr.cid)
    assert.equal(client.localaddr.port, server.remoteaddr.port)
    assert.equal(listener.port, server.localaddr.port)
    assert.equal("vsock://1:" .. server.remoteaddr.port, tostring(server):match "%((.*)%)")
    local seen = {[client.remoteaddr] = true}
    assert.is_true(seen[net.address("vsock:local:" .. listener.port)])
    client:close()
    assert.is_nil(server:read())
    assert.equal(1, server.remoteaddr.cid) -- of who is gone, too
    server:close()
  end)

  it("says what is not there", function()
    local none, err = net.connect "vsock://local:3"
    assert.is_nil(none)
    assert.equal("ECONNRESET", err.code) -- so the kernel tells that nobody listens
    none, err = net.connect "vsock://77:1"
    assert.is_nil(none)
    assert.equal("ENODEV", err.code)
    assert.truthy(tostring(err):find("vhost_vsock for a guest", 1, true))
  end)

  it("is known again by who adopts a descriptor of it", function()
    local listener <close> = assert(net.listen "vsock://local:0")
    local p <close> = assert(process.spawn {
      child.neap, "-e", [[
        local listener = assert(net.listen "fd:0")
        local stream = listener:accept()
        stream:write(stream.protocol, " ", stream.family)
        stream:close()
      ]], stdin = listener,
    })
    local client <close> = assert(net.connect(listener.endpoint))
    assert.equal("vsock vsock", client:read "a")
    assert.equal(0, (p:wait()))
  end)
end)
