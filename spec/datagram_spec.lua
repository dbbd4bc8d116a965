local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"
local datagrams = require "spec.support.datagrams"
local code = require "spec.support.failed"

local bind, connect, keep, unused = datagrams.bind, datagrams.connect, datagrams.keep, datagrams.unused

after_each(datagrams.close)

-- A stream's connect makes the stream, so this is the only socket that two tasks
-- can connect.
it("a socket that two tasks connect has the peer of the last, and none is in the way (A5)",
  function()
    local socket = keep(net.bind "udp://127.0.0.1:0")
    local peers = {keep(net.bind "udp://127.0.0.1:0"), keep(net.bind "udp://127.0.0.1:0")}
    task.scope(function(scope)
      for _, peer in ipairs(peers) do
        scope:spawn(function()
          assert.equal(socket, socket:connect(peer.localaddr))
          assert.equal(peer.localaddr, socket.remoteaddr)
        end)
      end
    end)
    assert.equal(peers[2].localaddr, socket.remoteaddr)
    socket:send "to the last"
    assert.equal("to the last", (peers[2]:recv()))
  end)

local path = ("/tmp/neap-datagram-spec-%d"):format(process.pid)

for _, endpoint in ipairs {
  "udp://127.0.0.1:0", "udp4://127.0.0.1:0", "udp6://[::1]:0", "unixgram:@", "unixgram:" .. path,
} do
  describe(endpoint, function()
    it("carries messages both ways, bound and connected", function()
      local a = bind(endpoint)
      local b = connect(a.endpoint)
      assert.equal(b, b:send "to")
      local data, from, info = a:recv()
      assert.equal("to", data)
      assert.equal(b.localaddr, from)
      assert.is_nil(info)
      a:send("back", from)
      assert.equal("back", (b:recv()))
      assert.equal(a.localaddr, b.remoteaddr)
    end)

    it("carries empty messages both ways (E1)", function()
      local a = bind(endpoint)
      local b = connect(a.endpoint)
      b:send ""
      local data, from = a:recv()
      assert.equal("", data)
      assert.equal(b.localaddr, from)
      a:send("", from)
      assert.equal("", (b:recv()))
    end)

    it("keeps messages whole and in order", function()
      local a = bind(endpoint)
      local b = connect(a.endpoint)
      task.scope(function(scope)
        local echo = scope:spawn(function()
          for data, from in a:messages() do
            assert(a:send(data, from))
          end
        end)
        for first = 1, 2000, 100 do
          for i = first, first + 99 do
            assert(b:send(("%d:%s"):format(i, ("x"):rep(i % 700))))
          end
          for i = first, first + 99 do
            local data = assert(b:recv())
            assert(data == ("%d:%s"):format(i, ("x"):rep(i % 700)))
          end
        end
        a:close()
        echo:join()
      end)
    end)

    it("reuses the sender's Address", function()
      local a = bind(endpoint)
      local b = connect(a.endpoint)
      b:send "1"
      b:send "2"
      local _, first = a:recv()
      local _, second = a:recv()
      assert.is_true(rawequal(first, second))
    end)
  end)
end

