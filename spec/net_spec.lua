-- neap.net's own policy: what the module does around the sockets themselves.

local host = require "neap.host"
local net = require "neap.net"
local task = require "neap.task"

--- Serve one connection by echo; returns the listener.
local function echo(endpoint)
  local listener = assert(net.listen(endpoint))
  task.spawn(function()
    local stream <close> = assert(listener:accept())
    for chunk in stream:chunks() do
      stream:write(chunk)
    end
  end)
  return listener
end

local function ask(endpoint)
  local stream <close> = assert(net.connect(endpoint))
  stream:write "ping\n"
  return stream:read "l"
end

describe("net", function()
  for _, endpoint in ipairs {
    "tcp://127.0.0.1:0", "tcp4://127.0.0.1:0", "tcp6://[::1]:0", "tcp://:0", "unix:@", "mem:net_spec",
  } do
    it("listens at and connects to " .. endpoint, function()
      local listener <close> = echo(endpoint)
      assert.equal("ping", ask(listener.endpoint))
    end)
  end

  it("takes v4 and v6 at the host *", function()
    local listener <close> = assert(net.listen "tcp://*:0")
    local handled = 0
    task.scope(function(scope)
      scope:spawn(function()
        for stream in listener:accepts() do
          stream:close()
          handled = handled + 1
        end
      end)
      assert(net.connect("tcp://127.0.0.1:" .. listener.port)):read "a"
      assert(net.connect("tcp://[::1]:" .. listener.port)):read "a"
      listener:close()
    end)
    assert.equal(2, handled)
  end)

  it("binds the empty host to loopback only", function()
    local listener <close> = assert(net.listen "tcp://:0")
    assert.equal("127.0.0.1", listener.address.ip)
  end)

  it("connects to a name", function()
    local listener <close> = echo "tcp://127.0.0.1:0"
    assert.equal("ping", ask("tcp://localhost:" .. listener.port))
  end)

  it("A16: tries a name's other address when the first refuses, within 300 ms", function()
    local listener <close> = echo "tcp4://127.0.0.1:0" -- nothing at ::1
    local before = os.clock()
    assert.equal("ping", ask("tcp://localhost:" .. listener.port))
    assert.is_true(os.clock() - before < 0.3)
  end)

  it("A16: lists every attempt when all fail", function()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local port = listener.port
    listener:close()
    local stream, err = net.connect("tcp://localhost:" .. port)
    assert.is_nil(stream)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal("tcp://localhost:" .. port, err.endpoint)
    assert.is_true(#err.attempts >= 1)
    for _, attempt in ipairs(err.attempts) do
      assert.matches(":" .. port .. "$", attempt.endpoint)
    end
  end)

  it("tells an unknown name", function()
    local stream, err = net.connect "tcp://no-such-host.invalid:80"
    assert.is_nil(stream)
    assert.matches("^EAI_", err.code)
    assert.equal("connect", err.op)
  end)

  it("leaves nothing open of attempts that lost or were cancelled", function()
    local function descriptors()
      for _ = 1, 3 do
        collectgarbage()
        task.sleep(0.02)
      end
      return host.stats().descriptors
    end
    local before = descriptors()
    local listener = assert(net.listen "tcp4://127.0.0.1:0")
    for _ = 1, 20 do
      task.timeout(0.0005, net.connect, "tcp://localhost:" .. listener.port)
    end
    listener:close()
    assert.equal(before, descriptors())
  end)

  it("resolves a name to addresses, and the family asked for", function()
    local addresses = assert(net.resolve("localhost", { family = "inet" }))
    assert.equal("127.0.0.1", addresses[1].ip)
    assert.equal("inet", addresses[1].family)
  end)

  it("knows services both ways", function()
    assert.equal(80, net.service "http")
    assert.equal("http", net.service(80))
    local name, err = net.service "no-such-service"
    assert.is_nil(name)
    assert.equal("EAI_SERVICE", err.code)
  end)

  for name, call in pairs {
    connect = function() net.connect "foo" end,
    listen = function() net.listen(true) end,
    resolve = function() net.resolve() end,
    socketpair = function() net.socketpair "tcp" end,
    relay = function() net.relay(1, 2) end,
  } do
    it("tells a mistake at the script's line, as " .. name .. "'s", function()
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.matches("net_spec%.lua:%d+: bad argument #1 to '" .. name .. "'", err)
    end)
  end
end)
