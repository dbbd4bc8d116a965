--- One direction of a stream, as who writes and who reads it know it. What is written are
--- records: a number, a size, and bytes that follow from the number; so what was read tells
--- which of them have arrived, also of those that a cancelled write may have sent or not.

local LETTERS <const> = ("the quick brown fox\njumps over 0123456789 lazy dogs\n"):rep(7000)
local HEAD <const> = ">I4I4"
local HEAD_SIZE <const> = 8

local Flow = {}
Flow.__index = Flow

local function body(number, size)
  local first = 1 + number % 53
  return LETTERS:sub(first, first + size - 1)
end

local function new(name)
  return setmetatable({name = name, fates = {}, parts = {}}, Flow)
end

--- A record of about that size, of which nobody knows yet whether it is accepted.
function Flow:record(size)
  local number = #self.fates + 1
  self.fates[number] = "open"
  return HEAD:pack(number, size) .. body(number, size), number
end

--- What the write of a record gave.
function Flow:wrote(number, ok, err)
  local accepted = not ok and type(err) == "table" and err.accepted
  if ok or accepted and accepted > 0 then
    self.fates[number] = "accepted"
  elseif accepted == 0 then
    self.fates[number] = "refused"
  end
end

--- What a look ahead showed must be what comes.
function Flow:peeked(bytes)
  self.ahead = bytes
end

function Flow:read(bytes)
  local ahead = self.ahead
  if ahead then
    local n = math.min(#ahead, #bytes)
    assert(ahead:sub(1, n) == bytes:sub(1, n), self.name .. ": other bytes than were seen ahead")
    self.ahead = nil
  end
  self.parts[#self.parts + 1] = bytes
end

--- All that was read must have been written, once and in order; and where the reader has
--- seen the end, nothing that was accepted is missing, unless it was `cut`.
function Flow:check()
  local bytes, at, last = table.concat(self.parts), 1, 0
  local function say(what)
    error(("%s: %s, behind record %d of %d, at byte %d of %d"):format(self.name, what, last,
      #self.fates, at, #bytes), 0)
  end
  local function skip_to(number)
    for i = last + 1, number - 1 do
      if self.fates[i] == "accepted" then
        say(("record %d was accepted, and is missing"):format(i))
      end
    end
  end
  while at + HEAD_SIZE - 1 <= #bytes do
    local number, size = HEAD:unpack(bytes, at)
    local fate = self.fates[number]
    if number <= last or not fate or fate == "refused" then
      say(("record %d has come, %s"):format(number, fate))
    end
    skip_to(number)
    local found = bytes:sub(at + HEAD_SIZE, at + HEAD_SIZE + size - 1)
    if found ~= body(number, size):sub(1, #found) then
      say "other bytes"
    elseif #found < size then
      break
    end
    at, last = at + HEAD_SIZE + size, number
  end
  if self.ended and not self.cut then
    if at <= #bytes then
      say "the end is inside of a record"
    end
    skip_to(#self.fates + 1)
  end
end

return {new = new}
