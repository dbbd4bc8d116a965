-- The program of `neap -w N`, in the main thread: N workers run the script, each in a
-- slot. One that fails is told of and started again, ever later when it fails at once; but
-- where the script does not even begin, the first time, that is the end. SIGHUP replaces them one by one,
-- SIGUSR2 the whole process.

local core = require "neap.worker.core"
local sched = require "neap.task.core"
local service = require "neap.process.service"
local signal = require "neap.signal"
local task = require "neap.task"
local time = require "neap.time"
local worker = require "neap.worker" -- core.await

local format, pairs, ipairs, stderr = string.format, pairs, ipairs, io.stderr

--- Seconds before a worker is started again; and how long one must have lived
--- for the next pause to be a short one.
local FIRST_PAUSE, LAST_PAUSE, LONG_LIFE = 0.1, 10, 10

--- Seconds after which a successor is taken for one that serves, if it lives.
local START = 10

--- Seconds that a worker's drain may take.
local DRAIN = select(3, core.self())

local Supervisor = {}
Supervisor.__index = Supervisor

local function tell(...)
  stderr:write("neap: ", format(...), "\n")
end

--- Start a worker in a slot, which is interrupted when the supervisor is.
function Supervisor:start(slot)
  local w, err = core.start(slot.id, self.count, self.kind, self.name, format("%d", slot.lives),
    table.unpack(self.arguments, 1, self.arguments.n))
  if not w then
    return nil, err
  end
  slot.id = w.id
  slot.lives = slot.lives + 1
  self.alive[w] = true
  self.scope:spawn(function()
    core.await(w)
    self.alive[w] = nil
  end)
  return w
end

--- How a worker has ended: true if it is not to be started again.
function Supervisor:has_done(slot, w)
  local _, err = w:results()
  if not err or self.stopping then
    return true
  elseif not err.began and slot.lives == 1 then
    if err.code ~= "EWORKER" then -- it could tell nobody
      tell("%s", err)
    end
    os.exit(err.status, true)
  end
  if time.now() - slot.begun > LONG_LIFE then
    slot.pause = FIRST_PAUSE
  end
  tell("worker %d ended with status %d; it starts again in %g s", slot.id, err.status, slot.pause)
  return false
end

--- Keep a worker in a slot, until its script has ended well.
function Supervisor:keep(slot)
  while true do
    local w = slot.worker
    w:wait()
    if slot.worker ~= w then -- it was replaced
      goto continue
    elseif slot.successor then
      slot.worker = slot.successor
      goto continue
    elseif self:has_done(slot, w) then
      return
    end
    task.idle(task.sleep, slot.pause)
    if self.stopping then
      return
    end
    slot.pause = math.min(slot.pause * 2, LAST_PAUSE)
    if slot.worker == w then
      slot.begun = time.now()
      slot.worker = assert(self:start(slot))
    end
    ::continue::
  end
end

--- Let a worker that has a successor end.
local function retire(w)
  w:drain()
  if not task.timeout(DRAIN, function()
    w:wait()
    return true
  end) then
    core.interrupt(w)
  end
end

--- Start a worker in the place of another one; that goes on until it serves, and if it
--- does not come to that. True if it did.
function Supervisor:replace(slot)
  local old = slot.worker
  local w, err = self:start(slot)
  if not w then
    tell("worker %d goes on: %s", slot.id, err)
    return false
  end
  slot.successor = w
  local settled = task.timeout(START, w.settle, w)
  slot.successor = nil
  if settled == false and slot.worker ~= w then
    err = select(2, w:results())
    if err then
      tell("worker %d goes on: its successor ended with status %d", slot.id, err.status)
      return false
    end
  end
  slot.begun, slot.pause = time.now(), FIRST_PAUSE
  slot.worker = w
  self.scope:spawn(retire, old)
  return true
end

function Supervisor:reload()
  for _, slot in ipairs(self.slots) do
    if self.stopping or slot.kept and not self:replace(slot) then
      return
    end
  end
end

function Supervisor:hear()
  for name in signal.each("SIGHUP", "SIGUSR2") do
    if name == "SIGHUP" then
      service.reloading()
      self:reload()
      service.reloaded()
    else
      local ok, err = service.restart()
      if not ok then
        tell("%s", err)
      end
    end
  end
end

--- The program drains: so do all workers.
function Supervisor:drain()
  sched.drained()
  self.stopping = true
  for w in pairs(self.alive) do
    w:drain()
  end
end

--- What workers have the service's manager told: that they are ready, when all are.
function Supervisor:forward()
  local ready, count = {}, 0
  for message in worker.channel(service.CHANNEL):each() do
    if message.state ~= "READY=1" then
      service.notify(message.state)
    elseif not ready[message.id] then
      ready[message.id] = true
      count = count + 1
      if count == self.count then
        service.notify "READY=1"
      end
    end
  end
end

--- Do the loops of all workers go on?
function Supervisor:answers()
  local all = true
  for w in pairs(self.alive) do
    all = w:answers() and all
  end
  return all
end

local function run(self)
  local helpers = {}
  task.scope(function(outer)
    for i, name in ipairs {"hear", "drain", "forward"} do
      helpers[i] = outer:spawn(self[name], self)
    end
    task.yield() -- a worker that serves may have a SIGHUP sent
    task.scope(function(scope)
      self.scope = scope
      for i = 1, self.count do
        local slot = {lives = 0, pause = FIRST_PAUSE, begun = time.now(), kept = true}
        self.slots[i] = slot
        slot.worker = assert(self:start(slot))
        scope:spawn(function()
          self:keep(slot)
          slot.kept = false
        end)
      end
    end)
    for _, helper in ipairs(helpers) do
      helper:cancel()
    end
  end)
end

return function(count, kind, name, _, ...)
  sched.serving(true) -- its drain is that of its workers
  local self = setmetatable({
    count = count,
    kind = kind,
    name = name,
    arguments = table.pack(...),
    slots = {},
    alive = {},
  }, Supervisor)
  service.answers = function()
    return self:answers()
  end
  run(self)
end
