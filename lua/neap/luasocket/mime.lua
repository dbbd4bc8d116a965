--- LuaSocket's mime.core, in Lua, for where its C is not installed.
---
--- Each function codes as much as can be coded, and gives what is left over for the next
--- call, as ltn12.filter.cycle wants it: `b64(rest, chunk)`. Without a chunk, the end has
--- come, and the rest is coded as it is.

local crypto = require "neap.crypto"

local byte, char, find, format, gsub = string.byte, string.char, string.find, string.format, string.gsub
local gmatch, sub, concat, tonumber = string.gmatch, string.sub, table.concat, tonumber

local mime = {_VERSION = "MIME 1.0.3"}

--- What a function gives: nothing for nothing, at the end.
local function result(coded, rest, ended)
  if ended and coded == "" then
    return nil, nil
  end
  return coded, rest
end

--- base64, RFC 2045 6.8: three bytes are four letters.
function mime.b64(rest, chunk)
  if rest == nil then
    return nil, nil
  end
  local all = rest .. (chunk or "")
  local whole = chunk and #all - #all % 3 or #all
  return result(crypto.tobase64(sub(all, 1, whole)), chunk and sub(all, whole + 1), not chunk)
end

local digits = {["="] = 0}
for i = 1, 64 do
  digits[sub("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", i, i)] = i - 1
end

--- Three bytes, or those that the padding leaves.
local function four(a, b, c, d)
  local value = digits[a] << 18 | digits[b] << 12 | digits[c] << 6 | digits[d]
  local bytes = char(value >> 16, value >> 8 & 255, value & 255)
  return sub(bytes, 1, c == "=" and 1 or d == "=" and 2 or 3)
end

--- What is no letter of it is passed over.
function mime.unb64(rest, chunk)
  if rest == nil then
    return nil, nil
  end
  local all = gsub(rest .. (chunk or ""), "[^%w+/=]", "")
  local whole = #all - #all % 4
  local text = gsub(sub(all, 1, whole), "(.)(.)(.)(.)", four)
  return result(text, chunk and sub(all, whole + 1), not chunk)
end

local function hex(c)
  return format("=%02X", byte(c))
end

--- quoted-printable, RFC 2045 6.7: a line's end in the text is CRLF, and `marker` in the code.
function mime.qp(rest, chunk, marker)
  if rest == nil then
    return nil, nil
  end
  local all = rest .. (chunk or "")
  -- What comes behind a blank or a CR tells what it is.
  local at = find(all, "[ \t].$") or find(all, "[ \t\r]$") or #all + 1
  local kept = sub(all, at)
  all = gsub(sub(all, 1, at - 1), "[^\t -<>-~\r\n]", hex)
  all = gsub(all, "[ \t]\r\n", function(ending) return hex(ending) .. "\r\n" end)
  local parts, from = {}, 1
  repeat
    local ends = find(all, "\r\n", from, true)
    parts[#parts + 1] = gsub(sub(all, from, ends and ends - 1), "[\r\n]", hex)
    parts[#parts + 1] = ends and (marker or "\r\n") or nil
    from = ends and ends + 2
  until not from
  if not chunk and kept ~= "" then
    parts[#parts + 1] = gsub(kept, "[^!-<>-~]", hex) .. "=\r\n"
  end
  return result(concat(parts), chunk and kept, not chunk)
end

--- What is no text is dropped, and so is what is behind a lone CR.
function mime.unqp(rest, chunk)
  if rest == nil then
    return nil, nil
  end
  local all = rest .. (chunk or "")
  local parts, from = {}, 1
  local at, size
  while true do
    at = find(all, "[=\r]", from)
    parts[#parts + 1] = gsub(sub(all, from, at and at - 1), "[^\t -~]", "")
    size = at and (byte(all, at) == 13 and 2 or 3)
    if not at or at + size - 1 > #all then
      break
    end
    local code = sub(all, at, at + size - 1)
    if code == "\r\n" or size == 3 and not find(code, "^=%x%x$") and code ~= "=\r\n" then
      parts[#parts + 1] = code
    elseif size == 3 and code ~= "=\r\n" then
      parts[#parts + 1] = char(tonumber(sub(code, 2), 16))
    end
    from = at + size
  end
  local kept = at and sub(all, at) or ""
  return result(concat(parts), chunk and kept, not chunk)
end

--- Break lines at a length, by `soft`; `left` is the room that the current one has, and it
--- breaks where no more than `spare` is left; in front of a code of quoted-printable, `code`.
local function wrap(left, text, length, soft, spare, code)
  length = length or 76
  if text == nil then
    return left < length and soft or nil, length
  end
  local parts = {}
  for c in gmatch(text, "[^\r]") do
    if c == "\n" then
      parts[#parts + 1] = "\r\n"
      left = length
    else
      if left <= (c == "=" and code or spare) then
        parts[#parts + 1] = soft
        left = length
      end
      parts[#parts + 1] = c
      left = left - 1
    end
  end
  return concat(parts), left
end

function mime.wrp(left, text, length)
  return wrap(left, text, length, "\r\n", 0, 0)
end

--- The same of quoted-printable: by "=", which needs a place, and no code is cut.
function mime.qpwrp(left, text, length)
  return wrap(left, text, length, "=\r\n", 1, 3)
end

--- One marker for each end of a line: CR, LF, CRLF or LFCR. `last` is the byte that may
--- still be the first half of one, or 0.
function mime.eol(last, text, marker)
  marker = marker or "\r\n"
  if text == nil then
    return nil, 0
  end
  local parts = {}
  for i = 1, #text do
    local c = byte(text, i)
    if c ~= 13 and c ~= 10 then
      parts[#parts + 1] = char(c)
      last = 0
    elseif last == 0 then
      parts[#parts + 1] = marker
      last = c
    else
      parts[#parts + 1] = c == last and marker or nil
      last = 0
    end
  end
  return concat(parts), last
end

--- Double the dot at the beginning of a line (RFC 5321, 4.5.2). `state` is how much of a CRLF
--- stands before the text: 2 is all.
function mime.dot(state, text)
  if text == nil then
    return nil, 2
  end
  local parts = {}
  for i = 1, #text do
    local c = sub(text, i, i)
    parts[#parts + 1] = c == "." and state == 2 and ".." or c
    state = c == "\r" and 1 or c == "\n" and state == 1 and 2 or 0
  end
  return concat(parts), state
end

return mime
