-- The links of a world, between hosts that are named in lists.

local core = require "neap.sim.core"
local hosts = require "neap.sim.hosts"

local error, ipairs, pairs, type = error, ipairs, pairs, type
local floor, format = math.floor, string.format

local links = {}

--- Of a network in one place.
local LATENCY, SLOWNESS = {0.0002, 0.002}, 10

local OPTIONS = {
  latency = "number or table", mean = "number", jitter = "number", bandwidth = "number", queue = "number",
  loss = "number", duplicates = "number", reordered = "number", slow = "number", slowness = "number",
}

local function nanoseconds(seconds)
  return floor(seconds * 1e9)
end

local function millionths(chance)
  return floor(chance * 1e6)
end

--- What core.link takes.
local function manner(options, level)
  if type(options) ~= "table" then
    error(format("sim.link: options expected, got %s", type(options)), level + 1)
  end
  for name, value in pairs(options) do
    local expected = OPTIONS[name]
    if not expected then
      error(format("sim.link: there is no option '%s'", name), level + 1)
    elseif type(value) ~= "number" and not (name == "latency" and type(value) == "table")
      or type(value) == "number" and (value ~= value or value < 0) then
      error(format("sim.link: %s: a %s expected", name, expected), level + 1)
    end
  end
  for _, name in ipairs {"loss", "duplicates", "reordered", "slow"} do
    if (options[name] or 0) > 1 then
      error(format("sim.link: %s: a number from 0 to 1 expected", name), level + 1)
    end
  end
  local latency = options.latency or LATENCY
  if type(latency) == "number" then
    latency = {latency, latency}
  end
  local least, most = latency[1], latency[2] or latency[1]
  if type(least) ~= "number" or type(most) ~= "number" or not (0 <= least and least <= most) then
    error("sim.link: latency: the least and the most seconds expected", level + 1)
  end
  return {
    least = nanoseconds(least), most = nanoseconds(most), mean = nanoseconds(options.mean or 0),
    jitter = nanoseconds(options.jitter or 0), bandwidth = floor(options.bandwidth or 0),
    queue = floor(options.queue or 0), loss = millionths(options.loss or 0),
    duplicates = millionths(options.duplicates or 0), reordered = millionths(options.reordered or 0),
    slow = millionths(options.slow or 0), slowness = floor(options.slowness or SLOWNESS),
  }
end

--- Those of some that are not among others.
local function without(list, others)
  local is_other, rest = {}, {}
  for _, host in ipairs(others) do
    is_other[host] = true
  end
  for _, host in ipairs(list) do
    if not is_other[host] then
      rest[#rest + 1] = host
    end
  end
  return rest
end

local function each_pair(a, b, verb, level, f)
  local one = hosts.those(a, verb, level + 1)
  local other = without(hosts.those(b, verb, level + 1), one)
  for _, from in ipairs(one) do
    for _, to in ipairs(other) do
      f(from.id, to.id)
    end
  end
end

function links.set(a, b, options, level)
  if b == nil and options == nil then
    core.link(nil, nil, manner(a, level + 1))
    return
  end
  local how = manner(options, level + 1)
  each_pair(a, b, "link", level + 1, function(from, to)
    core.link(from, to, how)
    core.link(to, from, how)
  end)
end

function links.cut(a, b, oneway, level)
  each_pair(a, b, "partition", level + 1, function(from, to)
    core.cut(from, to, true)
    if not oneway then
      core.cut(to, from, true)
    end
  end)
end

function links.hold(a, b, held, level)
  each_pair(a, b, held and "hold" or "release", level + 1, function(from, to)
    core.hold(from, to, held)
    core.hold(to, from, held)
  end)
end

function links.clog(a, b, seconds, level)
  each_pair(a, b, "clog", level + 1, function(from, to)
    core.clog(from, to, seconds)
    core.clog(to, from, seconds)
  end)
end

return links
