-- Traces as captures, which other programs read.

local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local process = require "neap.process"
local task = require "neap.task"
local trace = require "neap.trace"
local child = require "spec.support.child"
local traces = require "spec.support.traces"
local pattern = require "spec.support.transports".pattern

local ask, conversation, echo, traced = traces.ask, traces.conversation, traces.echo, traces.traced

describe("trace, as a capture", function()
  --- The packets of a capture, dissected, each with its info; all of them right.
  local function packets(bytes)
    local file = assert(io.tmpfile())
    file:write(bytes)
    file:seek "set"
    local found = {}
    for data, info in assert(pcap.reader(file)) do
      local p = packet.dissect(data, info.linktype)
      if info.linktype ~= 1 then -- where loopback leaves sums out
        local good, wrong = p:verify()
        assert(good, wrong and table.concat(wrong, "\n"))
      end
      found[#found + 1] = {packet = p, info = info, size = #data}
    end
    return found
  end

  --- Each direction's bytes, by source port; raises where a number is not the next.
  local function directions(list)
    local next_seq, sent = {}, {}
    for _, entry in ipairs(list) do
      local tcp = entry.packet.tcp
      local raw = entry.packet.raw
      local data = raw and raw.data or ""
      local from, to = tcp.src_port, tcp.dst_port
      from = entry.packet.ip and entry.packet.ip.src .. ":" .. from or from
      to = entry.packet.ip and entry.packet.ip.dst .. ":" .. to or to
      assert(next_seq[from] == nil or next_seq[from] == tcp.seq,
        ("%s: %d, %s expected"):format(from, tcp.seq, next_seq[from]))
      if tcp.flags:find "ACK" then
        assert.equal(next_seq[to] or tcp.ack, tcp.ack)
      end
      local counts = tcp.flags:find "SYN" or tcp.flags:find "FIN"
      next_seq[from] = (tcp.seq + #data + (counts and 1 or 0)) & 0xffffffff
      sent[from] = (sent[from] or "") .. data
    end
    return sent
  end

  local function flags(list)
    local found = {}
    for i, entry in ipairs(list) do
      found[i] = entry.packet.tcp.flags
    end
    return table.concat(found, ", ")
  end

  for _, endpoint in ipairs {"tcp://127.0.0.1:0", "tcp://[::1]:0", "unix:@trace-capture"} do
    it("has handshake, bytes and ends, at " .. endpoint, function()
      local bytes = traced({format = "pcapng", filter = endpoint:match "^%a+"}, function()
        conversation(endpoint, echo, ask)
      end)
      local list = packets(bytes)
      local sent = directions(list)
      local hellos = 0
      for _, data in pairs(sent) do
        assert.equal("hello", data)
        hellos = hellos + 1
      end
      -- Unix sockets have nothing that tells which two belong together.
      assert.equal(endpoint:find "unix" and 4 or 2, hellos)
      if not endpoint:find "unix" then
        assert.equal("SYN, SYN ACK, ACK, PSH ACK, PSH ACK, FIN ACK, ACK, FIN ACK, ACK", flags(list))
      end
    end)
  end

  it("has large writes in order, in segments, both ways #slow", function()
    local large = pattern(1 << 20)
    local bytes = traced({format = "pcapng", filter = "tcp"}, function()
      conversation("tcp://127.0.0.1:0", function(stream)
        stream:write(stream:read(#large))
      end, function(stream)
        local writer = task.spawn(stream.write, stream, large)
        assert.equal(large, stream:read(#large))
        writer:join()
      end)
    end)
    local list = packets(bytes)
    for _, data in pairs(directions(list)) do
      assert.is_true(data == large)
    end
    for _, entry in ipairs(list) do
      assert.is_true(entry.size <= 65535)
    end
  end)

  it("has each end alone, where the other is another process", function()
    local path = os.tmpname()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local server = task.spawn(function()
      local stream <close> = assert(listener:accept())
      echo(stream)
    end)
    local result = assert(process.run {child.neap, "--trace=" .. path, "--trace-format=pcapng", "-e", ([[
      local stream = assert(net.connect %q)
      for i = 1, 5 do
        stream:write("ping " .. i)
        stream:read(6)
      end
      stream:shutdown()
      stream:read "a"
    ]]):format(listener.endpoint)})
    assert.equal("", result.stderr)
    server:join()
    listener:close()
    local list = packets(assert(io.open(path, "rb")):read "a")
    os.remove(path)
    local count = 0
    for _, data in pairs(directions(list)) do
      assert.equal("ping 1ping 2ping 3ping 4ping 5", data)
      count = count + 1
    end
    assert.equal(2, count)
    assert.matches("^SYN, SYN ACK, ACK, .*FIN ACK, ACK, FIN ACK, ACK$", flags(list))
  end)

  it("has what a client sent and left before it was accepted, once", function()
    local bytes = traced({format = "pcapng", filter = "tcp"}, function()
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      local client = assert(net.connect(listener.endpoint))
      client:write "early"
      client:close()
      task.sleep(0.01)
      local stream = assert(listener:accept())
      assert.equal("early", stream:read "a")
      stream:close()
      listener:close()
    end)
    local texts = {}
    for _, data in pairs(directions(packets(bytes))) do
      texts[#texts + 1] = data
    end
    assert.equal("early", table.concat(texts))
  end)

  it("begins in the middle of what was open before", function()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local client = assert(net.connect(listener.endpoint))
    local stream = assert(listener:accept())
    local bytes = traced({format = "pcapng"}, function()
      client:write "late"
      stream:read(4)
      client:close()
      stream:close()
    end)
    local list = packets(bytes)
    assert.equal("PSH ACK, FIN ACK, ACK, FIN ACK, ACK", flags(list))
    directions(list)
    listener:close()
    task.sleep(0.01) -- the client's close, which waits for the end, is not in the next one
  end)

  it("has a refused connection and a reset", function()
    local bytes = traced({format = "pcapng"}, function()
      net.connect "tcp://127.0.0.1:1"
    end)
    assert.equal("SYN, RST ACK", flags(packets(bytes)))
    bytes = traced({format = "pcapng"}, traces.reset_tcp)
    assert.equal("SYN, SYN ACK, ACK, PSH ACK, RST ACK", flags(packets(bytes)))
  end)

  it("has datagrams, with both addresses, also of a socket that has all", function()
    for _, host in ipairs {"127.0.0.1", "[::1]", "*"} do
      local bytes = traced({format = "pcapng"}, function()
        local server = assert(net.bind("udp://" .. host .. ":0"))
        local peer = host == "*" and "127.0.0.1" or host
        local client = assert(net.connect(("udp://%s:%d"):format(peer, server.localaddr.port)))
        client:send "ping"
        local _, from = server:recv()
        server:send("pong", from)
        client:recv()
        client:close()
        server:close()
      end)
      local list = packets(bytes)
      assert.equal(2, #list) -- as they are sent, and not as they arrive
      for i, entry in ipairs(list) do
        local p = entry.packet
        assert.equal(i == 1 and "ping" or "pong", p.raw.data)
        assert.equal((p.ip or p.ipv6).src, (p.ip or p.ipv6).dst)
      end
      assert.equal(list[1].packet.udp.src_port, list[2].packet.udp.dst_port)
    end
  end)

  it("has messages of unix sockets", function()
    local bytes = traced({format = "pcapng"}, function()
      for _, kind in ipairs {"unixgram", "seqpacket"} do
        local a, b = net.socketpair(kind)
        a:send "hello"
        b:recv()
        b:send "hello"
        a:recv()
        a:close()
        b:close()
      end
      local path = "@trace-capture-gram"
      local server = assert(net.bind("unixgram:" .. path))
      local client = assert(net.bind("unixgram:" .. path .. "-client"))
      client:send("hello", server.localaddr)
      local _, from = server:recv()
      server:send("hello", from)
      client:recv()
      client:close()
      server:close()
    end)
    local list = packets(bytes)
    assert.equal(6, #list)
    for i, entry in ipairs(list) do
      local p = entry.packet
      assert.equal("hello", p.raw.data)
      if i == 2 or i == 4 then -- of a pair, both ways
        local before = list[i - 1].packet
        assert.same({before.ip.dst, before.ip.src, before.udp.dst_port}, {p.ip.src, p.ip.dst, p.udp.src_port})
      end
    end
  end)

  it("has what passes between two sockets of the program once", function()
    for _, kind in ipairs {"mem", "unix"} do
      local bytes = traced({format = "pcapng"}, function()
        local a, b = net.socketpair(kind)
        a:write "ping"
        assert.equal("ping", b:read(4))
        b:write "pong"
        assert.equal("pong", a:read(4))
        a:close()
        b:read "a"
        b:close()
      end)
      local list = packets(bytes)
      directions(list)
      assert.equal("SYN, SYN ACK, ACK, PSH ACK, PSH ACK, FIN ACK, ACK, FIN ACK, ACK", flags(list))
    end
    local bytes = traced({format = "pcapng"}, function()
      conversation("mem:trace-capture", echo, ask)
    end)
    local list = packets(bytes)
    directions(list)
    assert.equal("SYN, SYN ACK, ACK, PSH ACK, PSH ACK, FIN ACK, ACK, FIN ACK, ACK", flags(list))
  end)

  it("has what another process sends by an end of ours", function()
    local bytes = traced({format = "pcapng", filter = "unix"}, function()
      local a, b = net.socketpair()
      b:write "ours "
      local child_process = assert(process.spawn {"sh", "-c", "printf theirs >&0", stdin = b})
      assert.equal("ours theirs", a:read(11))
      child_process:wait()
      a:close()
      b:close()
    end)
    local texts = {}
    for _, data in pairs(directions(packets(bytes))) do
      texts[#texts + 1] = data
    end
    table.sort(texts)
    assert.same({"", "ours theirs"}, texts)
  end)

  it("has the same message twice where it came twice, and from others", function()
    local server = assert(net.bind "udp://127.0.0.1:0")
    local path = os.tmpname()
    local result = assert(process.run {child.neap, "--trace=" .. path, "--trace-format=pcapng", "-e", ([[
      local socket = assert(net.bind "udp://127.0.0.1:0")
      for i = 1, 2 do
        socket:send("same", %q)
        socket:send("same", socket.localaddr)
        socket:recv()
      end]]):format("127.0.0.1:" .. server.localaddr.port)})
    assert.equal("", result.stderr)
    server:close()
    local list = packets(assert(io.open(path, "rb")):read "a")
    os.remove(path)
    assert.equal(4, #list)
  end)

  it("begins each connection at a number of its own, as tshark wants it where a port comes again", function()
    local path = os.tmpname()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local tracer = assert(trace.start {to = path, format = "pcapng", filter = "tcp"})
    local from
    for _ = 1, 5 do
      local client
      repeat -- by a port that the kernel gives to nobody else meanwhile
        local port = from or ("127.0.0.1:%d"):format(math.random(20000, 30000))
        client = net.connect(listener.endpoint, {localaddr = port, reuseaddr = true})
      until client or from
      assert(client)
      from = from or client.localaddr
      local stream = assert(listener:accept())
      client:reset()
      stream:read "a"
      stream:close()
    end
    listener:close()
    assert(tracer:stop())
    local numbers, count = {}, 0
    for _, entry in ipairs(packets(assert(io.open(path, "rb")):read "a")) do
      local tcp = entry.packet.tcp
      if tcp.flags == "SYN" and not numbers[tcp.seq] then
        numbers[tcp.seq], count = true, count + 1
      end
    end
    assert.equal(5, count)
    if process.run({"sh", "-c", "command -v tshark"}).code == 0 then
      local found = assert(process.run {"tshark", "-r", path, "-T", "fields", "-e", "tcp.stream"}).stdout
      assert.matches("\n4\n$", found)
    end
    os.remove(path)
  end)

  for _, host in ipairs {"127.0.0.1", "[::1]"} do
    it("has the id of a ping that the kernel gives it, at " .. host, function()
      local path = os.tmpname()
      child.isolated("echo 0 65535 > /proc/sys/net/ipv4/ping_group_range", ([[
        local net, packet, trace = require "neap.net", require "neap.packet", require "neap.trace"
        local tracer = assert(trace.start {to = %q, format = "pcapng"})
        for _, make in ipairs {net.connect, net.bind} do
          local socket = assert(make "icmp://%s"):settimeout(5)
          local kind = packet[socket.family == "inet" and "icmp" or "icmpv6"]
          assert(socket:send(kind {type = "echo", id = 7, seq = 1}:bytes() .. "payload",
            make == net.bind and "%s" or nil))
          assert(socket:recv())
          socket:close()
        end
        assert(tracer:stop())]]):format(path, host, host:gsub("[][]", "")))
      local list = packets(assert(io.open(path, "rb")):read "a")
      os.remove(path)
      assert.equal(4, #list)
      for i = 1, 3, 2 do
        local request, reply = list[i].packet, list[i + 1].packet
        request, reply = request.icmp or request.icmpv6, reply.icmp or reply.icmpv6
        assert.same({"echo", "echo-reply", 1}, {request.type, reply.type, request.seq})
        assert.equal(reply.id, request.id)
      end
    end)
  end

  it("has frames of a packet socket, and raw packets", function()
    -- Not what others send meanwhile: its queue holds little.
    local frames, err = net.bind("packet://lo", {
      filter = packet.filter "ip and not tcp and not udp and not icmp",
    })
    if not frames then
      pending(tostring(err))
      return
    end
    local raw = assert(net.bind "raw://127.0.0.1/253")
    local bytes = traced({format = "pcapng"}, function()
      raw:send("payload", net.address "127.0.0.1")
      raw:recv()
      repeat
        local frame = frames:recv()
      until frame:find("payload", 1, true)
    end)
    local seen = {}
    for _, entry in ipairs(packets(bytes)) do
      local p = entry.packet
      if p.ip and p.ip.protocol == 253 then
        assert.equal("payload", p.raw.data)
        seen[entry.info.linktype] = (seen[entry.info.linktype] or 0) + 1
      end
    end
    assert.equal(2, seen[101])
    assert.is_true(seen[1] >= 1)
    frames:close()
    raw:close()
  end)

  it("keeps the numbers right past what was dropped", function()
    local tracer = assert(trace.events {format = "pcapng", filter = "mem"})
    local a, b = net.socketpair "mem"
    for _ = 1, 40 do
      a:write(("x"):rep(60000))
      a:flush()
      b:read(60000)
    end
    assert.is_true(tracer.dropped > 0)
    local bytes = tracer()
    a:write "last"
    a:flush()
    bytes = bytes .. tracer()
    tracer:stop()
    local first, last
    for _, entry in ipairs(packets(bytes)) do
      first = first or entry.packet
      last = entry.packet.raw and entry.packet.raw.data == "last" and entry.packet or last
    end
    assert.equal(40 * 60000 + 1, last.tcp.seq - first.tcp.seq & 0xffffffff)
    assert.matches("%d+ events were dropped before this", bytes)
    a:close()
    b:close()
  end)

  it("keeps `bytes` of each packet", function()
    local bytes = traced({format = "pcapng", bytes = 10, filter = "mem"}, function()
      local a, b = net.socketpair "mem"
      a:write(("x"):rep(1000))
      a:close()
      b:close()
    end)
    local file = assert(io.tmpfile())
    file:write(bytes)
    file:seek "set"
    local cut = 0
    for data, info in assert(pcap.reader(file)) do
      if info.original > #data then
        cut = cut + 1
        assert.same({50, 1040}, {#data, info.original})
      end
    end
    assert.equal(1, cut)
  end)

  describe("in tshark", function()
    local tshark = process.run {"sh", "-c", "command -v tshark"}.code == 0
    local path = os.tmpname()

    local function run(...)
      return assert(process.run {"tshark", "-r", path, "-o", "tcp.check_checksum:TRUE",
        "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", ...}).stdout
    end

    teardown(function()
      os.remove(path)
    end)

    it("opens without a warning, with each direction's bytes in order #slow", function()
      if not tshark then
        pending "tshark is not installed"
        return
      end
      local large = pattern(200000)
      local tracer = assert(trace.start {to = path, format = "pcapng"})
      conversation("tcp://127.0.0.1:0", echo, function(stream)
        local writer = task.spawn(stream.write, stream, large)
        assert.equal(large, stream:read(#large))
        writer:join()
        stream:shutdown()
        stream:read "a"
      end)
      conversation("unix:@trace-tshark", echo, ask)
      local a, b = net.socketpair "unixgram"
      a:send "message"
      b:recv()
      a:close()
      b:close()
      assert(tracer:stop())

      local expert = run("-q", "-z", "expert,warn")
      assert(not expert:find "Errors" and not expert:find "Warns", expert)
      assert.equal("", run("-Y", "_ws.malformed || tcp.analysis.flags || tcp.checksum.status == 0"))
      local followed = run("-q", "-z", "follow,tcp,raw,0")
      local sent, back = {}, {}
      for indent, data in followed:gmatch "\n(\t?)(%x+)%f[\n\0]" do
        table.insert(indent == "" and sent or back, data)
      end
      local hex = large:gsub(".", function(c)
        return ("%02x"):format(c:byte())
      end)
      assert.is_true(table.concat(sent) == hex)
      assert.is_true(table.concat(back) == hex)
    end)
  end)
end)
