-- Frames of WebSocket as neap.websocket.core takes them from a stream: what is accepted, and
-- what is refused, with which code. Each conversation is fed whole, byte by byte, and cut at
-- each byte, with the same result.

local core = require "neap.websocket.core"
local crypto = require "neap.crypto"
local net = require "neap.net"
local task = require "neap.task"

local CONTINUES, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
local FIN, RSV1, MASKED = 0x80, 0x40, 0x80
local KEY = "\x12\x34\x56\x78"

local function masked(data)
  return (data:gsub("()(.)", function(at, byte)
    return string.char(byte:byte() ~ KEY:byte((at - 1) % 4 + 1))
  end))
end

--- The first byte, the length in the form of so many bytes (1, 3 or 9), and the data, masked.
local function raw(first, data, form, length)
  length = length or #data
  form = form or length < 126 and 1 or length < 65536 and 3 or 9
  local head = form == 1 and string.pack("BB", first, MASKED | length)
    or form == 3 and string.pack(">BBI2", first, MASKED | 126, length)
    or string.pack(">BBI8", first, MASKED | 127, length)
  return head .. KEY .. masked(data)
end

local function frame(opcode, data)
  return raw(FIN | opcode, data)
end

local function begun(opcode, data)
  return raw(opcode, data)
end

local function closing(code, reason)
  return frame(CLOSE, code and string.pack(">I2", code) .. (reason or "") or "")
end

