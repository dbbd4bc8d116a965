--- Stream:sendfile: files to sockets, by the kernel where it can.

local core = require "neap.fs.core"
local error_object = require "neap.error"

local error, ipairs, type = error, ipairs, type
local mathtype, maxinteger = math.type, math.maxinteger
local format = string.format
local getmeta = debug.getmetatable
local here = core.here

--- Of a piece that is copied, and of one that the kernel takes from the file itself.
local COPIED, SENT = 64 * 1024, 8 * 1024 * 1024

--- Write a piece: its size, which is 0 at the end, and what it failed by.
local function copy_piece(stream, file, from, n)
  local bytes, err = core.pread(here, file, from, n < COPIED and n or COPIED)
  if not bytes or bytes == "" then
    return 0, err
  end
  local ok
  ok, err = stream:write(bytes)
  return ok and #bytes or 0, err
end

--- The same by the kernel, behind what was written before. What it has no room for is
--- copied: so the next flush waits for that room.
local function send_piece(stream, file, from, n)
  local ok, err = stream:flush()
  if not ok then
    return 0, err
  end
  n = n < SENT and n or SENT
  local sent
  sent, err = core.send(here, stream, file, from, n)
  if sent == n or not sent and err.code ~= "EAGAIN" and err.code ~= "EOPNOTSUPP" then
    return sent or 0, err
  end
  sent = sent or 0
  local copied
  copied, err = copy_piece(stream, file, from + sent, n - sent)
  return sent + copied, err
end

--- What comes behind the first piece: as much as there was when it began, or more, if
--- the file grows.
local function send_rest(stream, file, from, n)
  local size, err = core.size(here, file)
  if not size then
    return 0, err
  end
  local due = size - from < n and size - from or n
  local sent, count = 0, nil
  while sent < n and count ~= 0 do
    if sent == due then -- the end, most often: no thread is needed to see it
      count, err = copy_piece(stream, file, from + sent, n - sent)
    else
      count, err = send_piece(stream, file, from + sent, (sent < due and due or n) - sent)
    end
    sent = sent + count
    if err then
      return sent, err
    end
  end
  if sent < due then
    err = error_object.new {
      code = "ENODATA", op = "sendfile",
      message = format("the file was cut, to %d bytes of %d", from + sent, size),
    }
  end
  return sent, err
end

local function sendfile(self, file, from, n)
  if type(file) ~= "userdata" or getmeta(file) ~= getmeta(self) or file.protocol ~= "file" then
    error("bad argument #1 to 'sendfile' (an open file expected)", 2)
  end
  from = from == nil and 0 or from
  n = n == nil and maxinteger - COPIED or n
  for i, value in ipairs {from, n} do
    if mathtype(value) ~= "integer" or value < 0 then
      error(format("bad argument #%d to 'sendfile' (a number of bytes expected)", i + 1), 2)
    end
  end
  -- All of a small file goes with what was written before, and needs no thread.
  local sent, err = copy_piece(self, file, from, n)
  if sent == COPIED and sent < n then
    local more
    more, err = send_rest(self, file, from + sent, n - sent)
    sent = sent + more
  end
  if err then
    err.accepted = sent
    return nil, err
  end
  return sent
end

return sendfile
