-- usage: neap bench/bus_restarts.lua [MESSAGES [RESTARTS]]    what a NATS that is killed loses: nothing
--
-- Starts a nats-server with JetStream in a folder of its own, and kills it (SIGKILL) and starts it
-- again RESTARTS times (3) while MESSAGES (100000) are published by 16 tasks over two connections
-- and fetched over a third. Each that was acknowledged must arrive, those of a publisher stand in
-- the stream in their order, and the memory of this process, looked at each tenth of the way,
-- stays what it was. Prints what it saw; the exit status is 1 where something lacks.

local bus = require "neap.bus"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local MESSAGES, RESTARTS = math.tointeger(tonumber(arg[1] or 100000)), math.tointeger(tonumber(arg[2] or 3))
local PUBLISHERS = 16

local folder = os.tmpname()
os.remove(folder)
assert(process.run({"mkdir", folder}).code == 0)
local port
do
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  port = listener.port
end
local url = "nats://127.0.0.1:" .. port
local server

local function start()
  server = assert(process.spawn {"nats-server", "-a", "127.0.0.1", "-p", tostring(port), "-js", "-sd", folder,
    stdout = "null", stderr = "null", env = {PATH = os.getenv "PATH" .. ":/usr/sbin"}, grace = 0})
  repeat
    task.sleep(0.01)
    local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
  until stream
end

--- MiB that this process has in memory.
local function resident()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kib = line:match "^VmRSS:%s*(%d+)"
    if kib then
      return kib // 1024
    end
  end
end

local function open()
  return assert(bus.open(url, {pause = 0.2}))
end

start()
local a, b, taker = open(), open(), open()
local streams = {assert(a:jetstream()), assert(b:jetstream())}
local jetstream = assert(taker:jetstream())
assert(jetstream:stream {name = "all", subjects = {"all.>"}, duplicate_window = 60})
local consumer = assert(jetstream:consumer("all", {durable_name = "taker", ack_wait = 3, max_ack_pending = 2000}))

local acknowledged, next_number = 0, 0
local by_number, arrived = {}, {} -- number -> the place in the stream that was acknowledged, and that came
for number = 1, MESSAGES do -- all the memory that they will need
  by_number[number], arrived[number] = false, false
end
local lost, disordered, memory = 0, 0, {}
local began = time.now()

local function publish(own, js)
  local last = 0
  while next_number < MESSAGES do
    next_number = next_number + 1
    local number = next_number
    local ack = assert(js:publish("all." .. own, tostring(number), {id = tostring(number), timeout = 60}))
    disordered = disordered + (ack.seq <= last and 1 or 0)
    last = ack.seq
    by_number[number], acknowledged = ack.seq, acknowledged + 1
    if acknowledged % (MESSAGES // 10) == 0 then
      memory[#memory + 1] = resident()
    end
  end
end

local count, again = 0, 0
local publishing = true

local function take()
  local quiet = 0
  while publishing or count < acknowledged and quiet < 20 do
    local list = consumer:fetch(500, {timeout = 1}) or {}
    quiet = #list > 0 and 0 or quiet + 1
    for _, message in ipairs(list) do
      local number = math.tointeger(message.data)
      again = again + (arrived[number] and 1 or 0)
      count = count + (arrived[number] and 0 or 1)
      arrived[number] = message.seq
      message:ack()
    end
  end
end

local taking = task.spawn(take)
task.scope(function(scope)
  for i = 1, PUBLISHERS do
    scope:spawn(publish, i, streams[i % 2 + 1])
  end
  for i = 1, RESTARTS do
    repeat
      task.sleep(0.01)
    until acknowledged >= MESSAGES * i // (RESTARTS + 1)
    server:kill "SIGKILL"
    server:wait()
    start()
  end
end)
publishing = false
taking:join()

for number, place in ipairs(by_number) do
  lost = lost + (place and not arrived[number] and 1 or 0)
  disordered = disordered + (arrived[number] and arrived[number] ~= place and 1 or 0)
end
print(("%d acknowledged, %d killed, %d lost, %d out of order, %d came again, %.1f s; MiB: %s"):format(
  acknowledged, RESTARTS, lost, disordered, again, time.now() - began, table.concat(memory, " ")))
for _, one in ipairs {a, b, taker} do
  one:close()
end
server:close()
process.run {"rm", "-rf", folder}
os.exit(lost == 0 and disordered == 0 and acknowledged == MESSAGES and 0 or 1)
