-- The scripts that look at a network: traceroute, discover and sniff, on machines
-- that are network namespaces.

local lfs = require "lfs"
local network = require "spec.support.network"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local process = require "neap.process"
local task = require "neap.task"

local code = require "spec.support.child".code

local neap = require "spec.support.child".neap

local row, reason

setup(function()
  row, reason = network.row(4)
end)

teardown(function()
  if row then
    row:close()
  end
end)

local function script(name, ...)
  return {"timeout", "20", neap, "scripts/" .. name .. ".lua", ...}
end

local function machines()
  return row or pending(reason)
end

--- Start a script on a machine; its first line of stderr says that it is ready.
local function sniff(i, ...)
  local command = script("sniff", ...)
  command.stdout, command.stderr = "pipe", "pipe"
  local p = machines():spawn(i, command)
  assert.matches("^sniffing at packet://", p.stderr:read "l")
  return p
end

--- What it said until it ended, which it must do well.
local function said(p)
  local out, err = p.stdout:read "a", p.stderr:read "a"
  assert.equal(0, (p:wait()), err)
  p:close()
  return out, err
end

describe("traceroute.lua", function()
  --- What it prints, with T for times.
  local function trace(from, ...)
    local result = machines():run(from, script("traceroute", ...))
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
    return (result.stdout:gsub("%d+%.%d+ ms", "T"))
  end

  it("marks a way that ends, and a hop that is silent", function()
    row = machines()
    for ip, lines in pairs {
      ["unreachable 10.77.0.0"] = {" 1  10.0.1.2  T !H\n"},
      ["prohibit 10.78.0.0"] = {" 1  10.0.1.2  T !X\n"},
      ["blackhole 10.79.0.0"] = {" 1  *\n", " 2  *\n"},
    } do
      local kind, prefix = ip:match "^(%l+) (.+)$"
      row:ip(2, ("route add %s %s/16"):format(kind, prefix))
      row:ip(1, ("route add %s/16 via 10.0.1.2"):format(prefix))
      assert.equal(("traceroute to %s (%s), %d hops max, 60 byte packets\n"):format(prefix, prefix,
        #lines) .. table.concat(lines), trace(1, "-q", "1", "-w", "0.4", "-m", tostring(#lines), prefix))
    end
  end)

  it("finds the routers to a host, over IPv4", function()
    assert.equal([[
traceroute to 10.0.1.1 (10.0.1.1), 30 hops max, 60 byte packets
 1  10.0.3.1  T  T  T
 2  10.0.2.1  T  T  T
 3  10.0.1.1  T  T  T
]], trace(4, "10.0.1.1"))
  end)

  it("finds the routers to a host, over IPv6", function()
    assert.equal([[
traceroute to fd00:0:0:3::2 (fd00:0:0:3::2), 30 hops max, 80 byte packets
 1  fd00:0:0:1::2  T  T
 2  fd00:0:0:2::2  T  T
 3  fd00:0:0:3::2  T  T
]], trace(1, "-q", "2", "fd00:0:0:3::2"))
  end)

  it("needs no privilege", function()
    local result = machines():run(4, {"setpriv", "--reuid=65534", "--clear-groups",
      "--bounding-set=-all", "--inh-caps=-all", "sh", "-c",
      'cd /; exec "$0" "$1/scripts/traceroute.lua" -q 1 10.0.2.1', neap, lfs.currentdir()})
    if result.stderr:find "ermission denied" then
      pending "others may not read this folder"
    end
    assert.matches("\n 1  10.0.3.1  [%d.]+ ms\n 2  10.0.2.1  [%d.]+ ms\n$", result.stdout)
  end)

  it("tells what it cannot do", function()
    local result = machines():run(1, script("traceroute", "10.200.0.1"))
    assert.equal(1, result.code)
    assert.equal("traceroute: connect udp://10.200.0.1:33434: network is unreachable (ENETUNREACH)\n",
      result.stderr)
  end)
end)

describe("discover.lua", function()
  --- Who is silent for three of its periods has gone: here, for as long as a test may take.
  local period = 60
  local function discover(i, ...)
    local command = {"env", "DISCOVER_PERIOD=" .. period, neap, "scripts/discover.lua", ...}
    command.stdout = "pipe"
    return machines():spawn(i, command)
  end

  it("lets two find each other, and tells who has gone", function()
    local a = discover(1, "-i", "right", "alpha", "http=tcp://10.0.1.1:80", "ssh=tcp://10.0.1.1:22")
    local b = discover(2, "-i", "left", "beta", "dns=udp://10.0.1.2:53")
    assert.equal("+ beta  dns=udp://10.0.1.2:53", a.stdout:read "l")
    local alpha = "+ alpha  http=tcp://10.0.1.1:80  ssh=tcp://10.0.1.1:22"
    assert.equal(alpha, b.stdout:read "l")

    -- Who only asks. On the other side of 2 nobody answers.
    local both = row:run(2, script("discover", "-t", "0.3")).stdout -- at every interface
    assert.is_truthy(both == alpha .. "\n+ beta  dns=udp://10.0.1.2:53\n"
      or both == "+ beta  dns=udp://10.0.1.2:53\n" .. alpha .. "\n", both)
    assert.equal("", row:run(3, script("discover", "-t", "0.1", "-i", "left")).stdout)

    a:kill "SIGTERM" -- says goodbye
    assert.equal("- alpha", b.stdout:read "l")
    a:wait()
    a:close()
    b:kill "SIGTERM"
    b:wait()
    b:close()
  end)

  it("misses who is silent, and speaks IPv6 where there is no IPv4", function()
    row = machines()
    row:ip(2, "addr del 10.0.2.1/24 dev right")
    period = 0.2
    finally(function() period = 60 end)
    local a = discover(2, "-i", "right", "quiet")
    local b = discover(3, "-i", "left", "listener")
    assert.equal("+ quiet", b.stdout:read "l")
    a:kill "SIGSTOP"
    assert.equal("- quiet", b.stdout:read "l")
    for _, p in ipairs {a, b} do
      p:kill "SIGKILL"
      p:wait()
      p:close()
    end
    row:ip(2, "addr add 10.0.2.1/24 dev right")
  end)

  it("takes no nonsense from others", function()
    local b = discover(3, "-i", "right", "beta")
    for _, message in ipairs {"", "neap-discover", "neap-discover here ", "neap-discover here \27[31m",
      "neap-discover here good\n\27[31mx=y", "neap-discover gone good", "here bad"} do
      local result = row:run(4, {neap, "-e", code([[
        local s = net.bind("udp4://*:0", {multicast_interface = "left"})
        assert(s:send(..., "239.255.77.7:7707"))
        assert(s:flush())
      ]], message)})
      assert.equal("", result.stderr)
    end
    assert.equal("+ good  ?[31mx=y", b.stdout:read "l")
    b:kill "SIGTERM"
    assert.equal("", b.stdout:read "a")
    b:wait()
    b:close()
  end)

  it("says so where an interface is not there", function()
    local result = machines():run(1, script("discover", "-i", "nosuch"))
    assert.equal(1, result.code)
    assert.equal("discover: no such interface, or none is up\n", result.stderr)
  end)
end)

describe("sniff.lua", function()
  local path

  before_each(function()
    path = os.tmpname()
  end)

  after_each(function()
    os.remove(path)
  end)

  --- An answer from the echo server that runs on 2.
  local function talk()
    return row:run(1, {neap, "-e", [[
      local udp = net.connect "udp://10.0.1.2:7000"
      udp:settimeout(5):send "hello"
      print(udp:recv())
      local icmp = net.connect "icmp://10.0.1.2"
        or net.connect("raw://10.0.1.2/icmp", {icmp_types = {0}})
      icmp:settimeout(5):send(require "neap.packet".icmp {id = 1, seq = 7}:bytes())
      icmp:recv()
      print(net.connect "tcp://[fd00:0:0:1::2]:9")
    ]]}).stdout
  end

  local echo

  setup(function()
    if row then
      echo = row:spawn(2, {neap, "scripts/udp_echo.lua", stdout = "pipe", "udp://*:7000"})
      echo.stdout:read "l"
    end
  end)

  teardown(function()
    if echo then
      echo:kill "SIGTERM"
      echo:wait()
      echo:close()
    end
  end)

  it("prints a line a packet, by a filter, and writes a capture", function()
    local p = sniff(2, "-c", "6", "-w", path, "left", "udp", "or", "icmp", "or", "tcp", "port", "9")
    assert.matches("^hello\t10.0.1.2:7000", talk())
    local out, err = said(p)
    assert.equal("6 packets, 0 dropped for lack of room\n", err)
    local lines = out:gsub("%d%d:%d%d:%d%d%.%d+ ", ""):gsub("udp (%d+)", function(port)
      return port ~= "7000" and "udp X" or nil
    end):gsub("> %d%d%d%d%d ", "> X "):gsub("tcp %d%d%d%d%d ", "tcp X "):gsub("id=%d+", "id=N")
    assert.equal([[
ip 10.0.1.1 > 10.0.1.2 / udp X > 7000 / raw 5 bytes
ip 10.0.1.2 > 10.0.1.1 / udp 7000 > X / raw 5 bytes
ip 10.0.1.1 > 10.0.1.2 / icmp echo id=N seq=7
ip 10.0.1.2 > 10.0.1.1 / icmp echo-reply id=N seq=7
ipv6 fd00:0:0:1::1 > fd00:0:0:1::2 / tcp X > 9 SYN
ipv6 fd00:0:0:1::2 > fd00:0:0:1::1 / tcp 9 > X RST ACK
]], lines)
    local names = {}
    for bytes, info in assert(pcap.reader(path)) do
      local layers = packet.dissect(bytes, info.linktype)
      names[#names + 1] = layers[3].name
      assert.equal("left", info.name)
      assert.is_true(math.abs(info.time - os.time()) < 100)
    end
    assert.equal("udp udp icmp icmp tcp tcp", table.concat(names, " "))
  end)

  it("writes what tshark reads", function()
    if process.run({"sh", "-c", "command -v tshark"}).code ~= 0 then
      pending "tshark is not installed"
    end
    local p = sniff(1, "-c", "4", "-w", path, "right", "udp or icmp")
    talk()
    local out = said(p)
    local result = process.run {"tshark", "-n", "-r", path, "-T", "fields", "-e", "_ws.col.Protocol",
      "-e", "ip.src", "-e", "ip.dst", "-e", "udp.srcport", "-e", "udp.dstport", stderr = "null"}
    local count = 0
    for line in result.stdout:gmatch "[^\n]+" do
      local protocol, from, to, from_port, to_port = line:match "^(%S+)\t(%S+)\t(%S+)\t(%d*)\t(%d*)$"
      local wanted = ("ip %s > %s / %s"):format(from, to, protocol:lower())
        .. (from_port ~= "" and (" %s > %s"):format(from_port, to_port) or "")
      assert.is_truthy(out:find(wanted, 1, true), line)
      count = count + 1
    end
    assert.equal(4, count)
  end)

  it("shows once what loopback sends, and ends in order", function()
    local p = sniff(1, "any", "dst port 9999 and ip")
    row:run(1, {neap, "-e", [[
      local s = net.bind "udp://127.0.0.1:0"
      s:send("x", "127.0.0.1:9999")
      s:send("y", "127.0.0.1:9999")
      s:flush()
    ]]})
    assert.matches(" / raw 1 bytes?$", p.stdout:read "l")
    assert.matches(" / raw 1 bytes?$", p.stdout:read "l")
    task.sleep(0.05)
    p:kill "SIGTERM"
    assert.equal("", p.stdout:read "a")
    assert.equal("2 packets, 0 dropped for lack of room\n", p.stderr:read "a")
    p:wait()
    p:close()
  end)

  it("knows packets without a link's header", function()
    local tun = machines():spawn(3, {"python3", "-c", [[
import fcntl, struct, sys
tun = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH", b"bare", 0x1001))  # TUNSETIFF: IFF_TUN, IFF_NO_PI
print("ready", flush=True)
sys.stdin.read()
]], stdin = "pipe", stdout = "pipe", stderr = "null"})
    finally(function()
      tun:kill "SIGKILL"
      tun:wait()
      tun:close()
    end)
    if tun.stdout:read "l" ~= "ready" then
      pending "no tun devices, or no python3 here"
    end
    row:ip(3, "addr add 10.9.0.1/24 dev bare")
    row:ip(3, "link set bare up")
    local p = sniff(3, "-c", "1", "-w", path, "bare", "udp port 7 and dst net 10.9.0.0/24")
    row:run(3, {neap, "-e", 'net.bind "udp://10.9.0.1:0":send("x", "10.9.0.2:7")'})
    assert.matches("^[%d:.]+ ip 10.9.0.1 > 10.9.0.2 / udp %d+ > 7 / raw 1 bytes\n$", (said(p)))
    local _, info = assert(pcap.reader(path))()
    assert.equal(pcap.linktypes.raw, info.linktype)
  end)

  it("tells what it cannot do", function()
    local result = machines():run(1, script("sniff", "nosuch"))
    assert.equal("sniff: bind packet://nosuch: no such device (ENODEV)\n", result.stderr)
    assert.equal(1, result.code)
    result = row:run(1, script("sniff", "-w", "/nosuch/file", "lo"))
    assert.equal("sniff: pcap.writer /nosuch/file: no such file or directory (ENOENT)\n", result.stderr)
  end)
end)
