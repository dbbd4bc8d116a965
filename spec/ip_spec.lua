-- TCP over IPv4 and IPv6: both at once, scopes, shared ports, and no IPv6.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local code = require "spec.support.child".code
local code_of = require "spec.support.failed"

local neap = require "spec.support.child".neap

local function has_ipv6()
  local listener = net.listen "tcp6://[::1]:0"
  return listener and listener:close()
end

local function need_ipv6()
  if not has_ipv6() then
    pending "no IPv6 here"
  end
end

--- Connect, accept, exchange; the two addresses of the accepted stream.
local function meet(listener, endpoint, options)
  local a = assert(net.connect(endpoint, options))
  local b = assert(listener:accept())
  a:write "hello\n"
  assert.equal("hello", b:read())
  local remote, localaddr = b.remoteaddr, b.localaddr
  assert.equal(remote, a.localaddr)
  assert.equal(localaddr, a.remoteaddr)
  a:close()
  b:close()
  return remote, localaddr
end

--- Run a script in a network of its own; nil where that is not permitted.
local function isolated(prepare, script)
  local allowed = process.run {"unshare", "-n", "true"}
  if not allowed or allowed.code ~= 0 then
    pending "no network namespaces here (unshare -n)"
  end
  local result = assert(process.run {
    "unshare", "-n", "sh", "-c", prepare .. '\nexec "$0" -e "$1"', neap, script,
  })
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  return result.stdout
end

