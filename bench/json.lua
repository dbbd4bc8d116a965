-- usage: neap bench/json.lua [DOCUMENT...]    how fast JSON is written and read, beside lua-cjson, dkjson and node
--
-- A document is a name of those below, or a file. The figures are megabytes of text a second of processor
-- time, encode and decode: the best of nine rounds, in which the libraries take turns. In brackets is how
-- neap's compares with each. A library that is not installed is left out; node runs in a process of its own,
-- and has no integers beyond 2^53.

local json = require "neap.json"
local process = require "neap.process"

local ROUNDS, ENOUGH = 9, 0.02

local function list(n, make)
  local items = {}
  for i = 1, n do
    items[i] = make(i)
  end
  return items
end

local documents = {
  {"message", {jsonrpc = "2.0", id = 17, method = "ping", params = {1, 2}}},
  {"users", list(200, function(i)
    return {id = i * 7919, name = "User number " .. i, email = ("user%d@example.com"):format(i), active = i % 2 == 0,
      score = i * 1.25, tags = {"alpha", "beta", "gamma"},
      address = {street = "Main Street " .. i, city = "Springfield", zip = "01234"}}
  end)},
  {"integers", list(5000, function(i)
    return i * 12345 % 99991
  end)},
  {"decimals", list(5000, function(i)
    return (i * 7654321 % 360000000 - 180000000) / 1e6
  end)},
  {"floats", list(5000, function(i)
    return math.sin(i)
  end)},
  {"texts", list(2000, function(i)
    return ("word "):rep(i % 12) .. (i % 5 == 0 and '\n"quoted"' or "")
  end)},
  {"unicode", list(1000, function(i)
    return "Grüße aus Köln, 東京 " .. i
  end)},
}

local libraries = {{"neap", json.encode, json.decode}}
for _, name in ipairs {"cjson", "dkjson"} do
  local ok, library = pcall(require, name)
  if ok then
    libraries[#libraries + 1] = {name, library.encode, library.decode}
  end
end

local function seconds(f, arg, n)
  local start = os.clock()
  for _ = 1, n do
    f(arg)
  end
  return os.clock() - start
end

--- Calls that take long enough to be measured.
local function enough(f, arg)
  local n = 1
  while seconds(f, arg, n) < ENOUGH do
    n = n * 2
  end
  return n
end

--- MB/s of each library; `which` is its function, and what it is given.
local function speeds(size, which, arg)
  local counts, best = {}, {}
  for i, library in ipairs(libraries) do
    counts[i], best[i] = enough(library[which], arg), math.huge
  end
  for _ = 1, ROUNDS do
    for i, library in ipairs(libraries) do
      best[i] = math.min(best[i], seconds(library[which], arg, counts[i]) / counts[i])
    end
  end
  for i in ipairs(best) do
    best[i] = size / best[i] / 1e6
  end
  return best
end

--- Of node, encode and decode; nil without it.
local function node(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local result = process.run {"node", "bench/peers/json.js", path}
  os.remove(path)
  if result then
    return string.match(result.stdout, "(%S+) (%S+)")
  end
end

local function show(document, what, size, names, figures)
  local cells = {}
  for i, name in ipairs(names) do
    local against = i == 1 and "" or (" (%.2f)"):format(figures[1] / figures[i])
    cells[i] = ("%s %.1f%s"):format(name, figures[i], against)
  end
  print(("%-10s %8d bytes  %s  %s"):format(document, size, what, table.concat(cells, "   ")))
end

local function measure(name, value)
  local text = json.encode(value)
  local names = list(#libraries, function(i)
    return libraries[i][1]
  end)
  local encoding, decoding = speeds(#text, 2, value), speeds(#text, 3, text)
  local encoded, decoded = node(text)
  if encoded then
    names[#names + 1] = "node"
    encoding[#names], decoding[#names] = tonumber(encoded), tonumber(decoded)
  end
  show(name, "encode", #text, names, encoding)
  show(name, "decode", #text, names, decoding)
end

local function known(name)
  for _, document in ipairs(documents) do
    if document[1] == name then
      return document[2]
    end
  end
  local file <close> = assert(io.open(name))
  return assert(json.decode(file:read "a"))
end

if #arg == 0 then
  for _, document in ipairs(documents) do
    measure(document[1], document[2])
  end
end
for _, name in ipairs(arg) do
  measure(name, known(name))
end