--- What comes of it, a text each, until it ends or something is wrong.
local function read_all(stream, options)
  local codec, found = core.codec(options), {}
  while true do
    local event, a, b = codec:next(stream)
    if event == "text" or event == "binary" then
      found[#found + 1] = event .. " " .. a .. (b and " compressed" or "")
    elseif event == "close" then
      found[#found + 1] = ("close %s %s"):format(a, b)
      return found
    elseif event == "wrong" then
      found[#found + 1] = "wrong " .. a
      return found
    elseif event == nil then
      found[#found + 1] = a and a.code or "end"
      return found
    elseif event ~= true then
      found[#found + 1] = event .. " " .. a
    end
  end
end

--- Feed it in two parts, or in pieces of so many bytes.
local function feed(text, options, size, cut)
  local a, b = net.socketpair()
  local writer = task.spawn(function()
    if cut then
      a:write(text:sub(1, cut))
      task.yield()
      task.yield()
      a:write(text:sub(cut + 1))
    else
      for i = 1, #text, size do
        a:write(text:sub(i, i + size - 1))
        task.yield()
      end
    end
    a:shutdown()
  end)
  local found = read_all(b, options)
  b:close()
  writer:cancel()
  writer:join()
  a:close()
  return found
end

local function gives(text, expected, options)
  options = options or {}
  assert.same(expected, feed(text, options, #text + 1), ("%q"):format(text:sub(1, 200)))
  assert.same(expected, feed(text, options, math.max(1, #text // 300)), ("%q by byte"):format(text:sub(1, 200)))
  for cut = 1, math.min(#text - 1, 40) do
    assert.same(expected, feed(text, options, nil, cut), ("%q cut at %d"):format(text:sub(1, 200), cut))
  end
end

describe("frames", function()
  it("are messages, of each length and form", function()
    for _, n in ipairs {0, 1, 125, 126, 127, 4096, 4097, 65535, 65536, 100000} do
      local data = ("abcdefg"):rep(n // 7 + 1):sub(1, n)
      gives(frame(BINARY, data) .. closing(), {"binary " .. data, "close nil "})
    end
    gives(frame(TEXT, "Hello"), {"text Hello", "end"})
  end)

  it("are unmasked, wherever a piece begins", function()
    local data = crypto.random(300)
    gives(begun(BINARY, data:sub(1, 13)) .. frame(CONTINUES, data:sub(14)), {"binary " .. data, "end"})
  end)

  it("are read without a mask by a client", function()
    gives("\x81\x05Hello" .. "\x88\x02\x03\xe8", {"text Hello", "close 1000 "}, {client = true})
    gives("\x82\x7e\x01\x00" .. ("x"):rep(256), {"binary " .. ("x"):rep(256), "end"}, {client = true})
  end)

  it("are messages in fragments, with others between them", function()
    gives(begun(TEXT, "a") .. frame(PING, "p") .. begun(CONTINUES, "b") .. frame(PONG, "") .. begun(CONTINUES, "")
      .. frame(CONTINUES, "c") .. frame(BINARY, "d") .. closing(1001, "bye"),
      {"ping p", "pong ", "text abc", "binary d", "close 1001 bye"})
    gives(begun(TEXT, "") .. begun(CONTINUES, "") .. frame(CONTINUES, ""), {"text ", "end"})
  end)

  it("with bits that mean nothing, or an unknown opcode, are refused (Q3)", function()
    for _, bit in ipairs {0x40, 0x20, 0x10} do
      gives(raw(FIN | bit | TEXT, "x"), {"wrong 1002"})
      gives(raw(FIN | bit | PING, "x"), {"wrong 1002"})
    end
    for _, opcode in ipairs {3, 4, 5, 6, 7, 11, 12, 13, 14, 15} do
      gives(frame(TEXT, "a") .. frame(opcode, ""), {"text a", "wrong 1002"})
    end
  end)

  it("with a mask or without where it must be otherwise are refused (Q3)", function()
    gives("\x81\x05Hello", {"wrong 1002"})
    gives(frame(TEXT, "Hello"), {"wrong 1002"}, {client = true})
  end)

  it("that control must be whole, and short (Q3)", function()
    gives(raw(PING, "x"), {"wrong 1002"})
    gives(raw(CLOSE, ""), {"wrong 1002"})
    gives(frame(PING, ("x"):rep(125)), {"ping " .. ("x"):rep(125), "end"})
    gives(raw(FIN | PING, ("x"):rep(126)), {"wrong 1002"})
    gives(raw(FIN | CLOSE, "\x03\xe8" .. ("x"):rep(124)), {"wrong 1002"})
  end)

  it("that begin inside of a message, or go on with none, are refused (Q3)", function()
    gives(frame(CONTINUES, "x"), {"wrong 1002"})
    gives(begun(CONTINUES, "x"), {"wrong 1002"})
    gives(begun(TEXT, "a") .. frame(TEXT, "b"), {"wrong 1002"})
    gives(begun(TEXT, "a") .. begun(BINARY, "b"), {"wrong 1002"})
    gives(begun(TEXT, "a") .. frame(CONTINUES, "b") .. frame(CONTINUES, "c"), {"text ab", "wrong 1002"})
  end)

  it("have their length in the shortest form (Q4)", function()
    gives(raw(FIN | BINARY, ("x"):rep(125), 3), {"wrong 1002"})
    gives(raw(FIN | BINARY, ("x"):rep(126), 9), {"wrong 1002"})
    gives(raw(FIN | BINARY, ("x"):rep(65535), 9), {"wrong 1002"})
    gives(raw(FIN | BINARY, "", 9, math.mininteger), {"wrong 1002"})
    gives(raw(FIN | BINARY, "", 9, -1), {"wrong 1002"})
  end)

  it("end where the stream ends", function()
    gives(begun(TEXT, "abc"), {"end"})
    gives(frame(TEXT, "abc"):sub(1, -2), {"end"})
    gives(frame(TEXT, "abc"):sub(1, 1), {"end"})
  end)
end)

-- What is no UTF-8 (RFC 3629): it ends behind the first byte that cannot be.
local BAD = {
  "\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf",
  "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff",
  "\xc3x", "\xe2\x82x", "\xf0\x9f\x98x", "\xe2x", "\xf0\x9fx",
}
local CUT = {"\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x98"}
local GOOD = {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
  "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\0", "\x7f", "κόσμε 😀"}

describe("texts", function()
  it("are UTF-8, also where a character is cut (Q5)", function()
    for _, text in ipairs(GOOD) do
      assert.is_true(core.valid(text))
      for at = 0, #text do
        gives(begun(TEXT, text:sub(1, at)) .. frame(CONTINUES, text:sub(at + 1)), {"text " .. text, "end"})
      end
    end
  end)

  it("are refused at what is none, wherever it stands (Q5)", function()
    for _, text in ipairs(BAD) do
      assert.is_false(core.valid(text))
      for before = 0, 17 do
        assert.is_false(core.valid(("a"):rep(before) .. text .. "bbbbbbbbbbbbbbbbbb"))
      end
      gives(frame(TEXT, "abcdefg" .. text), {"wrong 1007"})
      for at = 1, #text do
        gives(begun(TEXT, text:sub(1, at)) .. frame(CONTINUES, text:sub(at + 1)), {"wrong 1007"})
      end
      gives(frame(BINARY, text), {"binary " .. text, "end"})
    end
  end)

  it("do not end inside of a character (Q5)", function()
    for _, text in ipairs(CUT) do
      assert.is_false(core.valid(text))
      gives(frame(TEXT, text), {"wrong 1007"})
      gives(begun(TEXT, text) .. frame(CONTINUES, ""), {"wrong 1007"})
    end
  end)

  it("are refused before they are whole (Q5)", function()
    local a, b = net.socketpair()
    local _ <close> = a
    local _ <close> = b
    a:write(begun(TEXT, "abc") .. raw(FIN | CONTINUES, "\xff", 9, 100000))
    assert.same({"wrong 1007"}, read_all(b, {}))
  end)
end)

describe("closes", function()
  it("have a code that can be sent (Q6)", function()
    for _, code in ipairs {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
      4999} do
      gives(closing(code, "x"), {"close " .. code .. " x"})
    end
    for _, code in ipairs {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} do
      gives(closing(code, "x"), {"wrong 1002"})
    end
  end)

  it("have no code, or all of it, and a reason that is UTF-8 (Q5, Q6)", function()
    gives(closing(), {"close nil "})
    gives(frame(CLOSE, "\x03"), {"wrong 1002"})
    gives(closing(1000, ("x"):rep(123)), {"close 1000 " .. ("x"):rep(123)})
    for _, text in ipairs(BAD) do
      gives(closing(1000, text), {"wrong 1007"})
    end
    for _, text in ipairs(CUT) do
      gives(closing(1000, text), {"wrong 1007"})
    end
  end)
end)

describe("messages", function()
  it("are no longer than they may be (Q7)", function()
    local most = {max = 10}
    gives(frame(TEXT, ("x"):rep(10)), {"text xxxxxxxxxx", "end"}, most)
    gives(raw(FIN | TEXT, "", 1, 11), {"wrong 1009"}, most)
    gives(raw(FIN | BINARY, "", 9, 1 << 40), {"wrong 1009"}, most)
    gives(raw(FIN | BINARY, "", 9, math.maxinteger), {"wrong 1009"}, most)
    gives(begun(TEXT, ("x"):rep(6)) .. frame(CONTINUES, "1234"), {"text xxxxxx1234", "end"}, most)
    gives(begun(TEXT, ("x"):rep(6)) .. raw(CONTINUES, "", 1, 5), {"wrong 1009"}, most)
    gives(begun(TEXT, ("x"):rep(6)) .. frame(PING, "a longer one") .. frame(CONTINUES, "1234"),
      {"ping a longer one", "text xxxxxx1234", "end"}, most)
  end)

  it("may be compressed where that was agreed on, and are looked at by who inflates them", function()
    local on = {deflate = true}
    gives(raw(FIN | RSV1 | TEXT, "\xff\xfe") .. frame(TEXT, "x"), {"text \xff\xfe compressed", "text x", "end"}, on)
    gives(raw(RSV1 | TEXT, "\xff") .. frame(CONTINUES, "\xfe"), {"text \xff\xfe compressed", "end"}, on)
    gives(begun(TEXT, "a") .. raw(FIN | RSV1 | CONTINUES, "b"), {"wrong 1002"}, on)
    gives(raw(FIN | RSV1 | PING, "b"), {"wrong 1002"}, on)
    gives(raw(FIN | 0x20 | TEXT, "b"), {"wrong 1002"}, on)
  end)

  it("are put aside as they come, whoever waits for them is cancelled (Q15)", function()
    local a, b = net.socketpair()
    local _ <close> = a
    local _ <close> = b
    local codec, found = core.codec {}, {}
    local text = begun(TEXT, "first ") .. frame(PING, "p") .. frame(CONTINUES, "message") .. frame(TEXT, "second")
    for i = 1, #text do
      a:write(text:sub(i, i))
      local event, data
      repeat
        event, data = task.timeout(0, codec.next, codec, b)
        if event and event ~= true then
          found[#found + 1] = event .. " " .. data
        end
      until not event
      assert.equal("ETIMEDOUT", data.code)
    end
    assert.same({"ping p", "text first message", "text second"}, found)
  end)
end)

describe("what is written", function()
  it("is what the other end reads, of each length", function()
    for _, client in ipairs {true, false} do
      for _, n in ipairs {0, 1, 7, 8, 9, 125, 126, 1000, 4096, 4097, 65535, 65536, 200000} do
        local a, b = net.socketpair()
        local _ <close> = a
        local _ <close> = b
        local ours, theirs = core.codec {client = client}, core.codec {client = not client}
        local data = crypto.random(math.min(n, 1000)):rep(n // 1000 + 1):sub(1, n)
        local writer = task.spawn(function()
          a:write(ours:frame(BINARY, data))
        end)
        local event, got
        repeat
          event, got = theirs:next(b)
        until event ~= true
        assert.equal("binary", event)
        assert.is_true(got == data, n)
        writer:join()
      end
    end
  end)

  it("is masked by a client, each time otherwise", function()
    local codec, seen = core.codec {client = true}, {}
    for _ = 1, 100 do
      local text = codec:frame(TEXT, "Hello")
      assert.equal(11, #text)
      assert.equal("\x81\x85", text:sub(1, 2))
      local key = text:sub(3, 6)
      assert.is_nil(seen[key])
      seen[key] = true
    end
  end)

  it("is not masked by a server", function()
    local codec = core.codec {}
    assert.equal("\x81\x05Hello", codec:frame(TEXT, "Hello"))
    assert.equal("\xc2\x00", codec:frame(BINARY, "", true))
    assert.equal("\x89\x00", codec:frame(PING, ""))
    assert.equal("\x82\x7e\x00\x7e", (codec:frame(BINARY, ("x"):rep(126)):sub(1, 4)))
    assert.equal("\x82\x7f\0\0\0\0\0\1\0\0", (codec:frame(BINARY, ("x"):rep(65536))))
  end)
end)

describe("SHA-1", function()
  it("is the digest that OpenSSL has", function()
    for n = 0, 200 do
      local text = crypto.random(n)
      assert.equal(crypto.digest("sha1", text), core.sha1(text), n)
    end
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", crypto.tohex(core.sha1 "abc"))
    assert.equal("34aa973cd4c4daa4f61eeb2bdbad27316534016f", crypto.tohex(core.sha1(("a"):rep(1000000))))
  end)
end)
