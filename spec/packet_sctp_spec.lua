local packet = require "neap.packet"

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

describe("sctp", function()
  it("has the fields of its chunks", function()
    local chunks = {
      {type = "data", flags = 3, tsn = 1, stream = 2, seq = 3, ppid = 4, data = "hello"},
      {type = "init", flags = 0, initiate_tag = 1, a_rwnd = 2, outbound_streams = 3, inbound_streams = 4,
        initial_tsn = 5, data = "\0\5\0\8abcd"},
      {type = "sack", flags = 0, cumulative_tsn_ack = 1, a_rwnd = 2, gaps = {{1, 2}, {5, 6}}, duplicates = {9}},
      {type = "shutdown", flags = 0, cumulative_tsn_ack = 7},
      {type = "cookie-ack", flags = 0},
      {type = 200, flags = 1, data = "?"},
    }
    local p = packet.sctp {src_port = 1, dst_port = 2, verification_tag = 3, chunks = chunks}
    local q = packet.dissect(p:bytes(), "sctp")
    assert.same(chunks, q.sctp.chunks)
    assert.equal(p:bytes(), q:bytes())
    assert.equal("sctp 1 > 2 data init sack shutdown cookie-ack 200", tostring(q))
  end)

  it("has RFC 9260's checksum", function()
    -- A COOKIE ACK of Linux.
    local p = packet.sctp {src_port = 5001, dst_port = 5000, verification_tag = 0x01020304,
      chunks = {{type = "cookie-ack"}}}
    assert.equal("138913880102030", hex(p:bytes()):sub(1, 15))
    local q = packet.dissect(p:bytes(), "sctp")
    assert.is_true(q:verify())
    q.sctp.verification_tag = 5
    assert.is_false((q:verify()))
    assert.is_true(q:recompute():verify())
    -- What nothing can be known of: 0xffff is no other way to say 0 here.
    q.sctp.checksum = 0xffff
    assert.is_false((q:verify()))
    assert.not_equal(0xffff, q:recompute():complete().sctp.checksum)
  end)

  it("keeps what is no chunk, and padding of any sort", function()
    for _, chunks in ipairs {"\0", "\0\0\0\3", "\0\0\0\9abcd", "\3\0\0\20" .. ("\xff"):rep(16),
      "\0\0\0\8abcd", "\4\0\0\5axyz", "\4\0\0\5a", "\4\0\0\5a\0\0\0\11\0\0\4"} do
      local bytes = packet.sctp({}):bytes() .. chunks
      local p = packet.dissect(bytes, "sctp")
      assert.equal(1, #p, hex(chunks))
      assert.equal(bytes, p:bytes())
    end
  end)

  it("has the ports of a header that is cut off", function()
    local bytes = packet.sctp({src_port = 5, dst_port = 6, verification_tag = 7}):bytes()
    local p = packet.dissect(bytes:sub(1, 8), "sctp")
    assert.same({5, 6, 7, "sctp: 8 bytes of 12"}, {p.sctp.src_port, p.sctp.dst_port, p.sctp.verification_tag,
      p.sctp.note})
    assert.equal(bytes:sub(1, 8), p:bytes())
    assert.equal("sctp: 7 bytes of 12", packet.dissect(bytes:sub(1, 7), "sctp").raw.note)
    assert.is_string(p:show())
  end)

  it("raises for what does not fit", function()
    for _, chunk in ipairs {5, {type = "data", tsn = -1}, {type = "none"}, {flags = 256},
      {type = "sack", cumulative_tsn_ack = 1, a_rwnd = 1, gaps = {{1, 65536}}}} do
      local ok, err = pcall(function()
        return packet.sctp({chunks = {chunk}}):bytes()
      end)
      assert.is_false(ok)
      assert.matches("expected", err)
    end
  end)
end)
