--- Calls every public function and method with what nobody should pass (values.lua), at every
--- position, alone and beside arguments that are good, and in each of its options; and uses
--- the objects as their metamethods allow. What is called comes from the modules and
--- metatables that there are, and the annotations say how.
---
---     neap spec/hostile/run.lua ROOT [SHARE [SEED [PATTERN]]]
---
--- ROOT is the folder of the sources; one call in SHARE is made, by chance; of functions
--- whose names match PATTERN. In an empty folder, for it writes files there. NEAP_HOSTILE=trace
--- tells each call before it is made; NEAP_HOSTILE=each looks for what is left behind each
--- function, and not only behind those of a page.

local root, share, seed, pattern = ...
share = tonumber(share or 1)
package.path = root .. "/?.lua;" .. package.path
seed = tonumber(seed or 1)

local host = require "neap.host"
local log = require "neap.log"
local net = require "neap.net"
local reference = require "docs.reference"
local stdio = require "neap.stdio"
local task = require "neap.task"
local time = require "neap.time"

local good = require "spec.hostile.good"
local objects = require "spec.hostile.objects"
local values = require "spec.hostile.values"

local hot = require "spec.support.hot"
local sorted = require "spec.support.keys"

local trace = os.getenv "NEAP_HOSTILE" == "trace"
local each = os.getenv "NEAP_HOSTILE" == "each"
local random = math.random

--- What may not be called, and why.
local LEFT_OUT = {
  ["neap.process.restart"] = "it replaces the process",
  ["neap.process.notify"] = "it tells the service manager",
  ["neap.signal.raise"] = "it ends the process, as it should",
  ["neap.signal.default"] = "signals would end the process",
  ["neap.luasocket.install"] = "what is required behind it is LuaSocket's",
  ["neap.sim.Message.packet"] = "only a rule is given one",
  ["neap.args.parse"] = "it ends the process, as it should",
  ["neap.repl.here"] = "it waits for a person",
}

--- What runs what it is given in a task of the program's, which an error ends: so it is given
--- nothing that raises.
local CALM = {
  ["neap.task.spawn"] = true, ["neap.task.background"] = true, ["neap.task.idle"] = true,
}

local function close_descriptor(fd)
  net.connect("fd:" .. fd):close()
end

local function stop(tracer)
  tracer:stop()
end

--- What gives its caller something that lives on when it is dropped, and what ends that.
local GIVES = {
  ["neap.Stream:detach"] = close_descriptor, ["neap.Descriptor:take"] = close_descriptor,
  ["neap.trace.start"] = stop, ["neap.trace.events"] = stop, -- 8 at most, and garbage counts
}

local calls, functions, findings, seen = 0, 0, 0, {}

local function finding(name, what, text)
  text = tostring(text):sub(1, 300)
  local kind = name .. what:gsub("%b()", "") .. text:gsub("%d+", "N"):gsub("0x%x+", "P")
  if not seen[kind] then
    seen[kind] = true
    findings = findings + 1
    print(("%s%s: %s"):format(name, what, text))
    io.stdout:flush()
  end
end

--- Does an error tell a script's writer what was wrong, and where?
local function judge(name, what, err)
  if type(err) == "string" then
    if err:find(values.mark, 1, true) or err:find "^caller:2: attempt to " and name:find "^[%w.]+$"
      and what:find "^ " then -- Lua's own words of an operator
      return
    elseif err:find "attempt to " or err:find "^neap[%w_.]*:%d" or err:find "lua/neap/"
      or err:find "stack overflow" or err:find "not enough memory" then
      finding(name, what, err)
    elseif not err:find "^caller:2: " then
      finding(name, what .. " [no position]", err)
    end
  elseif not require "neap.error".is(err) then
    finding(name, what .. " [no message]", err)
  end
end

--- A function that calls another one with so many arguments, at line 2 of "caller"; not by a
--- tail call.
local callers = {}
for n = 0, 5 do
  local list = ("a, b, c, d, e"):sub(1, math.max(0, 3 * n - 2))
  callers[n] = assert(load(("local f, a, b, c, d, e = ...\nlocal result = f(%s)\nreturn result"):format(list),
    "=caller"))
end

--- One call, in a task of its own that is cancelled when it waits.
local function call(name, what, f, ...)
  calls = calls + 1
  if trace then
    io.stderr:write(name, what, "\n")
  end
  local ok, err
  local calling = task.spawn(function(...)
    ok, err = pcall(f, ...)
  end, ...)
  for _ = 1, 3 do
    task.yield()
    if ok ~= nil then
      break
    end
  end
  if ok == nil then
    calling:cancel()
    local _, late = task.timeout(10, calling.join, calling)
    if late and late.code == "ETIMEDOUT" then
      finding(name, what, "does not end when it is cancelled")
    end
  end
  if ok == false then
    judge(name, what, err)
  elseif ok and err and GIVES[name] then
    pcall(GIVES[name], err)
  end
end

local function drawn()
  return share == 1 or random(share) == 1
end

--- A value is drawn, and the task has none that raise.
local function each_value(name, f)
  for _, entry in ipairs(values.list) do
    if drawn() and not (CALM[name] and entry[1]:find "raising" or CALM[name] and entry[1]:find "userdata") then
      f(entry[1], entry[2])
    end
  end
end

--- The arguments of a call: those that are good, but for one.
local function arguments(class, item, kind, position, value)
  local list, n = {}, 0
  if item.separator == ":" then
    n = 1
    list[1] = objects.make(class, kind)
  end
  for _, param in ipairs(item.params) do
    n = n + 1
    if n ~= position then
      list[n] = good.value(class, item, param)
    end
  end
  if position then
    n = math.max(n, position)
    list[position] = value
  end
  return list, math.min(n, 5)
