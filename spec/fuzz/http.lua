--- HTTP: messages are found alike however their bytes arrive, within their limits, and what
--- is found is found again where it is written anew.
---
--- Of an input the first byte chooses what it is read as, the next three the pieces.

local core = require "neap.http.core"
local fed = require "spec.support.fed"
local vectors = require "spec.support.http_vectors"

local TIGHT <const> = {line = 64, head = 160, fields = 3}
local WIDE <const> = {line = 8192, head = 65536, fields = 100}

local function parser_of(how)
  return core.parser(how.kind, how.limits)
end

local function show(head)
  return ("%s %s %s %s %s %s %s %s %s %s %s"):format(head.method, head.target, head.status, head.reason, head.version,
    head.keepalive, head.upgrade, head.expects, head.framing, head.length, table.concat(head:all(), "|"))
end

local function check_head(head, how)
  local all, sum = head:all(), 0
  assert(#all // 2 <= how.limits.fields, "more fields than allowed")
  for i = 1, #all, 2 do
    local name, value = all[i], all[i + 1]
    assert(core.token(name), "a name that is no token")
    assert(core.value(value) and not value:find "^[ \t]" and not value:find "[ \t]$", "a value that is none")
    assert(#name + #value + 3 <= how.limits.line, "a line that is too long")
    sum = sum + #name + #value + 3
  end
  assert(sum <= how.limits.head, "a head that is too long")
end

--- The body, and nil where it is whole: else how it ends.
local function body_of(parser, stream, how, found)
  local parts = {}
  while true do
    local piece, status, words = parser:piece(stream, how.most)
    if not piece then
      local trailers = status and not words and not status.code and status
      if trailers then
        check_head(trailers, how)
        found[#found + 1] = "trailers " .. table.concat(trailers:all(), "|")
      end
      return table.concat(parts), words and status or not trailers and status and status.code
    end
    assert(#piece > 0 and #piece <= (how.most or #piece), "an odd piece")
    parts[#parts + 1] = piece
  end
end

--- What is found, as texts; behind them how it ends.
local function read_all(stream, how)
  local parser, found = parser_of(how), {}
  while true do
    local head, status, words = parser:head(stream, how.to_head)
    if not head then
      found[#found + 1] = words and status or status and status.code or "end"
      return found
    end
    check_head(head, how)
    found.head = found.head or head
    found[#found + 1] = show(head)
    local body, wrong = body_of(parser, stream, how, found)
    found[#found + 1] = body
    assert(wrong or head.framing ~= "length" or #body == head.length, "a body of another length")
    assert(head.framing ~= "none" or body == "", "a body where there is none")
    if wrong or not head.keepalive then
      found[#found + 1] = wrong or "last, before " .. tostring(stream:read "a")
      return found
    end
  end
end

local function written(head)
  local lines = {
    head.method and ("%s %s HTTP/%s"):format(head.method, head.target, head.version)
      or ("HTTP/%s %d %s"):format(head.version, head.status, head.reason),
  }
  local all = head:all()
  for i = 1, #all, 2 do
    lines[#lines + 1] = all[i] .. ": " .. all[i + 1]
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function check_written(head, how, feed)
  local text = fed.read(feed, {written(head)}, function(stream)
    local again, status, words = core.parser(how.kind):head(stream, how.to_head)
    return again and show(again) or ("%s %s"):format(status, words)
  end)
  assert(text == show(head), "another head when it is written")
end

local function same(a, b, why)
  local one, two = table.concat(a, "\n"), table.concat(b, "\n")
  if one ~= two then
    error(("%s:\n%s\n-- and\n%s"):format(why, one, two))
  end
end

local function check(bytes, feed)
  local flags, one, two, three = bytes:byte(1, 4)
  if not three then
    return
  end
  bytes = bytes:sub(5)
  local how = {
    kind = flags & 1 == 0 and "request" or "response",
    to_head = flags & 2 ~= 0,
    limits = flags & 4 == 0 and WIDE or TIGHT,
  }
  local function read(stream)
    return read_all(stream, how)
  end
  local whole = fed.read(feed, bytes == "" and {} or {bytes}, read)
  same(whole, fed.read(feed, fed.cut(bytes, {one, two, three}), read), "in pieces")
  if flags & 8 ~= 0 then
    how.most = 1 + one
    same(whole, fed.read(feed, bytes == "" and {} or {bytes}, read), "taken in pieces")
  end
  if whole.head then
    check_written(whole.head, how, feed)
  end
end

local seeds = {}
for i, vector in ipairs(vectors) do
  if #vector.bytes < 400 then
    seeds[#seeds + 1] = string.char(i % 3 == 0 and 8 or 0, i % 7, i % 11, i % 60) .. vector.bytes
  end
end

for i, text in ipairs {
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n"
    .. "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nT: 1\r\n\r\n",
  "HTTP/1.0 200 OK\r\n\r\nuntil the end",
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n...",
  "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\nHTTP/1.1 404 x\r\nConnection: close\r\n\r\n",
} do
  for _, flags in ipairs {1, 3, 5, 9} do
    seeds[#seeds + 1] = string.char(flags, i, 2 * i, 3 * i) .. text
  end
end

return {check = check, seeds = seeds}
