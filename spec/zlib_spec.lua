local errors = require "neap.error"
local process = require "neap.process"
local zlib = require "neap.zlib"

local child = require "spec.support.child"

local FORMATS = {"gzip", "deflate", "deflate-raw"}

local function raised(...)
  local ok, err = pcall(...)
  assert.is_false(ok)
  return err
end

--- Refused, with this code and these words.
local function refused(code, words, value, err)
  assert.is_nil(value)
  assert(errors.is(err), tostring(err))
  assert.equal(code, err.code)
  assert.matches(words, err.message, 1, true)
end

--- A text by chance: some of it repeats, some does not.
local function chance_text(most)
  local parts, size = {}, 0
  local wanted = math.random(0, most)
  while size < wanted do
    local what = math.random(4)
    local part
    if what == 1 and #parts > 0 then
      part = parts[math.random(#parts)]
    elseif what == 2 then
      part = string.char(math.random(0, 255)):rep(math.random(1, 600))
    else
      local bytes = {}
      for i = 1, math.random(1, 80) do
        bytes[i] = string.char(math.random(0, what == 3 and 255 or 3))
      end
      part = table.concat(bytes)
    end
    parts[#parts + 1] = part
    size = size + #part
  end
  return table.concat(parts)
end

--- The pieces of a text, cut by chance; some are empty.
local function cut(text, most)
  local parts = {}
  local from = 1
  while from <= #text do
    local n = math.random(0, most)
    parts[#parts + 1] = text:sub(from, from + n - 1)
    from = from + n
  end
  return parts
end

--- Put some pieces in, and take all that comes out, so many bytes at most at a time.
local function read_all(d, pieces, most)
  local parts = {}
  for _, bytes in ipairs(pieces) do
    local text, err = d:update(bytes, most)
    while text do
      assert.is_true(#text <= (most or 65536))
      parts[#parts + 1] = text
      if not d.more then
        break
      end
      text, err = d:update("", most)
    end
    if not text then
      return nil, err, table.concat(parts)
    end
  end
  return table.concat(parts)
end

describe("zlib.compress and zlib.decompress", function()
  it("give back what they were given, in each format, at each level and window", function()
    for round = 1, child.sanitized and 60 or 600 do
      local format = FORMATS[round % 3 + 1]
      local text = chance_text(round % 20 == 0 and 200000 or 3000)
      local options = {format = format, level = math.random(0, 9), windowbits = math.random(9, 15)}
      local bytes = zlib.compress(text, options)
      assert.equal(text, zlib.decompress(bytes, {format = format}))
      if format ~= "deflate-raw" then
        assert.equal(text, zlib.decompress(bytes))
      end
    end
  end)

  it("make it smaller", function()
    assert.is_true(#zlib.compress(("neap "):rep(100000)) < 1000)
    local text = chance_text(100000)
    assert.is_true(#zlib.compress(text, {level = 0}) > #text)
    assert.is_true(#zlib.compress(text, {level = 9}) <= #zlib.compress(text, {level = 1}))
  end)

  it("begin as the format does", function()
    assert.equal("\x1f\x8b\x08", zlib.compress("x"):sub(1, 3))
    assert.equal("\x1f\x8b\x08", zlib.compress("x", {format = "gzip"}):sub(1, 3))
    assert.equal("\x78\x9c", zlib.compress("x", {format = "deflate"}):sub(1, 2))
    assert.equal("\x03\x00", zlib.compress("", {format = "deflate-raw"}))
  end)

  it("take gzip of several members for one text, and nothing else behind the end", function()
    local one, two = zlib.compress "one", zlib.compress "two"
    assert.equal("onetwo", zlib.decompress(one .. two))
    assert.equal("onetwoone", zlib.decompress(one .. two .. one, {format = "gzip"}))
    assert.equal("one", zlib.decompress(zlib.compress "" .. one .. zlib.compress ""))
    refused("EBADMSG", "bytes behind its end", zlib.decompress(one .. "x"))
    refused("EBADMSG", "bytes behind its end", zlib.decompress(one .. "\x1f"))
    refused("EBADMSG", "bytes behind its end", zlib.decompress(one .. "\0\0"))
    refused("EBADMSG", "too early", zlib.decompress(one .. "\x1f\x8b"))
    refused("EBADMSG", "unknown compression method", zlib.decompress(one .. "\x1f\x8b\x09\0"))
    local wrapped = zlib.compress("one", {format = "deflate"})
    refused("EBADMSG", "bytes behind its end", zlib.decompress(wrapped .. one))
    refused("EBADMSG", "bytes behind its end", zlib.decompress(wrapped .. wrapped))
  end)

  it("refuse what was cut, wherever that was (P17)", function()
    for _, format in ipairs(FORMATS) do
      local bytes = zlib.compress(chance_text(400), {format = format})
      for n = 0, #bytes - 1 do
        refused("EBADMSG", "too early", zlib.decompress(bytes:sub(1, n), {format = format}))
      end
    end
  end)

  it("refuse what has another sum, or another length (P17)", function()
    for _, format in ipairs {"gzip", "deflate"} do
      local bytes = zlib.compress("some text", {format = format})
      for i = #bytes - (format == "gzip" and 7 or 3), #bytes do
        local wrong = bytes:sub(1, i - 1) .. string.char(bytes:byte(i) ~ 1) .. bytes:sub(i + 1)
        refused("EBADMSG", "incorrect", zlib.decompress(wrong))
      end
    end
  end)

  it("refuse a text with one byte changed, or read it otherwise, in peace", function()
    for _ = 1, child.sanitized and 300 or 3000 do
      local format = FORMATS[math.random(3)]
      local text = chance_text(300)
      local bytes = zlib.compress(text, {format = format})
      local i = math.random(#bytes)
      local wrong = bytes:sub(1, i - 1) .. string.char(math.random(0, 255)) .. bytes:sub(i + 1)
      local value, err = zlib.decompress(wrong, {format = format, max = 100000})
      assert(value or err.code == "EBADMSG" or err.code == "EMSGSIZE", tostring(err))
      if format ~= "deflate-raw" then
        assert(not value or value == text)
      end
    end
  end)

  it("refuse junk (P17)", function()
    refused("EBADMSG", "too early", zlib.decompress "")
    refused("EBADMSG", "incorrect header check", zlib.decompress "junk")
    refused("EBADMSG", "incorrect header check", zlib.decompress(zlib.compress("x", {format = "deflate-raw"})))
    refused("EBADMSG", "invalid block type", zlib.decompress("\xff\xff", {format = "deflate-raw"}))
    refused("EBADMSG", "incorrect header check", zlib.decompress(zlib.compress "x", {format = "deflate"}))
    refused("EBADMSG", "incorrect header check", zlib.decompress("\x78\x9c", {format = "gzip"}))
    refused("EBADMSG", "invalid window size", zlib.decompress(zlib.compress("x", {format = "deflate"}),
      {windowbits = 9}))
    refused("EBADMSG", "a dictionary", zlib.decompress "\x78\xbb\0\0\0\1\0\0\0\0")
    for _ = 1, 2000 do
      local bytes = {}
      for i = 1, math.random(0, 40) do
        bytes[i] = string.char(math.random(0, 255))
      end
      local ok, err = zlib.decompress(table.concat(bytes), {format = "deflate-raw", max = 1000})
      assert(ok or err.code == "EBADMSG" or err.code == "EMSGSIZE")
    end
  end)

  it("refuse more than max, and nothing that is just as long", function()
    for _, n in ipairs {0, 1, 1023, 1024, 1025, 65536, 100000} do
      local text = ("x"):rep(n)
      local bytes = zlib.compress(text)
      assert.equal(text, zlib.decompress(bytes, {max = n}))
      assert.equal(text, zlib.decompress(bytes, {max = n + 1}))
      if n > 0 then
        refused("EMSGSIZE", "longer than max", zlib.decompress(bytes, {max = n - 1}))
        refused("EMSGSIZE", "longer than max", zlib.decompress(bytes .. zlib.compress "y", {max = n}))
      end
    end
  end)

  it("have a max of 64 MiB", function()
    local c <close> = zlib.compressor {level = 1}
    local parts, piece = {}, ("\0"):rep(2 ^ 20 // 1 | 0)
    for i = 1, 64 do
      parts[i] = c:update(piece)
    end
    parts[65] = c:update "x" .. c:finish()
    refused("EMSGSIZE", "longer than max", zlib.decompress(table.concat(parts)))
  end)

  it("raise for wrong arguments", function()
    assert.matches("string expected", raised(zlib.compress))
    assert.matches("string expected", raised(zlib.decompress, {}))
    assert.matches("table expected", raised(zlib.compress, "x", 9))
    assert.matches("option 'level': an integer from 0 to 9 expected", raised(zlib.compress, "x", {level = 10}))
    assert.matches("option 'level': an integer expected, got string", raised(zlib.compress, "x", {level = "9"}))
    assert.matches("option 'windowbits': an integer from 9 to 15", raised(zlib.compressor, {windowbits = 8}))
    assert.matches("option 'windowbits': an integer from 9 to 15", raised(zlib.decompress, "x", {windowbits = 16}))
    assert.matches("option 'format': a string expected", raised(zlib.compress, "x", {format = 1}))
    assert.matches("unknown format 'auto'", raised(zlib.compressor, {format = "auto"}))
    assert.matches("unknown format 'gzap' %(did you mean 'gzip'%?%)", raised(zlib.decompressor, {format = "gzap"}))
    assert.matches("unknown option 'max'", raised(zlib.compress, "x", {max = 1}))
    assert.matches("unknown option 'lebel' %(did you mean 'level'%?%)", raised(zlib.compressor, {lebel = 1}))
    assert.matches("option 'max': an integer", raised(zlib.decompress, "x", {max = -1}))
  end)

  it("are python's, both ways", function()
    local script = [[
import gzip, json, sys, zlib
bits = {"gzip": 31, "deflate": 15, "deflate-raw": -15}
out = []
for format, level, text, ours in json.load(sys.stdin):
    text, ours = bytes.fromhex(text), bytes.fromhex(ours)
    read = gzip.decompress(ours) if format == "gzip" else zlib.decompress(ours, bits[format])
    c = zlib.compressobj(level, zlib.DEFLATED, bits[format])
    theirs = c.compress(text) + c.flush()
    if format == "gzip" and level % 2 == 0:
        theirs = gzip.compress(text, level)
    out.append([read == text, theirs.hex()])
json.dump(out, sys.stdout)
]]
    local crypto, json = require "neap.crypto", require "neap.json"
    local cases, texts = {}, {}
    for i = 1, 60 do
      local format, level, text = FORMATS[i % 3 + 1], i % 10, chance_text(i == 60 and 300000 or 2000)
      texts[i] = text
      local bytes = zlib.compress(text, {format = format, level = level})
      cases[i] = {format, level, crypto.tohex(text), crypto.tohex(bytes)}
    end
    local result = assert(process.run {"python3", "-c", script, input = json.encode(cases), max = 2 ^ 24 // 1 | 0})
    assert.equal("", result.stderr)
    local answers = json.decode(result.stdout)
    assert.equal(60, #answers)
    for i, answer in ipairs(answers) do
      assert.is_true(answer[1])
      assert.equal(texts[i], zlib.decompress(crypto.fromhex(answer[2]), {format = cases[i][1]}))
    end
  end)
end)

describe("a compressor", function()
  it("gives what compress gives, however its text is cut, and again behind reset", function()
    for round = 1, child.sanitized and 30 or 300 do
      local options = {format = FORMATS[round % 3 + 1], level = math.random(0, 9)}
      local c <close> = zlib.compressor(options)
      for _ = 1, 3 do
        local text = chance_text(5000)
        local parts = {}
        for _, piece in ipairs(cut(text, 700)) do
          parts[#parts + 1] = c:update(piece)
        end
        parts[#parts + 1] = c:finish()
        assert.equal(text, zlib.decompress(table.concat(parts), {format = options.format}))
        assert.equal(c, c:reset())
      end
    end
  end)

  it("lets the other side read all that was put in by flush", function()
    for _, format in ipairs(FORMATS) do
      local c <close> = zlib.compressor {format = format, windowbits = 9}
      local d <close> = zlib.decompressor {format = format}
      for _ = 1, 50 do
        local text = chance_text(2000) .. "."
        local bytes = c:update(text) .. c:flush()
        assert.equal("\0\0\xff\xff", bytes:sub(-4))
        assert.equal(text, read_all(d, {bytes}))
        assert.equal("", c:flush())
      end
      assert.equal("", read_all(d, {c:finish()}))
      assert.is_true(d.done)
      assert.is_true(d:finish())
    end
  end)

  it("looks back over what was flushed, so that what repeats is short", function()
    local c <close> = zlib.compressor {format = "deflate-raw"}
    local text = require "neap.crypto".random(3000)
    local first, second = c:update(text) .. c:flush(), c:update(text) .. c:flush()
    assert.is_true(#first > 3000 and #second < 100, #second)
  end)

  it("takes a text that needs much room", function()
    local text = chance_text(1) .. require "neap.crypto".random(3000000)
    assert.equal(text, zlib.decompress(zlib.compress(text)))
    local c <close> = zlib.compressor()
    assert.equal(text, zlib.decompress(c:update(text) .. c:flush() .. c:finish()))
  end)

  it("raises what is put in behind the end", function()
    local c <close> = zlib.compressor()
    c:finish()
    for _, verb in ipairs {"update", "flush", "finish"} do
      assert.matches("its text is finished: reset it", raised(c[verb], c, "x"))
    end
    c:reset()
    assert.equal("text", zlib.decompress(c:update "text" .. c:finish()))
  end)

  it("raises when it is closed, but for closing it again", function()
    local c = zlib.compressor()
    assert.equal("compressor (gzip)", tostring(c))
    c:close()
    c:close()
    assert.equal("compressor (gzip, closed)", tostring(c))
    for _, verb in ipairs {"update", "flush", "finish", "reset"} do
      assert.matches("the compressor is closed", raised(c[verb], c, "x"))
    end
    assert.is_nil(c.nothing)
  end)

  it("raises for another object, or no bytes", function()
    local c <close> = zlib.compressor()
    local d <close> = zlib.decompressor()
    for _, wrong in ipairs {1, "x", {}, io.stdout, d} do
      for _, verb in ipairs {"update", "flush", "finish", "reset", "close"} do
        assert.matches("neap.zlib.Compressor expected", raised(c[verb], wrong))
      end
    end
    assert.matches("string expected", raised(c.update, c))
  end)
end)

describe("a decompressor", function()
  it("reads what comes in any pieces, and gives it in any", function()
    for round = 1, child.sanitized and 60 or 600 do
      local format = FORMATS[round % 3 + 1]
      local text = chance_text(round % 10 == 0 and 100000 or 3000)
      local bytes = zlib.compress(text, {format = format})
      local d <close> = zlib.decompressor {format = round % 2 == 0 and format ~= "deflate-raw" and "auto" or format}
      assert.equal(text, read_all(d, cut(bytes, math.random(1, 300)), math.random(1, 5000)))
      assert.is_true(d.done)
      assert.is_false(d.more)
      assert.equal("", d.rest)
      assert.is_true(d:finish())
    end
  end)

  it("keeps inside what could not come out", function()
    local text = ("0123456789"):rep(1000)
    local d <close> = zlib.decompressor()
    local bytes = zlib.compress(text)
    assert.equal(text:sub(1, 3), d:update(bytes, 3))
    assert.is_true(d.more)
    assert.is_false(d.done)
    assert.equal(text:sub(4, 10), d:update(zlib.compress "end", 7))
    assert.matches("there is more of its text", raised(d.finish, d))
    assert.equal(text:sub(11) .. "end", read_all(d, {""}))
    assert.is_true(d:finish())
  end)

  it("tells the end, what is behind it, and whether a member more begins there", function()
    local one = zlib.compress "one"
    local d <close> = zlib.decompressor()
    assert.equal("", d.rest)
    assert.equal("one", d:update(one))
    assert.is_true(d.done)
    assert.equal("", d:update "\x1f")
    assert.is_true(d.done)
    assert.equal("\x1f", d.rest)
    refused("EBADMSG", "bytes behind its end", d:finish())
    d:reset()
    assert.equal("one", d:update(one .. "\x1f"))
    assert.equal("", d:update "\x8b")
    assert.is_false(d.done)
    assert.equal("one", d:update(one:sub(3)))
    assert.is_true(d.done)
    assert.equal("", d:update "junk")
    assert.equal("", d:update(one))
    assert.equal("junk" .. one, d.rest)
    assert.is_false(d.more)
    local raw <close> = zlib.decompressor {format = "deflate-raw"}
    local bytes = zlib.compress("raw", {format = "deflate-raw"})
    assert.equal("raw", raw:update(bytes .. one))
    assert.is_true(raw.done)
    assert.equal(one, raw.rest)
  end)

  it("gives what was well before the error, which stays until reset", function()
    local text = chance_text(100) .. ("x"):rep(200000)
    local bytes = zlib.compress(text)
    bytes = bytes:sub(1, -6) .. "junk!" .. "behind"
    local d <close> = zlib.decompressor()
    local all, err, before = read_all(d, {bytes})
    refused("EBADMSG", "incorrect", all, err)
    assert.equal(text, before)
    assert.is_true(d.more)
    refused("EBADMSG", "incorrect", d:update(zlib.compress "x"))
    refused("EBADMSG", "incorrect", d:finish())
    assert.equal("x", d:reset():update(zlib.compress "x"))
  end)

  it("is not done where a text was cut", function()
    local d <close> = zlib.decompressor()
    assert.equal("text", d:update(zlib.compress("text"):sub(1, -2)))
    assert.is_false(d.done)
    assert.is_false(d.more)
    refused("EBADMSG", "ends too early", d:finish())
    d:reset()
    refused("EBADMSG", "ends too early", d:finish())
  end)

  it("ends beyond max, having given that much (P17)", function()
    local text = chance_text(1000) .. ("x"):rep(100000)
    for _, max in ipairs {0, 1, 1000, 65536, #text - 1} do
      local d <close> = zlib.decompressor {max = max}
      local all, err, before = read_all(d, {zlib.compress(text)}, 700)
      refused("EMSGSIZE", "longer than max", all, err)
      assert.equal(text:sub(1, max), before)
    end
    local d <close> = zlib.decompressor {max = #text}
    for _ = 1, 2 do
      assert.equal(text, read_all(d, cut(zlib.compress(text), 50)))
      assert.is_true(d:finish())
      d:reset()
    end
  end)

  it("reads a little that stands for much in little memory (P17)", function()
    local c <close> = zlib.compressor {level = 1}
    local many = child.sanitized and 64 or 1024 -- MiB
    local parts, piece = {}, ("\0"):rep(2 ^ 20 // 1 | 0)
    for i = 1, many do
      parts[i] = c:update(piece)
    end
    parts[#parts + 1] = c:finish()
    local bytes = table.concat(parts)
    local d <close> = zlib.decompressor()
    collectgarbage()
    local before, most, size = collectgarbage "count", 0, 0
    local text = assert(d:update(bytes))
    repeat
      size = size + #text
      most = math.max(most, collectgarbage "count" - before)
      text = d.more and assert(d:update "")
    until not text
    assert.equal(many * 2 ^ 20, size)
    assert.is_true(d:finish())
    assert.is_true(most < 32 * 1024, most)
  end)

  it("raises when it is closed, and for another object or other arguments", function()
    local d = zlib.decompressor {format = "deflate"}
    assert.equal("decompressor (deflate)", tostring(d))
    assert.matches("string expected", raised(d.update, d))
    assert.matches("an integer from 1 to 2147483647 expected", raised(d.update, d, "x", 0))
    for _, wrong in ipairs {1, "x", {}, io.stdout, zlib.compressor()} do
      for _, verb in ipairs {"update", "finish", "reset", "close"} do
        assert.matches("neap.zlib.Decompressor expected", raised(d[verb], wrong))
      end
    end
    d:close()
    d:close()
    assert.equal("decompressor (deflate, closed)", tostring(d))
    for _, verb in ipairs {"update", "finish", "reset"} do
      assert.matches("the decompressor is closed", raised(d[verb], d, "x"))
    end
    assert.matches("the decompressor is closed", raised(function()
      return d.more
    end))
  end)
end)

describe("the collector", function()
  --- How many of those that are made and forgotten are there at the end.
  local function kept(make)
    local all = setmetatable({}, {__mode = "k"})
    collectgarbage()
    for _ = 1, 2000 do
      all[make()] = true
    end
    local n = 0
    for _ in pairs(all) do
      n = n + 1
    end
    return n
  end

  it("knows how much of it an open compressor is", function()
    local n = kept(zlib.compressor)
    assert.is_true(n < 1500, n)
  end)

  it("may run anywhere in between", function()
    local c <close> = zlib.compressor()
    local d <close> = zlib.decompressor()
    for _ = 1, 10 do
      local text = chance_text(500) .. "."
      local bytes = c:update(text)
      collectgarbage()
      bytes = bytes .. c:flush()
      local first = d:update(bytes, 3)
      bytes = nil
      collectgarbage()
      assert.equal(text, first .. read_all(d, {bytes or ""}, 100))
    end
  end)

  it("closes what was forgotten, and may close what is in use", function()
    for _ = 1, 5 do
      local c, d = zlib.compressor(), zlib.decompressor()
      local function strike()
        setmetatable({}, {__gc = function()
          c:close()
          d:close()
        end})
      end
      local bytes = zlib.compress(chance_text(10000))
      strike()
      local ok, err = pcall(function()
        while true do
          c:update(chance_text(5000))
          d:reset():update(bytes)
        end
      end)
      assert.is_false(ok)
      assert.matches("is closed", err)
    end
  end)
end)
