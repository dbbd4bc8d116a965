-- The links of a world, between hosts that are named in lists.

local core = require "neap.sim.core"
local hosts = require "neap.sim.hosts"

local error, ipairs, pairs, type = error, ipairs, pairs, type
local floor, format = math.floor, string.format

local links = {}

--- Of a network in one place.
local LATENCY, SLOWNESS = {0.0002, 0.002}, 10

local function is_chance(value)
  return type(value) == "number" and value >= 0 and value <= 1
end

local function is_seconds(value)
  return type(value) == "number" and value >= 0 and value < 1e9
end

local function is_bytes(value)
  return type(value) == "number" and value >= 1 and value < 1e15
end

local function is_latency(value)
  if type(value) ~= "table" then
    return is_seconds(value)
  end
  local least, most = value[1], value[2] or value[1]
  return is_seconds(least) and is_seconds(most) and least <= most
end

local CHANCE, SECONDS = {is_chance, "a number from 0 to 1"}, {is_seconds, "seconds from 0, below 1e9,"}

--- What an option may be, and how that is called.
local OPTIONS = {
  latency = {is_latency, "seconds from 0, below 1e9, or a list of the least and the most,"},
  mean = SECONDS, jitter = SECONDS,
  bandwidth = {is_bytes, "bytes a second, from 1,"}, queue = {is_bytes, "bytes, from 1,"},
  loss = CHANCE, duplicates = CHANCE, reordered = CHANCE, slow = CHANCE,
  slowness = {function(value)
    return type(value) == "number" and value >= 1 and value < 1e6
  end, "a factor from 1, below 1e6,"},
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
    local option = OPTIONS[name]
    if not option then
      error(format("sim.link: there is no option '%s'", name), level + 1)
    elseif not option[1](value) then
      error(format("sim.link: %s: %s expected", name, option[2]), level + 1)
    end
  end
  local latency = options.latency or LATENCY
  if type(latency) == "number" then
    latency = {latency, latency}
  end
  return {
    least = nanoseconds(latency[1]), most = nanoseconds(latency[2] or latency[1]),
    mean = nanoseconds(options.mean or 0), jitter = nanoseconds(options.jitter or 0),
    bandwidth = floor(options.bandwidth or 0), queue = floor(options.queue or 0), loss = millionths(options.loss or 0),
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
  local other = without(b == nil and hosts.everybody(hosts.all) or hosts.those(b, verb, level + 1), one)
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
