-- A double close.
--
-- A server numbers what its clients open, by the least number that is free, as descriptors are.
-- Who gets no answer to his close closes again: by then the number may be another client's.
-- Mended, a number is never had twice.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"

sim.host("server", function(way)
  local net = require "neap.net"
  local owners, most = {}, 0

  local verbs = {}

  function verbs.open(name)
    local number = 1
    while owners[number] or way == "mended" and number <= most do
      number = number + 1
    end
    most = math.max(most, number)
    owners[number] = name
    return number
  end

  function verbs.use(number)
    return owners[math.tointeger(number)] or "nobody"
  end

  function verbs.close(number)
    owners[math.tointeger(number)] = nil
    return "closed"
  end

  local socket = assert(net.bind "udp://*:7000")
  for message, from in socket:messages() do
    local verb, what = message:match "^(%l+) (%S+)$"
    socket:send(verbs[verb](what), from)
  end
end, {args = {...}})

local function ask(...)
  local socket <close> = assert(net.connect "udp://server:7000")
  socket:settimeout(0.5)
  local answer
  repeat
    socket:send(table.concat({...}, " "))
    answer = socket:recv()
  until answer
  return answer
end

for _, name in ipairs {"c1", "c2", "c3"} do
  sim.client(name, function()
    for _ = 1, 15 do
      local number = ask("open", name)
      for _ = 1, 3 do
        task.sleep(sim.random(300) / 1000)
        local owner = ask("use", number)
        assert(owner == name, ("%s is not %s's, but %s's"):format(number, name, owner))
      end
      ask("close", number)
    end
  end)
end

sim.chaos {kinds = {"partition", "pause", "clog"}, lasts = {0.5, 3}}
