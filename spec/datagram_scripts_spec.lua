-- The scripts about message sockets, each against a client of its protocol.

local name_server = require "spec.support.name_server"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local neap = require "spec.support.child".neap

--- Start a script that serves, and wait for its `lines` first lines.
local function start(lines, ...)
  local command = {"timeout", "60", neap, ...}
  command.stdout = "pipe"
  local p = assert(process.spawn(command))
  local said = {}
  for i = 1, lines do
    said[i] = assert(p.stdout:read "l")
  end
  return p, said
end

local function stop(p)
  p:kill "SIGTERM"
  p:wait()
  p.stdout:close()
end

local function run(...)
  return assert(process.run {"timeout", "8", ...})
end

--- Skip where a program is not installed.
local function needs(program)
  if run("sh", "-c", "command -v " .. program).code ~= 0 then
    pending(program .. " is not installed")
  end
end

describe("scripts/udp_echo.lua", function()
  local server, endpoint

  before_each(function()
    local said
    server, said = start(1, "scripts/udp_echo.lua", "udp://127.0.0.1:0")
    endpoint = said[1]:match "127.0.0.1:%d+$"
  end)

  after_each(function()
    stop(server)
  end)

  --- What comes back to a client that stays until then.
  local function talk(...)
    needs(...)
    local client <close> = assert(process.spawn {stdin = "pipe", stdout = "pipe",
      "timeout", "20", ...})
    client.stdin:write "hello\n"
    client.stdin:flush()
    local line = client.stdout:read "l"
    client:kill "SIGTERM"
    client:wait()
    return line
  end

  it("answers socat", function()
    assert.equal("hello", talk("socat", "-", "udp:" .. endpoint))
  end)

  it("answers ncat", function()
    assert.equal("hello", talk("ncat", "--udp", (endpoint:match "^[^:]*"), (endpoint:match "%d+$")))
  end)
end)

describe("scripts/ping.lua", function()
  for _, range in ipairs {"0 65535", "1 0"} do
    it("prints replies and statistics, with ping_group_range " .. range, function()
      local result = run("unshare", "-n", "sh", "-c", "ip link set lo up; echo " .. range
        .. ' > /proc/sys/net/ipv4/ping_group_range; "$0" scripts/ping.lua -c 2 -i 0.05 127.0.0.1'
        .. ' && "$0" scripts/ping.lua -c 2 -i 0.05 ::1', neap)
      if result.stderr:find "^unshare:" then
        pending "no network namespaces here"
      end
      assert.equal("", result.stderr)
      for _, ip in ipairs {"127.0.0.1", "::1"} do
        local reply = "64 bytes from " .. ip .. ": icmp_seq=2 ttl=64 time="
        assert.is_truthy(result.stdout:find(reply, 1, true))
        assert.is_truthy(result.stdout:find("--- " .. ip .. " ping statistics ---\n"
          .. "2 packets transmitted, 2 received, 0% packet loss, time ", 1, true))
        assert.matches("ms\nrtt min/avg/max/mdev = [%d.]+/[%d.]+/[%d.]+/[%d.]+ ms\n", result.stdout)
      end
    end)
  end
end)

it("scripts/ping.lua tells what cannot be sent, with status 1, and what is wrong, with 2", function()
  local result = run("unshare", "-n", "sh", "-c", [[
    ip link set lo up
    "$0" scripts/ping.lua -c 1 -W 0.1 -s 65508 127.0.0.1; echo "status $?"
    "$0" scripts/ping.lua 192.0.2.1; echo "status $?"]], neap)
  if result.stderr:find "^unshare:" then
    pending "no network namespaces here"
  end
  assert.matches("From this host: message too long\n", result.stdout, 1, true)
  assert.matches("1 transmitted, 0 received, +1 errors, 100% packet loss", result.stdout:gsub(
    " packets", ""), 1, true)
  assert.matches("status 1\nstatus 2\n$", result.stdout)
  assert.matches("^ping: connect [%w/:.]+: network is unreachable %(ENETUNREACH%)\n$", result.stderr)
end)

