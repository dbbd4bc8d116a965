--- WebSocket: events are found alike however their bytes arrive, within their limits, and
--- what is found is found again in a frame of our own.
---
--- Of an input the first byte chooses the options, the next three the pieces.

local core = require "neap.websocket.core"
local fed = require "spec.support.fed"

local OPCODES <const> = {text = 1, binary = 2, ping = 9, pong = 10}

local function check_event(event, data, compressed, options)
  if event == "close" then
    assert(not data or data >= 1000 and data <= 4999, "a close code")
  elseif event == "ping" or event == "pong" then
    assert(#data <= 125, "a control frame that is too long")
  else
    assert(#data <= options.max, "a message that is too long")
    assert(not compressed or options.deflate, "a bit that was not agreed upon")
    assert(event ~= "text" or compressed or utf8.len(data), "a text that is no UTF-8")
  end
end

local function show(event, a, b)
  return ("%s %s %s"):format(event, a, event ~= "wrong" and b or nil)
end

--- What is found, as texts, until it ends or something is wrong.
local function read_all(stream, options)
  local codec, found, events = core.codec(options), {}, {}
  while true do
    local event, a, b = codec:next(stream)
    if event ~= true then
      found[#found + 1] = show(event, a, b)
    end
    if event == nil or event == "wrong" then
      found.events = events
      return found
    elseif event ~= true then
      check_event(event, a, b, options)
      if OPCODES[event] then
        events[#events + 1] = {event, a, b}
      end
    end
  end
end

--- The same events, in frames that the other side sends.
local function check_sent(events, options, feed)
  local sender = core.codec {client = not options.client}
  local parts, expected = {}, {}
  for i, event in ipairs(events) do
    parts[i] = table.concat {sender:frame(OPCODES[event[1]], event[2], event[3])}
    expected[i] = show(event[1], event[2], event[3])
  end
  expected[#expected + 1] = show(nil)
  local bytes = table.concat(parts)
  local found = fed.read(feed, bytes == "" and {} or {bytes}, function(stream)
    return read_all(stream, options)
  end)
  assert(table.concat(found, "\n") == table.concat(expected, "\n"), "other events when they are sent")
end

local function check(bytes, feed)
  local flags, one, two, three = bytes:byte(1, 4)
  if not three then
    return
  end
  bytes = bytes:sub(5)
  local options = {client = flags & 1 ~= 0, deflate = flags & 2 ~= 0, max = flags & 4 ~= 0 and 100 or 1 << 20}
  local function read(stream)
    return read_all(stream, options)
  end
  local whole = fed.read(feed, bytes == "" and {} or {bytes}, read)
  local cut = fed.read(feed, fed.cut(bytes, {one, two, three}), read)
  assert(table.concat(whole, "\n") == table.concat(cut, "\n"), "other events in pieces")
  check_sent(whole.events, options, feed)
end

local KEY <const> = "\x12\x34\x56\x78"

--- A frame with its first byte, masked where a client sends it.
local function frame(first, data, client)
  local mask = client and 0x80 or 0
  local head = #data < 126 and string.pack("BB", first, mask | #data) or string.pack(">BBI2", first, mask | 126, #data)
  return head .. (client and KEY .. data:gsub("()(.)", function(at, byte)
    return string.char(byte:byte() ~ KEY:byte((at - 1) % 4 + 1))
  end) or data)
end

local talks = {
  {{0x81, "hello"}, {0x82, "\0\1\2"}, {0x88, "\x03\xe8bye"}}, {{0x01, "\xe2\x82"}, {0x89, "ping"}, {0x80, "\xac!"}},
  {{0x82, ("x"):rep(200)}, {0x8a, ""}}, {{0xc1, "\xca\x48\xcd\xc9\xc9\x07\x00"}},
  {{0x41, "ab"}, {0x00, "c"}, {0x80, ""}},
  {{0x81, "\xff"}}, {{0x88, ""}}, {{0x88, "\x03"}}, {{0x88, "\x03\xed"}}, {{0x80, "lost"}}, {{0x01, "a"}, {0x81, "b"}},
  {{0x83, "?"}}, {{0x09, "cut"}}, {{0x81, ("é"):rep(60)}, {0x89, ("p"):rep(125)}},
}

local seeds = {}
for i, talk in ipairs(talks) do
  for flags = 0, 7 do
    local parts = {}
    for k, one in ipairs(talk) do
      parts[k] = frame(one[1], one[2], flags & 1 == 0)
    end
    seeds[#seeds + 1] = string.char(flags, i % 5, i, 3 * i) .. table.concat(parts)
  end
end

return {check = check, seeds = seeds}
