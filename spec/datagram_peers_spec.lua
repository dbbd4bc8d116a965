--- Whom messages come from and go to: receivers that are full, peers that a socket
--- is connected to and no longer, addresses that are asked and answer.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"
local datagrams = require "spec.support.datagrams"
local code = require "spec.support.failed"

local bind, keep = datagrams.bind, datagrams.keep

after_each(datagrams.close)

describe("a full unix receiver", function()
  local full, socket, sent, sender

  --- Send until it is full, and the sender waits.
  local function fill(to, count)
    sent = 0
    sender = task.spawn(function()
      for i = 1, count do
        local ok, err = socket:send(tostring(i), to)
        if not ok then
          return err.code
        end
        sent = i
      end
      return socket:flush() and "flushed"
    end)
    local before
    repeat
      before = sent
      task.sleep(0.02)
    until sent == before and sent > 0
    assert.is_true(sent < count)
  end

  before_each(function()
    full, socket = bind "unixgram:@", bind "unixgram:@"
  end)

  it("holds up nobody who sends to another", function()
    local other = bind "unixgram:@"
    fill(full.localaddr, 300)
    for i = 1, 200 do
      assert(socket:send("hello " .. i, other.localaddr))
      assert.equal("hello " .. i, (other:recv()))
    end
    assert(socket:sendmany({"a", "b", "c"}, other.localaddr))
    local near, far = net.socketpair()
    assert(socket:sendfd("d", {far}, other.localaddr))
    near:close() far:close()
    for text in ("abcd"):gmatch "." do
      assert.equal(text, (other:recv()))
    end
    for i = 1, 300 do
      assert.equal(tostring(i), (full:recv()))
    end
    assert.equal("flushed", sender:join())
  end)

  it("holds up nobody whose messages gathered among its own", function()
    local other = bind "unixgram:@"
    for _, to in ipairs {full.localaddr, other.localaddr} do
      assert(socket:send("known", to))
      assert(socket:flush())
    end
    assert.equal("known", (other:recv()))
    local senders = {}
    for i, to in ipairs {full.localaddr, other.localaddr} do
      senders[i] = task.spawn(function()
        for k = 1, 200 do
          assert(socket:send(tostring(k), to))
        end
      end)
    end
    for i = 1, 200 do
      assert.equal(tostring(i), (other:recv()))
    end
    senders[2]:join()
    assert.equal("known", (full:recv()))
    for i = 1, 200 do
      assert.equal(tostring(i), (full:recv()))
    end
    senders[1]:join()
  end)

  it("is one of many: each keeps its order, and what is held is bounded", function()
    local receivers, senders = {}, {}
    for i = 1, 20 do -- as many as the sender's own buffer allows
      receivers[i] = bind "unixgram:@"
      senders[i] = task.spawn(function()
        for k = 1, 100 do
          assert(socket:send(i .. " " .. k, receivers[i].localaddr))
        end
      end)
    end
    task.sleep(0.1)
    local other = bind "unixgram:@"
    assert(socket:send("hello", other.localaddr))
    assert.equal("hello", (other:recv()))
    for i = 20, 1, -1 do
      for k = 1, 100 do
        assert.equal(i .. " " .. k, (receivers[i]:recv()))
      end
      senders[i]:join()
    end
  end)

  it("leaves its senders in their order", function()
    fill(full.localaddr, 150)
    local later = {}
    for i = 1, 5 do
      later[i] = task.spawn(function()
        assert(socket:send("later " .. i, full.localaddr))
      end)
      task.yield()
    end
    for i = 1, 150 do
      local data = assert(full:recv())
      while data:find "^later" do
        data = assert(full:recv())
      end
      assert.equal(tostring(i), data)
    end
    for _, t in ipairs(later) do
      t:join()
    end
  end)

  it("does not keep a sender who is cancelled, late, or whose socket is closed", function()
    fill(full.localaddr, 300)
    assert.equal("ETIMEDOUT", code(socket:settimeout(0.02):send("late", full.localaddr)))
    socket:settimeout(10)
    assert.equal("ETIMEDOUT", code(task.timeout(0.02, socket.send, socket, "later", full.localaddr)))
    local other = bind "unixgram:@"
    assert(socket:send("hello", other.localaddr))
    assert.equal("hello", (other:recv()))
    assert.equal("ECANCELED", code(socket:close())) -- what had gathered is lost, and that is told
    assert.equal("ECANCELED", sender:join())
    local n = 0
    full:settimeout(0.02)
    while full:recv() do
      n = n + 1
    end
    assert.is_true(n < sent)
  end)

  it("that goes away is an error of its senders only", function()
    local other = bind "unixgram:@"
    fill(full.localaddr, 300)
    local to = full.localaddr
    full:close()
    assert.equal("ECONNREFUSED", sender:join())
    assert.equal("ECONNREFUSED", code(socket:send("x", to)))
    local ok, err = socket:send("hello", other.localaddr)
    assert.is_true(ok ~= nil or err.earlier)
    assert.equal("hello", (other:recv()))
  end)

  it("does not hold up a connected peer, nor he it, nor makes it anybody spin", function()
    local peer = bind "unixgram:@"
    assert(socket:connect(peer.localaddr))
    fill(full.localaddr, 300)
    local clock = os.clock()
    task.sleep(0.3)
    assert.is_true(os.clock() - clock < 0.2)
    for i = 1, 50 do
      assert(socket:send("peer " .. i))
      assert.equal("peer " .. i, (peer:recv()))
    end
    -- Now the peer is full, too.
    local second = task.spawn(function()
      for i = 1, 200 do
        assert(socket:send("peer " .. i))
      end
    end)
    task.sleep(0.05)
    for i = 1, 300 do
      assert.equal(tostring(i), (full:recv()))
    end
    assert.equal("waiting", second.status)
    for i = 1, 200 do
      assert.equal("peer " .. i, (peer:recv()))
    end
    second:join()
    sender:join()
  end)

  it("as the former peer is waited for by connect, and others are not", function()
    local peer, other = bind "unixgram:@", bind "unixgram:@"
    assert(socket:connect(peer.localaddr))
    fill(nil, 100)
    sender:cancel() -- what it would send later goes to whom the socket is connected to then
    sender:join()
    local accepted = sent
    local change = task.spawn(function()
      assert(socket:connect(other.localaddr))
      return "connected"
    end)
    task.sleep(0.05)
    assert.equal(peer.localaddr, socket.remoteaddr)
    for i = 1, accepted do
      assert.equal(tostring(i), (peer:recv()))
    end
    assert.equal("connected", change:join())
    assert(socket:send "to the other")
    assert.equal("to the other", (other:recv()))
    fill(full.localaddr, 300)
    assert(task.timeout(5, socket.connect, socket, peer.localaddr))
    assert.equal(peer.localaddr, socket.remoteaddr)
    socket:close()
    sender:join()
  end)
end)