it("scripts/ping.lua prints as ping does", function()
  needs "ping"
  local result = run("unshare", "-n", "sh", "-c", [[ip link set lo up
    for ping in ping "$0 scripts/ping.lua"; do $ping -c 2 -i 0.05 -s 100 127.0.0.1; done]], neap)
  if result.stderr:find "^unshare:" then
    pending "no network namespaces here"
  end
  local text = result.stdout:gsub("= [%d./]+ ms", "= T"):gsub("time[= ][%d.]+ ?ms", "time T")
  assert.equal(text:sub(1, #text // 2), text:sub(#text // 2 + 1))
end)

describe("scripts/dns_query.lua", function()
  it("prints what dig prints", function()
    needs "dig"
    needs "dnsmasq"
    local result = run("unshare", "-n", "sh", "-c", [[ip link set lo up
      dnsmasq -C /dev/null -k --no-resolv --no-hosts --no-daemon \
        --port=5353 --listen-address=127.0.0.1 --bind-interfaces --user=root --pid-file= \
        --host-record=a.test,192.0.2.7,2001:db8::7 --cname=www.test,a.test \
        --mx-host=a.test,mail.test,10 --txt-record=a.test,"high water","at six" \
        --srv-host=_x._tcp.test,a.test,80 --txt-record=long.test,]] .. ("x"):rep(250) .. ","
        .. ("y"):rep(250) .. "," .. ("z"):rep(250) .. "," .. ("w"):rep(250) .. "," .. ("v"):rep(250)
        .. [[ 2>/dev/null & dns=$!
      for i in 1 2 3 4 5 6 7 8 9; do
        dig +tries=1 +timeout=1 @127.0.0.1 -p 5353 a.test >/dev/null && break; sleep 0.1
      done
      for question in 'a.test A' 'a.test AAAA' 'www.test A' 'a.test MX' 'a.test TXT' \
        '_x._tcp.test SRV' 'long.test TXT' '7.2.0.192.in-addr.arpa PTR'
      do
        dig @127.0.0.1 -p 5353 +noall +answer $question | grep -v '^;;' >&2
        "$0" scripts/dns_query.lua $question @127.0.0.1:5353 || echo failed
      done
      kill $dns]], neap)
    if result.stderr:find "^unshare:" then
      pending "no network namespaces here"
    end
    local theirs = result.stderr:gsub("\tIN\t", "\t"):gsub("\t+", "\t"):gsub("%.%f[\t\n]", "")
    assert.matches("\nlong.test\t0\tTXT\t", theirs, 1, true)
    assert.equal(theirs, result.stdout)
  end)

  --- A name server that cuts its answers over UDP.
  local function answer(query, cut)
    local records = {
      "\xc0\x0c" .. string.pack(">I2I2I4s2", 1, 1, 60, "\192\0\2\7"),
      "\xc0\x0c" .. string.pack(">I2I2I4s2", 28, 1, 60, "\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\9"),
    }
    local header = string.pack(">I2I2I2I2I2", cut and 0x8380 or 0x8180, 1, cut and 0 or 2, 0, 0)
    local question = query:sub(13, query:find("\0", 13, true) + 4)
    return query:sub(1, 2) .. header .. question .. (cut and "" or table.concat(records))
  end

  --- A port that is free for both, which the kernel does not promise.
  local function both()
    while true do
      local tcp = assert(net.listen "tcp://127.0.0.1:0")
      local udp = net.bind("udp://127.0.0.1:" .. tcp.port)
      if udp then
        return udp, tcp
      end
      tcp:close()
    end
  end

  it("asks over UDP, and over TCP for what was cut", function()
    local udp, tcp = both()
    local server = task.spawn(function()
      for query, from in udp:messages() do
        udp:send("junk", from)
        udp:send(answer(query, true), from)
      end
    end)
    local over = task.spawn(tcp.serve, tcp, function(stream)
      local query = stream:unpack ">s2"
      stream:pack(">s2", answer(query, false))
    end)
    local out = run(neap, "scripts/dns_query.lua", "example.test", "A",
      "@127.0.0.1:" .. udp.localaddr.port)
    udp:close()
    tcp:close()
    server:join()
    over:join()
    assert.equal("", out.stderr)
    assert.equal("example.test\t60\tA\t192.0.2.7\nexample.test\t60\tAAAA\t2001:db8::9\n", out.stdout)
  end)
end)

describe("scripts/dnsd.lua", function()
  it("answers dig from others, and from what it knows (H12)", function()
    needs "dig"
    local server <close> = name_server.new(function(name, type)
      if name == "nx.test" then
        return {rcode = "nxdomain", authority = {name_server.soa(60)}}
      elseif type ~= "TXT" then
        return {answer = {{name = name, type = "A", ttl = 60, address = "192.0.2.1"}}}
      end
      local list = {}
      for i = 1, 30 do
        list[i] = {name = name, type = "TXT", ttl = 60, txt = {("x"):rep(100) .. i}}
      end
      return {answer = list}
    end)
    local dnsd, said = start(1, "scripts/dnsd.lua", "127.0.0.1:0", "127.0.0.1:" .. server.port)
    local port = said[1]:match "%d+$"
    local function dig(...)
      local result = run("dig", "@127.0.0.1", "-p", port, "+tries=1", "+time=5", ...)
      assert.equal(0, result.code, result.stdout)
      return result.stdout
    end
    for _, option in ipairs {"+notcp", "+tcp", "+bufsize=512", "+dnssec", "+noedns"} do
      local out = dig(option, "a.test")
      assert.matches("status: NOERROR", out)
      assert.matches("a.test.%s+%d+%s+IN%s+A%s+192.0.2.1", out)
    end
    assert.equal("a.test A, a.test A", server:take()) -- one more with +dnssec
    assert.matches("BADVERS", dig("+edns=1", "+noednsneg", "a.test"))
    assert.matches("status: NXDOMAIN", dig "nx.test")
    assert.matches("status: NXDOMAIN", dig "NX.test")
    assert.matches("flags: qr tc", dig("+ignore", "long.test", "TXT"))
    assert.equal(30, select(2, dig("long.test", "TXT"):gsub("\nlong.test", "")))
    assert.equal("long.test TXT, nx.test A", server:take())
    assert.matches("status: NOTIMP", dig("a.test", "CH", "TXT"))
    stop(dnsd)
  end)
end)

describe("scripts/syslogd.lua", function()
  it("prints what logger sends", function()
    needs "logger"
    local path = os.tmpname()
    os.remove(path)
    local server, said = start(2, "scripts/syslogd.lua", "unixgram:" .. path, "udp://127.0.0.1:0")
    assert(run("logger", "-u", path, "-t", "app", "-p", "daemon.err", "hello").code == 0)
    assert.is_truthy(server.stdout:read "l":find "daemon%.err %[pid %d+ uid %d+%] .* app: hello$")
    run("logger", "-n", "127.0.0.1", "-P", said[2]:match "%d+$", "-d", "world")
    assert.is_truthy(server.stdout:read "l":find "user%.notice %[127.0.0.1:%d+%] .*world$")
    stop(server)
  end)
end)

describe("scripts/tftpd.lua", function()
  local folder, server, endpoint

  --- Bytes of which no block is as another.
  local function content(size)
    local blocks = {}
    for i = 1, size // 512 + 1 do
      blocks[i] = ("%08x"):format(i) .. (".:"):rep(252)
    end
    return (table.concat(blocks):sub(1, size))
  end

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir " .. folder)
    os.execute("mkdir " .. folder .. "/inner")
    for name, size in pairs {empty = 0, block = 512, large = 100000, five = 5000000} do
      local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
      file:write(content(size))
    end
    local said
    server, said = start(1, "scripts/tftpd.lua", folder, "udp://127.0.0.1:0")
    endpoint = said[1]:match "127.0.0.1:%d+$"
  end)

  teardown(function()
    stop(server)
    os.execute("rm -r " .. folder)
  end)

  for name, size in pairs {block = 512, large = 100000} do
    it("sends curl the file " .. name, function()
      needs "curl"
      local out = run("curl", "-s", "tftp://" .. endpoint .. "/" .. name)
      assert.is_true(out.stdout == content(size))
    end)
  end

  it("sends tftp-hpa's client its files", function()
    needs "tftp"
    local path = os.tmpname()
    for name, size in pairs {empty = 0, block = 512, five = 5000000} do
      local host, port = endpoint:match "^(.*):(%d+)$"
      local out = process.run {"timeout", "30", "tftp", "-m", "binary", host, port, "-c", "get", name, path}
      assert.equal("", out.stdout .. out.stderr)
      local file <close> = assert(io.open(path, "rb"))
      assert.is_true(file:read "a" == content(size))
    end
    os.remove(path)
  end)

  it("refuses what is not there, and what is not in the folder", function()
    needs "curl"
    assert.equal(68, run("curl", "-s", "tftp://" .. endpoint .. "/inner").code)
    assert.equal(68, run("curl", "-s", "tftp://" .. endpoint .. "/nothing").code)
    assert.equal(68, run("curl", "-s", "tftp://" .. endpoint .. "/..%2fpasswd").code)
  end)

  it("sends a block again until it is acknowledged", function()
    local client <close> = assert(net.bind "udp://127.0.0.1:0")
    client:settimeout(5)
    client:send(string.pack(">I2zz", 1, "block", "octet"), endpoint)
    local first, from = assert(client:recv())
    local again = assert(client:recv())
    assert.equal(first, again)
    assert.equal(3, (string.unpack(">I2", first)))
    client:send(string.pack(">I2I2", 4, 1), from)
    assert.equal("\0\3\0\2", (client:recv()))
    client:send(string.pack(">I2I2", 4, 2), from)
    client:flush()
  end)
end)
