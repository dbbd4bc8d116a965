--- Streams that are fed bytes by spec/fuzz.c, which has given us `feed`.

local net = require "neap.net"
local task = require "neap.task"

local fed = {}

--- Bytes cut into pieces of these sizes (from 0, one more each), again and again, but the
--- last piece may be long: what takes many pieces shows nothing that some do not.
function fed.cut(bytes, sizes)
  local MOST <const> = 48
  local pieces, at = {}, 1
  while at <= #bytes do
    local size = #pieces < MOST and 1 + sizes[1 + #pieces % #sizes] or #bytes
    pieces[#pieces + 1] = bytes:sub(at, at + size - 1)
    at = at + size
  end
  return pieces
end

--- What `read` makes of a stream that these pieces arrive at, and their end; the other one is
--- where it writes to.
function fed.read(feed, pieces, read)
  local ours, theirs = assert(net.socketpair "mem")
  local feeder = task.spawn(function()
    for _, piece in ipairs(pieces) do
      feed(theirs, piece)
    end
    ours:shutdown()
  end)
  local result = read(theirs, ours)
  theirs:close()
  feeder:join()
  ours:close()
  return result
end

return fed
