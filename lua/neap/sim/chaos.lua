-- Faults by chance, each with a number, by which it can be left out of the next run.
--
-- What is drawn for one fault is drawn whether it happens or not, and always as often: so those
-- that are left out shift nothing in the others.

local core = require "neap.sim.core"
local hosts = require "neap.sim.hosts"
local sched = require "neap.task.core"

local error, ipairs, pairs, tonumber, type = error, ipairs, pairs, tonumber, type
local concat, format, floor, gmatch = table.concat, string.format, math.floor, string.gmatch

local chaos = {}

--- By its name what a kind of fault does; returns what ends it, and says what it was.
local kinds = {}

local ORDER = {"partition", "crash", "pause", "clog", "skew"}

local serial, stopped = 0, false

--- The faults that happen, by number: for so many seconds, or true; nil: all.
local keep

local function keeps(number)
  local text = core.keep()
  if text and not keep then
    keep = {}
    for word, lasts in gmatch(text, "(%d+):?([%d.]*)") do
      keep[tonumber(word)] = tonumber(lasts) or true
    end
  end
  return not keep or keep[number]
end

--- What --keep makes shorter.
local function lasting(number, lasts)
  local kept = keep and keep[number]
  return type(kept) == "number" and kept or lasts
end

local function below(n)
  return core.chance("faults", n)
end

--- Seconds between two bounds, in thousandths.
local function between(range)
  local low, high = floor(range[1] * 1000), floor(range[2] * 1000)
  return (low + below(high - low + 1)) / 1000
end

--- One part of the hosts and the director against the others.
function kinds.partition(targets, draw)
  local one, other = {}, {}
  for i, target in ipairs(targets) do
    local side = draw >> i & 1 == 0 and one or other
    side[#side + 1] = target
  end
  if #one == 0 or #other == 0 then -- the first alone
    one, other = {targets[1]}, {}
    for i = 2, #targets do
      other[#other + 1] = targets[i]
    end
  end
  local names = {}
  for i, target in ipairs(one) do
    names[i] = target.name
  end
  local function cut(begins)
    for _, a in ipairs(one) do
      for _, b in ipairs(other) do
        core.fault(a.id, b.id, begins)
        core.fault(b.id, a.id, begins)
      end
    end
  end
  return "partition " .. concat(names, ",") .. " | others", function()
    cut(true)
  end, function()
    cut(false)
  end
end

local function one_of(targets, draw)
  return targets[draw % #targets + 1]
end

--- As by a power failure, or only its program.
function kinds.crash(targets, draw)
  local host = one_of(targets, draw)
  local how = draw >> 32 & 1 == 0 and "crash" or "kill"
  return how .. " " .. host.name, function()
    if host:state() == "running" then
      host[how](host)
    end
  end, function()
    if host:state() == "crashed" then
      host:restart()
    end
  end
end

function kinds.pause(targets, draw)
  local host = one_of(targets, draw)
  return "pause " .. host.name, function()
    if host:state() == "running" then
      host:pause()
    end
  end, function()
    if host:state() == "paused" then
      host:resume()
    end
  end
end

--- Nothing leaves for it, nor from it, before the fault ends.
function kinds.clog(targets, draw, _, lasts)
  local host = one_of(targets, draw)
  return "clog " .. host.name, function()
    for _, other in ipairs(hosts.everybody(hosts.all)) do
      if other ~= host then
        core.clog(host.id, other.id, lasts)
        core.clog(other.id, host.id, lasts)
      end
    end
  end, function()
  end
end

function kinds.skew(targets, draw, plan)
  local host = one_of(targets, draw)
  local most = floor(plan.skew * 1000)
  local by = ((draw >> 16) % (2 * most + 1) - most) / 1000
  return format("skew %s by %+.3f s", host.name, by), function()
    host:skew(by)
  end, function()
    host:skew(-by)
  end
end

--- One fault, for its time, unless it is left out.
local function strike(plan, targets)
  local kind = plan.kinds[below(#plan.kinds) + 1]
  local draw, lasts = below(1 << 40), between(plan.lasts)
  serial = serial + 1
  if kind == "partition" then
    targets = hosts.everybody(targets)
  end
  if #targets < (kind == "partition" and 2 or 1) or not keeps(serial) then
    return
  end
  lasts = lasting(serial, lasts)
  local what, begin, stop = kinds[kind](targets, draw, plan, lasts)
  core.report("fault", format("%d %s, for %g s", serial, what, lasts))
  begin()
  sched.background(function()
    sched.sleep(lasts)
    if not stopped then
      stop()
    end
  end)
end

local function is_range(value)
  local low, high = value[1], value[2]
  return type(low) == "number" and type(high) == "number" and low >= 0 and low <= high and high < 1e9
end

local function is_names(list)
  for _, name in ipairs(list) do
    if type(name) ~= "string" then
      return false
    end
  end
  return true
end

local RANGE = {"table", is_range, "the least and the most seconds, from 0, below 1e9,"}

--- Of what type an entry is, what else it must be, and how that is called.
local PLAN = {
  every = {"table", function(value)
    return is_range(value) and value[2] >= 0.001
  end, "the least and the most seconds, from 0 and from 0.001, below 1e9,"},
  lasts = RANGE, kinds = {"table", nil, "a list of kinds"}, hosts = {"table", is_names, "a list of hosts' names"},
  skew = {"number", function(value)
    return value >= 0 and value < 1e6
  end, "seconds from 0, below 1e6,"},
}

local function checked(plan, level)
  if type(plan) ~= "table" then
    error("sim.chaos: a plan expected, got " .. type(plan), level + 1)
  end
  for name, value in pairs(plan) do
    local entry = PLAN[name]
    if not entry then
      error(format("sim.chaos: there is no '%s' in a plan", name), level + 1)
    elseif type(value) ~= entry[1] or entry[2] and not entry[2](value) then
      error(format("sim.chaos: %s: %s expected", name, entry[3]), level + 1)
    end
  end
  for _, kind in ipairs(plan.kinds or {}) do
    if not kinds[kind] then
      error(format("sim.chaos: there is no kind '%s'", kind), level + 1)
    end
  end
  return {
    every = plan.every or {1, 8}, lasts = plan.lasts or {0.5, 5}, hosts = plan.hosts, skew = plan.skew or 1,
    kinds = plan.kinds or ORDER,
  }
end

function chaos.begin(plan, level)
  plan = checked(plan, level + 1)
  local kept = {}
  for _, kind in ipairs(plan.kinds) do
    if below(2) == 1 then
      kept[#kept + 1] = kind
    end
  end
  plan.kinds = kept
  if #kept == 0 then
    return
  end
  sched.background(function()
    while not stopped do
      sched.sleep(between(plan.every))
      local targets = {}
      for i, name in ipairs(plan.hosts or {}) do
        targets[i] = hosts.named(name) or error(format("sim.chaos: there is no host '%s'", name))
      end
      if not stopped then
        strike(plan, plan.hosts and targets or hosts.all)
      end
    end
  end)
end

--- No more faults, and those that there are end.
function chaos.stop()
  stopped = true
  hosts.calm()
end

return chaos
