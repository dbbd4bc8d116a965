local child = require "spec.support.child"
local net = require "neap.net"
local process = require "neap.process"

--- Run a script in a network of its own, where the ping socket is allowed.
local function isolated(script, setup)
  return child.isolated("echo 0 65535 > /proc/sys/net/ipv4/ping_group_range;" .. (setup or ":"), script)
end

describe("without the capability", function()
  local function why(endpoint)
    local result = assert(process.run {
      "setpriv", "--inh-caps=-net_raw", "--bounding-set=-net_raw", child.neap, "-e", ([[
        local socket, err = net.bind %q
        print(socket, err.code, err.message)
      ]]):format(endpoint),
    })
    if result.stderr:find "^setpriv:" then
      pending "capabilities cannot be dropped here"
    end
    assert.equal("", result.stderr)
    return result.stdout
  end

  for _, endpoint in ipairs {"raw://127.0.0.1/icmp", "raw://[::1]/ipv6-icmp", "packet://lo"} do
    it("refuses " .. endpoint .. ", with a hint (W1)", function()
      assert.is_truthy(why(endpoint):find "^nil\tEPERM\toperation not permitted: .*CAP_NET_RAW")
    end)
  end

  it("refuses the ping socket to a group out of range, with a hint (W1)", function()
    local out = isolated([[
      local socket, err = net.connect "icmp://127.0.0.1"
      print(socket, err.code, err.message)
    ]], "echo 1 0 > /proc/sys/net/ipv4/ping_group_range")
    assert.is_truthy(out:find "^nil\tEACCES\t.*net.ipv4.ping_group_range")
  end)
end)

describe("icmp", function()
  for _, row in ipairs {
    {host = "127.0.0.1", family = "inet", protocol = "icmp", request = 8, reply = 0},
    {host = "[::1]", family = "inet6", protocol = "ipv6-icmp", request = 128, reply = 129},
  } do
    it("pings " .. row.host .. " (W2)", function()
      local ip = row.host:match "[^%[%]]+"
      local out = isolated(([[
        local host, request, ip = %q, %d, %q
        local function echo(socket, to, id, bytes)
          assert(socket:send(string.pack(">BBI2I2I2", request, 0, 0, id, 7) .. bytes, to))
          local data, from = assert(socket:settimeout(2):recv())
          local kind, code, _, _, sequence = string.unpack(">BBI2I2I2", data)
          print(kind, code, sequence, data:sub(9), from.ip)
        end
        local socket = assert(net.connect("icmp://" .. host))
        print(socket.type, socket.family, socket.protocol, socket.header)
        echo(socket, nil, 0, "data")
        echo(socket, nil, 0, "")
        local open = net.bind("icmp://" .. host)
        echo(open, ip, 0, "data")
        print(select(2, open:send(string.char(request) .. ("\0"):rep(request == 8 and 65534 or 65535), ip)).code)
      ]]):format(row.host, row.request, ip))
      assert.equal(("datagram\t%s\t%s\tfalse\n"):format(row.family, row.protocol)
        .. ("%d\t0\t7\t%s\t%s\n"):rep(3):format(row.reply, "data", ip, row.reply, "", ip,
          row.reply, "data", ip) .. "EMSGSIZE\n", out)
    end)
  end
end)