describe("tcp", function()
  describe("at every address", function()
    it("shows a v4 client of a dual-stack listener as v4 (G1)", function()
      need_ipv6()
      for _, endpoint in ipairs {"tcp://*:0", "tcp://[::]:0"} do
        local listener <close> = assert(net.listen(endpoint, {v6only = false}))
        assert.equal("inet6", listener.address.family)
        assert.is_false(listener:get "v6only")
        local remote, localaddr = meet(listener, "tcp://127.0.0.1:" .. listener.port)
        assert.equal("inet", remote.family)
        assert.equal("127.0.0.1", remote.ip)
        assert.equal("127.0.0.1:" .. listener.port, tostring(localaddr))
        remote = meet(listener, "tcp://[::1]:" .. listener.port)
        assert.equal("inet6", remote.family)
        assert.equal("::1", remote.ip)
      end
    end)

    it("is both for *, whatever the system's default (G1)", function()
      need_ipv6()
      assert.equal("true\ttrue\ttrue\n", isolated([[
        ip link set lo up
        echo 1 >/proc/sys/net/ipv6/bindv6only || exit 3
      ]], [[
        local listener <close> = assert(net.listen "tcp://*:0")
        local a = net.connect("tcp://127.0.0.1:" .. listener.port)
        local b = net.connect("tcp://[::1]:" .. listener.port)
        print(listener:get "v6only" == false, a ~= nil, b ~= nil)
      ]]))
    end)

    it("is v6 alone for v6only, and leaves the port to v4 (G1)", function()
      need_ipv6()
      local six <close> = assert(net.listen("tcp6://*:0", {v6only = true}))
      assert.equal("ECONNREFUSED", code_of(net.connect("tcp://127.0.0.1:" .. six.port)))
      local four <close> = assert(net.listen("tcp4://*:" .. six.port))
      assert.equal("inet", meet(four, "tcp://127.0.0.1:" .. six.port).family)
      assert.equal("inet6", meet(six, "tcp://[::1]:" .. six.port).family)
    end)

    it("is v4 alone for tcp4 (G1)", function()
      local listener <close> = assert(net.listen "tcp4://*:0")
      assert.equal("0.0.0.0:" .. listener.port, tostring(listener.address))
      assert.equal("inet", meet(listener, "tcp://127.0.0.1:" .. listener.port).family)
      if has_ipv6() then
        assert.equal("ECONNREFUSED", code_of(net.connect("tcp://[::1]:" .. listener.port)))
      end
    end)

    it("is in use for v4 where both are taken (G1)", function()
      need_ipv6()
      local listener <close> = assert(net.listen "tcp://*:0")
      assert.equal("EADDRINUSE", code_of(net.listen("tcp4://*:" .. listener.port)))
      assert.equal("EADDRINUSE", code_of(net.listen("tcp://*:" .. listener.port)))
      assert.equal("EADDRINUSE", code_of(net.listen("tcp4://127.0.0.1:" .. listener.port)))
    end)

    it("has a mapped address for v4 (G1)", function()
      local listener <close> = assert(net.listen "tcp://[::ffff:127.0.0.1]:0")
      assert.equal("127.0.0.1:" .. listener.port, tostring(listener.address))
      local remote = meet(listener, ("tcp://[::ffff:127.0.0.1]:%d"):format(listener.port))
      assert.equal("inet", remote.family)
    end)

    it("is what a client may choose to come from", function()
      local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
      local remote = meet(listener, listener.endpoint, {localaddr = "127.0.0.9"})
      assert.equal("127.0.0.9", remote.ip)
      assert.equal("EADDRNOTAVAIL", code_of(net.connect(listener.endpoint,
        {localaddr = "192.0.2.1"})))
      local other = code_of(net.connect(listener.endpoint, {localaddr = "::1"}))
      assert.is_truthy(other == "EINVAL" or other == "EAFNOSUPPORT", other)
    end)
  end)

  describe("at a link-local address", function()
    local script = [[
      local scope = %s
      local listener <close> = assert(net.listen("tcp6://[fe80::1%%" .. scope .. "]:0"))
      local a = assert(net.connect(("tcp6://[fe80::1%%%%%%s]:%%d"):format(scope, listener.port)))
      local b = assert(listener:accept())
      print(listener.address.scope, b.localaddr.scope, b.remoteaddr.scope, a.remoteaddr.ip)
      print((listener.endpoint:gsub("%%d+$", "")), a.remoteaddr == listener.address)
      local stream, err = net.connect("tcp6://[fe80::1]:" .. listener.port)
      print(stream, err.code)
    ]]
    local on_loopback = [[
      ip link set lo up
      ip addr add fe80::1/64 dev lo nodad || exit 3
      until ip -6 route show table local | grep -q fe80::1; do # the kernel takes its time
        sleep 0.01
      done
    ]]

    it("has its interface's name (G2)", function()
      need_ipv6()
      assert.equal("lo\tlo\tlo\tfe80::1\ntcp6://[fe80::1%lo]:\ttrue\nnil\tEINVAL\n",
        isolated(on_loopback, script:format "'lo'"))
    end)

    it("has its interface's number (G2)", function()
      need_ipv6()
      assert.equal("lo\tlo\tlo\tfe80::1\ntcp6://[fe80::1%lo]:\ttrue\nnil\tEINVAL\n",
        isolated(on_loopback, script:format "'1'"))
    end)

    it("names the interface that there is not (G2)", function()
      for _, open in ipairs {net.connect, net.listen} do
        local none, err = open "tcp6://[fe80::1%nosuchif]:80"
        assert.is_nil(none)
        assert.equal("ENODEV", err.code)
        assert.matches("nosuchif", tostring(err), 1, true)
      end
    end)

    it("is wrong without one (G2)", function()
      need_ipv6()
      for _, open in ipairs {net.connect, net.listen} do
        local none, err = open "tcp6://[fe80::1]:7000"
        assert.is_nil(none)
        assert.equal("EINVAL", err.code)
      end
    end)
  end)

  describe("options", function()
    it("are refused by the kernel as returned errors, and nothing is left open (G5)", function()
      local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
      for expected, options in pairs {
        ENOENT = {congestion = "nosuchone"},
        ENODEV = {device = "nosuchif"},
      } do
        for _, open in ipairs {net.connect, net.listen} do
          local none, err = open(open == net.listen and "tcp://127.0.0.1:0" or listener.endpoint,
            options)
          assert.is_nil(none)
          assert.is_truthy(err.code == expected or err.code == "EPERM", tostring(err))
        end
      end
    end)

    it("that fit the other family only are refused or ignored, not fatal (G5)", function()
      local listener, err = net.listen("tcp4://127.0.0.1:0", {v6only = true})
      if listener then
        listener:close()
      else
        assert.is_string(err.code)
      end
    end)
  end)

  describe("with reuseport", function()
    it("is refused to a listener that did not ask for it (G6)", function()
      local listener <close> = assert(net.listen("tcp://127.0.0.1:0", {reuseport = true}))
      assert.equal("EADDRINUSE", code_of(net.listen(listener.endpoint)))
      local plain <close> = assert(net.listen "tcp://127.0.0.1:0")
      assert.equal("EADDRINUSE", code_of(net.listen(plain.endpoint, {reuseport = true})))
    end)

    it("shares connections between two processes, and one serves on alone (G6)", function()
      local function server(endpoint)
        local p = assert(process.spawn {
          neap, "-e", code([[
            local listener = assert(net.listen(arg[1], {reuseport = true}))
            print(listener.endpoint)
            io.stdout:flush()
            listener:serve(function(stream)
              stream:write(process.pid)
            end)
          ]], endpoint), stdout = "pipe",
        })
        return p, p.stdout:read "l"
      end
      local first <close>, endpoint = server "tcp://127.0.0.1:0"
      local second <close> = server(endpoint)
      local served = {}
      local function ask()
        local stream = assert(net.connect(endpoint, {timeout = 5}))
        local pid = tonumber(stream:read "a")
        served[pid] = (served[pid] or 0) + 1
        stream:close()
      end
      task.scope(function(scope)
        for _ = 1, 20 do
          scope:spawn(function()
            for _ = 1, 50 do
              ask()
            end
          end)
        end
      end)
      assert.equal(1000, served[first.pid] + served[second.pid])
      assert.is_true(served[first.pid] > 200, served[first.pid])
      assert.is_true(served[second.pid] > 200, served[second.pid])
      first:kill "SIGKILL"
      first:wait()
      served = {}
      for _ = 1, 100 do
        ask()
      end
      assert.equal(100, served[second.pid])
    end)
  end)

  describe("where there is no IPv6", function()
    local disabled = [[
      ip link set lo up
      for f in all default lo; do
        echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6 || exit 3
      done
    ]]

    it("cannot listen at or connect to v6 addresses (G8)", function()
      assert.equal("EADDRNOTAVAIL\nEADDRNOTAVAIL\n", isolated(disabled, [[
        print(select(2, net.listen "tcp6://[::1]:0").code)
        print(select(2, net.connect "tcp6://[::1]:80").code)
      ]]))
    end)

    it("listens at * for v4 (G8)", function()
      assert.equal("true\ttrue\tinet\n", isolated(disabled, [[
        local listener <close> = assert(net.listen "tcp://*:0")
        local stream = assert(net.connect("tcp://127.0.0.1:" .. listener.port))
        local other = assert(listener:accept())
        print(stream ~= nil, other ~= nil, other.remoteaddr.family)
      ]]))
    end)

    it("connects to localhost by v4 (G8)", function()
      assert.equal("127.0.0.1\n127.0.0.1\n", isolated(disabled, [[
        local listener <close> = assert(net.listen "tcp://localhost:0")
        print(listener.address.ip)
        local stream = assert(net.connect("tcp://localhost:" .. listener.port))
        print(stream.remoteaddr.ip)
      ]]))
    end)
  end)

  it("gives no port to what has none, where the host is a name", function()
    assert.equal("true\ttrue\n", isolated([[
      ip link set lo up
      echo 0 0 >/proc/sys/net/ipv4/ping_group_range || exit 3
    ]], [[
      local a <close> = assert(net.bind "icmp4://localhost")
      local b <close> = assert(net.bind "icmp4://localhost")
      print(a.localaddr.port ~= b.localaddr.port, a.localaddr.ip == "127.0.0.1")
    ]]))
  end)

  it("has nowhere to go where no interface is up", function()
    assert.equal("ENETUNREACH\n", isolated("", [[
      print(select(2, net.connect "tcp://192.0.2.1:80").code)
    ]]))
  end)
end)
