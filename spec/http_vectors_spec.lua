-- The framing of requests: each vector of support/http_vectors.lua has the verdict that its
-- clause gives it, however its bytes arrive: whole, byte by byte, and cut at each byte (by
-- default at some; HTTP_VECTOR_CUTS=1: at all).

local core = require "neap.http.core"
local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"
local aside = require "spec.support.aside"
local random = require "spec.support.random"
local vectors = require "spec.support.http_vectors"

local CUTS = tonumber(os.getenv "HTTP_VECTOR_CUTS" or 5)

--- How many requests are made of them by chance, and where chance begins.
local CHANGED = tonumber(os.getenv "HTTP_VECTOR_CHANGED" or 2000)
local SEED = tonumber(os.getenv "HTTP_VECTOR_SEED" or 1)

--- Bytes of a request above which it is not given byte by byte.
local LONG = 1000

local function show(requests, ending)
  local lines = {}
  for i, request in ipairs(requests) do
    lines[i] = ("%s %s %q"):format(request[1], request[2], request[3])
  end
  lines[#lines + 1] = ending
  return table.concat(lines, " | ")
end

local function body_of(parser, stream)
  local parts = {}
  while true do
    local piece, status, words = parser:piece(stream)
    if not piece then
      return table.concat(parts), words and status or status and status.code and "cut"
    end
    parts[#parts + 1] = piece
  end
end

--- The requests that a parser finds, and how it ends: "end", "cut", or a status.
local function parsed(stream)
  local parser, found = core.parser "request", {}
  while true do
    local head, status, words = parser:head(stream)
    if not head then
      return found, words and status or status and "cut" or "end"
    end
    local body, wrong = body_of(parser, stream)
    if wrong then
      return found, wrong
    end
    found[#found + 1] = {head.method, head.target, body}
    if not head.keepalive then
      return found, "end"
    end
  end
end

--- A string in pieces, given one behind the other.
local function fed(pieces, read)
  local ours <close>, theirs = net.socketpair()
  local writer = aside(function()
    for _, piece in ipairs(pieces) do
      if not ours:write(piece) or not ours:flush() then
        return
      end
      task.yield()
    end
    ours:shutdown()
  end)
  local found, ending = read(theirs)
  theirs:close()
  writer:join()
  return show(found, ending)
end

--- All that a server answers to these bytes.
local function ask(endpoint, bytes)
  local client <close> = assert(net.connect(endpoint))
  client:write(bytes)
  client:shutdown()
  return (client:read "a")
end

--- The status of the answer that is no 2xx, nor 100; nil where there is none.
local function refused(answer)
  for status in answer:gmatch "HTTP/1%.1 (%d+)" do
    if status:find "^[345]" then
      return tonumber(status)
    end
  end
end

--- A body that is cut is answered by 400, for nobody knows whether it is read.
local function ending(vector, status)
  if vector.cut then
    return (not status or status == 400) and "cut" or status
  end
  return status or "end"
end

local function bytes_of(text)
  local all = {}
  for i = 1, #text do
    all[i] = text:sub(i, i)
  end
  return all
end

--- Gives vectors of which something was taken, doubled, replaced by what belongs elsewhere,
--- or joined to another one; and a place in them.
local function changes(seed)
  local words = {"\r\n", "\n", "\r", " ", "\t", "\0", ":", ";", ",", "0", "5", "f", "chunked", "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n", "\r\n\r\n", "0\r\n\r\n", "HTTP/1.0", "\255", "/"}
  local upto = random(seed)

  local function vector()
    return vectors[1 + upto(#vectors)].bytes:sub(1, LONG)
  end

  return function()
    local bytes = vector()
    for _ = 0, upto(3) do
      local from, size = upto(#bytes + 1), upto(8)
      local middle = ({"", bytes:sub(from + 1, from + size):rep(2), words[1 + upto(#words)], vector()})[1 + upto(4)]
      bytes = bytes:sub(1, from) .. middle .. bytes:sub(from + 1 + (upto(2) == 0 and size or 0))
    end
    return bytes, upto(#bytes + 1)
  end
end

local function expected(vector)
  return show(vector.requests, vector.status or vector.cut and "cut" or "end")
end

local function compare(wrong, vector, found)
  local right = expected(vector)
  if found ~= right then
    wrong[#wrong + 1] = ("%s (%s): %s, and not %s"):format(vector.name, vector.clause, found:sub(1, 200),
      right:sub(1, 200))
  end
end

--- Each vector has its verdict where its bytes are given in the pieces that `split` makes.
local function judge(split)
  local wrong = {}
  for i, vector in ipairs(vectors) do
    if not vector.served then
      for _, pieces in ipairs(split(vector.bytes, i)) do
        compare(wrong, vector, fed(pieces, parsed))
      end
    end
  end
  assert.same({}, wrong)
end

describe("the framing of requests", function()
  it("is tried by 300 vectors and more, each with its clause", function()
    assert.is_true(#vectors >= 300)
    for _, vector in ipairs(vectors) do
      assert.matches("^911[02] §%d", vector.clause, 1, vector.name)
    end
  end)

  it("is as its clause has it, of what comes whole", function()
    judge(function(bytes)
      return {{bytes}}
    end)
  end)

  it("is as its clause has it, of what comes byte by byte", function()
    judge(function(bytes)
      return {#bytes <= LONG and bytes_of(bytes) or {bytes:sub(1, LONG), bytes:sub(LONG + 1)}}
    end)
  end)

  it("is as its clause has it, of what is cut in two", function()
    judge(function(bytes, nth)
      local all = {}
      for at = 1 + nth % CUTS, math.min(#bytes, LONG) - 1, CUTS do
        all[#all + 1] = {bytes:sub(1, at), bytes:sub(at + 1)}
      end
      return all
    end)
  end)

  it("is the same for what was changed by chance, however it comes", function()
    local wrong = {}
    local some = changes(SEED)
    for _ = 1, CHANGED do
      local bytes, at = some()
      local whole, parts = fed({bytes}, parsed), fed({bytes:sub(1, at), bytes:sub(at + 1)}, parsed)
      if whole ~= parts then
        wrong[#wrong + 1] = ("%q at %d: %s, and %s"):format(bytes, at, whole, parts)
      end
    end
    assert.same({}, wrong, "HTTP_VECTOR_SEED=" .. SEED)
  end)

  it("is what a server answers by", function()
    local found
    local listener = assert(net.listen "mem:http_vectors")
    local server = aside(http.serve, listener, function(request)
      local body, err = request:read "a"
      if not body then
        error(err, 0)
      end
      found[#found + 1] = {request.method, request.target, body}
      return ""
    end, {onerror = function() end})
    local wrong = {}
    for _, vector in ipairs(vectors) do
      found = {}
      local answer = ask(listener.endpoint, vector.bytes)
      compare(wrong, vector, show(found, ending(vector, refused(answer))))
    end
    server:cancel()
    assert.same({}, wrong)
  end)
end)
