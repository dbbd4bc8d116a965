--- What same_again.c runs: it prints whatever shows where it is, and when.

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

print(table.concat(out, " "))

-- One that is there until the end.
debug.getregistry().kept = setmetatable({}, {__gc = function()
  io.write "finalized\n"
end})
