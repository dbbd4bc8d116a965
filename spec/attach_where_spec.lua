-- Where a process is that lets no prompt in: inside a system call, or in C.

local child = require "spec.support.child"
local process = require "neap.process"
local visited = require "spec.support.visited"

local neap = child.neap
local env, make, remove = visited.folder()

setup(make)
teardown(remove)

local function remote(word, where, code)
  return assert(process.run {neap, word, tostring(where), input = code, env = env()})
end

--- Start a script; its standard input stays open.
local function start(script, ...)
  local command = {neap, ...}
  command[#command + 1] = "-e"
  command[#command + 1] = script
  command.stdin, command.stdout, command.env = "pipe", "pipe", env()
  local p = assert(process.spawn(command))
  assert.equal("up", p.stdout:read "l")
  return p
end

local function stop(p)
  p:kill "SIGKILL"
  p:wait()
end

local up = "io.stdout:write 'up\\n' io.stdout:flush() "

describe("neap stack", function()
  it("prints the stack of each task, and what it waits for", function()
    local p <close> = start("local function inner() task.sleep(1000) end "
      .. "task.spawn(inner).name = 'sleeper' task.yield() " .. up .. "net.listen 'mem:here':accept()")
    local result = remote("stack", p.pid)
    assert.equal(0, result.code)
    assert.matches("^task 1 main waiting: accept on [^\n]*, for [%d.]+ s\n\t%[C%]: in ", result.stdout)
    assert.matches("\ntask %d+ sleeper waiting: sleep, %S+ left, for [^\n]*\n.-%(command line%):1: in ", result.stdout)
    assert.equal(result.stdout:match "task %d+ %l+", remote("attach", p.pid, ":bt").stdout:match "task %d+ %l+")
    stop(p)
  end)

  it("tells which call a process is inside, though it cannot answer", function()
    for call, script in pairs {
      ["io.read"] = "io.read()",
      ["os.execute"] = "os.execute 'exec sleep 1000'",
      ["read"] = "coroutine.wrap(function() io.popen('exec sleep 1000'):read() end)()",
    } do
      local p <close> = start("task.spawn(function() task.sleep(1000) end).name = 'sleeper' task.yield() "
        .. up .. script)
      local ps = remote("ps", p.pid)
      assert.equal(0, ps.code, ps.stderr)
      assert.matches("^task 1 main is inside a call that waits: " .. call
        .. " at %(command line%):1, for %d+%.%d s\ntask %d+ sleeper waits for sleep, for %d+%.%d s\n$", ps.stdout)
      local stack = remote("stack", p.pid).stdout
      assert.matches("^task 1 main is inside [^\n]*\n\t%[C%]: in " .. call .. "\n\t%(command line%):1: in ", stack)
      assert.matches("\ntask %d+ sleeper [^\n]*\n\t%[C%]: in [%l.]*sleep\n", stack)
      assert.equal(call == "read", stack:find "\twhich a coroutine runs in:\n\t" ~= nil)
      stop(p)
    end
  end)

  it("is let in as soon as the call has ended, and nothing is left of the question", function()
    local p <close> = start("counter = 5 " .. up .. "line = io.read() task.sleep(1000)")
    assert.matches("inside a call", remote("ps", p.pid).stdout)
    local visitor <close> = assert(process.spawn {neap, "attach", tostring(p.pid), stdin = "pipe",
      stderr = "pipe", stdout = "pipe", env = env()})
    visitor.stdin:write "counter + 1"
    visitor.stdin:close()
    assert.matches("^neap: task 1 main is inside a call that waits: io.read at %(command line%):1, for %d+%.%d s; "
      .. "it is waited for$", visitor.stderr:read "l")
    p.stdin:write "typed\n"
    assert.equal("6\n", visitor.stdout:read "a")
    assert.equal('"typed"  5\n', remote("attach", p.pid, "line, counter").stdout)
    local open = assert(process.run {"ls", "-l", ("/proc/%d/fd"):format(p.pid)}).stdout
    assert.is_nil(open:find "neap.where")
    stop(p)
  end)

  it("says of what computes in C only which task that is", function()
    local p <close> = start(up .. "string.find(('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40))")
    local ps = remote("ps", p.pid)
    assert.equal("task 1 computes in C, or in what C has called, for #.# s\n", (ps.stdout:gsub("%d+%.%d", "#.#")))
    stop(p)
  end)

  it("tells where a worker is, and the other ones answer", function()
    local p <close> = start([[
      if worker.id == 1 then
        ]] .. up .. [[
        os.execute "exec sleep 1000"
      end
      task.sleep(1000)]], "-w", "2", "-l", "worker=neap.worker")
    local stack = remote("stack", p.pid).stdout
    assert.matches("worker 1:\ntask %d+ main is inside a call that waits: os.execute ", stack)
    assert.matches("worker 2:\ntask %d+ main waiting: sleep", stack)
    stop(p)
  end)
end)
