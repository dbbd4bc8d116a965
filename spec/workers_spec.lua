-- Workers in production (neap -w): how they drain, are replaced, and are looked into.

local fs = require "neap.fs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local child = require "spec.support.child"
local handover = require "spec.support.handover"

local root = os.tmpname()
local serial = 0
local made, running = {}, {}

local write = handover.write

--- A script with this text, in which `port` is a port of its own, and `where` its endpoint.
local function script(text, port)
  serial = serial + 1
  local path = ("%s_%d.lua"):format(root, serial)
  write(path, ("local port, where = %d, 'tcp://127.0.0.1:%d' "):format(port, port) .. text)
  made[#made + 1] = path
  return path
end

--- A neap that runs it, with these options; what it has put out goes away with the test.
local function start(path, ...)
  local command = {child.neap, ...}
  command[#command + 1] = path
  command.stdout, command.stderr = "pipe", "pipe"
  local p = assert(process.spawn(command))
  running[#running + 1] = p
  return p
end

local SERVER = [[
  local net, task, worker = require "neap.net", require "neap.task", require "neap.worker"
  local listener = assert(net.listen(where))
  listener:serve(function(stream)
    local line = stream:read "l"
    while line do
      if line == "slow" then task.sleep(0.3) end
      if line == "crash" then task.spawn(error, "on purpose") end
      stream:write(line, " ", worker.id, "\n")
      line = task.idle(stream.read, stream, "l")
    end
  end)
]]

--- A connection, as soon as somebody listens.
local function connect(port)
  local give_up = time.now() + 20
  while true do
    local stream, err = net.connect("tcp://127.0.0.1:" .. port)
    if stream or time.now() > give_up then
      return assert(stream, err)
    end
    task.sleep(0.01)
  end
end

local function ask(stream, line)
  stream:write(line, "\n")
  local answer = assert(stream:read "l")
  return math.tointeger(answer:match("^" .. line .. " (%d+)$"))
end

--- Ask until all of so many workers have answered.
local function await_all(port, count)
  local seen, n = {}, 0
  local give_up = time.now() + 20
  repeat
    local stream <close> = connect(port)
    local id = ask(stream, "who")
    n = n + (seen[id] and 0 or 1)
    seen[id] = true
  until n == count or time.now() > give_up
  assert.equal(count, n)
end

after_each(function()
  for _, p in ipairs(running) do
    p:kill "SIGKILL"
    p:close()
    p:wait()
  end
  for _, path in ipairs(made) do
    os.remove(path)
  end
  made, running = {}, {}
end)

teardown(function()
  os.remove(root)
end)

describe("neap -w", function()
  it("drains at SIGTERM: what is under way ends well, what is idle ends", function()
    local port = handover.port()
    local p = start(script(SERVER, port), "-w", "2", "--drain=60")
    await_all(port, 2)
    local streams = {}
    for i = 1, 10 do
      streams[i] = connect(port)
      ask(streams[i], "first")
    end
    local idle <close> = connect(port)
    ask(idle, "idle")
    for _, stream in ipairs(streams) do
      stream:write "slow\n"
    end
    task.sleep(0.1)
    p:kill()
    assert.is_nil(idle:read "l")
    for _, stream in ipairs(streams) do
      assert.matches("^slow %d$", (assert(stream:read "l")))
      assert.is_nil(stream:read "l")
      stream:close()
    end
    assert.equal("", p.stderr:read "a")
    assert.equal("SIGTERM", select(2, p:wait()))
  end)

  it("cancels what takes longer than --drain", function()
    local port = handover.port()
    local p = start(script(SERVER:gsub("0.3", "100"), port), "-w", "2", "--drain=0.3")
    await_all(port, 2)
    local stream <close> = connect(port)
    stream:write "slow\n"
    task.sleep(0.1)
    p:kill()
    assert.is_nil((stream:read "l"))
    assert.equal("SIGTERM", select(2, p:wait()))
  end)

  it("ends at once where nothing is served", function()
    local p = start(script("require 'neap.task'.sleep(100)", 0), "-w", "2", "--drain=60")
    task.sleep(0.5)
    p:kill()
    assert.is_truthy(task.timeout(30, p.wait, p))
    assert.equal("SIGTERM", p.signal)
  end)

  it("replaces workers at SIGHUP, one by one, and loses no connection", function()
    local port = handover.port()
    local path = script(SERVER, port)
    local workers = handover.many > 300 and 4 or 2
    local p = start(path, "-w", tostring(workers))
    await_all(port, workers)
    write(path, ("local where = 'tcp://127.0.0.1:%d' "):format(port)
      .. SERVER:gsub("worker.id, ", "worker.id + 10, "))
    local before <close> = connect(port)
    assert.is_true(ask(before, "kept") < 10)
    handover.under_load(port, handover.many, function()
      p:kill "SIGHUP"
      local give_up = time.now() + 20
      local new = {}
      repeat
        local stream <close> = connect(port)
        new[#new + 1] = ask(stream, "who") > 10 or nil
      until #new == 50 or time.now() > give_up
    end)
    assert.is_nil(before:read "l") -- its worker has drained
    p:kill()
    assert.equal("", p.stderr:read "a")
  end)

  it("goes on with a worker whose successor does not start", function()
    local port = handover.port()
    local path = script(SERVER, port)
    local p = start(path, "-w", "2")
    await_all(port, 2)
    write(path, "error 'no good'")
    p:kill "SIGHUP"
    assert.matches("no good", p.stderr:read "l")
    local line
    repeat
      line = p.stderr:read "l"
    until line:find "goes on"
    assert.equal("neap: worker 1 goes on: its successor ended with status 1", line)
    await_all(port, 2)
    write(path, "this is no Lua")
    p:kill "SIGHUP"
    repeat
      line = p.stderr:read "l"
    until line:find "goes on"
    await_all(port, 2)
    local stream <close> = connect(port) -- one that fails now cannot start again
    stream:write "crash\n"
    repeat
      line = p.stderr:read "l"
    until line:find "it starts again in 0.2 s"
    write(path, ("local where = 'tcp://127.0.0.1:%d' "):format(port) .. SERVER)
    await_all(port, 2)
    p:kill()
    p:wait()
  end)

  it("keeps the file of a unix socket when the first worker closes it behind the second", function()
    local socket, fifo = os.tmpname(), os.tmpname()
    local path = script(([[
      local net, time = require "neap.net", require "neap.time"
      local listener, began = assert(net.listen("unix:%s", {unlink_stale = true})), time.now()
      listener:serve(function(stream)
        stream:write(("%%.9f\n"):format(began))
        stream:flush()
        if stream:read "l" == "block" then
          os.execute "read x <%s"
        end
      end)
    ]]):format(socket, fifo), 0)
    os.remove(socket)
    os.remove(fifo)
    assert(process.run {"mkfifo", fifo})
    local p = start(path, "-w", "1")
    local function connect_to()
      local stream = net.connect("unix:" .. socket)
      return stream, stream and stream:read "l"
    end
    local function threads()
      return #fs.list(("/proc/%d/task"):format(p.pid))
    end
    local function replace(line)
      local stream <close>, before = connect_to()
      stream:write(line, "\n")
      p:kill "SIGHUP"
      handover.await(function()
        local _ <close>, now = connect_to()
        return now and now ~= before
      end)
    end
    handover.await(connect_to):close()
    local alone = threads()
    replace "block"
    replace ""
    handover.await(function() return threads() == alone + 1 end) -- the second has ended
    assert(fs.write(fifo, "go on\n"))
    handover.await(function() return threads() == alone end) -- and the first
    assert(connect_to()):close()
    p:kill()
    p:wait()
    os.remove(socket)
    os.remove(fifo)
  end)

  it("hands on the file of a unix socket, too", function()
    local socket = os.tmpname()
    local path = script(([[
      local net, task, worker = require "neap.net", require "neap.task", require "neap.worker"
      local listener = assert(net.listen("unix:%s", {unlink_stale = true}))
      listener:serve(function(stream) stream:write(worker.id, "\n") end)
    ]]):format(socket), 0)
    os.remove(socket)
    local p = start(path, "-w", "1")
    local function answer()
      local stream <close> = net.connect("unix:" .. socket)
      return stream and stream:read "l"
    end
    handover.await(answer)
    for _ = 1, 3 do
      p:kill "SIGHUP"
      for _ = 1, 30 do
        assert.equal("1", answer())
        task.sleep(0.01)
      end
    end
    p:kill()
    p:wait()
    assert.equal("ENOENT", select(2, net.connect("unix:" .. socket)).code)
  end)

  it("starts a worker that fails again ever later", function()
    local p = start(script("require 'neap.task'.sleep(0.01) error 'on purpose'", 0), "-w", "1")
    local pauses = {}
    for line in p.stderr:lines() do
      pauses[#pauses + 1] = line:match "worker 1 ended with status 1; it starts again in (%S+) s"
      if #pauses == 3 then
        break
      end
    end
    assert.same({"0.1", "0.2", "0.4"}, pauses)
    p:kill()
    p:wait()
  end)

  it("lets its workers wait for signals, each of them, also for those that end it (L12)", function()
    local port = handover.port()
    local p = start(script([[
      local net, signal, task = require "neap.net", require "neap.signal", require "neap.task"
      local worker = require "neap.worker"
      local listener = assert(net.listen(where))
      for _, name in ipairs {"SIGUSR1", "SIGHUP", "SIGTERM"} do
        task.spawn(function()
          print(signal.wait(name))
          io.stdout:flush()
          if name == "SIGTERM" then listener:close() end
        end)
      end
      listener:serve(function(stream)
        stream:write(stream:read "l", " ", worker.id, "\n")
      end)
    ]], port), "-w", "2")
    await_all(port, 2)
    for _, name in ipairs {"SIGUSR1", "SIGHUP", "SIGTERM"} do
      p:kill(name)
      assert.same({name, name}, {p.stdout:read("l", "l")})
    end
    assert.equal("", p.stderr:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("drains the workers that do not wait for what ends it, where others do", function()
    local port = handover.port()
    local p = start(script([[
      local net, signal, task = require "neap.net", require "neap.signal", require "neap.task"
      local worker = require "neap.worker"
      local listener = assert(net.listen(where))
      if worker.id == 1 then
        task.spawn(function()
          print(signal.wait "SIGTERM")
          task.sleep(0.3)
          print "now"
          listener:close()
        end)
      end
      listener:serve(function(stream)
        stream:write(stream:read "l", " ", worker.id, "\n")
      end)
    ]], port), "-w", "2", "--drain=60")
    await_all(port, 2)
    p:kill()
    assert.equal("SIGTERM\nnow\n", p.stdout:read "a")
    assert.equal("SIGTERM", select(2, p:wait()))
  end)

  it("shows its workers' tasks and sockets", function()
    local port = handover.port()
    local p = start(script(SERVER, port), "-w", "2")
    await_all(port, 2)
    local ps = assert(process.run {child.neap, "ps", tostring(p.pid)})
    assert.equal("", ps.stderr)
    assert.matches("\nworker 1:\n.*main.*\nworker 2:\n.*main", ps.stdout)
    local socks = assert(process.run {child.neap, "socks", tostring(p.pid)})
    assert.equal(2, select(2, socks.stdout:gsub("listen[^\n]*" .. port, "")))
    local one = assert(process.run {child.neap, "ps", p.pid .. "/2"})
    assert.is_nil(one.stdout:find "worker")
    assert.matches("main", one.stdout)
    local result = assert(process.run {
      child.neap, "attach", p.pid .. "/2", input = "print(require 'neap.worker'.id)",
    })
    assert.equal("2\n", result.stdout)
    p:kill()
    p:wait()
  end)

  it("traces its workers, each in a file of its own", function()
    local port = handover.port()
    local path = script(SERVER, port)
    local trace = os.tmpname()
    local p = start(path, "-w", "2", "--trace=" .. trace)
    await_all(port, 2)
    p:kill "SIGHUP"
    handover.await(function()
      local file <close> = io.open(trace .. ".2-1")
      return file ~= nil
    end)
    p:kill()
    p:wait()
    for _, name in ipairs {".1", ".2", ".1-1", ".2-1"} do
      local file <close> = assert(io.open(trace .. name))
      assert.matches("127.0.0.1:" .. port, (file:read "a"))
      os.remove(trace .. name)
    end
    os.remove(trace)
    p = start(script(SERVER, handover.port()), "-w", "2", "--trace")
    assert.matches("^%[%d%] ", p.stderr:read "l")
    p:kill()
    p:wait()
    local refused = assert(process.run {child.neap, "-w", "2", "--trace=/no/such/folder", path})
    assert.equal(1, refused.code)
    assert.matches("/no/such/folder", refused.stderr)
  end)
end)
