-- Descriptors that another thread takes as soon as there are any.

local aside = require "spec.support.aside"
local child = require "spec.support.child"
local net = require "neap.net"
local task = require "neap.task"

-- An echo, and a worker that eats descriptors from the line "eat" on until "free": it lets
-- some go, and takes all that it can get. Another task counts how often it is woken.
local server = [[
  local worker = require "neap.worker"
  local hungry, fed = worker.channel "hungry", worker.channel "fed"
  task.spawn(worker.run, function()
    local task, worker = require "neap.task", require "neap.worker"
    local hungry, fed = worker.channel "hungry", worker.channel "fed"
    local held = {}
    hungry:recv()
    repeat
      for i = #held, math.max(#held - 2, 1), -1 do
        held[i]:close()
        held[i] = nil
      end
      local file
      repeat
        file = io.open "/dev/null"
        held[#held + 1] = file
      until not file
      fed:try_send(true)
      task.sleep(0.001)
    until hungry:try_recv()
    for _, file in ipairs(held) do
      file:close()
    end
  end)
  local ticks = 0
  task.spawn(function()
    while true do
      task.sleep(0.01)
      ticks = ticks + 1
    end
  end)
  local listener = assert(net.listen "tcp://127.0.0.1:0")
  print(listener.port)
  io.stdout:flush()
  listener:serve(function(stream)
    for line in stream:lines() do
      if line == "eat" then
        hungry:send(true)
        fed:recv()
      elseif line == "free" then
        hungry:send(true)
      elseif line == "ticks" then
        line = ticks
      end
      stream:write(line, "\n")
    end
  end)
]]

describe("a server whose descriptors another thread eats (D1)", function()
  it("neither stops nor spins, serves whom it has, and recovers", function()
    local p <close> = child.start('ulimit -n 64; exec "$@"', server, "pipe")
    local endpoint = "tcp://127.0.0.1:" .. p.stdout:read "n"
    local told = 0
    local reader = aside(function()
      for _ in p.stderr:lines() do
        told = told + 1
      end
    end)
    local function ask(client, line)
      client:write(line, "\n")
      return client:read "l"
    end
    local first = assert(net.connect(endpoint))
    assert.equal("eat", ask(first, "eat"))
    local clients = {}
    for i = 1, 30 do
      clients[i] = assert(net.connect(endpoint))
      clients[i]:write(i, "\n")
    end
    local cpu, ticks = child.cpu(p.pid), tonumber(ask(first, "ticks"))
    for i = 1, 10 do
      assert.equal("still", ask(first, "still"))
      task.sleep(i / 50)
    end
    assert(tonumber(ask(first, "ticks")) - ticks >= 10)
    local took = child.cpu(p.pid) - cpu
    assert(took < 0.9, took) -- of 1.1 s, and more
    assert(told <= 40, told)
    assert.equal("free", ask(first, "free"))
    for i, client in ipairs(clients) do
      assert.equal(tostring(i), client:read "l")
      client:close()
    end
    first:close()
    p:kill()
    reader:join()
    assert.equal(143, (p:wait()))
  end)
end)
