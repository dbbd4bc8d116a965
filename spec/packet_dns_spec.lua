local packet = require "neap.packet"
local child = require "spec.support.child"
local random = require "spec.support.random"

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

--- The message, or what is wrong with it.
local function dissect(bytes)
  local p = packet.dissect(bytes, "dns")
  assert.equal(bytes, p:bytes())
  if p[1].note then
    return nil, p[1].note
  end
  return p.dns
end

--- A header with these counts.
local function header(qd, an, ns, ar)
  return (">I2I2I2I2I2I2"):pack(1, 0x8000, qd, an or 0, ns or 0, ar or 0)
end

local everything = {
  {name = "a.example", type = "A", class = "IN", ttl = 1, address = "192.0.2.1"},
  {name = "a.example", type = "AAAA", class = "IN", ttl = 2, address = "2001:db8::1"},
  {name = "b.example", type = "CNAME", class = "IN", ttl = 3, cname = "a.example"},
  {name = "example", type = "NS", class = "IN", ttl = 4, nsdname = "ns.example"},
  {name = "1.2.0.192.in-addr.arpa", type = "PTR", class = "IN", ttl = 5, ptrdname = "a.example"},
  {name = "example", type = "MX", class = "IN", ttl = 6, preference = 10, exchange = "."},
  {name = "example", type = "TXT", class = "IN", ttl = 7, txt = {"", "v=spf1 -all", "\0\255"}},
  {name = "example", type = "SOA", class = "IN", ttl = 8, mname = "ns.example",
    rname = "host\\.master.example", serial = 2024010100, refresh = 1, retry = 2, expire = 3,
    minimum = 0xffffffff},
  {name = "_sip._tcp.example", type = "SRV", class = "IN", ttl = 9, priority = 1, weight = 2,
    port = 5060, target = "a.example"},
  {name = "d.example", type = "DNAME", class = "IN", ttl = 1, target = "example.net"},
  {name = "example", type = 65280, class = "CH", ttl = 0x7fffffff, rdata = "\1\2\3"},
  {name = "example", type = 65281, class = 99, ttl = 0, rdata = ""},
  {name = ".", type = "OPT", udp_payload_size = 4096, extended_rcode = 1, version = 0,
    dnssec_ok = true, z = 5, options = {{code = "cookie", data = "12345678"},
      {code = 65001, data = ""}}},
  {name = "example", type = "CAA", class = "IN", ttl = 1, flags = 128, tag = "issue",
    value = "ca.example"},
  {name = "example", type = "NAPTR", class = "IN", ttl = 1, order = 1, preference = 2, flags = "U",
    services = "E2U+sip", regexp = "!^.*$!sip:x@example!", replacement = "."},
  {name = "_443._tcp.example", type = "TLSA", class = "IN", ttl = 1, usage = 3, selector = 1,
    matching = 1, association = ("\xab"):rep(32)},
  {name = "_dns.example", type = "SVCB", class = "IN", ttl = 1, priority = 0,
    target = "other.example", parameters = {}},
  {name = "example", type = "HTTPS", class = "IN", ttl = 1, priority = 1, target = ".",
    parameters = {{key = "alpn", value = "\2h2\8http/1.1"}, {key = "port", value = "\1\xbb"},
      {key = 65000, value = ""}}},
  {name = "example", type = "MINFO", class = "IN", ttl = 1, rmailbx = "a.example", emailbx = "."},
  {name = "example", type = "MR", class = "IN", ttl = 1, newname = "b.example"},
  {name = "example", type = "RP", class = "IN", ttl = 1, mbox = "host.master.example",
    txtdname = "a.example"},
  {name = "example", type = "AFSDB", class = "IN", ttl = 1, subtype = 1, hostname = "a.example"},
  {name = "example", type = "PX", class = "IN", ttl = 1, preference = 1, map822 = "a.example",
    mapx400 = "b.example"},
  {name = "example", type = "KX", class = "IN", ttl = 1, preference = 1, exchanger = "a.example"},
  {name = "example", type = "HINFO", class = "IN", ttl = 1, cpu = "x", os = ""},
  {name = "example", type = "NSEC", class = "IN", ttl = 1, next_domain = "a.example",
    bitmap = "\0\6\64\1\0\0\0\3"},
  {name = "example", type = "RRSIG", class = "IN", ttl = 1, type_covered = 1, algorithm = 8,
    labels = 1, original_ttl = 3600, expiration = 2, inception = 1, key_tag = 7, signer = "example",
    signature = "12345678"},
  {name = "example", type = "DS", class = "IN", ttl = 1, key_tag = 7, algorithm = 8, digest_type = 2,
    digest = ("x"):rep(32)},
  {name = "example", type = "DNSKEY", class = "IN", ttl = 1, flags = 257, protocol = 3, algorithm = 8,
    public_key = "key"},
}

