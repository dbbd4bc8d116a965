--- Stream:sendfile: files to streams, a piece at a time.

local core = require "neap.fs.core"

local error, ipairs, type = error, ipairs, type
local mathtype, maxinteger = math.type, math.maxinteger
local format = string.format
local here = core.here

--- Bytes of a piece.
local PIECE = 64 * 1024

--- Write a piece: its size, which is 0 at the end.
local function copy_piece(stream, file, from, n)
  local bytes, err = core.pread(here, file, from, n < PIECE and n or PIECE)
  if not bytes or bytes == "" then
    return bytes and 0, err
  end
  local ok
  ok, err = stream:write(bytes)
  return ok and #bytes, err
end

local function sendfile(self, file, from, n)
  if type(file) ~= "userdata" or file.protocol ~= "file" then
    error("bad argument #1 to 'sendfile' (an open file expected)", 2)
  end
  from = from == nil and 0 or from
  n = n == nil and maxinteger - PIECE or n
  for i, value in ipairs {from, n} do
    if mathtype(value) ~= "integer" or value < 0 then
      error(format("bad argument #%d to 'sendfile' (a number of bytes expected)", i + 1), 2)
    end
  end
  local sent = 0
  local count, err
  repeat
    count, err = copy_piece(self, file, from + sent, n - sent)
    sent = sent + (count or 0)
  until count ~= PIECE or sent == n
  if not count then
    err.accepted = sent
    return nil, err
  end
  return sent
end

return sendfile