describe("raw", function()
  local function privileged()
    local socket, err = net.bind "raw://127.0.0.1/253"
    if not socket and err.code == "EPERM" then
      pending "needs CAP_NET_RAW"
    end
    return assert(socket, err)
  end

  --- The checksum of IP and its companions (RFC 1071).
  local function checksum(bytes)
    local sum = 0
    for i = 1, #bytes - 1, 2 do
      sum = sum + string.unpack(">I2", bytes, i)
    end
    if #bytes % 2 == 1 then
      sum = sum + bytes:byte(-1) * 256
    end
    sum = (sum & 0xffff) + (sum >> 16)
    return ~(sum + (sum >> 16)) & 0xffff
  end

  it("takes a protocol by name or number", function()
    privileged():close()
    for endpoint, protocol in pairs {
      ["raw://127.0.0.1/icmp"] = "icmp", ["raw://*/58"] = "ipv6-icmp", ["raw6://*/udp"] = "udp",
      ["raw://localhost/89"] = "89",
    } do
      local socket <close> = assert(net.bind(endpoint))
      assert.equal(protocol, socket.protocol)
      assert.equal("raw", socket.type)
    end
    assert.has_error(function() net.bind "raw://127.0.0.1/nosuch" end)
    assert.has_error(function() net.bind "raw://127.0.0.1/256" end)
    assert.has_error(function() net.bind "raw://127.0.0.1" end)
    assert.has_error(function() net.bind "icmp://127.0.0.1/1" end)
  end)

  it("gives IPv4's header and not IPv6's, and says so (W2)", function()
    local a <close> = privileged()
    assert.is_true(a.header)
    a:settimeout(2)
    assert(a:send("payload", "127.0.0.1"))
    local data, from = a:recv()
    assert.equal("payload", data:sub(21))
    assert.equal(253, data:byte(10))
    assert.equal(net.address "127.0.0.1", from)

    local six <close> = assert(net.bind "raw://[::1]/253")
    assert.is_false(six.header)
    assert(six:settimeout(2):send("payload", "::1"))
    data, from = six:recv()
    assert.equal("payload", data)
    assert.equal(net.address "::1", from)
  end)

  it("sends a header of the script's own", function()
    local a <close> = privileged()
    local b <close> = assert(net.connect("raw://127.0.0.1/253", {hdrincl = true}))
    assert.is_true(b:get "hdrincl")
    local header = string.pack(">BBI2I2I2BBI2 c4c4", 0x45, 0, 27, 99, 0, 42, 253, 0,
      "\127\0\0\9", "\127\0\0\1")
    assert(b:send(header .. "forged!"))
    local data, from = a:settimeout(2):recv()
    assert.equal("forged!", data:sub(21))
    assert.equal(42, data:byte(9))
    assert.equal("127.0.0.9", from.ip)
  end)

  it("pings, and a wrong checksum is not answered (W2)", function()
    privileged():close()
    local a <close> = assert(net.connect("raw://127.0.0.1/icmp", {icmp_types = {0}}))
    assert.same({0}, {table.unpack(a:get "icmp_types", 1, 1)})
    local function request(id, sum)
      local text = string.pack(">BBI2I2I2", 8, 0, 0, id, 1) .. "data"
      return string.pack(">BBI2", 8, 0, sum or checksum(text)) .. text:sub(5)
    end
    a:settimeout(0.2)
    assert(a:send(request(0x1234, 0xdead)))
    assert.equal("ETIMEDOUT", select(2, a:recv()).code)
    assert(a:send(request(0x1235)))
    local data = assert(a:recv())
    assert.equal(0, data:byte(21))
    assert.equal(0x1235, (string.unpack(">I2", data, 25)))
    assert.equal("EMSGSIZE", select(2, a:send(("x"):rep(65535))).code)
  end)

  it("takes -1 for no checksum of the kernel's", function()
    privileged():close()
    local a <close> = assert(net.bind("raw://[::1]/253", {checksum = 2}))
    assert.equal(2, a:get "checksum")
    assert(a:set {checksum = -1})
    assert.equal(-1, a:get "checksum")
  end)

  it("has ICMPv6's checksum filled in by the kernel (W2)", function()
    privileged():close()
    local a <close> = assert(net.connect("raw://[::1]/ipv6-icmp", {icmp_types = {129}}))
    assert.same({129}, a:get "icmp_types")
    assert(a:send(string.pack(">BBI2I2I2", 128, 0, 0, 0x77, 1)))
    local data = assert(a:settimeout(2):recv())
    assert.equal(129, data:byte(1))
  end)
end)

