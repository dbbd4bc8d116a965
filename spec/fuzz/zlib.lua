--- zlib: a text comes out alike whether its bytes are given at once or in pieces, never
--- more of it than was allowed; and what was made smaller is made whole.
---
--- The first two bytes of an input choose the options, the third one the pieces.

local zlib = require "neap.zlib"

local FORMATS <const> = {"auto", "gzip", "deflate", "deflate-raw"}
local MAXIMA <const> = {64 * 1024, 100, 0, 1}

--- Bytes that come out in one piece.
local OUT <const> = {1, 7, 1024, 64 * 1024}

--- Of a small input may come much: a look at some of it is enough.
local ENOUGH <const> = 200

local function options_of(a)
  return {format = FORMATS[1 + a % 4], max = MAXIMA[1 + (a >> 2) % 4], windowbits = 9 + (a >> 4) % 7}
end

--- All that comes out of the bytes put in, `at most` at a time; or nil where that takes too long.
local function drain(d, bytes, most, parts)
  local text, err = d:update(bytes, most)
  while text do
    assert(#text <= most, "more than was asked for")
    parts[#parts + 1] = text
    if not d.more then
      return true
    elseif #parts > ENOUGH then
      return nil
    end
    text, err = d:update("", most)
  end
  assert(err)
  return false, err
end

--- The text, its error, and whether there is one, of pieces.
local function in_pieces(bytes, options, size, most)
  local d <close> = zlib.decompressor(options)
  local parts = {}
  for i = 1, #bytes, size do
    local ok, err = drain(d, bytes:sub(i, i + size - 1), most, parts)
    if ok == nil then
      return nil
    elseif not ok then
      return table.concat(parts), err
    end
  end
  local ok, err = d:finish()
  return table.concat(parts), not ok and err or nil
end

local function check_decompress(bytes, options, size, most)
  local text, err = zlib.decompress(bytes, options)
  assert(not text or #text <= options.max, "more than max")
  assert(text or err.code == "EBADMSG" or err.code == "EMSGSIZE", err)
  local same, wrong = in_pieces(bytes, options, size, most)
  if not same then
    return
  end
  assert(#same <= options.max, "more than max in pieces")
  assert((wrong and wrong.code) == (err and err.code), "another error in pieces")
  assert(not text or same == text, "another text in pieces")
end

local function check_compress(text, options, size)
  local format = options.format ~= "auto" and options.format or "gzip"
  local c <close> = zlib.compressor {format = format, windowbits = options.windowbits, level = size % 10}
  local parts = {}
  for i = 1, #text, size do
    parts[#parts + 1] = c:update(text:sub(i, i + size - 1)) .. (i % 3 == 0 and c:flush() or "")
  end
  local bytes = table.concat(parts) .. c:finish()
  assert(zlib.decompress(bytes, {format = format}) == text, "another text")
end

local function check(bytes)
  local a, b, c = bytes:byte(1, 3)
  if not c then
    return
  end
  local options, size = options_of(a), 1 + c
  bytes = bytes:sub(4)
  check_decompress(bytes, options, size, OUT[1 + b % 4])
  check_compress(bytes, options, size)
end

local seeds = {}
local text = ("neap "):rep(40)
for i, format in ipairs {"gzip", "gzip", "deflate", "deflate-raw"} do
  local small = zlib.compress(text, {format = format})
  local stored = zlib.compress("stored", {format = format, level = 0})
  for _, bytes in ipairs {small, stored, small:sub(1, -3), small .. "behind", small .. stored} do
    for _, max in ipairs {0, 4, 8} do
      seeds[#seeds + 1] = string.char(0x60 | max | (i - 1), i, i * 3) .. bytes
    end
  end
end

return {check = check, seeds = seeds}
