-- neap.pcap: what is written is read again, tshark reads it the same way, and
-- files of others and malformed ones are read as far as they make sense.

local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local process = require "neap.process"
local random = require "spec.support.random"
local samples = require "spec.support.packets"
local task = require "neap.task"

--- A source of bytes, with read(count) of a file.
local function source(bytes)
  local at = 1
  return {
    read = function(_, n)
      if at > #bytes then
        return nil
      end
      at = at + n
      return bytes:sub(at - n, at - 1)
    end,
  }
end

--- A file that gathers what is written.
local function sink()
  local pieces = {}
  return {
    write = function(self, ...)
      for _, piece in ipairs {...} do
        pieces[#pieces + 1] = piece
      end
      return self
    end,
    bytes = function()
      return table.concat(pieces)
    end,
  }
end

local function capture(list, options)
  local file = sink()
  local w = assert(pcap.writer(file, options))
  for i, item in ipairs(list) do
    assert(w:write(item, {ns = i * 1000000000 + i}))
  end
  return file.bytes()
end

--- All packets, and how it ended.
local function read_all(bytes)
  local list = {}
  local reader, err = pcap.reader(source(bytes))
  if not reader then
    return list, err
  end
  while true do
    local data, info = reader:read()
    if not data then
      return list, info
    end
    list[#list + 1] = {data, info}
  end
end

local function temporary(bytes)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(bytes)
  return path
end

-- pcapng by hand, in either byte order.

local function block(e, type, body)
  body = body .. ("\0"):rep(-#body % 4)
  return (e .. "I4I4"):pack(type, #body + 12) .. body .. (e .. "I4"):pack(#body + 12)
end

local function section(e, options)
  return block(e, 0x0a0d0d0a, (e .. "I4I2I2i8"):pack(0x1a2b3c4d, 1, 0, -1) .. (options or ""))
end

local function interface(e, linktype, snaplen, options)
  return block(e, 1, (e .. "I2I2I4"):pack(linktype, 0, snaplen or 0) .. (options or ""))
end

local function enhanced(e, number, units, data, captured, original)
  return block(e, 6, (e .. "I4I4I4I4I4"):pack(number, units >> 32, units & 0xffffffff,
    captured or #data, original or #data) .. data)
end

local function resolution(e, value)
  return (e .. "I2I2B"):pack(9, 1, value) .. "\0\0\0"
end

describe("a capture", function()
  it("is read as it was written", function()
    local bytes = capture({"", "a", "ab", "abc", ("x"):rep(70000)},
      {linktype = "raw", name = "eth0"})
    assert.equal(0, #bytes % 4)
    local list, err = read_all(bytes)
    assert.is_nil(err)
    assert.equal(5, #list)
    assert.equal("abc", list[4][1])
    assert.same({ns = 4000000004, time = 4.000000004, original = 3, linktype = 101, interface = 0,
      name = "eth0"}, list[4][2])
    assert.equal(70000, #list[5][1])
  end)

  it("takes packets as they are, and seconds", function()
    local file = sink()
    local w = assert(pcap.writer(file, {linktype = "ipv4"}))
    local p = packet.ip {dst = "10.0.0.1"} / "x"
    assert.equal(w, w:write(p, {time = 1700000000.25, original = 1500}))
    assert.equal(w, w:write "now")
    assert.equal(2, w.count)
    local list = read_all(file.bytes())
    assert.equal(p:bytes(), list[1][1])
    assert.equal(1700000000250000000, list[1][2].ns)
    assert.equal(1500, list[1][2].original)
    assert.is_true(math.abs(list[2][2].time - os.time()) < 5)
  end)

  it("keeps the beginnings of packets when told so", function()
    local list = read_all(capture({"abcdef", "ab"}, {snaplen = 4}))
    assert.same({"abcd", 6}, {list[1][1], list[1][2].original})
    assert.same({"ab", 2}, {list[2][1], list[2][2].original})
  end)

  it("goes to a path, and comes from it", function()
    local path = os.tmpname()
    do
      local w <close> = assert(pcap.writer(path))
      w:write("one"):write "two"
    end
    local seen = {}
    for bytes, info in assert(pcap.reader(path)) do
      seen[#seen + 1] = bytes
      assert.equal(1, info.linktype)
    end
    assert.same({"one", "two"}, seen)
    os.remove(path)
    local none, err = pcap.reader(path)
    assert.is_nil(none)
    assert.equal("ENOENT", err.code)
    assert.equal(path, err.endpoint)
    none, err = pcap.writer(path .. "/x")
    assert.is_nil(none)
    assert.is_string(err.code)
  end)

  it("goes through a stream", function()
    local a, b = net.socketpair()
    local writer = task.spawn(function()
      local w = assert(pcap.writer(a))
      for i = 1, 100 do
        assert(w:write(("x"):rep(i * 100), {ns = i}))
      end
      assert(w:flush())
      assert(w:close())
      a:close()
    end)
    local count = 0
    for bytes, info in assert(pcap.reader(b)) do
      count = count + 1
      assert.equal(count * 100, #bytes)
      assert.equal(count, info.ns)
    end
    writer:join()
    b:close()
    assert.equal(100, count)
  end)

  it("may be closed twice, and is closed then", function()
    local path = os.tmpname()
    local w = assert(pcap.writer(path))
    assert.is_true(w:close())
    assert.is_true(w:close())
    assert.equal("EBADF", select(2, w:write "x").code)
    assert.equal("EBADF", select(2, w:flush()).code)
    local reader = assert(pcap.reader(path))
    assert.is_true(reader:close())
    assert.is_true(reader:close())
    assert.is_nil(reader:read())
    os.remove(path)
  end)

  it("raises for what makes no sense", function()
    local file = sink()
    for _, options in ipairs {{linktype = "etherne"}, {linktype = -1}, {linktype = 65536},
      {snaplen = -1}, {link = 1}, {name = 7}} do
      assert.is_false(pcall(pcap.writer, file, options))
    end
    assert.is_false(pcall(pcap.writer, 7))
    assert.is_false(pcall(pcap.reader, {}))
    assert.is_false(pcall(pcap.reader))
    local w = assert(pcap.writer(file))
    for _, info in ipairs {{time = -1}, {time = 0/0}, {time = math.huge}, {ns = 1.5}, {ns = -1},
      {original = -1}, {original = 1 << 32}} do
      assert.is_false(pcall(w.write, w, "x", info))
    end
    assert.is_false(pcall(w.write, w, 7))
    assert.equal(0, w.count)
  end)

  it("D9: says that a file cannot be written", function()
    local full <close> = assert(io.open("/dev/full", "wb"))
    full:setvbuf "no"
    local w, err = pcap.writer(full)
    assert.is_nil(w)
    assert.matches("space", err.message)
  end)
end)

for e, order in pairs {["<"] = "little", [">"] = "big"} do
  describe("pcapng, " .. order .. "-endian,", function()
    it("is read with its interfaces", function()
      local bytes = section(e) .. interface(e, 1) .. interface(e, 101, 0, resolution(e, 9))
        .. enhanced(e, 0, 1500000, "micro") .. enhanced(e, 1, 1500000000, "nano", 4, 99)
      local list, err = read_all(bytes)
      assert.is_nil(err)
      assert.same({"micro", {ns = 1500000000, time = 1.5, original = 5, linktype = 1,
        interface = 0}}, list[1])
      assert.same({"nano", {ns = 1500000000, time = 1.5, original = 99, linktype = 101,
        interface = 1}}, list[2])
    end)

    it("is read through unknown blocks, options and further sections", function()
      local options = (e .. "I2s2I2I2"):pack(4, "user", 0, 0)
      local bytes = section(e, options) .. block(e, 0x80000001, ("x"):rep(100001))
        .. interface(e, 1, 0, (e .. "I2I2"):pack(3000, 0)) .. block(e, 4, "")
        .. enhanced(e, 0, 0, "one") .. section(e) .. interface(e, 228) .. block(e, 5, ("y"):rep(20))
        .. enhanced(e, 0, 0, "two")
      local other = e == "<" and ">" or "<"
      bytes = bytes .. section(other) .. interface(other, 229) .. enhanced(other, 0, 0, "three")
      local list, err = read_all(bytes)
      assert.is_nil(err)
      assert.same({"one", "two", "three"}, {list[1][1], list[2][1], list[3][1]})
      assert.same({1, 228, 229}, {list[1][2].linktype, list[2][2].linktype, list[3][2].linktype})
    end)

    it("is read with simple and obsolete packet blocks", function()
      local bytes = section(e) .. interface(e, 1, 4) .. block(e, 3, (e .. "I4"):pack(10) .. "abcd")
        .. block(e, 2, (e .. "I2I2I4I4I4I4"):pack(0, 0, 0, 7, 2, 3) .. "xy")
      local list, err = read_all(bytes)
      assert.is_nil(err)
      assert.same({"abcd", {original = 10, linktype = 1, interface = 0}}, list[1])
      assert.equal("xy", list[2][1])
      assert.equal(7000, list[2][2].ns)
    end)

    it("has timestamps of any resolution", function()
      local rows = {
        {0, 2, 2000000000}, {3, 1500, 1500000000}, {6, 1, 1000}, {9, 7, 7}, {12, 7999, 7},
        {18, 1 << 62, 4611686018}, {27, -1, 18}, {28, -1, 0}, {127, -1, 0},
        {0x80, 3, 3000000000}, {0x81, 3, 1500000000}, {0x8a, 1 << 10, 1000000000},
        {0xa0, 1 << 31, 500000000}, {0xbf, 1 << 62, 500000000}, {0xc0, 1 << 63, 0}, {0xff, -1, 0},
      }
      for _, row in ipairs(rows) do
        local list = read_all(section(e) .. interface(e, 1, 0, resolution(e, row[1]))
          .. enhanced(e, 0, row[2], ""))
        if row[1] < 0xc0 and row[1] ~= 27 then
          assert.equal(row[3], list[1][2].ns, ("resolution %d"):format(row[1]))
        end
        assert.equal(1, #list)
      end
      local offset = (e .. "I2I2i8"):pack(14, 8, 1000)
      local list = read_all(section(e) .. interface(e, 1, 0, offset) .. enhanced(e, 0, 5, ""))
      assert.equal(1000000005000, list[1][2].ns)
    end)
  end)

  describe("pcap, " .. order .. "-endian,", function()
    it("is read, of micro- and nanoseconds", function()
      for magic, unit in pairs {[0xa1b2c3d4] = 1000, [0xa1b23c4d] = 1} do
        local bytes = (e .. "I4I2I2i4I4I4I4"):pack(magic, 2, 4, 0, 0, 65535, 101)
          .. (e .. "I4I4I4I4"):pack(1700000000, 999999, 3, 60) .. "abc"
          .. (e .. "I4I4I4I4"):pack(0, 0, 0, 0)
        local list, err = read_all(bytes)
        assert.is_nil(err)
        local ns = 1700000000000000000 + 999999 * unit
        assert.same({"abc", {ns = ns, time = ns / 1e9, original = 60, linktype = 101,
          interface = 0}}, list[1])
        assert.equal("", list[2][1])
        for size = 0, #bytes - 1 do
          local short
          list, short = read_all(bytes:sub(1, size))
          if size ~= 24 and size ~= 43 then
            assert.equal("ENODATA", short.code, size)
          end
          assert.is_true(#list <= 1)
        end
      end
    end)
  end)
end

describe("a malformed capture", function()
  local good = capture({"first", "second"}, {})

  it("is an error: ENODATA when it is cut off anywhere", function()
    local ends = {}
    local at = 1
    while at <= #good do
      at = at + ("<I4"):unpack(good, at + 4)
      ends[at - 1] = true
    end
    for size = 0, #good do
      local list, err = read_all(good:sub(1, size))
      if ends[size] then
        assert.is_nil(err, size)
      else
        assert.equal("ENODATA", err.code, size)
      end
      assert.is_true(#list <= 2)
    end
  end)

  it("is an error: EBADMSG for what makes no sense", function()
    local e = "<"
    local head = section(e) .. interface(e, 1)
    local rows = {
      "GIF89a" .. ("\0"):rep(100),
      ("\0"):rep(100),
      "\x0a\x0d\x0d\x0a" .. ("\0"):rep(100),
      head .. "\6\0\0\0\0\0\0\0",
      head .. "\6\0\0\0\13\0\0\0" .. ("\0"):rep(20),
      head .. enhanced(e, 1, 0, "x"),
      head .. enhanced(e, 0, 0, "x", 100),
      head .. enhanced(e, 0, 0, "x", 0xffffffff),
      head .. block(e, 6, "short"),
      head .. block(e, 2, "short"),
      head .. block(e, 3, ""),
      section(e) .. block(e, 1, "abc"),
      section(e) .. enhanced(e, 0, 0, "no interface"),
      section(e) .. block(e, 3, (e .. "I4"):pack(1) .. "x"),
      head .. enhanced(e, 0, 0, "x"):sub(1, -5) .. "\0\0\0\0",
      block(e, 0x0a0d0d0a, (e .. "I4I2I2i8"):pack(0x1a2b3c4d, 2, 0, -1)),
      (e .. "I4I2I2i4I4I4I4"):pack(0xa1b2c3d4, 9, 4, 0, 0, 65535, 101),
    }
    for i, bytes in ipairs(rows) do
      local list, err = read_all(bytes)
      assert.equal("EBADMSG", err and err.code, i)
      assert.same({}, list)
    end
    local _, err = read_all(head .. (e .. "I4I4"):pack(6, 0x7ffffffc))
    assert.equal("EMSGSIZE", err.code)
    _, err = read_all((e .. "I4I2I2i4I4I4I4I4I4I4I4"):pack(0xa1b2c3d4, 2, 4, 0, 0, 65535, 101,
      0, 0, 0xffffffff, 0))
    assert.equal("EMSGSIZE", err.code)
    _, err = read_all(head .. (e .. "I4I4"):pack(77, 0xfffffffc))
    assert.equal("ENODATA", err.code)
  end)

  it("raises in a loop, and gives what was before it", function()
    local seen = {}
    local ok, err = pcall(function()
      for bytes in assert(pcap.reader(source(good:sub(1, -3)))) do
        seen[#seen + 1] = bytes
      end
    end)
    assert.is_false(ok)
    assert.equal("ENODATA", err.code)
    assert.same({"first"}, seen)
  end)

  it("passes a failure of its source on", function()
    local reader, err = pcap.reader {
      read = function()
        return nil, "the disk is on fire", 5
      end,
    }
    assert.is_nil(reader)
    assert.equal("EIO", err.code)
    assert.matches("on fire", err.message)
    local folder <close> = assert(io.open "/tmp")
    assert.is_nil((pcap.reader(folder)))
  end)

  it("O1: never hangs or raises, whatever its bytes", function()
    local draw = random(5)
    local old = (">I4I2I2i4I4I4I4"):pack(0xa1b2c3d4, 2, 4, 0, 0, 65535, 101)
      .. (">I4I4I4I4"):pack(1, 2, 3, 3) .. "abc" .. (">I4I4I4I4"):pack(1, 2, 1, 3) .. "a"
    local read = 0
    for n = 1, 5000 do
      local bytes = n % 3 == 0 and old or good
      for _ = 1, 1 + draw(4) do
        local at = draw(#bytes)
        local value = draw(2) == 0 and draw(256) or draw(2) * 255
        bytes = bytes:sub(1, at) .. string.char(value) .. bytes:sub(at + 2)
      end
      local list = read_all(bytes)
      read = read + #list
    end
    assert.is_true(read > 1000)
  end)
end)

describe("pcap", function()
  it("of a modified libpcap has 8 bytes more with each packet", function()
    for _, e in ipairs {"<", ">"} do
      local bytes = (e .. "I4I2I2i4I4I4I4"):pack(0xa1b2cd34, 2, 4, 0, 0, 65535, 1)
        .. (e .. "I4I4I4I4I4I2BB"):pack(5, 250000, 3, 9, 1, 0x800, 0, 0) .. "one"
        .. (e .. "I4I4I4I4I4I2BB"):pack(6, 0, 3, 3, 1, 0x800, 0, 0) .. "two"
      local reader = assert(pcap.reader(source(bytes)))
      local data, info = reader:read()
      assert.same({"one", 5250000000, 9, 1}, {data, info.ns, info.original, info.linktype})
      assert.equal("two", (reader:read()))
      assert.is_nil(reader:read())
      reader = assert(pcap.reader(source(bytes:sub(1, 24 + 20))))
      assert.equal("ENODATA", select(2, reader:read()).code)
    end
  end)

  it("takes no packet that had fewer bytes than are given", function()
    local w = assert(pcap.writer(sink(), {snaplen = 2}))
    assert(w:write("four", {original = 4}))
    local ok, err = pcall(w.write, w, "four", {original = 3})
    assert.is_false(ok)
    assert.matches("'original': 4 bytes or more expected, got 3", err, 1, true)
  end)
end)

describe("tshark", function()
  local found = process.run {"tshark", "--version", stderr = "null"}

  --- The rows of fields that tshark makes of a capture; several of one name are
  --- behind commas.
  local function tshark(bytes, fields)
    if not found or found.code ~= 0 then
      pending "tshark is missing (Debian: tshark)"
    end
    local path = temporary(bytes)
    local command = {"tshark", "-n", "-r", path, "-T", "fields", "-o", "ip.check_checksum:TRUE",
      "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"}
    for _, field in ipairs(fields) do
      command[#command + 1] = "-e"
      command[#command + 1] = field
    end
    local result = assert(process.run(command))
    os.remove(path)
    assert.equal(0, result.code, result.stderr)
    local rows = {}
    for line in result.stdout:gmatch "([^\n]*)\n" do
      local row, i = {}, 0
      for value in (line .. "\t"):gmatch "([^\t]*)\t" do
        i = i + 1
        row[fields[i]] = value
      end
      rows[#rows + 1] = row
    end
    return rows
  end

  --- Each field of tshark's, and how it reads here: of a layer, in all layers of
  --- that name.
  local expected = {
    ["eth.dst"] = {"eth", "dst"},
    ["eth.src"] = {"eth", "src"},
    ["ieee8021ad.id"] = {"vlan", "vid", when = {type = "vlan"}}, -- the outer one
    ["vlan.id"] = {"vlan", "vid", when = {type = "ip"}},
    ["vlan.priority"] = {"vlan", "pcp", when = {type = "ip"}},
    ["arp.src.hw_mac"] = {"arp", "sha"},
    ["arp.src.proto_ipv4"] = {"arp", "spa"},
    ["arp.dst.proto_ipv4"] = {"arp", "tpa"},
    ["ip.src"] = {"ip", "src"},
    ["ip.dst"] = {"ip", "dst"},
    ["ip.len"] = {"ip", "total_length"},
    ["ip.ttl"] = {"ip", "ttl"},
    ["ip.id"] = {"ip", "id", "0x%04x"},
    ["ip.checksum"] = {"ip", "checksum", "0x%04x"},
    ["ip.dsfield"] = {"ip", "tos", "0x%02x"},
    ["ip.hdr_len"] = {"ip", "ihl", function(ihl) return tostring(ihl * 4) end},
    ["ip.flags.mf"] = {"ip", "flags", function(flags) return flags:find "MF" and "1" or "0" end},
    ["ip.flags.df"] = {"ip", "flags", function(flags) return flags:find "DF" and "1" or "0" end},
    ["ip.frag_offset"] = {"ip", "fragment_offset", function(n) return tostring(n) end},
    ["ipv6.src"] = {"ipv6", "src"},
    ["ipv6.dst"] = {"ipv6", "dst"},
    ["ipv6.hlim"] = {"ipv6", "hop_limit"},
    ["ipv6.plen"] = {"ipv6", "payload_length"},
    ["ipv6.flow"] = {"ipv6", "flow_label", "0x%06x"},
    ["ipv6.fraghdr.ident"] = {"fragment", "id", "0x%08x"},
    ["udp.srcport"] = {"udp", "src_port"},
    ["udp.dstport"] = {"udp", "dst_port"},
    ["udp.length"] = {"udp", "length"},
    ["udp.checksum"] = {"udp", "checksum", "0x%04x"},
    ["tcp.srcport"] = {"tcp", "src_port"},
    ["tcp.dstport"] = {"tcp", "dst_port"},
    ["tcp.seq_raw"] = {"tcp", "seq"},
    ["tcp.ack_raw"] = {"tcp", "ack"},
    ["tcp.window_size_value"] = {"tcp", "window"},
    ["tcp.urgent_pointer"] = {"tcp", "urgent_pointer"},
    ["tcp.checksum"] = {"tcp", "checksum", "0x%04x"},
    ["tcp.hdr_len"] = {"tcp", "data_offset", function(n) return tostring(n * 4) end},
    ["icmp.code"] = {"icmp", "code"},
    ["icmp.checksum"] = {"icmp", "checksum", "0x%04x"},
    ["icmp.mtu"] = {"icmp", "next_hop_mtu"},
    ["icmp.redir_gw"] = {"icmp", "gateway"},
    ["icmp.ident"] = {"icmp", "id"},
    ["icmpv6.code"] = {"icmpv6", "code"},
    ["icmpv6.checksum"] = {"icmpv6", "checksum", "0x%04x"},
    ["icmpv6.mtu"] = {"icmpv6", "mtu"},
    ["icmpv6.nd.ns.target_address"] = {"icmpv6", "target",
      when = {type = "neighbor-solicitation"}},
    ["icmpv6.nd.na.target_address"] = {"icmpv6", "target",
      when = {type = "neighbor-advertisement"}},
    ["icmpv6.nd.ra.router_lifetime"] = {"icmpv6", "router_lifetime"},
    ["dns.id"] = {"dns", "id", "0x%04x"},
    ["dns.count.answers"] = {"dns", "ancount"},
  }

  local function here(p, what)
    local values = {}
    for _, layer in ipairs(p) do
      local wanted = not what.when or layer.type == what.when.type
      local value = layer.name == what[1] and wanted and layer[what[2]]
      if value then
        local how = what[3]
        values[#values + 1] = type(how) == "function" and how(value)
          or how and how:format(value) or tostring(value)
      end
    end
    return table.concat(values, ",")
  end

  local statuses = {"ip.checksum.status", "udp.checksum.status", "tcp.checksum.status",
    "icmp.checksum.status", "icmpv6.checksum.status"}

  for _, link in ipairs {"ethernet", "raw"} do
    it("agrees field by field, link type " .. link, function()
      local fields = {"_ws.malformed", table.unpack(statuses)}
      for field in pairs(expected) do
        fields[#fields + 1] = field
      end
      local list, chosen = {}, {}
      for _, sample in ipairs(samples) do
        if (sample.first == "eth") == (link == "ethernet") then
          chosen[#chosen + 1] = sample
          list[#list + 1] = sample.packet:bytes()
        end
      end
      local rows = tshark(capture(list, {linktype = link}), fields)
      assert.equal(#list, #rows)
      local compared = 0
      for i, row in ipairs(rows) do
        local p = packet.dissect(list[i], chosen[i].first)
        for field, what in pairs(expected) do
          assert.equal(row[field], here(p, what), ("%s: %s"):format(chosen[i].name, field))
          compared = compared + (row[field] ~= "" and 1 or 0)
        end
        assert.equal("", row["_ws.malformed"], chosen[i].name)
        for _, field in ipairs(statuses) do -- 0 is bad, 1 good, 2 unverified
          assert.is_nil(row[field]:find "0", ("%s: %s"):format(chosen[i].name, field))
        end
      end
      assert.is_true(compared > 10 * #list, compared)
    end)
  end

  it("agrees on messages of DNS", function()
    local p = packet.ip {src = "10.0.0.1", dst = "10.0.0.2"}
      / packet.udp {src_port = 53, dst_port = 4000} / packet.dns {id = 7, qr = true,
        question = {{name = "www.example.com", type = "ANY"}},
        answer = {
          {name = "www.example.com", type = "CNAME", ttl = 60, cname = "a.example.com"},
          {name = "a.example.com", type = "A", ttl = 61, address = "192.0.2.1"},
          {name = "a.example.com", type = "AAAA", ttl = 62, address = "2001:db8::1"},
          {name = "example.com", type = "MX", ttl = 63, preference = 5,
            exchange = "mx.example.com"},
          {name = "example.com", type = "TXT", ttl = 64, txt = {"one", "two"}},
          {name = "_x._tcp.example.com", type = "SRV", ttl = 65, priority = 1, weight = 2,
            port = 3, target = "a.example.com"},
        },
        authority = {{name = "example.com", type = "SOA", mname = "ns.example.com",
          rname = "root.example.com", serial = 1, refresh = 2, retry = 3, expire = 4, minimum = 5}},
        additional = {{type = "OPT", udp_payload_size = 1400, dnssec_ok = true,
          options = {{code = "cookie", data = "12345678"}}}},
      }
    local rows = tshark(capture({p}, {linktype = "raw"}), {"dns.qry.name", "dns.cname", "dns.a",
      "dns.aaaa", "dns.mx.mail_exchange", "dns.mx.preference", "dns.txt", "dns.srv.target",
      "dns.srv.port", "dns.soa.mname", "dns.soa.serial_number", "dns.soa.minimum_ttl",
      "dns.resp.ttl", "dns.rr.udp_payload_size", "dns.resp.z.do", "dns.opt.data",
      "dns.count.add_rr", "udp.checksum.status", "_ws.malformed"})
    assert.same({{
      ["dns.qry.name"] = "www.example.com",
      ["dns.cname"] = "a.example.com",
      ["dns.a"] = "192.0.2.1",
      ["dns.aaaa"] = "2001:db8::1",
      ["dns.mx.mail_exchange"] = "mx.example.com",
      ["dns.mx.preference"] = "5",
      ["dns.txt"] = "one,two",
      ["dns.srv.target"] = "a.example.com",
      ["dns.srv.port"] = "3",
      ["dns.soa.mname"] = "ns.example.com",
      ["dns.soa.serial_number"] = "1",
      ["dns.soa.minimum_ttl"] = "5",
      ["dns.resp.ttl"] = "60,61,62,63,64,65,0",
      ["dns.rr.udp_payload_size"] = "1400",
      ["dns.resp.z.do"] = "1",
      ["dns.opt.data"] = "3132333435363738",
      ["dns.count.add_rr"] = "1",
      ["udp.checksum.status"] = "1",
      ["_ws.malformed"] = "",
    }}, rows)
  end)

  it("agrees on times, lengths and the interface", function()
    local file = sink()
    local w = assert(pcap.writer(file, {linktype = "raw", name = "tun7", snaplen = 60}))
    local p = packet.ip {dst = "10.0.0.1"} / packet.udp {} / ("x"):rep(100)
    w:write(p, {ns = 1700000000123456789})
    w:write(p, {time = 1.5, original = 9000})
    local rows = tshark(file.bytes(), {"frame.time_epoch", "frame.len", "frame.cap_len",
      "frame.interface_name"})
    assert.same({
      {["frame.time_epoch"] = "1700000000.123456789", ["frame.len"] = "128",
        ["frame.cap_len"] = "60", ["frame.interface_name"] = "tun7"},
      {["frame.time_epoch"] = "1.500000000", ["frame.len"] = "9000", ["frame.cap_len"] = "60",
        ["frame.interface_name"] = "tun7"},
    }, rows)
  end)
end)
