--- Captures: packets are found alike however their bytes come, each no larger than its file,
--- and what is found is found again in a capture that is written.
---
--- Of an input the first byte is how much comes at once.

local pcap = require "neap.pcap"

local WELL = {EBADMSG = true, EMSGSIZE = true, ENODATA = true}

--- A source that gives so much at once.
local function source_of(bytes, most)
  local at = 1
  return {read = function(_, n)
    local piece = bytes:sub(at, at + math.min(n, most) - 1)
    at = at + #piece
    return piece ~= "" and piece or nil
  end}
end

local function show(bytes, info)
  return ("%q %s %s %d %d %s"):format(bytes, info.ns, info.original, info.linktype, info.interface, info.name)
end

--- All packets; behind them how it ends.
local function read_all(bytes, most)
  local reader, err = pcap.reader(source_of(bytes, most))
  local packets, size = {}, 0
  if not reader then
    assert(WELL[err.code], err)
    return packets, err.code
  end
  while true do
    local packet, info = reader:read()
    if not packet then
      assert(not info or WELL[info.code], info)
      assert(reader:read() == nil, "something behind the end")
      return packets, info and info.code
    end
    size = size + #packet
    assert(size <= #bytes, "more than there is")
    assert(info.linktype <= 0xffff and (info.ns == nil) == (info.time == nil), "odd facts")
    packets[#packets + 1] = {packet, info}
  end
end

local function texts(packets, ending)
  local parts = {}
  for i, packet in ipairs(packets) do
    parts[i] = show(packet[1], packet[2])
  end
  return table.concat(parts, "\n") .. "\n" .. tostring(ending)
end

local function check_written(packets)
  local parts, expected = {}, {}
  local file = {write = function(_, ...)
    parts[#parts + 1] = table.concat {...}
    return true
  end}
  local writer = assert(pcap.writer(file, {linktype = packets[1][2].linktype}))
  for _, packet in ipairs(packets) do
    local bytes, info = packet[1], packet[2]
    if info.ns and info.ns >= 0 then
      local original = math.max(info.original, #bytes)
      assert(writer:write(bytes, {ns = info.ns, original = original}))
      expected[#expected + 1] = {bytes, info.ns, original}
    end
  end
  assert(writer:close())
  local again, ending = read_all(table.concat(parts), 7)
  assert(ending == nil and #again == #expected,
    ("another capture when it is written: %d packets of %d, %s"):format(#again, #expected, ending))
  for i, packet in ipairs(again) do
    local wanted = expected[i]
    assert(packet[1] == wanted[1] and packet[2].ns == wanted[2] and packet[2].original == wanted[3],
      "another packet when it is written")
  end
end

local function check(bytes)
  local most = bytes:byte()
  if not most then
    return
  end
  bytes = bytes:sub(2)
  local packets, ending = read_all(bytes, #bytes + 1)
  local pieces, same = read_all(bytes, 1 + most)
  assert(texts(packets, ending) == texts(pieces, same), "other packets in pieces")
  if packets[1] then
    check_written(packets)
  end
end

local function block(order, kind, body)
  body = body .. ("\0"):rep(-#body % 4)
  return (order .. "I4I4"):pack(kind, #body + 12) .. body .. (order .. "I4"):pack(#body + 12)
end

local seeds = {}
for _, order in ipairs {"<", ">"} do
  local section = block(order, 0x0a0d0d0a, (order .. "I4I2I2i8"):pack(0x1a2b3c4d, 1, 0, -1))
  local options = (order .. "I2I2c4I2I2Bxxx"):pack(2, 4, "eth0", 9, 1, 9)
    .. (order .. "I2I2i8I2I2"):pack(14, 8, 3600, 0, 0)
  local interface = block(order, 1, (order .. "I2I2I4"):pack(1, 0, 40) .. options)
  local enhanced = block(order, 6, (order .. "I4I4I4I4I4"):pack(0, 1, 2, 5, 60) .. "hello")
  local old = block(order, 2, (order .. "I2I2I4I4I4I4"):pack(0, 0, 1, 2, 5, 5) .. "hello")
  local simple = block(order, 3, (order .. "I4"):pack(5) .. "hello")
  local other = block(order, 5, "statistics")
  seeds[#seeds + 1] = "\255" .. section .. interface .. enhanced .. old .. simple .. other .. enhanced
  seeds[#seeds + 1] = "\3" .. section .. interface:gsub("\9\0", "\142\0") .. enhanced .. section .. simple
  for _, magic in ipairs {0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34} do
    local more = magic == 0xa1b2cd34 and 8 or 0
    local packet = (order .. "I4I4I4I4"):pack(7, 999, 5, 60) .. ("\0"):rep(more) .. "hello"
    seeds[#seeds + 1] = "\6" .. (order .. "I4I2I2i4I4I4I4"):pack(magic, 2, 4, 0, 0, 65535, 1) .. packet .. packet
  end
end

return {check = check, seeds = seeds, lines = true}
