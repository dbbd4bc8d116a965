-- What every spec file of neap is held to: it leaves as many tasks, sockets,
-- descriptors and channels as it found, and uses no undeclared global.

local busted = require "busted"
local host = require "neap.host"
local task = require "neap.task"
local workers = require "neap.worker.core"


-- Leaks. busted tells the end of a test before its after_each runs, so a file
-- is what is looked at, after a full collection: what a test drops, that may
-- close. What was closed may need some turns of the loop to be gone.

local function more(before, now)
  local left = {}
  for kind, count in pairs(now) do
    local extra = math.type(count) == "integer" and count - (before[kind] or 0) or 0
    if extra > 0 then
      left[#left + 1] = ("%s +%d"):format(kind, extra)
    end
  end
  table.sort(left)
  return #left > 0 and table.concat(left, ", ")
end

local function stats()
  local now = host.stats()
  now.channels = workers.channels()
  return now
end

local at_start

busted.subscribe({"file", "start"}, function()
  collectgarbage()
  at_start = stats()
  return nil, true
end)

busted.subscribe({"file", "end"}, function(file)
  local left
  local function goes_on(round) -- a child keeps a descriptor until its whole group has gone
    return round <= 100 or round <= 1000 and left:find "^descriptors %+%d+$"
  end
  local round = 1
  repeat
    collectgarbage()
    left = more(at_start, stats())
    if not left then
      return nil, true
    end
    task.sleep(0.01)
    round = round + 1
  until not goes_on(round)
  error(("%s leaves behind: %s"):format(file.name, left), 0)
end)


-- Strict globals, for neap's own code and the specs. Others (busted, penlight)
-- probe for globals that only other Luas have. A spec's globals pass through
-- busted's environment, so the frame behind that is the one that counts.

local function culprit()
  local level = 3
  local info
  repeat
    info = debug.getinfo(level, "Sl")
    level = level + 1
  until not info or not info.source:find "/busted/environment%.lua$"
  if info and info.what ~= "C" and not info.source:find "^@/usr/" then
    return ("%s:%d: "):format(info.short_src, info.currentline)
  end
end

setmetatable(_G, {
  __index = function(_, name)
    local where = culprit()
    if where then
      error(where .. ("undeclared global '%s'"):format(name), 0)
    end
  end,
  __newindex = function(globals, name, value)
    local where = culprit()
    if where then
      error(where .. ("assignment to undeclared global '%s'"):format(name), 0)
    end
    rawset(globals, name, value)
  end,
})