describe("datagram", function()
  it("is described by its fields", function()
    local a = bind "udp://127.0.0.1:0"
    assert.equal("datagram", a.type)
    assert.equal("udp", a.protocol)
    assert.equal("inet", a.family)
    assert.equal("udp://127.0.0.1:" .. a.localaddr.port, a.endpoint)
    assert.is_nil(a.remoteaddr)
    assert.equal("integer", math.type(a.fd))
    assert.is_false((pcall(function() return a.nonsense end)))
    assert.is_truthy(tostring(a):find "^datagram socket %d+ %(udp://127.0.0.1:%d+%)$")
    a:close()
    assert.is_nil(a.localaddr)
    assert.is_truthy(tostring(a):find "%(closed%)$")
  end)

  it("resolves names", function()
    local a = bind "udp://localhost:0"
    local b = connect("udp://localhost:" .. a.localaddr.port)
    assert.equal(a.localaddr, b.remoteaddr)
  end)

  it("raises for the caller's mistakes", function()
    local a = bind "udp://127.0.0.1:0"
    assert.has_error(function() a:send() end)
    assert.has_error(function() a:send("x", "nonsense") end)
    assert.has_error(function() a:send("x", 53) end)
    assert.has_error(function() a:recv(0) end)
    assert.has_error(function() net.bind "tcp://127.0.0.1:0" end)
    assert.has_error(function() net.bind("udp://127.0.0.1:0", {nonsense = 1}) end)
  end)

  it("takes an endpoint of its own scheme where an address goes, and no other", function()
    local named = "unixgram:@datagram-spec-endpoints"
    for bound, other in pairs {["udp://127.0.0.1:0"] = "unixgram:@x", ["udp://[::1]:0"] = "tcp://127.0.0.1:80",
      [named] = "udp://127.0.0.1:5"} do
      local server = keep(bind(bound))
      local scheme = bound:match "^%a+"
      local client = keep(bind(scheme == "udp" and bound or "unixgram:@"))
      client:send("sent", server.endpoint)
      assert.equal("sent", (server:recv()))
      assert.equal(client, client:connect(server.endpoint))
      client:send "connected"
      assert.equal("connected", (server:recv()))
      local expected = "an address, or an endpoint of this socket's scheme, expected"
      assert.error_matches(function() client:send("x", other) end, expected)
      assert.error_matches(function() client:connect(other) end, expected)
      if scheme == "udp" then
        for _, wrong in ipairs {"udp://localhost:5", "udp://*:5"} do
          assert.error_matches(function() client:send("x", wrong) end, "no name and no %*: net.resolve looks names up")
        end
        assert.error_matches(function() client:send("x", "udp://127.0.0.1") end, "a port is expected")
      end
    end
  end)

  it("says which verb takes another kind of endpoint", function()
    assert.has_error(function() net.bind "tcp://127.0.0.1:0" end,
      "bind: 'tcp' is no datagram endpoint (streams: net.listen)")
    assert.has_error(function() net.listen "udp://127.0.0.1:0" end,
      "listen: 'udp' is no stream endpoint (messages: net.bind)")
  end)

  it("takes every address, of both families, by one socket", function()
    local a = bind "udp://*:0"
    local port = a.localaddr.port
    local four = connect("udp://127.0.0.1:" .. port)
    four:send "four"
    local data, from = a:recv()
    assert.equal("four", data)
    assert.equal("inet", from.family)
    a:send("reply", from)
    connect("udp://[::1]:" .. port):send "six"
    data, from = a:recv()
    assert.equal("six", data)
    assert.equal("inet6", from.family)
    assert.equal("reply", (four:recv()))
  end)

  it("says how much was cut (E2)", function()
    local a = bind "udp://127.0.0.1:0"
    local b = connect(a.endpoint)
    b:send "0123456789"
    b:send "0123456789"
    local data, _, info = a:recv(4)
    assert.equal("0123", data)
    assert.same({truncated = true, size = 10}, info)
    assert.equal("0123456789", (a:recv(10)))
  end)

  it("receives the largest datagrams whole (E2)", function()
    local a = bind "udp://127.0.0.1:0"
    local b = connect(a.endpoint)
    local large = ("x"):rep(65507)
    b:send(large)
    local data, _, info = a:recv()
    assert.is_true(data == large)
    assert.is_nil(info)
    local u, v = net.socketpair "unixgram"
    keep(u)
    keep(v)
    large = ("x"):rep(150000)
    assert(u:send(large))
    assert.is_true(v:recv() == large)
  end)

  it("receives nothing where there is no memory for it, and then again", function()
    local sanitized = child.sanitized -- then there never is enough
    local result = child.run_short_of_memory(128, ([[
      local u = assert(net.bind "udp://127.0.0.1:0")
      assert(u:send("x", u.localaddr))
      local hold = {}
      for _, size in ipairs {1 << 20, 1 << 16} do
        while #hold < %d and pcall(function() hold[#hold + 1] = ("x"):rep(size) end) do end
      end
      local data, err = u:recv()
      print(data, err and err.code)
      hold = nil
      collectgarbage()
      print((u:recv()))
    ]]):format(sanitized and 1 or 200))
    assert.same({"nil\tENOMEM\n" .. (sanitized and "nil" or "x") .. "\n", 0}, {result.stdout, result.code})
  end)

  it("refuses what is too large, in that call only (E3)", function()
    local a = bind "udp://127.0.0.1:0"
    local b = connect(a.endpoint)
    assert(b:send "before")
    assert(b:send(("x"):rep(65507)))
    assert.equal("EMSGSIZE", code(b:send(("x"):rep(65508))))
    assert(b:send "after")
    assert.equal("before", (a:recv()))
    assert.equal(65507, #a:recv())
    assert.equal("after", (a:recv()))
  end)

  it("tells a connected socket once that its peer refuses (E4)", function()
    local a = connect(unused())
    assert(a:send "x")
    assert.equal("ECONNREFUSED", code(a:recv()))
    assert(a:send "x")
    assert.equal("ECONNREFUSED", code(a:recv()))
    assert.equal("ETIMEDOUT", code(a:settimeout(0.02):recv()))
  end)

  it("tells nobody else (E4)", function()
    local a = bind "udp://127.0.0.1:0"
    local b = bind "udp://127.0.0.1:0"
    a:send("x", unused():match "//(.*)")
    a:send("y", b.localaddr)
    assert.equal("y", (b:recv()))
    b:send("z", a.localaddr)
    assert.equal("z", (a:recv()))
  end)

  it("goes on when a peer comes back (E4)", function()
    local a = bind "udp://127.0.0.1:0"
    local endpoint = a.endpoint
    local b = connect(endpoint)
    a:close()
    b:send "lost"
    assert.equal("ECONNREFUSED", code(b:recv()))
    a = bind(endpoint)
    b:send "found"
    assert.equal("found", (a:recv()))
  end)

  it("tells of an unreachable host (E6)", function()
    local out = child.isolated("ip route add unreachable 192.0.2.0/24", [[
      local a = assert(net.bind "udp://127.0.0.1:0")
      print(select(2, a:send("x", "192.0.2.1:9")).code)
      print(select(2, net.connect "udp://192.0.2.1:9").code)
      a:send("y", a.localaddr)
      print(a:recv())
    ]])
    assert.is_truthy(out:find "^EHOSTUNREACH\nEHOSTUNREACH\ny\t")
  end)

  it("tells what ICMP says of an unreachable host, and who says it (E6)", function()
    -- A router that refuses: the other end of a veth, in a network of its own.
    local out = child.isolated([[
      ip link add v0 type veth peer name v1
      unshare -n sleep 20 >/dev/null 2>&1 & export router=$!; sleep .2
      ip link set v1 netns $router
      ip addr add 10.7.0.1/24 dev v0; ip link set v0 up; ip route add default via 10.7.0.2
      nsenter -t $router -n sh -c "ip addr add 10.7.0.2/24 dev v1; ip link set v1 up;
        echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/icmp_ratelimit;
        ip route add unreachable 192.0.2.0/24"]], [[
      local a = assert(net.connect "udp://192.0.2.1:9"):settimeout(3)
      local b = net.bind "udp://*:0"
      b:send("x", "192.0.2.1:9")
      assert(a:send "x")
      local _, err = a:recv()
      print(err.code, err.to, err.by, err.icmp_type, err.icmp_code)
      assert(a:send "x")
      print(select(2, b:settimeout(.1):recv()).code)
      b:set {recverr = true}
      b:send("x", "192.0.2.7:9")
      print(select(2, b:settimeout(3):recv()).to)
      os.execute "kill $router"
    ]])
    assert.equal("EHOSTUNREACH\t192.0.2.1:9\t10.7.0.2\t3\t1\nETIMEDOUT\n192.0.2.7:9\n", out)
  end)

  it("tells many senders apart, and keeps the Addresses of some", function()
    local a = bind "udp://127.0.0.1:0"
    local peers, kept = {}, setmetatable({}, {__mode = "v"})
    for _ = 1, 3 do
      for i = 1, 100 do
        peers[i] = peers[i] or connect(a.endpoint)
        assert(peers[i]:send(tostring(i)))
        peers[i]:flush()
      end
      for i = 1, 100 do
        local data, from = a:recv()
        assert.equal(tostring(i), data)
        assert.equal(peers[i].localaddr, from)
        kept[i] = from
      end
    end
    local count = 0
    for _ = 1, 2 do
      collectgarbage()
    end
    for _ in pairs(kept) do
      count = count + 1
    end
    assert.is_true(count > 20 and count <= 65, count)
  end)

  it("sends from many tasks at once, each message whole (E8)", function()
    local a = bind("udp://127.0.0.1:0", {rcvbuf = 4000000})
    local b = connect(a.endpoint)
    local seen, count = {}, 0
    task.scope(function(scope)
      for i = 1, 100 do
        scope:spawn(function()
          assert(b:send(("%d "):format(i):rep(50)))
          assert.equal("EMSGSIZE", code(b:send(("x"):rep(70000))))
          task.yield()
          assert(b:send(("%d "):format(i):rep(50)))
        end)
      end
    end)
    while count < 200 do
      local data = assert(a:recv())
      local i = data:match "^%d+"
      assert.equal((i .. " "):rep(50), data)
      seen[i] = (seen[i] or 0) + 1
      count = count + 1
    end
    for i = 1, 100 do
      assert.equal(2, seen[tostring(i)])
    end
  end)

  describe("while it waits (E9)", function()
    local a, b

    before_each(function()
      a = bind "udp://127.0.0.1:0"
      b = connect(a.endpoint)
    end)

    it("times out, and loses nothing", function()
      assert.equal("ETIMEDOUT", code(a:settimeout(0.01):recv()))
      b:send "next"
      assert.equal("next", (a:settimeout(5):recv()))
    end)

    it("is cancelled, and loses nothing", function()
      local t = task.spawn(function()
        a:recv()
      end)
      task.yield()
      t:cancel()
      assert.equal("ECANCELED", code(t:join()))
      b:send "next"
      assert.equal("next", (a:recv()))
    end)

    it("gives a cancelled reader's message to the next one", function()
      local got
      local first = task.spawn(function()
        a:recv()
      end)
      local second = task.spawn(function()
        got = a:recv()
      end)
      local third = task.spawn(function()
        -- Runs in the same round as the first reader's wake-up, before it.
        b:recv()
        first:cancel()
      end)
      task.yield()
      a:send("now", b.localaddr)
      b:send "message"
      b:flush()
      second:join()
      third:join()
      first:cancel()
      first:join()
      assert.equal("message", got)
    end)

    it("is told that the socket was closed", function()
      local t = task.spawn(function()
        return code(a:recv())
      end)
      task.yield()
      a:close()
      assert.equal("ECANCELED", t:join())
      assert.equal("EBADF", code(a:recv()))
      assert.equal("EBADF", code(a:send "x"))
      assert.equal("EBADF", code(a:set {ttl = 3}))
      assert.is_true(a:close())
    end)
  end)

  it("lets several tasks receive, each message once", function()
    local a = bind "udp://127.0.0.1:0"
    local b = connect(a.endpoint)
    local got = {}
    task.scope(function(scope)
      for _ = 1, 5 do
        scope:spawn(function()
          for data in a:messages() do
            got[#got + 1] = tonumber(data)
            if #got == 200 then
              a:close()
            end
            task.yield()
          end
        end)
      end
      for i = 1, 200 do
        b:send(tostring(i))
      end
    end)
    table.sort(got)
    assert.equal(200, #got)
    for i = 1, 200 do
      assert.equal(i, got[i])
    end
  end)

  it("closes in the middle of its messages, with sends gathered (E10)", function()
    local a = bind "udp://127.0.0.1:0"
    local b = connect(a.endpoint)
    for i = 1, 30 do
      b:send(tostring(i))
    end
    local n = 0
    for data, from in a:messages() do
      n = n + 1
      a:send(data, from)
      if n == 10 then
        assert.is_true(a:close())
      end
    end
    assert.equal(10, n)
    for i = 1, 10 do
      assert.equal(tostring(i), (b:recv()))
    end
  end)

  it("tells senders that wait, and what was dropped, at close (E10)", function()
    local a = bind "unixgram:@"
    local b = connect(a.endpoint)
    local waiting = {}
    task.scope(function(scope)
      for i = 1, 200 do
        scope:spawn(function()
          local ok, err = b:send(("x"):rep(1000))
          waiting[#waiting + 1] = not ok and err.code or nil
          return i
        end)
      end
      task.sleep(0.02)
      assert.equal("ECANCELED", code(b:close()))
    end)
    assert.is_true(#waiting > 0)
    assert.equal("ECANCELED", waiting[1])
  end)

  for _, connected in ipairs {true, false} do
    it(("waits while %s unix peer's queue is full"):format(connected and "its" or "a"), function()
      local a = bind "unixgram:@"
      local b = connected and connect(a.endpoint) or bind "unixgram:@"
      local to = not connected and a.localaddr or nil
      local sent = 0
      task.scope(function(scope)
        scope:spawn(function()
          for i = 1, 300 do
            assert(b:send(tostring(i), to))
            sent = i
          end
          assert(b:flush())
        end)
        task.sleep(0.02)
        assert.is_true(sent < 300)
        for i = 1, 300 do
          assert.equal(tostring(i), (a:recv()))
        end
      end)
    end)
  end

  it("joins, leaves and sends to groups (E11)", function()
    local out = child.isolated("ip link add v0 type veth peer name v1; ip link set v1 up;" ..
      "ip link set v0 up; ip addr add 10.7.0.1/24 dev v0; ip addr add 10.7.0.9/24 dev v0;" ..
      "ip addr add fd00::1/64 dev v0 nodad; ip -6 addr add fe80::1/64 dev v0 nodad", [[
      local task = require "neap.task"
      local a = net.bind("udp://*:0"):settimeout(1)
      local b = net.bind "udp://10.7.0.1:0"
      local group = net.address("239.1.2.3:" .. a.localaddr.port)
      assert(a:join("239.1.2.3", {interface = "v0"}))
      print(select(2, a:join("239.1.2.3", {interface = "v0"})).code)
      print(select(2, a:join "127.0.0.1").code)
      print(select(2, a:join("239.9.9.9", {interface = "nosuch"})).code)
      assert(b:set {multicast_ttl = 3, multicast_interface = "v0"})
      print(b:get "multicast_ttl", b:get "multicast_loop")
      assert(b:send("hello", group))
      print((a:recv()))
      b:set {multicast_loop = false}
      b:send("unheard", group)
      b:flush()
      print(select(2, a:settimeout(.05):recv()).code)
      b:set {multicast_loop = true}
      assert(a:leave("239.1.2.3", {interface = "v0"}))
      assert(a:join("239.1.2.3", {interface = "v0", source = "10.7.0.9"}))
      b:send("of another source", group)
      local c = net.bind("udp://10.7.0.9:0", {multicast_interface = "v0"})
      c:send("of the source", group)
      print((a:recv()))
      assert(a:leave("239.1.2.3", {interface = "v0", source = "10.7.0.9"}))
      local six = net.bind "udp6://[::]:0"
      assert(six:join("ff02::1:2", {interface = "v0"}))
      assert(six:set {multicast_interface = "v0"})
      print(six:get "multicast_interface")
      assert(six:send("six", net.address("[ff02::1:2%v0]:" .. six.localaddr.port)))
      print((six:settimeout(1):recv()))
    ]])
    assert.equal("EADDRINUSE\nEINVAL\nENODEV\n" ..
      "3\ttrue\nhello\nETIMEDOUT\nof the source\nv0\nsix\n", out)
  end)

  it("broadcasts only where that was asked for (E12)", function()
    local a = bind "udp://*:0"
    local to = net.address("127.255.255.255:" .. a.localaddr.port)
    local b = bind "udp4://127.0.0.1:0"
    assert.equal("EACCES", code(b:send("x", to)))
    assert(b:set {broadcast = true})
    assert(b:send("x", to))
    assert.equal("x", (a:recv()))
  end)

  it("shares a port among sockets (G6)", function()
    local a = bind("udp://127.0.0.1:0", {reuseport = true})
    local b = bind(a.endpoint, {reuseport = true})
    assert.equal("EADDRINUSE", code(net.bind(a.endpoint)))
    for i = 1, 200 do
      connect(a.endpoint):send(tostring(i))
    end
    local counts = {0, 0}
    for i, socket in ipairs {a, b} do
      socket:settimeout(0.05)
      while socket:recv() do
        counts[i] = counts[i] + 1
      end
    end
    assert.equal(200, counts[1] + counts[2])
    assert.is_true(counts[1] > 40 and counts[2] > 40)
  end)

  it("tells the destination address and interface on request (E15)", function()
    local a = bind("udp://*:0", {pktinfo = true})
    connect("udp://127.0.0.5:" .. a.localaddr.port):send "four"
    local _, _, info = a:recv()
    assert.equal("127.0.0.5", info.to.ip)
    assert.equal("lo", info.interface)
    connect("udp://[::1]:" .. a.localaddr.port):send "six"
    _, _, info = a:recv()
    assert.equal("::1", info.to.ip)
    assert.equal("lo", info.interface)
  end)

  it("tells hops, type of service and time on request", function()
    for _, host in ipairs {"127.0.0.1", "[::1]"} do
      local a = bind("udp://" .. host .. ":0", {recvttl = true, recvtos = true, timestamp = true})
      local b = connect(a.endpoint, {ttl = 17, tos = 0x28})
      b:send "x"
      local _, _, info = a:recv()
      assert.equal(17, info.ttl)
      assert.equal(0x28, info.tos)
      assert.is_true(math.abs(info.time - os.time()) < 3)
    end
  end)

  it("sends with the options of that moment", function()
    local a = bind("udp://127.0.0.1:0", {recvttl = true})
    local b = connect(a.endpoint)
    for ttl = 1, 20 do
      b:set {ttl = ttl}
      b:send(tostring(ttl))
    end
    for ttl = 1, 20 do
      local data, _, info = a:recv()
      assert.equal(tostring(ttl), data)
      assert.equal(ttl, info.ttl)
    end
  end)

  it("takes a filter", function()
    -- Of UDP the socket's header is there: the first byte behind it is "a".
    local a = bind("udp://127.0.0.1:0", {filter = {
      {0x30, 0, 0, 8}, {0x15, 0, 1, ("a"):byte()}, {0x06, 0, 0, 0xffff}, {0x06, 0, 0, 0},
    }})
    local b = connect(a.endpoint)
    b:send "banana"
    b:send "apple"
    assert.equal("apple", (a:recv()))
    assert.has_error(function() net.bind("udp://127.0.0.1:0", {filter = {}}) end)
    assert.has_error(function() net.bind("udp://127.0.0.1:0", {filter = {{1, 2}}}) end)
    assert.equal("EINVAL", code(net.bind("udp://127.0.0.1:0", {filter = {{0, 0, 0, 0}}})))
  end)

  it("connects, to another, and to nobody again", function()
    local a, b = bind "udp://127.0.0.1:0", bind "udp://127.0.0.1:0"
    local c = bind "udp://127.0.0.1:0"
    assert.equal("EDESTADDRREQ", code(c:send "x"))
    assert.equal(c, c:connect(a.localaddr))
    c:send "to a"
    c:connect(tostring(b.localaddr))
    c:send "to b"
    assert.equal("to a", (a:recv()))
    assert.equal("to b", (b:recv()))
    assert.equal(b.localaddr, c.remoteaddr)
    assert(c:connect())
    assert.is_nil(c.remoteaddr)
    assert.equal("EDESTADDRREQ", code(c:send "x"))
  end)

  it("sends and receives many at once", function()
    local a = bind "udp://127.0.0.1:0"
    local b = connect(a.endpoint)
    assert.equal(b, b:sendmany {"1", "2", "3", "4", "5"})
    local data, from = {}, {}
    while #data < 5 do
      local more, senders = a:recvmany(3)
      assert.is_true(#more <= 3 and #more == #senders)
      table.move(more, 1, #more, #data + 1, data)
      table.move(senders, 1, #senders, #from + 1, from)
    end
    assert.same({"1", "2", "3", "4", "5"}, data)
    assert.equal(b.localaddr, from[5])
    local ok, err = b:sendmany {"6", ("x"):rep(70000), "7"}
    assert.is_nil(ok)
    assert.equal("EMSGSIZE", err.code)
    assert.equal(1, err.sent)
    assert.has_error(function() b:sendmany {"a", 1} end)
  end)

  it("keeps a bounded number of messages, and the kernel counts the rest", function()
    local a = bind("udp://127.0.0.1:0", {rcvbuf = 4096})
    local b = connect(a.endpoint)
    for i = 1, 500 do
      b:send(tostring(i))
    end
    b:flush()
    local n = 0
    a:settimeout(0.05)
    while a:recv() do
      n = n + 1
    end
    assert.is_true(n < 500)
    assert.equal(500 - n, a:get "drops")
  end)

  it("has a file that is its own (F4, F5)", function()
    local endpoint = "unixgram:" .. path
    local a = bind(endpoint, {mode = tonumber("600", 8)})
    assert.equal("EADDRINUSE", code(net.bind(endpoint)))
    assert.equal("EADDRINUSE", code(net.bind(endpoint, {unlink_stale = true})))
    os.remove(path)
    local b = bind(endpoint)
    a:close()
    connect(endpoint):send "new"
    assert.equal("new", (b:recv()))
    b:close()
    assert.is_nil(io.open(path))
    assert.equal("ENOENT", code(net.connect(endpoint)))
    assert.equal("ENAMETOOLONG", code(net.bind("unixgram:/" .. ("x"):rep(107))))
  end)

  it("tells who sent, on request (F11)", function()
    local a = bind("unixgram:@", {passcred = true})
    connect(a.endpoint):send "x"
    local _, _, info = a:recv()
    assert.equal(process.pid, info.pid)
    assert.equal("number", type(info.uid))
  end)

  it("adopts a descriptor", function()
    local a = bind "udp://127.0.0.1:0"
    local result = assert(process.run {child.neap, "-e", [[
      local a = assert(net.bind "fd:0")
      print(a.localaddr)
    ]], stdin = nil, input = ""})
    assert.equal(1, result.code) -- a pipe is no message socket
    assert.equal("EBADF", code(net.bind "fd:999"))
    assert.equal("udp", a.protocol)
  end)

  it("is closed by the collector and by <close>", function()
    local fd
    do
      local a <close> = assert(net.bind "udp://127.0.0.1:0")
      fd = a.fd
    end
    local b = bind "udp://127.0.0.1:0"
    assert.equal(fd, b.fd)
  end)
end)
