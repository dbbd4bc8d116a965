-- Network interfaces, beside what ip(8) tells of them.

local net = require "neap.net"
local process = require "neap.process"

local neap = require "spec.support.child".neap

--- Compares net.interfaces with `ip -json addr`: prints one line for each difference.
local compare = [[
  local json = require "dkjson"

  local function same(what, ours, theirs)
    if ours ~= theirs then
      print(what, ours, theirs)
    end
  end

  local function key(address)
    return address and (address.ip or tostring(address))
  end

  local pipe = io.popen "ip -json addr"
  local theirs = assert(json.decode(pipe:read "a"))
  pipe:close()
  local ours = assert(net.interfaces())
  same("count", #ours, #theirs)
  table.sort(theirs, function(a, b) return a.ifindex < b.ifindex end)
  for i, their in ipairs(theirs) do
    local our = ours[i]
    local where = their.ifname .. " "
    same(where .. "name", our.name, their.ifname)
    same(where .. "index", our.index, their.ifindex)
    same(where .. "mtu", our.mtu, their.mtu)
    same(where .. "hwaddr", our.hwaddr, their.address)
    local flags = {}
    for _, flag in ipairs(their.flags) do
      flags[flag:lower()] = true
    end
    flags["no-carrier"], flags["m-down"] = nil, nil
    for flag in pairs(our.flags) do
      same(where .. flag, true, flag == "running" or flags[flag])
    end
    for flag in pairs(flags) do
      same(where .. flag, our.flags[flag], true)
    end
    local theirs_of = {}
    for _, a in ipairs(their.addr_info) do
      theirs_of[a["local"] ] = a
    end
    same(where .. "addresses", #our.addresses, #their.addr_info)
    for _, a in ipairs(our.addresses) do
      local at = where .. tostring(a.address) .. " "
      local b = theirs_of[a.address.ip]
      same(at .. "port", a.address.port, 0)
      same(at .. "family", a.address.family, b and b.family)
      same(at .. "prefix_length", a.prefix_length, b and b.prefixlen)
      same(at .. "scope", a.scope, b and b.scope)
      same(at .. "broadcast", key(a.broadcast), b and b.broadcast)
      same(at .. "peer", key(a.peer), b and b.address)
      same(at .. "interface", a.address.scope, a.scope == "link" and a.address.family == "inet6"
        and their.ifname or nil)
    end
  end
  print(#ours)
]]

local function need_ip()
  local result = process.run {"ip", "-json", "addr"}
  if not result or result.code ~= 0 then
    pending "no ip(8) with -json"
  end
end

--- Run it in a network of its own, which a shell script makes.
local function isolated(prepare)
  need_ip()
  local allowed = process.run {"unshare", "-n", "true"}
  if not allowed or allowed.code ~= 0 then
    pending "no network namespaces here (unshare -n)"
  end
  local result = assert(process.run {
    "unshare", "-n", "sh", "-c", "set -e\n" .. prepare .. '\nexec "$0" -e "$1"', neap, compare,
  })
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  return result.stdout
end

describe("net.interfaces", function()
  it("knows loopback", function()
    local found
    for _, interface in ipairs(assert(net.interfaces())) do
      found = interface.flags.loopback and interface or found
    end
    assert.equal("lo", found.name)
    assert.equal(772, found.hwtype)
    assert.equal("00:00:00:00:00:00", found.hwaddr)
    assert.is_true(found.mtu >= 1500)
    assert.is_true(found.flags.up)
    assert.is_nil(found.flags.broadcast)
    local first = found.addresses[1]
    assert.equal(net.address "127.0.0.1", first.address)
    assert.equal(8, first.prefix_length)
    assert.equal("host", first.scope)
    assert.is_nil(first.broadcast or first.peer)
  end)

  it("agrees with ip(8)", function()
    need_ip()
    local result = assert(process.run {neap, "-e", compare})
    assert.equal("", result.stderr)
    assert.equal(#assert(net.interfaces()) .. "\n", result.stdout)
  end)

  it("agrees with ip(8) on interfaces and addresses of many sorts", function()
    assert.equal("3\n", isolated [[
      ip link set lo up
      ip link add name v0 address 02:00:00:00:00:0a type veth peer name a-long-name-15b
      ip link set v0 mtu 1300 up multicast off
      ip addr add 10.1.0.1/24 brd + dev v0
      ip addr add 10.1.0.2/24 dev v0 label v0:second
      ip addr add 10.1.1.1/16 brd 10.1.255.250 dev v0 scope site
      ip addr add 10.2.0.1 peer 10.2.0.2/32 dev v0
      ip addr add 10.3.0.1 peer 10.3.0.2/24 dev v0
      ip addr add 169.254.7.7/16 dev v0 scope link
      ip addr add 2001:db8::1/48 dev v0 nodad
      ip addr add fe80::77/64 dev v0 nodad
      ip addr add 2001:db8:1::1 peer 2001:db8:1::2/128 dev v0 nodad
      ip addr add 192.0.2.9/32 dev lo
    ]])
  end)

  it("agrees with ip(8) where there are hundreds", function()
    assert.equal("101\n", isolated [[
      {
        for i in $(seq 1 50); do
          echo "link add name a$i type veth peer name b$i"
          echo "addr add 10.0.$i.1/24 dev a$i"
          echo "addr add fd00:$i::1/64 dev a$i"
        done
      } | ip -batch -
    ]])
  end)

  it("is empty of addresses where nothing is up", function()
    assert.equal("1\n", isolated "")
  end)

  it("tells of a lack of descriptors", function()
    local result = assert(process.run {
      "sh", "-c", 'ulimit -n 20; exec "$0" -e "$1"', neap, [[
        local sockets = {}
        repeat
          local socket = net.bind "udp://127.0.0.1:0"
          sockets[#sockets + 1] = socket
        until not socket
        print(select(2, net.interfaces()).code)
        print(select(2, net.connect "tcp://[fe80::1%lo]:1").code)
        local packets, lack = net.bind "packet://lo"
        print(lack.code == "EPERM" and "EMFILE" or lack.code)
        sockets[1]:close()
        packets, lack = net.bind "packet://lo"
        print(packets and "EPERM" or lack.code)
        if packets then packets:close() end
        print(#net.interfaces() > 0)
      ]],
    })
    assert.same({stdout = "EMFILE\nEMFILE\nEMFILE\nEPERM\ntrue\n", stderr = "", code = 0}, result)
  end)
end)