describe("connected to nobody again", function()
  for _, endpoint in ipairs {
    "udp://127.0.0.1:0", "udp4://*:0", "udp6://[::1]:0", "udp://*:0", "unixgram:@",
  } do
    it(endpoint .. " has the place that it had", function()
      local six = endpoint:find("[::1]", 1, true) ~= nil
      local kind = endpoint:find "^unix" and endpoint or six and "udp6://[::1]:0" or "udp://127.0.0.1:0"
      local a, peer, other = bind(endpoint), bind(kind), bind(kind)
      local before = a.localaddr
      for _ = 1, 2 do
        assert(a:connect(peer.localaddr))
        assert(a:connect(other.localaddr))
        assert(a:connect())
        assert.equal(before, a.localaddr)
        assert.is_nil(a.remoteaddr)
        assert(a:connect()) -- it is already
        assert.equal(before, a.localaddr)
      end
      assert(a:send("hello", peer.localaddr))
      local _, from = peer:recv()
      assert.is_true(from == before or from.port == before.port)
      assert(other:send("from anybody", from))
      assert.equal("from anybody", (a:recv()))
    end)
  end

  it("what net.connect made has its port", function()
    local peer = bind "udp://127.0.0.1:0"
    local a = keep(net.connect(peer.endpoint))
    local port = a.localaddr.port
    assert(a:connect())
    assert.equal("0.0.0.0:" .. port, tostring(a.localaddr))
    assert(peer:send("hello", "127.0.0.1:" .. port))
    assert.equal("hello", (a:recv()))
  end)

  it("has a port that was asked for, and its interface", function()
    local out = child.isolated(":", [[
      local net = require "neap.net"
      local a = assert(net.bind("udp://127.0.0.1:7", {device = "lo"}))
      local b = assert(net.bind("udp6://[::1]:0", {device = "lo"}))
      for _, socket in ipairs {a, b} do
        local before = socket.localaddr
        assert(socket:connect(before))
        assert(socket:connect())
        print(socket.localaddr == before, socket:get "device")
      end
    ]])
    assert.equal("true\tlo\ntrue\tlo\n", out)
  end)

  it("a link's address keeps its link", function()
    local out = child.isolated("ip link add v0 type veth peer name v1; ip link set v1 up;" ..
      "ip link set v0 up; ip -6 addr add fe80::1/64 dev v0 nodad", [[
      local net = require "neap.net"
      local a = assert(net.bind "udp6://[fe80::1%v0]:0")
      local before = a.localaddr
      assert(a:connect(before))
      assert(a:connect())
      print(a.localaddr == before)
    ]])
    assert.equal("true\n", out)
  end)

  it("a ping socket has its identifier", function()
    local out = child.isolated("echo 0 65535 > /proc/sys/net/ipv4/ping_group_range", [=[
      local net = require "neap.net"
      for host, request in pairs {["127.0.0.1"] = 8, ["[::1]"] = 128} do
        local a = assert(net.bind("icmp://" .. host)):settimeout(5)
        local to = host:match "[^%[%]]+"
        local before = a.localaddr
        assert(a:connect(to))
        assert(a:connect())
        print(a.localaddr == before and before.port > 0)
        assert(a:send(string.char(request, 0, 0, 0, 0, 0, 0, 1) .. "data", to))
        print((a:recv()):sub(9))
      end
    ]=])
    assert.equal(("true\ndata\n"):rep(2), out)
  end)

  it("says so where the port is another's by then", function()
    if not process.run {"strace", "-V"} then
      pending "strace is not there"
    elseif process.run({"strace", "-qq", "-o", "/dev/null", "true"}).code ~= 0 then
      pending "strace is not permitted"
    end
    local result = child.strace({"-e", "trace=bind", "-e", "inject=bind:error=EADDRINUSE:when=2"}, [[
      local net = require "neap.net"
      local a = assert(net.bind "udp://127.0.0.1:0")
      assert(a:connect(a.localaddr))
      local ok, err = a:connect()
      print(ok, err.code, err.op, a.remoteaddr)
      print(a:send "x" == nil, a:send("x", "127.0.0.1:9") == a)
    ]])
    assert.equal("", result.stderr)
    assert.equal("nil\tEADDRINUSE\tconnect\tnil\ntrue\ttrue\n", result.stdout)
  end)

  it("a raw socket would be deaf, and stays as it is", function()
    for host, to in pairs {["127.0.0.1"] = "127.0.0.1", ["[::1]"] = "::1"} do
      local a, err = net.bind("raw://" .. host .. "/253")
      if not a and err.code == "EPERM" then
        pending "needs CAP_NET_RAW"
      end
      keep(a, err)
      assert(a:connect()) -- it is already
      assert(a:connect(to))
      assert.equal("EOPNOTSUPP", code(a:connect()))
      assert(a:send "hello")
      assert.is_truthy((a:recv()):find "hello$")
    end
  end)
end)

