--- JSON: what decode takes, encode gives, and decode takes again.
---
--- The first byte of an input chooses the options.

local json = require "neap.json"

local WELL = {[""] = true, EBADMSG = true, EMSGSIZE = true}

--- Of options that allow more, and less.
local DEPTHS <const> = {128, 1, 3, 10000}
local INDENTS <const> = {false, 0, 3, "\t"}

local function options_of(byte)
  local depth = DEPTHS[1 + byte % 4]
  return {depth = depth, replace = byte & 4 ~= 0, unique = byte & 8 ~= 0, max = byte & 16 ~= 0 and 20 or nil},
    {depth = depth, sort = true, indent = INDENTS[1 + (byte >> 5) % 4] or nil}
end

--- The value of what must be one: it may be false.
local function read(text, options)
  local value, err = json.decode(text, options)
  return assert(not err, err) and value
end

--- Where an error is must be in the text.
local function check_error(err, text, options)
  assert(WELL[err.code], err)
  if err.code == "EMSGSIZE" then
    assert(#text > options.max, "a text is refused for its size that is not too large")
    return
  end
  local _, newlines = text:gsub("\n", "")
  assert(err.line >= 1 and err.line <= newlines + 1, "a line that is not there")
  assert(err.column >= 1 and err.column <= #text + 1, "a column that is not there")
end

local function check(bytes)
  local text = bytes:sub(2)
  local decoding, encoding = options_of(bytes:byte() or 0)
  local value, err = json.decode(text, decoding)
  if err then
    assert(value == nil)
    check_error(err, text, decoding)
    return
  end
  assert(value ~= nil, "neither a value nor an error")
  assert(#text <= (decoding.max or #text), "a text that is too long was taken")
  local once = json.encode(value, encoding)
  local again = read(once, {depth = decoding.depth, unique = true})
  assert(json.encode(again, encoding) == once, "another value")
  encoding.indent = nil
  local short = json.encode(value, encoding)
  assert(json.encode(read(short, {depth = decoding.depth}), encoding) == short, "another short value")
  if decoding.replace then
    assert(utf8.len(short), "a text that is no UTF-8")
  end
  local whole = pcall(json.encode, value, {depth = decoding.depth, max = #short - 1, sort = true})
  assert(not whole, "a text that is longer than its limit")
  assert(json.encode(value, {depth = decoding.depth, max = #short, sort = true}) == short)
end

local texts = {
  "", "null", "true", "false", " 0 ", "-0", "1.0", "-1e400", "9223372036854775807", "9223372036854775808",
  "-9223372036854775808", "0.1e-7", "5e-324", "1.7976931348623157e308", '""', '"\\u00e9\\n\\"\\\\/\\b\\f\\r\\t"',
  '"\\ud83d\\ude00"', '"\\ud83d"',
  '"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"', '"\xff\xc0\x80"', "[]", "{}", "[1,[2,[3,[]]]]",
  '{"a":{"b":[{},null]},"a":1,"":"\\u0000"}', "[1,\n 2 3]", "[[[[[[[[", '{"a":1,}',
  '{"b" : 1 , "a" : [ true , -0.0 ] }',
  "\xef\xbb\xbf1", '"' .. ("x"):rep(100) .. '"', "[" .. ("1,"):rep(70) .. "1]",
}

local seeds = {}
for i, text in ipairs(texts) do
  for _, options in ipairs {0, (i * 37) % 256 & ~16} do
    seeds[#seeds + 1] = string.char(options) .. text
  end
end

return {check = check, seeds = seeds}
