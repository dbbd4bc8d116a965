--- What the nodes of sim_nodes.c run: a part each. `tell` notes a text there.

local signal = require "neap.signal"
local task = require "neap.task"
local time = require "neap.time"

local part, tell = ...

local parts = {}

function parts.day()
  local began, wall = time.now(), time.wall()
  task.sleep(86400)
  tell(("%.9f %.9f %s"):format(time.now() - began, time.wall() - wall, os.date("!%F %T")))
end

function parts.year()
  task.sleep(365 * 86400)
end

--- Ready tasks run in an order that the seed decides; and so does math.random.
function parts.order()
  local order = {}
  task.scope(function(s)
    for i = 1, 8 do
      s:spawn(function()
        task.yield()
        order[#order + 1] = i
      end)
    end
  end)
  tell(table.concat(order) .. " " .. math.random(1 << 30))
end

--- As many as would take minutes if each were looked for from the beginning.
function parts.many()
  local count = 0
  task.scope(function(s)
    for _ = 1, 20000 do
      s:spawn(function()
        task.yield()
        count = count + 1
      end)
    end
  end)
  tell(count)
end

function parts.open()
  local _ <close> = setmetatable({}, {__close = function()
    tell "closed"
  end})
  package.loaded["spec.kept"] = setmetatable({}, {__gc = function()
    tell "collected"
  end})
  debug.setmetatable(io.stdout, {__gc = function()
    tell "collected"
  end})
  tell "begun"
  task.sleep(100)
  tell "awake"
end

function parts.hup()
  tell(signal.wait("SIGHUP", "SIGTERM"))
  task.sleep(1)
  tell "again"
  task.sleep(1000)
end

function parts.waits()
  signal.wait "SIGUSR1"
end

function parts.stuck()
  task.channel():recv()
end

--- It sees the time go, though nobody waits.
function parts.looks()
  local began, n = time.now(), 0
  while time.now() - began < 0.1 do
    n = n + 1
  end
  tell "looked"
end

function parts.yields()
  local began = time.now()
  while time.now() - began < 0.001 do
    task.yield()
  end
  tell "yielded"
end

function parts.computes()
  local cpu, began = os.clock(), time.now()
  for _ = 1, 1000000 do end
  tell(("%.2f %.2f"):format(os.clock() - cpu, time.now() - began))
end

function parts.loops()
  while true do end
end

function parts.catches()
  local function loop()
    while true do end
  end
  while true do
    pcall(loop)
  end
end

function parts.switches()
  local next = coroutine.wrap(function()
    while true do
      coroutine.yield()
    end
  end)
  while true do
    next()
  end
end

function parts.exits()
  os.exit(7)
end

function parts.fails()
  error("on purpose", 0)
end

function parts.forks()
  local none, err = require "neap.process".spawn {"true"}
  assert(not none and err.code == "ENOSYS", err)
  assert(not os.execute "true")
  tell "none"
end

function parts.threads()
  local worker = require "neap.worker"
  local none, err = worker.run(function() end)
  assert(not none and err.code == "ENOSYS", err)
  none, err = pcall(worker.channel, "name")
  assert(not none and err.code == "ENOSYS", err)
  tell "none"
end

function parts.hooks()
  local lines = 0
  debug.sethook(function()
    lines = lines + 1
  end, "l")
  for _ = 1, 10 do
    lines = lines + 0
  end
  debug.sethook()
  tell(lines > 10)
end

parts[part]()