describe("once it is connected", function()
  for _, row in ipairs {
    {"udp://127.0.0.1:0"}, {"udp6://[::1]:0"}, {"unixgram:@"}, {"udp://127.0.0.1:0", "udp://*:0"},
  } do
    local endpoint, ours = row[1], row[2] or row[1]

    describe((row[2] and row[2] .. " to " or "") .. endpoint, function()
      local a, friend, stranger, to

      before_each(function()
        a, friend, stranger = bind(ours), bind(endpoint), bind(endpoint)
        to = a.localaddr
        if row[2] then
          to = net.address("127.0.0.1:" .. to.port)
        end
      end)

      local function send(socket, text)
        assert(socket:send(text, to))
        assert(socket:flush())
      end

      local function assert_next(text)
        local data, from = a:recv()
        assert.equal(text, data)
        assert.equal(friend.localaddr, from)
      end

      local function assert_nothing_more()
        assert.equal("ETIMEDOUT", code(a:settimeout(0.02):recv()))
      end

      it("has only its peer's messages of those that came before", function()
        send(stranger, "of a stranger")
        send(friend, "first")
        send(stranger, "of a stranger")
        send(friend, "second")
        send(stranger, "of a stranger")
        assert(a:connect(friend.localaddr))
        assert_next "first"
        assert_next "second"
        send(friend, "third")
        assert_next "third"
        assert_nothing_more()
      end)

      it("and had received some, not all of which were taken", function()
        send(stranger, "of a stranger")
        for i = 1, 3 do
          send(friend, tostring(i))
          send(stranger, "of a stranger")
        end
        local data, from = a:recv() -- it came with others
        assert.equal("of a stranger", data)
        assert.equal(stranger.localaddr, from)
        task.sleep(0.01)
        assert(a:connect(friend.localaddr))
        for i = 1, 3 do
          assert_next(tostring(i))
        end
        assert_nothing_more()
      end)

      it("has them by every verb, and by a task that had waited", function()
        local got = {}
        local reader = task.spawn(function()
          for text in a:messages() do
            got[#got + 1] = text
            if #got == 1 then
              assert(a:connect(friend.localaddr))
            end
          end
        end)
        task.yield()
        send(stranger, "of a stranger")
        send(friend, "one")
        send(stranger, "of a stranger")
        send(friend, "two")
        while #got < 3 do
          task.sleep(0.005)
        end
        a:close()
        reader:join()
        assert.same({"of a stranger", "one", "two"}, got)
      end)

      it("takes of another peer what he sends from then on", function()
        assert(a:connect(friend.localaddr))
        send(friend, "of the former")
        task.sleep(0.01)
        assert(a:connect(stranger.localaddr))
        friend, stranger = stranger, friend
        send(friend, "of the new one")
        assert_next "of the new one"
        assert_nothing_more()
      end)

      it("and to nobody again, takes all", function()
        send(stranger, "of a stranger")
        assert(a:connect(friend.localaddr))
        assert(a:connect())
        send(stranger, "of anybody")
        while (assert(a:recv())) ~= "of anybody" do
        end
      end)
    end)
  end

  it("closes descriptors of strangers", function()
    local a, friend, stranger = bind "unixgram:@", bind "unixgram:@", bind "unixgram:@"
    local near, far = net.socketpair()
    assert(stranger:send("first", a.localaddr))
    for _ = 1, 2 do
      assert(stranger:sendfd("mine", {far}, a.localaddr))
    end
    assert.equal("first", (a:recv()))
    task.sleep(0.01)
    assert(stranger:sendfd("mine", {far}, a.localaddr))
    assert(a:connect(friend.localaddr))
    assert(friend:send("hello", a.localaddr))
    assert.equal("hello", (a:recv()))
    far:close()
    assert.is_nil((near:settimeout(5):recv())) -- the last copy is gone
    near:close()
  end)

  it("raw and ping sockets, too", function()
    local out = child.isolated([[echo 0 65535 > /proc/sys/net/ipv4/ping_group_range;
      ip addr add fd00::1 dev lo nodad; ip addr add fd00::2 dev lo nodad]], [[
      local net = require "neap.net"
      for _, row in ipairs {
        {"raw://127.0.0.1/253", "raw", "127.0.0.2", "127.0.0.3"}, {"raw6://[::]/253", "raw", "fd00::1", "fd00::2"},
        {"icmp://0.0.0.0", 8, "127.0.0.2", "127.0.0.3"}, {"icmp://[::]", 128, "fd00::1", "fd00::2"},
      } do
        local endpoint, kind, friend, stranger = table.unpack(row)
        local a = assert(net.bind(endpoint)):settimeout(5)
        local function hear(ip, text)
          if kind == "raw" then
            local host = ip:find ":" and "[" .. ip .. "]" or ip
            local b <close> = assert(net.bind("raw://" .. host .. "/253"))
            assert(b:send(text, a.localaddr.ip == "::" and "::1" or "127.0.0.1"))
          else
            assert(a:send(string.char(kind, 0, 0, 0, 0, 0, 0, 1) .. text, ip))
          end
        end
        hear(stranger, "stranger")
        hear(friend, "friend")
        hear(stranger, "stranger")
        assert(a:connect(friend))
        local data, from = a:recv()
        assert(a.remoteaddr == net.address(friend), a.remoteaddr)
        print(data:match "%l+$", from.ip == friend, (select(2, a:settimeout(.05):recv()).code))
      end
    ]])
    assert.equal(("friend\ttrue\tETIMEDOUT\n"):rep(4), out)
  end)
end)

describe("an answer", function()
  --- Who asks at an address hears from that one only.
  local function assert_answered(server, ask)
    local socket = keep(net.connect(ask))
    for round = 1, 3 do
      assert(socket:send("question " .. round))
      local data, from, info = server:recv()
      assert.equal(socket.remoteaddr.ip, info.localaddr.ip)
      assert.equal(info.to, info.localaddr)
      assert(server:send("answer to " .. data, from, info))
      assert.equal("answer to question " .. round, (socket:recv()))
    end
  end

  for _, endpoint in ipairs {"udp4://*:0", "udp://*:0"} do
    it("of " .. endpoint .. " leaves by the address that was asked", function()
      local server = bind(endpoint, {pktinfo = true})
      for _, ip in ipairs {"127.0.0.1", "127.0.0.2", "127.9.8.7"} do
        assert_answered(server, ("udp://%s:%d"):format(ip, server.localaddr.port))
      end
    end)
  end

  it("of IPv6 leaves by it, too, over a link and of a group", function()
    local out = child.isolated([[ip addr add fd00::1 dev lo nodad; ip addr add fd00::2 dev lo nodad;
      ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up;
      ip -6 addr add fe80::1/64 dev v0 nodad; ip -6 addr add fe80::2/64 dev v0 nodad;
      ip addr add 10.7.0.1/24 dev v0; ip addr add 10.7.0.2/24 dev v0
      until [ $(ip -6 route show table local | grep -c "^local fe80::[12] ") = 2 ]; do sleep .01; done]], [[
      local net = require "neap.net"
      local server = assert(net.bind("udp://*:0", {pktinfo = true})):settimeout(5)
      local port = server.localaddr.port
      for _, host in ipairs {
        "[fd00::1]", "[fd00::2]", "[::1]", "[fe80::1%v0]", "[fe80::2%v0]", "10.7.0.1", "10.7.0.2", "127.0.0.1",
      } do
        local socket = assert(net.connect(("udp://%s:%d"):format(host, port))):settimeout(5)
        for i = 1, 2 do
          assert(socket:send "question")
          local data, from, info = server:recv()
          assert(server:send(info.localaddr.ip .. i, from, info))
        end
        print(socket:recv(), (socket:recv()))
      end
      assert(server:join("ff02::1:7", {interface = "v0"}))
      assert(server:join("239.7.7.7", {interface = "v0"}))
      for _, row in ipairs {
        {"udp6://[fe80::2%v0]:0", "[ff02::1:7%v0]"}, {"udp4://10.7.0.2:0", "239.7.7.7"},
        {"udp4://10.7.0.2:0", "10.7.0.255"},
      } do
        local asker = assert(net.bind(row[1], {multicast_interface = "v0", broadcast = true})):settimeout(5)
        assert(asker:send("question", net.address(row[2] .. ":" .. port)))
        local data, from, info = server:recv()
        assert(server:send("answer", from, info))
        local answer, whence = asker:recv()
        print(answer, info.to.ip, info.localaddr and info.localaddr.ip, whence.port == port)
      end
    ]])
    assert.equal([[
fd00::11	fd00::12
fd00::21	fd00::22
::11	::12
fe80::11	fe80::12
fe80::21	fe80::22
10.7.0.11	10.7.0.12
10.7.0.21	10.7.0.22
127.0.0.11	127.0.0.12
answer	ff02::1:7	nil	true
answer	239.7.7.7	10.7.0.1	true
answer	10.7.0.255	10.7.0.1	true
]], out)
  end)

  it("of many that leave together each leaves by its own", function()
    local server = bind("udp://*:0", {pktinfo = true, rcvbuf = 4000000})
    local clients = {}
    for i = 1, 3 do
      clients[i] = keep(net.connect(("udp://127.0.0.%d:%d"):format(i, server.localaddr.port)))
    end
    for round = 1, 20 do
      for i, client in ipairs(clients) do
        assert(client:sendmany {i .. "a" .. round, i .. "b" .. round})
      end
    end
    local n = 0
    while n < 120 do
      local data, from, infos = server:recvmany()
      assert.equal(#data, #infos)
      for k = 1, #data do
        assert(server:send(data[k], from[k], infos[k]))
      end
      n = n + #data
    end
    for i, client in ipairs(clients) do
      for round = 1, 20 do
        assert.equal(i .. "a" .. round, (client:recv()))
        assert.equal(i .. "b" .. round, (client:recv()))
      end
    end
  end)

  it("to one peer leaves by another address each time, also together", function()
    local asker, server = bind "udp://127.0.0.1:0", bind "udp4://*:0"
    for i = 1, 40 do
      assert(server:send("x", asker.localaddr, "127.0.0." .. i))
    end
    assert(server:sendmany({"y", "y"}, asker.localaddr, {localaddr = net.address "127.0.0.41"}))
    for i = 1, 42 do
      local _, from = asker:recv()
      assert.equal("127.0.0." .. math.min(i, 41), from.ip)
    end
    assert(server:connect(asker.localaddr))
    for i = 1, 10 do
      assert(server:send("z", nil, "127.0.0." .. i))
      local _, from = asker:recv()
      assert.equal(net.address("127.0.0." .. i .. ":" .. server.localaddr.port), from)
    end
  end)

  it("of raw and ping sockets leaves by it, too", function()
    local out = child.isolated("echo 0 65535 > /proc/sys/net/ipv4/ping_group_range", [[
      local net = require "neap.net"
      local server = assert(net.bind("raw4://0.0.0.0/253", {pktinfo = true})):settimeout(5)
      local asker = assert(net.connect("raw://127.0.0.5/253", {localaddr = "127.0.0.1"})):settimeout(5)
      assert(asker:send "question")
      local _, from, info = server:recv()
      print(from.ip, info.localaddr)
      assert(server:send("answer", from, info))
      print((select(2, asker:recv())))
      local ping = assert(net.bind("icmp://0.0.0.0", {pktinfo = true})):settimeout(5)
      assert(ping:send(string.char(8, 0, 0, 0, 0, 0, 0, 1), "127.0.0.1", "127.0.0.9"))
      print(select(3, ping:recv()).to)
    ]])
    assert.equal("127.0.0.1\t127.0.0.5\n127.0.0.5\n127.0.0.9\n", out)
  end)

  it("takes what there is: nothing, and no address that is not ours", function()
    local a, u = bind "udp://127.0.0.1:0", bind("unixgram:@", {passcred = true})
    assert(a:send("x", a.localaddr, nil))
    local data, from, info = a:recv()
    assert.is_nil(info)
    assert(a:send(data, from, info))
    assert(a:send(data, from, {}))
    assert(u:send("x", u.localaddr))
    data, from, info = u:recv()
    assert.equal("table", type(info))
    assert(u:send(data, from, info))
    local any = bind "udp4://*:0"
    local why = code(any:send("x", a.localaddr, "192.0.2.1"))
    assert.is_true(why == "EINVAL" or why == "ENETUNREACH", why)
    assert.equal("EAFNOSUPPORT", code(any:send("x", a.localaddr, "::1")))
    assert.equal("EAFNOSUPPORT", code(any:sendmany({"x"}, a.localaddr, "::1")))
    assert.equal("EOPNOTSUPP", code(u:send("x", u.localaddr, "127.0.0.1")))
    assert.has_error(function() a:send("x", a.localaddr, 5) end)
    assert.has_error(function() a:send("x", a.localaddr, "nonsense") end)
    assert.has_error(function() a:send("x", a.localaddr, {localaddr = 1.5}) end)
  end)

  it("of scripts/udp_echo.lua leaves by it", function()
    local script <close> = assert(process.spawn {child.neap, "scripts/udp_echo.lua", "udp://*:0",
      stdout = "pipe"})
    local port = script.stdout:read "l":match "%d+$"
    for i = 1, 3 do
      local socket = keep(net.connect(("udp://127.0.0.%d:%s"):format(i, port)))
      assert(socket:send "hello")
      assert.equal("hello", (socket:recv()))
    end
    script:kill()
    script:wait()
  end)
end)
