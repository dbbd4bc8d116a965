-- MPTCP: TCP endpoints with the option mptcp. A peer without it gets plain TCP.

local net = require "neap.net"
local process = require "neap.process"
local child = require "spec.support.child"
local connections = require "spec.support.connections"

local both = {mptcp = true}

--- Has this kernel MPTCP, and is it on?
local function missing()
  local listener <close>, err = net.listen("tcp://127.0.0.1:0", both)
  return not listener and tostring(err)
end

describe("mptcp", function()
  if missing() then
    it("is tested where the kernel has it", function()
      pending(missing())
    end)
    return
  end

  connections.rows(it, {
    name = "mptcp", endpoint = "tcp://127.0.0.1:0", options = both, half_close = true, abort = true,
  })

  it("is in use between two that ask for it", function()
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0", both))
    local client <close> = assert(net.connect(listener.endpoint, both))
    local server <close> = assert(listener:accept())
    assert.equal("mptcp", client.protocol)
    assert.equal("mptcp", server.protocol)
    assert.is_true(client:get "mptcp")
    assert.is_true(server:get "mptcp")
    assert.is_true(client:get "nodelay")
    assert.is_true(server:get "nodelay")
    assert.equal(listener.address, client.remoteaddr)
    assert.equal(client.localaddr, server.remoteaddr)
    assert.truthy(tostring(server):find("(tcp://127.0.0.1:" .. client.localaddr.port .. ")", 1, true))
  end)

  it("falls back to TCP for a client without it, and tells so", function()
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0", both))
    local client <close> = assert(net.connect(listener.endpoint))
    local server <close> = assert(listener:accept())
    assert.equal("tcp", client.protocol)
    assert.equal("tcp", server.protocol)
    assert.is_false(client:get "mptcp")
    assert.is_false(server:get "mptcp")
    client:write "hello\n"
    assert.equal("hello", server:read())
  end)

  it("falls back to TCP for a server without it, and tells so", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local client <close> = assert(net.connect(listener.endpoint, both))
    local server <close> = assert(listener:accept())
    assert.equal("mptcp", client.protocol) -- the socket that was asked for
    assert.is_false(client:get "mptcp")
    assert.equal("tcp", server.protocol)
    client:write "hello\n"
    assert.equal("hello", server:read())
    server:write "there\n"
    assert.equal("there", client:read())
    server:reset()
    assert.equal("ECONNRESET", select(2, client:read()).code)
  end)

  it("races the addresses of a name, and listens on every address", function()
    local listener <close> = assert(net.listen("tcp://*:0", both))
    local client <close> = assert(net.connect("tcp://localhost:" .. listener.port,
      {mptcp = true, timeout = 5}))
    local server <close> = assert(listener:accept())
    assert.is_true(client:get "mptcp")
    assert.is_true(server:get "mptcp")
  end)

  it("takes the options of TCP", function()
    local client, server = connections.pair("tcp4://127.0.0.1:0",
      {mptcp = true, nodelay = false, keepalive = 30, sndbuf = 20000})
    local _ <close> = connections.closing(client, server)
    assert.is_false(client:get "nodelay")
    assert.equal(40000, client:get "sndbuf")
    assert.equal(30, client:get "keepalive_idle")
    assert(client:set {nodelay = true, linger = 3})
    assert.is_true(client:get "nodelay")
    assert.equal(3, client:get "linger")
    assert.is_false(server:get "error")
  end)

  it("says ECONNREFUSED where nobody listens", function()
    local listener = assert(net.listen("tcp://127.0.0.1:0", both))
    local endpoint = listener.endpoint
    listener:close()
    local none, err = net.connect(endpoint, both)
    assert.is_nil(none)
    assert.equal("ECONNREFUSED", err.code)
  end)

  it("is known again by who adopts a descriptor of it", function()
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0", both))
    local p <close> = assert(process.spawn {
      child.neap, "-e", [[
        local listener = assert(net.listen "fd:0")
        local stream = listener:accept()
        stream:write(stream.protocol, " ", tostring(stream:get "mptcp"))
        stream:close()
      ]], stdin = listener,
    })
    local client <close> = assert(net.connect(listener.endpoint, both))
    assert.equal("mptcp true", client:read "a")
    assert.equal(0, (p:wait()))
  end)
end)

describe("the option mptcp", function()
  it("is of tcp only", function()
    for _, endpoint in ipairs {"unix:@neap-mptcp", "sctp://127.0.0.1:1", "mem:x"} do
      assert.has_error(function()
        net.listen(endpoint, both)
      end, "option 'mptcp' is of tcp endpoints, not of '" .. endpoint:match "%w+" .. "'")
    end
    local ok, err = pcall(net.bind, "udp://127.0.0.1:0", both)
    assert.is_false(ok)
    assert.truthy(err:find("option 'mptcp' is of net.connect and net.listen, by tcp://", 1, true))
  end)

  it("is true or false, and cannot be set on an open stream", function()
    assert.has_error(function()
      net.connect("tcp://127.0.0.1:1", {mptcp = 1})
    end, "option 'mptcp': true or false expected")
    local client, server = connections.pair("tcp://127.0.0.1:0", {mptcp = false})
    local _ <close> = connections.closing(client, server)
    assert.is_false(client:get "mptcp")
    assert.equal("tcp", server.protocol)
    assert.has_error(function()
      client:set(both)
    end, "bad argument #1 to 'set' (option 'mptcp' is given when the socket is made)")
  end)
end)