describe("dns", function()
  it("has RFC 1035's header", function()
    local bytes = packet.dns({id = 0xabcd, qr = true, opcode = "status", aa = true, rd = true,
      cd = true, rcode = "nxdomain"}):bytes()
    assert.equal("abcd95130000000000000000", hex(bytes))
    local dns = dissect(bytes)
    assert.same({0xabcd, true, "status", true, false, true, false, false, false, true, "nxdomain"},
      {dns.id, dns.qr, dns.opcode, dns.aa, dns.tc, dns.rd, dns.ra, dns.z, dns.ad, dns.cd,
        dns.rcode})
    dns = dissect("\0\0\x7f\xff" .. ("\0"):rep(8))
    assert.equal(15, dns.opcode)
    assert.equal(15, dns.rcode)
  end)

  it("reads RFC 1035's example of compression (4.1.4)", function()
    -- The names of the text, each in a question; they begin at 12, not at 20.
    local bytes = header(4) .. "\1F\3ISI\4ARPA\0\0\1\0\1" .. "\3FOO\xc0\x0c\0\1\0\1"
      .. "\xc0\x12\0\1\0\1" .. "\0\0\1\0\1"
    local dns = dissect(bytes)
    assert.same({"F.ISI.ARPA", "FOO.F.ISI.ARPA", "ARPA", "."}, {dns.question[1].name,
      dns.question[2].name, dns.question[3].name, dns.question[4].name})
    dns.wire = nil
    assert.equal(bytes, packet.dns(dns):bytes())
  end)

  it("keeps records of every type", function()
    local p = packet.dns {qr = true, question = {{name = "example", type = "ANY", class = "ANY"}},
      answer = everything, authority = {everything[4]}, additional = {everything[13]}}
    local dns = dissect(p:bytes())
    assert.same(everything, dns.answer)
    assert.same({everything[4]}, dns.authority)
    assert.same({everything[13]}, dns.additional)
    assert.same({{name = "example", type = "ANY", class = "ANY"}}, dns.question)
    assert.same({1, #everything, 1, 1}, {dns.qdcount, dns.ancount, dns.nscount, dns.arcount})
    dns.wire = nil
    assert.equal(p:bytes(), packet.dns(dns):bytes())
  end)

  it("keeps data that is not of its type as bytes (H6)", function()
    local wrong = {
      CAA = {"", "\0", "\0\5ab"}, NAPTR = {"", "\0\1\0\1\0\0\0", "\0\1\0\1\0\9\0\0", "\0\1\0\1\0\0\0\0x"},
      TLSA = {"", "\1\2"}, SVCB = {"\0\1", "\0\1\0\0", "\0\1\0\0\1\0\2a"},
      HTTPS = {"\0\1\0\0\3\0\2xx\0\1\0\0", "\0\1\0\0\1\0\0\0\1\0\0"},
    }
    for type, list in pairs(wrong) do
      for _, rdata in ipairs(list) do
        local record = dissect(packet.dns({answer = {
          {name = "x", type = type, ttl = 1, rdata = rdata},
        }}):bytes()).answer[1]
        assert.equal(rdata, record.rdata)
        assert.equal("data that is not of this type", record.note)
      end
    end
    for _, parameters in ipairs {
      {{key = "port", value = ""}, {key = "alpn", value = ""}},
      {{key = 9, value = ""}, {key = 9, value = ""}}, {{key = "none", value = ""}}, {{key = 1, value = 5}},
    } do
      assert.is_false(pcall(function()
        return packet.dns({answer = {{name = "x", type = "SVCB", priority = 1, target = ".",
          parameters = parameters}}}):bytes()
      end))
    end
  end)

  it("compresses names, but not of types that must not be (RFC 3597, 4)", function()
    local function size(record)
      local query = packet.dns {question = {{name = "www.example.com"}}}
      local reply = packet.dns {question = {{name = "www.example.com"}}, answer = {record}}
      return #reply:bytes() - #query:bytes()
    end
    assert.equal(2 + 10 + 2, size {name = "www.example.com", type = "CNAME", cname = "example.com"})
    assert.equal(2 + 10 + 5, size {name = "com", type = "NS", nsdname = "ns.www.example.com"})
    assert.equal(2 + 10 + 19, size {name = "com", type = "SRV", priority = 0, weight = 0, port = 0,
      target = "example.com"})
    -- Case is kept: it may be what a query is known by.
    assert.equal(17 + 10 + 4, size {name = "www.EXAMPLE.COM", address = "1.2.3.4"})
  end)

  it("gives a message back as it was compressed, until it is changed", function()
    local bytes = header(1, 1) .. "\1a\0\0\1\0\1" .. "\1a\0\0\1\0\1\0\0\0\0\0\4\1\2\3\4"
    local dns = dissect(bytes)
    local p = packet.dissect(bytes, "dns")
    p.dns.id = 2
    assert.equal("\0\2" .. bytes:sub(3, 19) .. "\xc0\x0c" .. bytes:sub(23), p:bytes())
    assert.is_string(dns.wire)
  end)

  it("takes names apart wherever somebody may have compressed them", function()
    local rows = {
      {7, "\xc0\x0c"}, {14, "\xc0\x0c\1b\xc0\x0c"}, {17, "\xc0\x0c\xc0\x0c"}, {18, "\0\1\xc0\x0c"},
      {21, "\0\1\xc0\x0c"}, {26, "\0\1\xc0\x0c\xc0\x0c"}, {30, "\xc0\x0c\1"}, {33, "\0\0\0\0\0\0\xc0\x0c"},
      {35, "\0\1\0\1\0\0\0\xc0\x0c"}, {36, "\0\1\xc0\x0c"}, {39, "\xc0\x0c"},
      {46, ("\0"):rep(18) .. "\xc0\x0csigned"}, {47, "\xc0\x0c\0\1\64"},
    }
    for _, row in ipairs(rows) do
      local bytes = header(1, 1) .. "\7example\0\0\1\0\1"
        .. "\xc0\x0c" .. (">I2I2I4s2"):pack(row[1], 1, 5, row[2])
      local p = packet.dissect(bytes, "dns")
      local before = p:copy().dns.answer[1]
      assert.is_nil(before.rdata, row[1])
      p.dns.question[1].name = "a.longer.name.than.that"
      local after = packet.dissect(p:bytes(), "dns").dns.answer[1]
      assert.same(before, after)
    end
  end)

  it("stays as it is when it is recomputed", function()
    for _, bytes in ipairs {
      header(1, 1) .. "\1a\0\0\1\0\1" .. "\1a\0\0\1\0\1\0\0\0\0\0\4\1\2\3\4",
      header(2, 1) .. "\1a\0\0\1\0\1" .. "\1b\0\0",
    } do
      local p = packet.dissect(bytes, "dns")
      assert.equal(bytes, p:recompute():bytes())
    end
  end)

  it("has what comes before the place where it is cut off", function()
    local p = packet.dissect(header(2, 1) .. "\1a\0\0\1\0\1" .. "\1b\0\0", "dns")
    assert.equal("a", p.dns.question[1].name)
    assert.equal(1, #p.dns.question)
    assert.same({2, 1}, {p.dns.qdcount, p.dns.ancount})
    assert.same({}, p.dns.answer)
    assert.equal("dns: question 2: a question that is cut off", p.dns.note)
    local ok, wrong = p:verify()
    assert.is_false(ok)
    assert.same({p.dns.note}, wrong)
  end)

  it("has multicast DNS's bit beside the class", function()
    local p = packet.dns {question = {{name = "x.local", unicast_response = true}}, answer = {
      {name = "x.local", address = "192.0.2.1", cache_flush = true}, {name = "x.local", class = 0x9000,
        address = "192.0.2.1"}}}
    local dns = dissect(p:bytes())
    assert.same({name = "x.local", type = "A", class = "IN", unicast_response = true}, dns.question[1])
    assert.same({"IN", true}, {dns.answer[1].class, dns.answer[1].cache_flush})
    assert.same({0x9000}, {dns.answer[2].class, dns.answer[2].cache_flush})
    assert.equal("\x80\1", p:bytes():sub(24, 25))
    dns.wire = nil
    assert.equal(p:bytes(), packet.dns(dns):bytes())
  end)

  it("has records without data in updates (RFC 2136)", function()
    local p = packet.dns {opcode = "update", question = {{name = "example", type = "SOA"}},
      authority = {{name = "a.example", type = "A", class = "ANY"},
        {name = "b.example", type = "ANY", class = "NONE"},
        {name = "c.example", type = "A", class = "NONE", address = "192.0.2.1"}}}
    local dns = dissect(p:bytes())
    assert.same({name = "a.example", type = "A", class = "ANY", ttl = 0, rdata = ""}, dns.authority[1])
    assert.equal("", dns.authority[2].rdata)
    assert.equal("192.0.2.1", dns.authority[3].address)
    assert.is_false(pcall(packet.dns({answer = {{name = "a.example", type = "A"}}}).bytes))
  end)

  it("has its length in front in TCP, and others behind it", function()
    local one, two = packet.dns {id = 1}, packet.dns {id = 2, question = {{name = "example"}}}
    local p = packet.ip {dst = "192.0.2.1"} / packet.tcp {dst_port = 53} / one / two
    local bytes = p:bytes()
    assert.equal("\0\12\0\1", bytes:sub(41, 44))
    local q = packet.dissect(bytes .. "", "ip")
    assert.same({12, 25, 2}, {q.dns.length, q:get("dns", 2).length, q:get("dns", 2).id})
    assert.equal(bytes, q:bytes())
    assert.equal(bytes, q:recompute():bytes())
    q = packet.dissect(bytes, "ip")
    q.dns.question = {{name = "example"}}
    assert.is_false((q:verify()))
    assert.is_true(q:recompute():verify())
    assert.equal(25, packet.dissect(q:bytes(), "ip").dns.length)
    -- The beginning of one, which goes on in the next segment.
    local tcp = (packet.tcp {dst_port = 53} / one / ("\0\100" .. ("x"):rep(20))):bytes()
    q = packet.dissect(tcp, "tcp")
    assert.same({"tcp", "dns", "raw"}, {q[1].name, q[2].name, q[3].name})
    assert.is_nil(q.raw.note)
    assert.equal(tcp, q:bytes())
  end)

  it("escapes what is not plain in labels", function()
    local labels = "\5a.b\\c\3 \0\255\1-\0"
    local dns = dissect(header(1) .. labels .. "\0\1\0\1")
    assert.equal("a\\.b\\\\c.\\032\\000\\255.-", dns.question[1].name)
    dns.wire = nil
    assert.equal(labels, packet.dns(dns):bytes():sub(13, 13 + #labels - 1))
    local function name_of(text)
      return (packet.dns {question = {{name = text}}}):bytes():sub(13, -5)
    end
    assert.equal("\1a\0", name_of "a.")
    assert.equal("\0", name_of ".")
    assert.equal("\1A\0", name_of "\\065")
    assert.equal("\63" .. ("x"):rep(63) .. "\0", name_of(("x"):rep(63)))
    for _, text in ipairs {"", "..", ".a", "a..b", ("x"):rep(64), ("a."):rep(128), "\\", "a\\25",
      "\\256"} do
      assert.is_false(pcall(name_of, text), text)
    end
    assert.equal(255, #name_of(("a."):rep(127)))
  end)

  it("H6: reads no name that points forward, at itself, or in a circle", function()
    for _, name in ipairs {"\xc0\x0c", "\xc0\x0e\xc0\x0c", "\xc0\x10\0", "\1a\xc0\x0c", "\xff\xff",
      "\1a\xc0\x0e", "\x40a\0", "\x80\0", "\xc0", "\5ab"} do
      local dns, note = dissect(header(1) .. name .. "\0\1\0\1")
      assert.is_nil(dns, hex(name))
      assert.matches("^dns: question 1: ", note)
    end
    -- A pointer to what reaches over the name and behind the message.
    local over, reason = dissect("\0\52\x80\0\0\1\0\0\0\0\0\0\xc0\1\0\1\0\1" .. ("x"):rep(50))
    assert.is_nil(over)
    assert.equal("dns: question 1: a name that points into itself", reason)
    -- Two names, each of which points into the other.
    local dns = dissect(header(2) .. "\1a\xc0\x14\0\1\0\1" .. "\1b\xc0\x0c\0\1\0\1")
    assert.is_nil(dns)
  end)

  it("H6: reads no name of more than 255 bytes, however it is put together", function()
    local label = "\63" .. ("x"):rep(63)
    local long = label:rep(3) .. "\61" .. ("y"):rep(61) .. "\0"
    assert.equal(255, #long)
    assert.is_not_nil(dissect(header(1) .. long .. "\0\1\0\1"))
    local dns, note = dissect(header(2) .. long .. "\0\1\0\1" .. "\1a\xc0\x0c\0\1\0\1")
    assert.is_nil(dns)
    assert.equal("dns: question 2: a name of more than 255 bytes", note)
  end)

  it("H6: takes a chain of 127 pointers at most", function()
    local function chain(n)
      local out = {header(1, 1), "\0\0\1\0\1", "\0\xff\0\0\1\0\0\0\0"}
      local data = {"\xc0\x0c"}
      for i = 2, n do
        data[i] = (">I2"):pack(0xc000 | 12 + 5 + 11 + 2 * (i - 2))
      end
      data = table.concat(data)
      out[4] = (">s2"):pack(data)
      local last = (">I2"):pack(0xc000 | 12 + 5 + 11 + 2 * (n - 1)) .. "\0\1\0\1\0\0\0\0\0\0"
      return (table.concat(out):gsub("^(......)\0\1", "%1\0\2")) .. last
    end
    assert.equal(".", dissect(chain(126)).answer[2].name)
    local dns, note = dissect(chain(200))
    assert.is_nil(dns)
    assert.equal("dns: answer 2: a name that points into itself", note)
  end)

  it("H6: makes nothing of counts that are not there", function()
    local dns, note = dissect(header(0, 65535))
    assert.is_nil(dns)
    assert.equal("dns: answer 1: a name that is cut off", note)
    dns, note = dissect(header(0, 1) .. "\0\0\1\0\1\0\0\0\0\xff\xff")
    assert.is_nil(dns)
    assert.equal("dns: answer 1: a record that is cut off", note)
    assert.equal("dns: 11 bytes of 12", select(2, dissect(("\0"):rep(11))))
  end)

  it("keeps data that is not what its type says as bytes", function()
    local rows = {
      {"A", "\1\2\3"}, {"A", "\1\2\3\4\5"}, {"AAAA", ""}, {"TXT", ""}, {"TXT", "\5abc"},
      {"MX", "\0"}, {"MX", "\0\1\xc0\xff"}, {"NS", "\1a\0\0"}, {"NS", "\1a"}, {"SOA", "\0\0\0\0"},
    }
    local numbers = {A = 1, AAAA = 28, TXT = 16, MX = 15, NS = 2, SOA = 6}
    for _, row in ipairs(rows) do
      local dns = dissect(header(0, 1) .. "\0" .. (">I2I2I4s2"):pack(numbers[row[1]], 1, 5, row[2]))
      assert.same({name = ".", type = row[1], class = "IN", ttl = 5, rdata = row[2],
        note = "data that is not of this type"}, dns.answer[1])
    end
    local dns = dissect(header(0, 0, 0, 1) .. "\0" .. (">I2I2I4s2"):pack(41, 512, 0, "\0\1\0\9x"))
    assert.equal("\0\1\0\9x", dns.additional[1].rdata)
    assert.is_nil(dns.additional[1].options)
  end)

  it("is what datagrams of its ports hold", function()
    for _, port in ipairs {53, 5353, 5355} do
      local p = packet.udp {dst_port = port} / packet.dns {id = 9} / "behind"
      local q = packet.dissect(p:bytes(), "udp")
      assert.equal(9, q.dns.id)
      assert.equal("behind", q.padding.data)
      assert.equal(p:bytes(), q:bytes())
    end
    local p = packet.dissect((packet.udp {dst_port = 53} / "no message"):bytes(), "udp")
    assert.equal("dns: 10 bytes of 12", p.raw.note)
  end)

  it("O1: takes a message with bytes changed, and cut off anywhere #slow", function()
    local bytes = packet.dns({qr = true, question = {{name = "example"}}, answer = everything})
      :bytes()
    for size = 0, #bytes - 1 do
      assert.is_nil(dissect(bytes:sub(1, size)))
    end
    local draw = random(7)
    local messages, read = child.many * 3 // 10, 0
    for _ = 1, messages do
      local changed = bytes
      for _ = 1, 1 + draw(3) do
        local at = 12 + draw(#bytes - 12)
        changed = changed:sub(1, at) .. string.char(draw(256)) .. changed:sub(at + 2)
      end
      local p = packet.dissect(changed, "dns")
      assert(p:bytes() == changed)
      read = read + (p.dns and not p.dns.note and 1 or 0)
      if p.dns then -- and written anew, it says the same
        local fields = p:copy().dns
        fields.wire = nil
        local again = packet.dissect(packet.dns(fields):bytes(), "dns").dns
        assert.same(p.dns.question, again.question)
      end
    end
    assert.is_true(read > messages // 10, read)
  end)

  it("is quick with the worst of 64 KiB #slow", function()
    -- Records whose names are all as long as names get, by one pointer each.
    local label = "\1a"
    local first = label:rep(127) .. "\0"
    local record = "\xc0\x0c\0\1\0\1\0\0\0\0\0\0"
    local n = (65535 - 12 - #first - 4) // #record
    local bytes = header(1, n) .. first .. "\0\1\0\1" .. record:rep(n)
    local before = os.clock()
    assert.equal(n, #dissect(bytes).answer)
    assert.is_true(os.clock() - before < 5)
  end)
end)
