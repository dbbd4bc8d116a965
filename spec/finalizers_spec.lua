-- What finalizers do to what C has in hand: a collection comes at any allocation, and so
-- does what they change. Each script is a program of its own, which is to end well.

local child = require "spec.support.child"

--- `fin` runs once at the n-th finalizer, for n = 1, 2, ...: amid what `act` allocates.
local AMID = [[
  local count, at = 0, -1
  function amid(n, garbage, change, act)
    local class = {__gc = function()
      count = count + 1
      if count == at then change() end
    end}
    collectgarbage()
    collectgarbage("incremental", 1, 400, 1)
    collectgarbage "stop"
    for _ = 1, garbage do setmetatable({}, class) end
    count, at = 0, -1
    collectgarbage "restart"
    while count == 0 do local _ = {} end
    count, at = 0, n
    act()
    at = -1
  end
]]

local function ends_well(script, says)
  local result = child.run(AMID .. script)
  assert.same({code = 0, stdout = says or "", stderr = ""},
    {code = result.code, stdout = result.stdout, stderr = result.stderr})
end

describe("a finalizer", function()
  it("takes the next message while one is decoded", function()
    ends_well([[
      local channel = require "neap.worker".channel()
      local big, sizes = {}, {}
      for i = 1, 2000 do big[i] = {i} end
      for n = 1, 20 do
        channel:send(big)
        channel:send(big)
        amid(n, 400, function() channel:try_recv() end, function()
          sizes[#channel:recv()] = true
        end)
        while channel:try_recv() do end
      end
      print(next(sizes))
    ]], "2000\ttrue\n")
  end)

  it("stops a trace that is stopped, and that nobody has in hand", function()
    ends_well([[
      local trace = require "neap.trace"
      local tracers = require "neap.trace.core"
      local path = os.tmpname()
      for n = 1, 12 do
        trace.start {to = path}
        collectgarbage()
        local id = tracers.list()[1].id
        amid(n, 400, function() tracers.stop(id) end, function() tracers.stop(id) end)
      end
      os.remove(path)
    ]])
  end)

  it("empties a table that is encoded, its keys sorted", function()
    ends_well [[
      local json = require "neap.json"
      for n = 1, 400 do
        local t = {}
        for i = 1, 20 do t["k" .. i] = i end
        amid(n, 400, function()
          for name in pairs(t) do t[name] = nil end
        end, function()
          local ok, text = pcall(json.encode, t, {sort = true})
          assert(ok or text:find "changes meanwhile", text)
        end)
      end
    ]]
  end)

  it("takes variables from an environment that a child is to get", function()
    ends_well [[
      local process = require "neap.process"
      for n = 2, 200, 2 do
        local env = {}
        for i = 1, 60 do env["K" .. i] = ("v"):rep(20) .. i end
        amid(n, 900, function()
          local seen = 0
          for name in pairs(env) do
            seen = seen + 1
            if seen > 2 then env[name] = nil end
          end
        end, function()
          local p <close> = process.spawn {"/nowhere/true", env = env}
        end)
      end
    ]]
  end)
end)

describe("a worker that ends", function()
  it("wakes nobody for what its threads compute", function()
    ends_well([[
      print(require "neap.worker".run(function()
        local crypto, task = require "neap.crypto", require "neap.task"
        for _ = 1, 3 do
          task.spawn(crypto.pbkdf2, {password = "p", salt = "s", iterations = 300000})
        end
        task.sleep(0.01)
        os.exit(0)
      end))
    ]], "\n")
  end)

  it("hears nothing more while its state is closed", function()
    ends_well([[
      local task, worker = require "neap.task", require "neap.worker"
      local _, err = task.timeout(0.1, worker.run, function()
        local crypto, task = require "neap.crypto", require "neap.task"
        kept = setmetatable({}, {__gc = function() os.execute "sleep 0.3" end})
        task.spawn(crypto.pbkdf2, {password = "p", salt = "s", iterations = 2000000})
        task.sleep(0.01)
        os.exit(0)
      end)
      print(err.code)
    ]], "ETIMEDOUT\n")
  end)
end)
