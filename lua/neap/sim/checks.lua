-- What has to hold in a world, and what has to be seen: always, sometimes, eventually.

local core = require "neap.sim.core"
local sched = require "neap.task.core"

local ipairs, tostring, format = ipairs, tostring, string.format

--- Seconds between two looks.
local EVERY = 0.1

local checks = {}

local watched, awaited = {}, {}

--- A check does not hold, and says perhaps why.
local function fail(kind, check, what, why)
  core.fail(format("%s: %s: %s%s", kind, check.name, what, why ~= nil and ": " .. tostring(why) or ""))
end

local function look()
  for _, check in ipairs(watched) do
    if check.done then -- seen: that is all
      goto continue
    end
    local holds, why = check.f()
    if check.always and not holds then
      fail("always", check, "no longer", why)
    elseif not check.always and holds then
      check.done = true
      core.report("sometimes", check.name)
    end
    ::continue::
  end
end

local function watch(check)
  watched[#watched + 1] = check
  if #watched > 1 then
    return
  end
  sched.background(function()
    while true do
      look()
      sched.sleep(EVERY)
    end
  end)
end

function checks.always(name, f)
  watch {name = name, f = f, always = true}
end

function checks.sometimes(name, f)
  core.report("wanted", name)
  watch {name = name, f = f}
end

function checks.eventually(name, seconds, f)
  awaited[#awaited + 1] = {name = name, seconds = seconds, f = f}
end

--- At the end: what was seen last, and what must come to hold.
function checks.finish()
  look()
  local began = core.now()
  for _, check in ipairs(awaited) do
    local holds, why = check.f()
    while not holds do
      if core.now() - began >= check.seconds then
        fail("eventually", check, format("not within %g s", check.seconds), why)
      end
      sched.sleep(EVERY)
      holds, why = check.f()
    end
  end
  look()
end

--- Is there anything to wait for behind the clients?
function checks.awaits()
  return #awaited > 0
end

return checks
