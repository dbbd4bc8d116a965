-- usage: neap member.lua [--forgiving] ME OTHER...
--
-- A member of a group, as neap sim scripts/sim/members.lua has three to five of. Everybody
-- counts his own beats, and tells two others, once a second, what he knows of everybody's.
-- Whose beats have not grown for five seconds has left the group, and is told nothing any more;
-- who asks at tcp://ME:7000 is told who is in it.
--
-- That is wrong. When the network is cut in two for so long, both halves think that the other
-- one has left: nobody tells it anything, so they stay two groups for ever. --forgiving: now
-- and then those who have left are told, too.

local args = require "neap.args"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local PORT, PATIENCE = 7000, 5

local given = args.parse(arg, {
  name = "neap member.lua",
  {"--forgiving", "tell those who have left, too"},
  {"ME", "a name, or an address"},
  {"OTHER...", "whom to begin with"},
})

-- By name: the highest beat that was told, and when.
local members = {}
local beat = 0

local function hear(name, n)
  local known = members[name]
  if name == given.me then
    beat = math.max(beat, n) -- from a life before
  elseif not known or n > known.beat then
    members[name] = {beat = n, heard = time.now()}
  end
end

local function is_here(name)
  return time.now() - members[name].heard < PATIENCE
end

--- The names of those who are here, or have left.
local function those(here)
  local names = {}
  for name in pairs(members) do
    if is_here(name) == here then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local socket = assert(net.bind(("udp://%s:%d"):format(given.me, PORT)))

local function listen()
  for message in socket:messages() do
    for name, n in message:gmatch "(%S+) (%d+)\n" do
      hear(name, math.tointeger(n))
    end
  end
end

local function tell(names)
  if #names == 0 then
    return
  end
  local lines = {("%s %d\n"):format(given.me, beat)}
  for name, member in pairs(members) do
    lines[#lines + 1] = ("%s %d\n"):format(name, member.beat)
  end
  local to = net.resolve(names[math.random(#names)])
  if to then
    socket:send(table.concat(lines), ("udp://%s:%d"):format(to[1], PORT))
  end
end

local function gossip()
  for round in time.every(1) do
    beat = beat + 1
    tell(those(true))
    tell(those(true))
    if given.forgiving and round % 3 == 0 then
      tell(those(false))
    end
  end
end

for _, name in ipairs(given.other) do
  hear(name, 0)
end
local listener = assert(net.listen(("tcp://%s:%d"):format(given.me, PORT)))
task.spawn(listen)
task.spawn(gossip)
listener:serve(function(stream)
  stream:write(given.me, " ", table.concat(those(true), " "), "\n")
end)