end

local function done()
  objects.finish()
end

--- What is drawn for a name depends on nothing but that and the seed.
local function begin(name)
  local number = 0
  for i = 1, #name do
    number = number * 31 + name:byte(i)
  end
  math.randomseed(seed, number)
end

local function matrix(class, item, f, classes, kind)
  local name = class .. item.separator .. item.name
  begin(name .. kind)
  local first = item.separator == ":" and 1 or 0
  local function try(what, list, n)
    call(name, what, callers[n], f, table.unpack(list, 1, n))
    done()
  end
  try("(good)", arguments(class, item, kind))
  if first == 1 then
    try("()", {}, 0)
    try("(self)", {objects.make(class, kind)}, 1)
    local list, n = arguments(class, item, kind)
    pcall(function() list[1]:close() end)
    try("(closed self)", list, n)
    if kind == 1 and not hot[class:match "[^.]+$" .. ":" .. item.name] then
      each_value(name, function(text, value)
        local rest, count = arguments(class, item, kind, 1, value)
        try(("(self = %s)"):format(text), rest, count)
      end)
    end
  end
  for position = first + 1, first + math.max(1, #item.params) do
    local param = item.params[position - first]
    each_value(name, function(text, value)
      local list, n = arguments(class, item, kind, position, value)
      try(("(#%d = %s)"):format(position, text), list, n)
    end)
    for _, option in ipairs(param and good.options(param, classes) or {}) do
      each_value(name, function(text, value)
        local options = {}
        local base = good.value(class, item, param)
        for key, v in pairs(type(base) == "table" and not getmetatable(base) and base or {}) do
          options[key] = v
        end
        options[option] = value
        local list, n = arguments(class, item, kind, position, options)
        try(("({%s = %s})"):format(option, text), list, n)
      end)
    end
  end
  each_value(name, function(text, value)
    local list = {value, value, value, value, value}
    if first == 1 then
      list[1] = objects.make(class, kind)
    end
    try(("(all %s)"):format(text), list, 5)
  end)
end

--- What is done to values by operators; an error is to be at the line that does it.
local operators = {
  index = "return a[b]", newindex = "a[b] = b", length = "return #a", text = "return tostring(a)",
  equal = "return a == b", less = "return a < b", concat = "return a .. b", called = "local r = a(b) return r",
  pairs = "for _ in pairs(a) do break end", divided = "return a / b", added = "return a + b",
  closed = "local c <close> = a",
}

local function operate(class, kind)
  begin(class .. kind)
  for _, operator in ipairs(sorted(operators)) do
    local code = operators[operator]
    local f = assert(load("\nlocal a, b = ... " .. code, "=caller"))
    each_value(class, function(text, value)
      call(class, (" %s %s"):format(operator, text), f, objects.make(class, kind), value)
      done()
    end)
  end
end

--- Waits until as many are there as before, for a while: what is left, or nothing.
local function left(before)
  local deadline = time.now() + 2
  while true do
    collectgarbage()
    local now, more = host.stats(), {}
    for _, what in ipairs {"tasks", "streams", "listeners", "datagrams", "descriptors"} do
      if now[what] and now[what] > before[what] then
        more[#more + 1] = ("%s +%d"):format(what, now[what] - before[what])
      end
    end
    if #more == 0 then
      return nil
    elseif time.now() > deadline then
      for _, row in ipairs(host.sockets()) do
        more[#more + 1] = tostring(row.kind) .. " " .. tostring(row.endpoint or row.localaddr)
      end
      return table.concat(more, ", ")
    end
    task.sleep(0.01)
  end
end

local function check_left(name, before)
  if name then
    objects.finish_all()
    log.setup {to = function() end} -- else it keeps a stream
    local more = left(before)
    if more then
      finding(name, "", "leaves " .. more)
    end
  end
end

--- What a class's objects have as methods.
local function function_of(class, item)
  if item.separator == "." then
    return require(class)[item.name]
  end
  local object = objects.make(class)
  local f = object[item.name]
  done()
  return f
end

--- These are had only where a world is directed (neap sim).
local OF_WORLDS = {["neap.sim.Host"] = true, ["neap.sim.Rule"] = true}
local is_world = require "neap.sim.core".directs()

local function run_class(class, classes)
  if OF_WORLDS[class.name] and not is_world or class.name == "neap.sim.Message" then
    return
  end
  for _, item in ipairs(class.functions) do
    local name = class.name .. item.separator .. item.name
    if not LEFT_OUT[class.name .. "." .. item.name] and (not pattern or name:find(pattern)) then
      functions = functions + 1
      local f = function_of(class.name, item)
      local before = each and host.stats()
      for kind = 1, item.separator == ":" and #objects.makers[class.name] or 1 do
        if kind == 1 or share == 1 or random(4) == 1 then -- the others are like the first
          matrix(class.name, item, f, classes, kind)
        end
      end
      check_left(each and name, before)
    end
  end
  local makers = objects.makers[class.name]
  for kind = 1, makers and (not pattern or class.name:find(pattern)) and #makers or 0 do
    operate(class.name, kind)
  end
end

log.setup {to = function() end}
local _ = stdio.stderr
local classes = {}
local pages = reference.read(root)
for _, page in ipairs(pages) do
  for _, class in ipairs(page) do
    if class.name then
      classes[class.name] = class
    end
  end
end

for _, page in ipairs(pages) do
  local before = host.stats()
  for _, class in ipairs(page) do
    if class.name and class.functions then
      run_class(class, classes)
    end
  end
  check_left(page.name, before)
end

print(("%d functions, %d calls, %d findings"):format(functions, calls, findings))
os.exit(findings == 0)