describe("packet", function()
  it("sees what goes through an interface, by a filter", function()
    local out = isolated [[
      -- IPv4, UDP, to port 9: what tcpdump -dd makes of it, for an Ethernet header.
      local q = assert(net.bind("packet://lo", {filter = {
        {0x28, 0, 0, 12}, {0x15, 0, 5, 0x0800}, {0x30, 0, 0, 23}, {0x15, 0, 3, 17},
        {0x28, 0, 0, 36}, {0x15, 0, 1, 9}, {0x06, 0, 0, 0xffff}, {0x06, 0, 0, 0}}}))
      print(q.type, q.family, q.protocol, q.localaddr, q.endpoint)
      local a = net.bind "udp://127.0.0.1:0"
      a:send("other", "127.0.0.1:10")
      a:send("wanted", "127.0.0.1:9")
      a:flush()
      local data, from, info = q:settimeout(2):recv()
      print(data:sub(43), from, info.ethertype, info.kind, info.interface, info.hwaddr)
      print((q:recv()):sub(43))
      -- Put it on the wire by hand.
      assert(q:send(data))
      local again
      again, from, info = q:recv()
      print(again == data, info.kind)
      print(select(2, q:send(("x"):rep(70000))).code)
    ]]
    assert.equal("raw\tpacket\tpacket\tnil\tpacket://lo\n"
      .. "wanted\tnil\t2048\toutgoing\tlo\t00:00:00:00:00:00\nwanted\ntrue\thost\nEMSGSIZE\n", out)
  end)

  it("has VLAN tags, whichever way they go, and captures have them", function()
    local path = os.tmpname()
    local out = child.isolated([[ip link add v0 type veth peer name v1;
      for i in v0 v1; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; ip link set $i up; done]], ([[
      local pcap, packet = require "neap.pcap", require "neap.packet"
      local function bind(name)
        return assert(net.bind("packet://" .. name)):settimeout(5)
      end
      local out, beside, far, any = bind "v0", bind "v0", bind "v1", bind "*"
      local function eth(type)
        return packet.eth {dst = "02:00:00:00:00:02", src = "02:00:00:00:00:01", type = type}
      end
      local function udp(data)
        return packet.ip {src = "10.0.0.1", dst = "10.0.0.2"} / packet.udp {src_port = 1, dst_port = 2} / data
      end
      local frames = {
        eth() / udp "none",
        eth() / packet.vlan {vid = 7, pcp = 5} / udp "one",
        eth() / packet.vlan {vid = 4095, pcp = 7, dei = true} / udp(("x"):rep(1472)),
        eth "svlan" / packet.vlan {vid = 100} / packet.vlan {vid = 8} / udp "two",
        eth() / packet.vlan {vid = 0, pcp = 1} / udp "priority",
      }
      local capture = assert(pcap.writer(%q))
      for _, frame in ipairs(frames) do
        local bytes = frame:bytes()
        assert(out:send(bytes))
        for _, socket in ipairs {beside, far, any} do
          local got, _, info = socket:recv()
          assert(got == bytes, tostring(packet.dissect(got)))
          assert(info.ethertype == string.unpack(">I2", bytes, 13), info.ethertype)
          assert(info.size == nil)
          if socket == far then
            assert(capture:write(got))
          end
        end
        assert(any:recv() == bytes) -- it comes to the other end
      end
      assert(capture:close())
      for i, p in ipairs(frames) do
        assert(out:send(p:bytes()))
        local got, _, info = far:recv(20)
        assert(got == p:bytes():sub(1, 20) and info.truncated and info.size == #p:bytes())
      end
      local vids = {}
      for data in assert(pcap.reader(%q)) do
        local vlan = packet.dissect(data).vlan
        vids[#vids + 1] = vlan and vlan.vid or "-"
      end
      print(table.concat(vids, " "))
    ]]):format(path, path))
    os.remove(path)
    assert.equal("- 7 4095 100 0\n", out)
  end)

  it("needs an interface that is there", function()
    local socket, err = net.bind "packet://nosuch"
    assert.is_nil(socket)
    assert.is_truthy(err.code == "ENODEV" or err.code == "EPERM")
    assert.has_error(function() net.bind "packet://sixteen-letters-" end)
    assert.has_error(function() net.connect "packet://lo" end)
  end)
end)
