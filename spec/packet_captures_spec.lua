-- What neap.packet and tshark make of the same captures: fields, and which checksums are
-- right. And what recompute leaves alone.

local captures = require "spec.support.captures"
local child = require "spec.support.child"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local process = require "neap.process"
local random = require "spec.support.random"

describe("a capture", function()
  it("is one of a hundred and more", function()
    assert.is_true(#captures >= 100, #captures)
  end)

  it("has every layer, whole and cut off", function()
    local seen, cut = {}, 0
    for _, capture in ipairs(captures) do
      cut = cut + (capture.cut and 1 or 0)
      for _, layer in ipairs(packet.dissect(capture.bytes, capture.link)) do
        seen[layer.name] = true
      end
    end
    assert.is_true(cut >= 50, cut)
    for _, name in ipairs {"ah", "arp", "dns", "dstopts", "eth", "fragment", "geneve", "gre", "hopopts", "icmp",
      "icmpv6", "ip", "ipv6", "loopback", "mpls", "padding", "ppp", "pppoe", "raw", "routing", "sctp", "sll",
      "sll2", "tcp", "udp", "vlan", "vxlan"} do
      assert.is_true(seen[name], name)
    end
  end)

  it("gives its bytes back, and recomputed, too, if it is right", function()
    local right = 0
    for _, capture in ipairs(captures) do
      local p = packet.dissect(capture.bytes, capture.link)
      assert.equal(capture.bytes, p:bytes(), capture.name)
      if p:verify() then
        right = right + 1
        assert.equal(capture.bytes, p:recompute():bytes(), capture.name)
      end
    end
    assert.is_true(right > #captures // 3, right)
  end)

  it("is not right when it is cut off", function()
    for _, capture in ipairs(captures) do
      local ok, wrong = packet.dissect(capture.bytes, capture.link):verify()
      if capture.cut then
        assert.is_false(ok, capture.name)
        assert.matches("%d+ bytes of %d+$", wrong[#wrong]:gsub("^dns: .* cut off$", "1 bytes of 2"))
      end
    end
  end)

  it("is recomputed to what is right, or stays as it is #slow", function()
    local draw = random(31)
    local right = 0
    for n = 1, child.many do
      local capture = captures[n % #captures + 1]
      local bytes = capture.bytes
      for _ = 1, 1 + draw(3) do
        local at = draw(#bytes)
        bytes = bytes:sub(1, at) .. string.char(draw(256)) .. bytes:sub(at + 2)
      end
      local p = packet.dissect(bytes, capture.link)
      if p:verify() then
        right = right + 1
        assert.equal(bytes, p:recompute():bytes())
      else
        -- What is wrong and can be known is mended, and then it is right.
        local ok, changed = pcall(p.bytes, p:recompute())
        p = ok and packet.dissect(changed, capture.link)
        if p and p:verify() then
          assert.equal(changed, p:recompute():bytes())
        end
      end
    end
    assert.is_true(right > child.many // 50, right)
  end)
end)

--- Fields of tshark's: of which layer they are, and which field; as a number or text.
local function hex(digits)
  return function(value)
    return ("0x%0" .. digits .. "x"):format(value)
  end
end

--- The number of a name, which `show` cannot give: of the bytes at a place in a layer.
local numbers = {
  arp = {request = 1, reply = 2},
  icmp = {["echo"] = 8, ["echo-reply"] = 0, ["destination-unreachable"] = 3, ["time-exceeded"] = 11},
  icmpv6 = {["echo"] = 128, ["packet-too-big"] = 2, ["neighbor-solicitation"] = 135},
  sll = {outgoing = 4, broadcast = 1, host = 0},
}

local function named(layer)
  return function(value)
    return tostring(numbers[layer][value] or value)
  end
end

local fields = {
  {"eth.dst", "eth", "dst"},
  {"eth.src", "eth", "src"},
  {"vlan.id", "vlan", "vid"},
  {"vlan.priority", "vlan", "pcp"},
  {"arp.opcode", "arp", "op", named "arp"},
  {"arp.src.proto_ipv4", "arp", "spa"},
  {"arp.dst.proto_ipv4", "arp", "tpa"},
  {"ip.src", "ip", "src"},
  {"ip.len", "ip", "total_length"},
  {"ip.id", "ip", "id", hex(4)},
  {"ip.ttl", "ip", "ttl"},
  {"ip.checksum", "ip", "checksum", hex(4)},
  {"ip.frag_offset", "ip", "fragment_offset"},
  {"ipv6.src", "ipv6", "src"},
  {"ipv6.plen", "ipv6", "payload_length"},
  {"ipv6.hlim", "ipv6", "hop_limit"},
  {"udp.srcport", "udp", "src_port"},
  {"udp.dstport", "udp", "dst_port"},
  {"udp.length", "udp", "length"},
  {"udp.checksum", "udp", "checksum", hex(4)},
  {"tcp.srcport", "tcp", "src_port"},
  {"tcp.dstport", "tcp", "dst_port"},
  {"tcp.seq_raw", "tcp", "seq"},
  {"tcp.ack_raw", "tcp", "ack"},
  {"tcp.window_size_value", "tcp", "window"},
  {"tcp.checksum", "tcp", "checksum", hex(4)},
  {"icmp.type", "icmp", "type", named "icmp"},
  {"icmp.code", "icmp", "code"},
  {"icmp.checksum", "icmp", "checksum", hex(4)},
  {"icmpv6.type", "icmpv6", "type", named "icmpv6"},
  {"icmpv6.checksum", "icmpv6", "checksum", hex(4)},
  {"ah.spi", "ah", "spi", hex(8)},
  {"ah.sequence", "ah", "seq"},
  {"gre.key", "gre", "key", hex(8)},
  {"gre.sequence_number", "gre", "seq"},
  {"gre.checksum", "gre", "checksum", hex(4)},
  {"gre.key.payload_length", "gre", "payload_length"},
  {"gre.key.call_id", "gre", "call_id"},
  {"gre.ack_number", "gre", "ack"},
  {"mpls.label", "mpls", "label"},
  {"mpls.exp", "mpls", "tc"},
  {"mpls.ttl", "mpls", "ttl"},
  {"pppoe.session_id", "pppoe", "session_id", hex(4)},
  {"pppoe.payload_length", "pppoe", "length"},
  {"vxlan.vni", "vxlan", "vni"},
  {"geneve.vni", "geneve", "vni", hex(6)},
  {"sctp.srcport", "sctp", "src_port"},
  {"sctp.verification_tag", "sctp", "verification_tag", hex(8)},
  {"sctp.checksum", "sctp", "checksum", hex(8)},
  {"dns.id", "dns", "id", hex(4)},
  {"dns.length", "dns", "length"},
  {"dns.count.answers", "dns", "ancount"},
  {"sll.pkttype", {"sll", "sll2"}, "packet_type", named "sll"},
  {"sll.ifindex", "sll2", "interface_index"},
}

local verdicts = {"ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "icmp.checksum.status",
  "icmpv6.checksum.status", "gre.checksum.status", "sctp.checksum.status"}

--- The values of a field in all layers of a name.
local function values_of(p, names, field, text)
  local list = {}
  for _, layer in ipairs(p) do
    if layer.name == names or type(names) == "table" and (layer.name == names[1] or layer.name == names[2]) then
      local value = layer[field]
      if value ~= nil then
        list[#list + 1] = text and text(value) or tostring(value)
      end
    end
  end
  return table.concat(list, ",")
end

describe("tshark", function()
  local found = process.run {"tshark", "--version", stderr = "null"}
  local rows

  --- A section of pcapng for each link type, so that all are in one file.
  local function asked()
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "wb"))
    for _, capture in ipairs(captures) do
      local w = assert(pcap.writer(file, {linktype = capture.link}))
      assert(w:write(capture.bytes, {ns = 0, original = capture.original}))
    end
    file:flush()
    local command = {"tshark", "-n", "-r", path, "-T", "fields", "-o", "ip.check_checksum:TRUE", "-o",
      "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "sctp.checksum:CRC 32c", "-o",
      "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"}
    for _, field in ipairs(fields) do
      command[#command + 1] = "-e"
      command[#command + 1] = field[1]
    end
    for _, field in ipairs(verdicts) do
      command[#command + 1] = "-e"
      command[#command + 1] = field
    end
    local result = assert(process.run(command))
    os.remove(path)
    assert.equal(0, result.code, result.stderr)
    local list = {}
    for line in result.stdout:gmatch "([^\n]*)\n" do
      local row = {}
      for value in (line .. "\t"):gmatch "([^\t]*)\t" do
        row[#row + 1] = value
      end
      list[#list + 1] = row
    end
    assert.equal(#captures, #list)
    return list
  end

  before_each(function()
    if not found or found.code ~= 0 then
      pending "tshark is missing (Debian: tshark)"
    end
    rows = rows or asked()
  end)

  --- Of what is cut off tshark has fields of half a header, and here there are none; of what
  --- is there both say the same.
  local function agree(capture, field, theirs, ours)
    if capture.cut then
      return theirs == "" or theirs:sub(1, #ours) == ours
    elseif capture.name:find "^a short quote" and field == "tcp.seq_raw" then
      return theirs == "" -- though it is there
    elseif capture.name == "dns in tcp, wrong" and field:find "^dns" then
      return theirs == "" -- it looks into no segment whose checksum is wrong
    end
    return theirs == ours
  end

  it("has the same fields", function()
    local wrong = {}
    for n, capture in ipairs(captures) do
      local p = packet.dissect(capture.bytes, capture.link)
      for i, field in ipairs(fields) do
        local ours = values_of(p, field[2], field[3], field[4])
        if not agree(capture, field[1], rows[n][i], ours) then
          wrong[#wrong + 1] = ("%s: %s is %s there, %s here"):format(capture.name, field[1], rows[n][i], ours)
        end
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
  end)

  -- But for one: it takes all ones for wrong where it computes 0, with which they are
  -- interchangeable (RFC 1624, 3).
  it("finds the same checksums wrong", function()
    local wrong, bad = {}, 0
    for n, capture in ipairs(captures) do
      local theirs = table.concat(rows[n], " ", #fields + 1):find "[04]" ~= nil
      local _, lines = packet.dissect(capture.bytes, capture.link):verify()
      local ours = table.concat(lines or {}, "\n"):find "%.checksum: " ~= nil
      bad = bad + (ours and 1 or 0)
      if ours ~= theirs and capture.name ~= "a checksum of 0 as all ones" then
        wrong[#wrong + 1] = ("%s: %s there, %s here"):format(capture.name, theirs and "wrong" or "right",
          ours and "wrong" or "right")
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
    assert.is_true(bad > 30, bad)
  end)
end)
