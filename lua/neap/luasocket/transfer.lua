--- Bytes of a connection, as LuaSocket's and LuaSec's objects receive and send them: lines
--- without their ends, counts, all; and how far a call has come when its time is up.

local core = require "neap.net.core"
local object = require "neap.luasocket.object"
local task = require "neap.task"
local time = require "neap.time"
local words = require "neap.luasocket.words"

local tonumber, type = tonumber, type
local concat, find, gsub, sub = table.concat, string.find, string.gsub, string.sub
local min, tointeger = math.min, math.tointeger
local bad, limit, start_of = object.bad, object.limit, object.start
local now, quiet, text_of, timeout = time.now, core.quiet, words.of, task.timeout

local transfer = {}

local STRICT = {strict = true}

--- Bytes of a line. LuaSocket has no limit; here it is that of what a stream can hold.
local LONGEST = 2 ^ 31 - 1 | 0

--- Bytes that are written at once where there is a limit of time.
local PIECE = 65536

--- LuaSec's say what they waited for when their time was up, and `want` tells it.
local function begin(self)
  if self.wants then
    self.wants = "nothing"
  end
end

local function told(self, err, what)
  local text = text_of(err)
  if text == "timeout" and self.wants then
    self.wants = what
    return "want" .. what
  end
  return text
end

--- Bytes that are there, when a call has failed; they are taken.
local function left_over(stream)
  return (stream.unread or 0) > 0 and stream:recv() or ""
end

local function is_deaf(self, stream)
  return self.deaf and stream.unread == 0
end

local function receive_some(self, stream, most, start)
  if start then
    stream:settimeout(limit(self, start))
  end
  local chunk, err = stream:recv(most)
  self.received = self.received + (chunk and #chunk or 0)
  return chunk, err
end

local function receive_count(self, stream, part, start, count)
  local parts, have = {part}, #part
  if count == 0 then
    if start then
      stream:settimeout(limit(self, start))
    end
    local none, err = stream:read(0)
    return none, not none and told(self, err, "read") or nil, not none and "" or nil
  end
  while have < count do
    local chunk, err = receive_some(self, stream, count - have, start)
    if not chunk then
      return nil, told(self, err, "read"), concat(parts)
    end
    have = have + #chunk
    parts[#parts + 1] = chunk
  end
  return concat(parts)
end

local function receive_all(self, stream, part, start)
  local parts = {part}
  while true do
    local chunk, err = receive_some(self, stream, nil, start)
    if not chunk then
      local text = told(self, err, "read")
      if text == "closed" and #parts > 1 then
        return concat(parts)
      end
      return nil, text, concat(parts)
    end
    parts[#parts + 1] = chunk
  end
end

local function without_returns(text)
  return find(text, "\r", 1, true) and gsub(text, "\r", "") or text
end

local function receive_line(self, stream, part, start)
  local line, err
  if start then
    line, err = timeout(self.total, stream.readuntil, stream, "\n", LONGEST, STRICT)
  else
    line, err = stream:readuntil("\n", LONGEST, STRICT)
  end
  if line then
    self.received = self.received + #line + 1
    return part .. without_returns(line)
  end
  local rest = left_over(stream)
  self.received = self.received + #rest
  return nil, told(self, err, "read"), part .. without_returns(rest)
end

--- `receive(pattern?, prefix?)` of an object whose stream `open` gives, or why there is none.
--- Who never waits may have a loop of its own, in C, which looks at descriptors: what arrives
--- when nobody receives is left for that to see.
function transfer.receive(self, open, pattern, part)
  part = part == nil and "" or object.text(part, 2, "receive")
  local count = tonumber(pattern)
  local letter = pattern == nil and "l" or not count and type(pattern) == "string" and gsub(pattern, "^%*", "")
  letter = letter and sub(letter, 1, 1)
  if count and count < 0 or not count and letter ~= "l" and letter ~= "a" then
    bad(1, "receive", "invalid receive pattern")
  end
  begin(self)
  local stream, text = open(self)
  if not stream or is_deaf(self, stream) then
    return nil, text or "closed", part
  end
  local start = start_of(self)
  count = count and tointeger(count // 1)
  if count and #part > 0 and count <= #part then
    return part
  end
  local how = count and receive_count or letter == "a" and receive_all or receive_line
  if self.block ~= 0 and self.total ~= 0 then
    return how(self, stream, part, start, count)
  end
  local data, why, so_far = how(self, stream, part, start, count)
  quiet(stream)
  if data then
    return data
  end
  return nil, why, so_far
end

--- Within a time, a piece at a time: so what went out before is known. Who never waits may
--- have a loop of its own, in C, that does not let neap's run: so it goes out at once.
local function send_within(self, stream, data, from, to, start)
  while from <= to do
    local seconds = limit(self, start)
    local ready, err = stream:wait("w", seconds)
    if not ready then
      return from - 1, err
    end
    local last = min(to, from + PIECE - 1)
    stream:settimeout(seconds)
    local done
    done, err = stream:write(from == 1 and last == #data and data or sub(data, from, last))
    if not done and err.accepted == 0 then
      return from - 1, err
    end
    from = last + 1
    if not done and (err.code ~= "ETIMEDOUT" or from <= to) then
      return last, err
    end
  end
  if limit(self, start) == 0 then
    stream:settimeout(0)
    stream:flush()
  end
  return to
end

local function send_all(stream, data, from, to)
  local done, err = stream:write(from == 1 and to == #data and data or sub(data, from, to))
  if not done then
    return from - 1 + (err.accepted or 0), err
  end
  return to
end

--- `send(data, from?, to?)`
function transfer.send(self, open, data, from, to)
  data = object.text(data, 1, "send")
  from, to = tonumber(from or 1), tonumber(to or -1)
  if not from or not to then
    bad(from and 3 or 2, "send", "number expected")
  end
  from, to = tointeger(from // 1), tointeger(to // 1)
  from = from < 0 and #data + from + 1 or from
  to = to < 0 and #data + to + 1 or min(to, #data)
  from = from < 1 and 1 or from
  begin(self)
  local stream, text = open(self)
  if not stream then
    return nil, text, from - 1
  elseif from > to then
    return from - 1
  end
  local last, err
  if self.block < 0 and self.total < 0 then
    last, err = send_all(stream, data, from, to)
  else
    last, err = send_within(self, stream, data, from, to, start_of(self))
  end
  self.sent = self.sent + last - from + 1
  if err then
    return nil, told(self, err, "write"), last
  end
  return last
end

function transfer.getstats(self)
  return self.received, self.sent, now() - self.born
end

function transfer.setstats(self, received, sent, age)
  self.received = tonumber(received) or self.received
  self.sent = tonumber(sent) or self.sent
  self.born = tonumber(age) and now() - age or self.born
  return 1
end

return transfer
