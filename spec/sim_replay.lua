--- What each node of sim_replay.c runs: it prints whatever shows where it is, and when.

local crypto = require "neap.crypto"
local fs = require "neap.fs"
local json = require "neap.json"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local tls = require "neap.tls"

local out = {}

local function say(...)
  for i = 1, select("#", ...) do
    out[#out + 1] = tostring((select(i, ...)))
  end
end

--- The values of a table, in its order.
local function order(t)
  for _, value in pairs(t) do
    say(value)
  end
end

local strings, objects, functions = {}, {}, {}
for i = 1, 100 do
  strings["key " .. i] = i
  objects[{}] = i
  objects[function()
    return i
  end] = -i
  objects[coroutine.create(print)] = 1000 + i
end
for _, library in ipairs {string, table, math, os, io, debug, utf8} do
  for name, value in pairs(library) do
    if type(value) == "function" then
      functions[value] = name
    end
  end
end
order(strings)
order(objects)
order(functions)
for key in next, debug.getregistry() do
  say(type(key) == "userdata" or key) -- light ones are where the program is
end

say(print, out, say, io.stdout, (coroutine.running()), ("%p"):format(print), ("%p"):format "text")
say(math.random(0), collectgarbage "count", package.path)

-- It is divided so badly that Lua draws where to divide it next.
local pipe = {}
for i = 1, 20000 do
  pipe[i] = {i < 10000 and i or 20000 - i, i}
end
table.sort(pipe, function(a, b)
  return a[1] < b[1]
end)
for i = 1, #pipe, 197 do
  say(pipe[i][2])
end

local ended = 0
for i = 1, 2000 do
  setmetatable({}, {__gc = function()
    ended = ended + 1
    if ended % 50 == 0 then
      say("ended at", i)
    end
  end})
  if i % 100 == 0 then
    say(ended, collectgarbage "count")
  end
end

-- As texts of C's, which Lua looks for by where they are.
for i = 1, 200 do
  say(select(2, io.open("/nowhere/" .. ("x"):rep(i % 50) .. "/a file that is not there, for sure")))
end
say(collectgarbage "count")

-- The process, its user and the machine.
say(os.time(), os.clock(), time.now(), os.date(), os.date("%H %Z", 0), os.date("*t").hour)
say(os.time {year = 2024, month = 13, day = 1, hour = 0}, os.getenv "HOME", os.setlocale())
say(pcall(os.tmpname))
say(os.execute(), os.execute "true")
say(io.popen "date")
say(next(process.env()))
say(io.open "/dev/urandom")
say(io.open "/proc/self/stat")
say(io.open("sim_replay.tmp", "w"))
say(os.remove "sim_replay.tmp")
say(io.read "a", io.open "sim_replay.lua" ~= nil)
say(fs.write("sim_replay.tmp", "x"))
say(#fs.read "sim_replay.lua" > 1000, package.cpath)
for key in pairs(json.decode '{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}') do
  say(key)
end

-- Chance: the world's, that of OpenSSL, and which task is next.
say(crypto.tohex(crypto.random(16)))
say((crypto.generate "ed25519"):pem())
task.scope(function(tasks)
  for i = 1, 20 do
    tasks:spawn(function()
      for _ = 1, 5 do
        say(i)
        task.sleep(math.random())
      end
    end)
  end
end)

-- TLS, with tickets: what it draws, and what time it is there.
local cert, key = tls.selfsigned {names = {"127.0.0.1"}}
local context = assert(tls.context {ca = cert})
local listener <close> = assert(net.listen("tls://127.0.0.1:443", {cert = cert, key = key}))
task.background(function()
  listener:serve(function(stream)
    stream:write "x"
    say(stream:read "a")
  end)
end)
for _ = 1, 3 do
  local stream <close> = assert(net.connect("tls://127.0.0.1:443", {context = context}))
  stream:read(1) -- behind the tickets
  say("resumed", stream.tls.resumed)
  stream:write "bye"
end

print(table.concat(out, " "))
