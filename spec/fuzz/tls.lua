--- TLS: what a peer's records come to, and what is answered, is alike however they arrive.
---
--- Of an input the first byte chooses the side that we are, the next three the pieces.

local fed = require "spec.support.fed"
local net = require "neap.net"
local task = require "neap.task"
local tls = require "neap.tls"

local cert, key = tls.selfsigned {names = {"localhost", "a.example"}}
local OURS <const> = {cert = cert, key = key, alpn = {"h2", "http/1.1"}, tickets = false}
local server = assert(tls.context(OURS))
local asking = assert(tls.context {cert = cert, key = key, ca = cert, verify = "optional", tickets = false})

local SIDES <const> = {
  {context = server, server = true},
  {context = assert(tls.context {ca = cert, alpn = {"h2", "x"}}), server_name = "localhost"},
  {context = asking, server = true},
  {context = assert(tls.context {ca = cert, cert = cert, key = key}), server_name = "a.example"},
}

--- What a side comes to: how that ends; and where its handshake was good, what it reads; and
--- where it could write, what it has sent.
local function talk(stream, other, side)
  local ok, err = stream:starttls(side)
  local text, written = nil, nil
  if ok then
    local parts = {tostring(stream.tls.alpn)}
    written = stream:write "what is said"
    repeat
      ok, err = stream:recv()
      parts[#parts + 1] = ok
    until not ok
    text = table.concat(parts, "\n", 1, 1) .. table.concat(parts, "", 2)
  end
  assert(not err or err.code, err)
  stream:close()
  local answer = other:read "a"
  return {code = err and err.code or "end", text = text, answer = written and answer}
end

local function read(feed, pieces, side)
  return fed.read(feed, pieces, function(stream, other)
    return talk(stream, other, side)
  end)
end

local function check(bytes, feed)
  local which, one, two, three = bytes:byte(1, 4)
  if not three then
    return
  end
  bytes = bytes:sub(5)
  local side = SIDES[1 + which % #SIDES]
  local whole = read(feed, bytes == "" and {} or {bytes}, side)
  local cut = read(feed, fed.cut(bytes, {one, two, three}), side)
  for field, value in pairs(whole) do -- a handshake may be over when what is wrong comes in another piece
    if value and cut[field] and value ~= cut[field] then
      error(("another %s in pieces:\n%q\n-- and\n%q"):format(field, value, cut[field]))
    end
  end
end

--- Pass on what comes, and keep it.
local function pass(from, to, kept)
  return task.spawn(function()
    local bytes = from:recv()
    while bytes do
      kept[#kept + 1] = bytes
      to:write(bytes)
      bytes = from:recv()
    end
    to:shutdown()
  end)
end

--- What a client and a server say to each other.
local function talk_of(ours, theirs)
  local a, near = assert(net.socketpair "mem")
  local far, b = assert(net.socketpair "mem")
  local there, back = {}, {}
  local passing = {pass(near, far, there), pass(far, near, back)}
  local said = task.spawn(function()
    assert(a:starttls(theirs))
    assert(a:write "said by the client")
    assert(a:recv())
    a:shutdown()
    a:read "a"
  end)
  assert(b:starttls(ours))
  assert(b:write "said by the server")
  b:read "a"
  b:close()
  said:join()
  a:close()
  for _, one in ipairs(passing) do
    one:join()
  end
  near:close()
  far:close()
  return table.concat(there), table.concat(back)
end

local function cuts(seeds, which, bytes)
  for i, size in ipairs {#bytes, #bytes - 1, #bytes // 2, 200, 5} do
    seeds[#seeds + 1] = string.char(which, i * 50 % 256, i, 3 * i) .. bytes:sub(1, size)
  end
end

local seeds = {"\0\0\0\0GET / HTTP/1.1\r\n\r\n", "\1\0\0\0HTTP/1.1 400\r\n\r\n", "\1\0\0\0\21\3\3\0\2\2\40"}
for which = 0, 2, 2 do
  for other = 1, 3, 2 do
    local there, back = talk_of(SIDES[1 + which], SIDES[1 + other])
    cuts(seeds, which, there)
    cuts(seeds, other, back)
  end
end

return {check = check, seeds = seeds}
