--- What is done with streams to find out whether they are right.

local task = require "neap.task"

local streams = {}

--- Write each byte so that it arrives alone.
function streams.trickle(stream, bytes)
  for i = 1, #bytes do
    assert(stream:write(bytes:sub(i, i)))
    assert(stream:flush())
    task.sleep(1e-9)
  end
end

--- Give the bytes whole, and end.
function streams.pour(stream, bytes)
  assert(stream:write(bytes))
  assert(stream:shutdown())
end

--- All results of `f`, called until the first of them is nil, at most `n` times.
function streams.exhaust(f, n)
  local all = {}
  repeat
    local results = table.pack(f())
    all[#all + 1] = results
  until results[1] == nil or #all == n
  return all
end

--- Call a method as scripts do: so that errors know its name.
function streams.call(stream, name, ...)
  return load("local s = ... return s:" .. name .. "(select(2, ...))")(stream, ...)
end

--- Make garbage, so that the collector's next step comes somewhere else.
function streams.litter(n)
  local last
  for i = 1, n do
    last = {last and i}
  end
  return last
end

--- Let the kernel keep little of what the peer does not read.
function streams.narrow(stream)
  stream:set {sndbuf = 131072}
end

return streams
