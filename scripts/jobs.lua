-- usage: neap jobs.lua BUS [FIRST LAST]
--
-- A queue of jobs, and who does them: puts the jobs FIRST to LAST, numbers that are to be
-- squared, and does jobs of anybody's. Prints `put N` when a job is acknowledged: from then on
-- it is done at least once, whoever of them is killed meanwhile; and `done N SQUARE`.
--
--   neap jobs.lua mem: 1 10                                    one process
--   neap -w 4 jobs.lua worker: 1 10                            four workers, of which one puts
--   neap jobs.lua nats://127.0.0.1 1 10                        and others, elsewhere
--
-- Over NATS (with JetStream: `nats-server -js`) the server keeps the jobs. Else whoever puts one
-- asks until it is answered, and an answer means that it is done.

local bus = require "neap.bus"
local task = require "neap.task"
local worker = require "neap.worker"

local WAIT = 2 -- seconds until a job that somebody has taken is given to another

local first, last = math.tointeger(tonumber(arg[2] or 1)), math.tointeger(tonumber(arg[3] or 0))
if not arg[1] or #arg > 3 or not first or not last then
  io.stderr:write("a bus, please, and two numbers\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local function check(value, err)
  return value or (io.stderr:write("jobs: ", tostring(err), "\n") and os.exit(1))
end

local function work(text)
  local n = math.tointeger(tonumber(text)) or 0
  task.sleep(0.01)
  print("done " .. n .. " " .. n * n)
end

--- Jobs that NATS keeps: a function that puts one, and one that does them for ever.
local function kept(jetstream)
  check(jetstream:stream {name = "jobs", subjects = {"jobs.>"}, retention = "workqueue"})
  local consumer = check(jetstream:consumer("jobs", {durable_name = "workers", ack_wait = WAIT}))
  return function(n)
    return jetstream:publish("jobs.square", tostring(n), {id = "job " .. n, timeout = 60})
  end, function()
    while true do
      for _, message in ipairs(consumer:fetch(5, {timeout = 1}) or {}) do
        work(message.data)
        message:ack()
      end
    end
  end
end

--- Jobs that whoever has put them remembers, until they are done.
local function asked(here)
  local jobs = here:subscribe("jobs.square", {queue = "workers"})
  return function(n)
    local answer, err
    repeat
      answer, err = here:request("jobs.square", tostring(n), {timeout = WAIT})
    until answer or err.code ~= "ETIMEDOUT" and err.code ~= "ECONNREFUSED"
    return answer, err
  end, function()
    for message in jobs:messages() do
      work(message.data)
      message:respond "done"
    end
  end
end

io.stdout:setvbuf "line"
local here <close> = check(bus.open(arg[1]))
local jetstream = here:jetstream()
local put, work_on = (jetstream and kept or asked)(jetstream or here)
check(here:flush(60))
task.spawn(function()
  for n = first, worker.id <= 1 and last or 0 do
    check(put(n))
    print("put " .. n)
  end
  if arg[1]:find "^mem:" then -- nobody else can put one
    here:drain()
  end
end)
work_on()
