--- What leaves and arrives together: batches, messages that the kernel joins, and
--- what becomes of them when something fails.

local host = require "neap.host"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"
local datagrams = require "spec.support.datagrams"
local code = require "spec.support.failed"

local rounds = tonumber(os.getenv "NEAP_DATAGRAM_ROUNDS") or 10

local bind, connect, keep, unused = datagrams.bind, datagrams.connect, datagrams.keep, datagrams.unused

after_each(datagrams.close)

--- Text of a size, that tells its number.
local function message(i, size)
  return (("%d."):format(i)):rep(size // 2 + 1):sub(1, size)
end

local function assert_received(socket, list)
  for i, expected in ipairs(list) do
    local data, from = assert(socket:recv())
    assert(data == expected, ("message %d: %d bytes, %d expected"):format(i, #data, #expected))
    assert.is_truthy(from)
  end
end

--- Sends itself 3 times 60 messages and prints how they came, and what was told.
local script = [[
  local a = assert(net.bind "udp://127.0.0.1:0"):settimeout(5)
  local me, told = a.localaddr, 0
  for i = 1, 180 do
    local ok, err = a:send(("%03d"):format(i), me)
    if not ok then
      told = told + 1
      assert(err.earlier, err)
    end
    if i % 60 == 0 then
      local ok, err = a:flush()
      told = told + (ok and 0 or 1)
      for k = i - 59, i do
        assert(a:recv() == ("%03d"):format(k), k)
      end
    end
  end
  print(told, (select(2, a:settimeout(.02):recv()).code))
]]

--- The calls of a script, which fail as told.
local function inject(fault, text)
  if not process.run {"strace", "-V"} then
    pending "strace is not there"
  elseif process.run({"strace", "-qq", "-o", "/dev/null", "true"}).code ~= 0 then
    pending "strace is not permitted"
  end
  local options = {"-e", "trace=sendto,sendmmsg,recvmmsg,connect"}
  if fault then
    options[3], options[4] = "-e", "inject=" .. fault
  end
  return child.strace(options, text or script)
end

local function count(calls, pattern)
  local n = 0
  for _, line in ipairs(calls) do
    n = n + (line:find(pattern) and 1 or 0)
  end
  return n
end

describe("messages that leave together", function()
  for _, row in ipairs {
    {"udp://127.0.0.1:0", "udp://127.0.0.1:0"},
    {"udp6://[::1]:0", "udp6://[::1]:0"},
    {"udp://127.0.0.1:0", "udp://*:0"}, -- IPv4 in IPv6's clothes
  } do
    for _, gro in ipairs {true, false} do
      it(("arrive as they were sent, from %s to %s, gro %s"):format(row[2], row[1], gro), function()
        local sizes = {0, 1, 64, 64, 64, 64, 64, 63, 500, 500, 2000}
        local a, b = bind(row[1], {gro = gro, rcvbuf = 4000000}), bind(row[1], {gro = gro, rcvbuf = 4000000})
        local c = bind(row[2])
        for _ = 1, rounds do
          local sent = {[a] = {}, [b] = {}}
          local to, size = a, 64
          for i = 1, 60 do
            if math.random(8) == 1 then
              to = to == a and b or a
            end
            if math.random(6) == 1 then
              size = sizes[math.random(#sizes)]
            end
            local text = message(i, size)
            assert(c:send(text, to.localaddr))
            table.insert(sent[to], text)
          end
          assert_received(a, sent[a])
          assert_received(b, sent[b])
        end
      end)
    end
  end

  it("are no larger than a datagram, all together", function()
    local a = bind("udp://127.0.0.1:0", {rcvbuf = 4000000})
    local b = connect(a.endpoint)
    for _, size in ipairs {8192, 8191, 1023, 1024} do
      local sent = {}
      for i = 1, 16 do
        sent[i] = message(i, size)
        assert(b:send(sent[i]))
      end
      assert_received(a, sent)
    end
  end)

  it("are told apart when the kernel joins them: whence, whither, how and when (E15)", function()
    local a = bind("udp://*:0", {pktinfo = true, recvttl = true, recvtos = true, timestamp = true, gro = true})
    local b = connect("udp://127.0.0.5:" .. a.localaddr.port, {ttl = 17, tos = 0x28})
    for i = 1, 50 do
      b:send(message(i, 100))
    end
    b:send "last"
    for i = 1, 51 do
      local data, from, info = a:recv()
      assert.equal(i < 51 and message(i, 100) or "last", data)
      assert.equal(b.localaddr, from)
      assert.equal("127.0.0.5", info.to.ip)
      assert.equal(17, info.ttl)
      assert.equal(0x28, info.tos)
      assert.is_true(math.abs(info.time - os.time()) < 3)
      assert.is_nil(info.truncated)
    end
  end)

  it("are cut each for itself (E2)", function()
    local a = bind("udp://127.0.0.1:0", {gro = true, rcvbuf = 4000000})
    local b = connect(a.endpoint)
    for i = 1, 30 do
      b:send(message(i, 100))
    end
    for i = 1, 30 do
      local data, _, info = a:recv(10)
      assert.equal(message(i, 10), data)
      assert.same({truncated = true, size = 100}, info)
    end
  end)

  it("go one to each of several tasks, joined or not", function()
    local a = bind("udp://127.0.0.1:0", {gro = true, rcvbuf = 4000000})
    local b = connect(a.endpoint)
    local got = {}
    task.scope(function(scope)
      for _ = 1, 7 do
        scope:spawn(function()
          for data in a:messages() do
            got[#got + 1] = data
            if #got == 300 then
              a:close()
            end
            task.yield()
          end
        end)
      end
      for i = 1, 300 do
        b:send(("%03d"):format(i))
      end
    end)
    table.sort(got)
    for i = 1, 300 do
      assert.equal(("%03d"):format(i), got[i])
    end
  end)

  it("are lost to nobody who gives up waiting for them (E9)", function()
    local a = bind("udp://127.0.0.1:0", {gro = true, rcvbuf = 4000000})
    local b = connect(a.endpoint)
    local total, got = 40 * rounds, {}
    a:settimeout(nil)
    task.scope(function(scope)
      for reader = 1, 4 do
        scope:spawn(function()
          while #got < total do
            local take = function()
              local data = assert(a:recv())
              got[#got + 1] = data
            end
            if reader % 2 == 0 then
              task.timeout(math.random() * 0.002, take)
            else
              local t = task.spawn(pcall, take)
              task.sleep(math.random() * 0.002)
              t:cancel()
              t:join()
            end
          end
        end)
      end
      for i = 1, total do
        b:send(("%05d"):format(i))
        if i % 20 == 0 then
          task.sleep(math.random() * 0.002)
        end
        while i - #got > 60 do
          task.sleep(0.001)
        end
      end
    end)
    table.sort(got)
    for i = 1, total do
      assert.equal(("%05d"):format(i), got[i])
    end
  end)

  it("do not outlive the socket that is closed in the middle of them (E10)", function()
    local a = bind("udp://127.0.0.1:0", {gro = true, rcvbuf = 4000000})
    local b = connect(a.endpoint)
    for i = 1, 200 do
      b:send(("%03d"):format(i))
    end
    b:flush()
    local n = 0
    for data, from in a:messages() do
      n = n + 1
      assert(a:send(data, from))
      if n == 70 then
        assert.is_true(a:close())
      end
    end
    assert.equal(70, n)
    for i = 1, 70 do
      assert.equal(("%03d"):format(i), (b:recv()))
    end
  end)

  it("wait for who takes them later, joined or not", function()
    local a = bind("udp://127.0.0.1:0", {gro = true, rcvbuf = 4000000})
    local b = connect(a.endpoint)
    for i = 1, 300 do
      b:send(("%03d"):format(i))
    end
    b:flush()
    for i = 1, 300 do
      assert.equal(("%03d"):format(i), (a:recv()))
      task.yield()
    end
  end)
end)

describe("an echo", function()
  it("of 64 datagrams at a time costs few system calls", function()
    local result = inject(nil, [[
      local a = assert(net.bind "udp://127.0.0.1:0"):settimeout(5)
      local b = assert(net.connect(a.endpoint)):settimeout(5)
      task.spawn(function()
        for data, from in a:messages() do
          a:send(data, from)
        end
      end)
      for round = 1, 20 do
        for i = 1, 64 do
          b:send(("%064d"):format(i))
        end
        for i = 1, 64 do
          assert(tonumber((b:recv())) == i)
        end
      end
      a:close()
    ]])
    assert.equal("", result.stderr)
    local messages = 2 * 20 * 64
    assert.is_true(count(result.calls, "^recvmmsg") < 0.1 * messages)
    assert.is_true(count(result.calls, "^send") < 0.1 * messages)
  end)
end)

describe("gro", function()
  it("takes apart what others have sent as one, of any size", function()
    local a = bind("udp://127.0.0.1:0", {gro = true, rcvbuf = 4000000})
    local result = process.run {"python3", "-c", [[
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", int(sys.argv[1])))
for size, n, last in (1, 64, 0), (1, 64, 0), (100, 63, 7), (1400, 40, 1399), (30000, 2, 1), (9, 0, 9):
    data = b"".join(struct.pack("B", i) * size for i in range(n)) + b"z" * last
    s.sendmsg([data], [(17, 103, struct.pack("H", size))])
]], tostring(a.localaddr.port)}
    if not result then
      pending "python3 is not there"
    end
    assert.equal("", result.stderr)
    for _, row in ipairs {{1, 64, 0}, {1, 64, 0}, {100, 63, 7}, {1400, 40, 1399}, {30000, 2, 1}, {9, 0, 9}} do
      for i = 1, row[2] do
        assert.equal(string.char(i - 1):rep(row[1]), (a:recv()))
      end
      if row[3] > 0 then
        assert.equal(("z"):rep(row[3]), (a:recv()))
      end
    end
    assert.equal("ETIMEDOUT", code(a:settimeout(0.02):recv()))
  end)

  local function burst(a)
    local b <close> = assert(net.connect(a.endpoint))
    for i = 1, 64 do
      b:send(tostring(i))
    end
    for i = 1, 64 do
      assert.equal(tostring(i), (a:recv()))
    end
  end

  it("begins by itself with a batch that is large, and ends when the descriptor is asked for", function()
    local a = bind "udp://127.0.0.1:0"
    assert.is_false(a:get "gro")
    for _ = 1, 5 do
      burst(a)
    end
    assert.is_true(#host.sockets() > 0) -- only looks
    assert.is_true(a:get "gro")
    assert.equal("integer", math.type(a.fd))
    assert.is_false(a:get "gro")
    burst(a)
    assert.is_false(a:get "gro")
  end)

  it("is as was asked for", function()
    local a = bind("udp://127.0.0.1:0", {gro = false})
    local b = bind("udp://127.0.0.1:0", {gro = true, rcvbuf = 4000000})
    local c = bind "udp://127.0.0.1:0"
    c:set {gro = false}
    for _ = 1, 5 do
      burst(a)
      burst(b)
      burst(c)
    end
    assert.equal("integer", math.type(b.fd))
    assert.is_false(a:get "gro")
    assert.is_true(b:get "gro")
    assert.is_false(c:get "gro")
  end)

  it("is none where a filter is to see each message", function()
    local a = bind("udp://127.0.0.1:0", {filter = {{0x06, 0, 0, 0xffff}}})
    for _ = 1, 5 do
      burst(a)
    end
    assert.is_false(a:get "gro")
  end)
end)

describe("where many messages may not leave as one", function()
  for _, row in ipairs {{"EIO", 180}, {"ENOPROTOOPT", 180}, {"EINVAL", 180}, {"EMSGSIZE", 180}} do
    it(("they leave one by one, and the next at once so: %s (E3)"):format(row[1]), function()
      local result = inject("sendmmsg:error=" .. row[1] .. ":when=1")
      assert.equal("", result.stderr)
      assert.equal("0\tETIMEDOUT\n", result.stdout)
      assert.equal(1, count(result.calls, "sendmmsg.*INJECTED"))
      assert.equal(1, count(result.calls, "sendmmsg.*UDP_SEGMENT")
        + count(result.calls, "sendmmsg.*0x67"), "tried again as one")
    end)
  end

  it("they do, where the path takes no such packets; and only what is too large is refused (E3)", function()
    local out = child.isolated("ip link set lo mtu 1500", [[
      local a = assert(net.bind("udp://127.0.0.1:0", {rcvbuf = 1000000})):settimeout(1)
      local function exchange(size, n)
        local b <close> = assert(net.connect(a.endpoint))
        local told = {}
        for i = 1, n do
          local ok, err = b:send(tostring(i % 10):rep(i == 9 and size or 1400))
          told[#told + 1] = not ok and err.code or nil
        end
        local ok, err = b:flush()
        told[#told + 1] = not ok and err.code or nil
        local got = 0
        while got + #told < n do
          assert(a:recv())
          got = got + 1
        end
        print(got, table.concat(told, " "))
        return b
      end
      exchange(1400, 20)
      exchange(2000, 20)
      local b <close> = assert(net.connect(a.endpoint))
      for i = 1, 20 do
        assert(b:send(("x"):rep(2000)))
      end
      for i = 1, 20 do
        assert(#a:recv() == 2000)
      end
      b:set {mtu_discover = "do"}
      local told = 0
      for i = 1, 21 do
        local ok, err = b:send(("x"):rep(i % 2 == 0 and 2000 or 1000))
        if not ok then
          assert(err.code == "EMSGSIZE")
          told = told + 1
        end
      end
      told = told + (b:flush() and 0 or 1)
      for i = 1, 11 do
        assert(#a:recv() == 1000)
      end
      print(told > 0, select(2, a:settimeout(.02):recv()).code)
    ]])
    assert.equal("20\t\n20\t\ntrue\tETIMEDOUT\n", out)
  end)
end)

describe("a lack of buffers", function()
  for _, name in ipairs {"ENOBUFS", "ENOMEM"} do
    for _, call in ipairs {"sendmmsg", "sendto"} do
      it(("delays messages, and loses none: %s, %s (D6)"):format(call, name), function()
        local result = inject(("%s:error=%s:when=1..4"):format(call, name))
        assert.equal("", result.stderr)
        assert.equal("0\tETIMEDOUT\n", result.stdout)
      end)
    end
  end

  it("of a slow device delays messages, and loses none (D6)", function()
    local out = child.isolated("tc qdisc add dev lo root tbf rate 80mbit burst 32kb limit 200kb 2>/dev/null", [[
      local a = assert(net.bind("udp://127.0.0.1:0", {rcvbuf = 4000000})):settimeout(1)
      local b = assert(net.connect(a.endpoint)):settimeout(5)
      local began = time.now()
      task.spawn(function()
        for i = 1, 1500 do
          assert(b:send(("%04d"):format(i):rep(250)))
        end
        assert(b:flush())
      end)
      for i = 1, 1500 do
        assert(assert(a:recv()):sub(1, 4) == ("%04d"):format(i), i)
      end
      print(time.now() - began > 0.05 and "slow" or "fast")
    ]])
    if out == "fast\n" then
      pending "no tc, or no tbf in this kernel"
    end
    assert.equal("slow\n", out)
  end)

  it("that lasts does not let the sender spin (D6)", function()
    local result = inject("sendto:error=ENOBUFS:when=1+", [[
      local a = assert(net.bind "udp://127.0.0.1:0"):settimeout(.5)
      print(select(2, a:send("x", a.localaddr)).code)
    ]])
    assert.equal("", result.stderr)
    assert.equal("ETIMEDOUT\n", result.stdout)
    assert.is_true(count(result.calls, "sendto") < 40, count(result.calls, "sendto"))
  end)

  it("that lasts does not let a stream spin, nor its closing (D6)", function()
    local result = inject("sendto:error=ENOMEM:when=1..40", [[
      local a, b = net.socketpair()
      a:write "x"
      print(task.timeout(.1, a.flush, a))
      a:close()
      print(b:read())
    ]])
    assert.equal("", result.stderr)
    assert.equal("nil\ttimeout: the time is up (ETIMEDOUT)\nx\n", result.stdout)
    assert.is_true(count(result.calls, "sendto") < 60, count(result.calls, "sendto"))
  end)
end)

it("a lack of ports is told by connect, and not waited for (D6)", function()
  local result = inject("connect:error=EAGAIN:when=1+", [[
    local a = assert(net.bind "udp://127.0.0.1:0"):settimeout(5)
    print(select(2, a:connect(a.localaddr)).code)
  ]])
  assert.equal("", result.stderr)
  assert.equal("EADDRNOTAVAIL\n", result.stdout)
end)

describe("what ICMP tells", function()
  it("of one destination is not told to who sends to another (E4)", function()
    local a, b = bind("udp://127.0.0.1:0", {recverr = true}), bind "udp://127.0.0.1:0"
    local nobody = net.address(unused():match "//(.*)")
    for i = 1, 3 do
      assert(a:send("lost", nobody))
      a:flush()
      task.sleep(0.01)
      for _ = 1, 10 do
        assert(a:send("found " .. i, b.localaddr))
      end
      for _ = 1, 10 do
        assert.equal("found " .. i, (b:recv()))
      end
      local _, err = a:recv()
      assert.equal("ECONNREFUSED", err.code)
      assert.equal(nobody, err.to)
    end
  end)

  it("of a former peer is not told of the next (E4)", function()
    local b = bind "udp://127.0.0.1:0"
    local c = connect(unused())
    c:send "lost"
    c:flush()
    task.sleep(0.01)
    assert(c:connect(b.localaddr))
    assert(c:send "found")
    assert.equal("found", (b:recv()))
    assert.equal("ETIMEDOUT", code(c:settimeout(0.02):recv()))
  end)

  it("costs no message that is sent when the peer is back (E4)", function()
    local a = bind "udp://127.0.0.1:0"
    local endpoint = a.endpoint
    local b = connect(endpoint)
    b:send "1"
    assert.equal("1", (a:recv()))
    a:close()
    for i = 1, 40 do
      b:send(tostring(i))
    end
    b:flush()
    task.sleep(0.01)
    a = bind(endpoint)
    local told = 0
    for i = 1, 40 do
      local ok, err = b:send(tostring(i))
      if not ok then
        assert.equal("ECONNREFUSED", err.code)
        assert.is_true(err.earlier)
        told = told + 1
      end
    end
    b:flush()
    assert.is_true(told <= 1)
    for i = 1, 40 do
      assert.equal(tostring(i), (a:recv()))
    end
  end)
end)

describe("connecting anew", function()
  it("waits until what was sent before is on its way", function()
    local a, c = bind "unixgram:@", bind "unixgram:@"
    local b = connect(a.endpoint):settimeout(0.02)
    local sent = 0
    while b:send(tostring(sent + 1)) do
      sent = sent + 1
    end
    b:settimeout(5)
    local anew = task.spawn(function()
      assert(b:connect(c.localaddr))
    end)
    for i = 1, sent do
      assert.equal(tostring(i), (a:recv()))
    end
    anew:join()
    assert(b:send "to c")
    assert.equal("to c", (c:recv()))
    assert.equal("ETIMEDOUT", code(a:settimeout(0.02):recv()))
  end)
end)

describe("one that sends without end", function()
  it("lets others run", function()
    local a = bind "udp://127.0.0.1:0"
    local b = connect(a.endpoint)
    local over = false
    local other = task.spawn(function()
      for _ = 1, 3 do
        task.sleep(0.001)
      end
      over = true
    end)
    local tries = 0
    while not over and tries < 3e6 do
      b:send "x"
      tries = tries + 1
    end
    assert.is_true(over)
    other:join()
  end)
end)

describe("a port that is shared", function()
  it("gets messages in both of its processes, and in one when the other is gone (G6)", function()
    local function server(endpoint)
      local p = assert(process.spawn {
        child.neap, "-e", child.code([[
          local socket = assert(net.bind(arg[1], {reuseport = true}))
          print(socket.endpoint)
          io.stdout:flush()
          for _, from in socket:messages() do
            socket:send(tostring(process.pid), from)
          end
        ]], endpoint), stdout = "pipe",
      })
      return p, p.stdout:read "l"
    end
    local first <close>, endpoint = server "udp://127.0.0.1:0"
    local second <close> = server(endpoint)
    local served = {[first.pid] = 0, [second.pid] = 0}
    local function ask()
      local socket <close> = assert(net.connect(endpoint)):settimeout(1)
      for _ = 1, 10 do
        assert(socket:send "who?")
        local pid = socket:recv()
        if pid then
          served[tonumber(pid)] = served[tonumber(pid)] + 1
          return
        end
      end
      error "no answer"
    end
    for _ = 1, 300 do
      ask()
    end
    assert.is_true(served[first.pid] > 60, served[first.pid])
    assert.is_true(served[second.pid] > 60, served[second.pid])
    first:kill "SIGKILL"
    first:wait()
    served[first.pid], served[second.pid] = 0, 0
    for _ = 1, 100 do
      ask()
    end
    assert.equal(100, served[second.pid])
    second:kill "SIGTERM"
    second:wait()
  end)
end)

describe("a message socket that a finalizer closes", function()
  it("while messages of it become Lua values, has given them whole", function()
    for _ = 1, 30 do
      local a, b = net.socketpair "unixgram"
      keep(a)
      keep(b)
      local text = message(7, 4000)
      for _ = 1, 20 do
        assert(a:send(text))
      end
      assert.equal(text, b:recv()) -- the others are kept
      for _ = 1, 200 do
        setmetatable({}, {__gc = function()
          b:close()
        end})
      end
      for _ = 1, 10 do
        local list = b:recvmany()
        if not list then
          break
        end
        for _, data in ipairs(list) do
          assert(data == text)
        end
        collectgarbage "step"
      end
    end
  end)
end)
