-- Processes that are found by their number, however they were started.

local child = require "spec.support.child"
local process = require "neap.process"
local visited = require "spec.support.visited"

local neap = child.neap
local env, make, remove = visited.folder()

setup(make)
teardown(remove)

local function attach(where, code, word)
  return assert(process.run {neap, word or "attach", tostring(where), input = code, env = env()})
end

local function start(command)
  command.stdin, command.stdout, command.env = "pipe", "pipe", command.env or env()
  local p = assert(process.spawn(command))
  assert.equal("up", p.stdout:read "l")
  return p
end

local function stop(p)
  p:kill "SIGKILL"
  p:wait()
end

local SCRIPT = "counter = 7 io.stdout:write 'up\\n' io.stdout:flush() require 'neap.task'.sleep(1000)"

local function file(path, text)
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
end

describe("neap attach", function()
  it("finds a script that was run by its first line", function()
    local path = os.tmpname()
    file(path, ("#!%s\n%s\n"):format(neap, SCRIPT))
    assert(process.run {"chmod", "755", path})
    local p <close> = start {path}
    assert.equal("7\n", attach(p.pid, "counter").stdout)
    stop(p)
    os.remove(path)
  end)

  it("finds nothing in another program of that name", function()
    local p <close> = start {"sh", "-c", 'printf neap > /proc/$$/comm; trap : 40; echo up; read x'}
    local result = attach(p.pid, "1")
    assert.matches("is no neap that one can attach to", result.stderr)
    assert.equal(1, result.code)
    stop(p)
  end)

  it("finds a process in another mount namespace, and process namespace", function()
    local probe = assert(process.run {"unshare", "--mount", "--pid", "--fork", "true"})
    if probe.code ~= 0 then
      pending "no namespaces here"
      return
    end
    local script = os.tmpname()
    file(script, SCRIPT)
    local theirs = env()
    theirs.XDG_RUNTIME_DIR = ""
    -- By descriptors, for both may be in what is another folder there.
    local p <close> = start {"unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
      'exec 3<"$1" 4<"$2" && mount -t tmpfs none /tmp && cat <&4 >/tmp/script'
      .. ' && exec /proc/self/fd/3 /tmp/script', "sh", neap, script, env = theirs}
    local pid = assert(process.run {"cat", ("/proc/%d/task/%d/children"):format(p.pid, p.pid)}).stdout:match "%d+"
    assert.equal("7\n", attach(pid, "counter").stdout)
    assert.matches("main +waiting +sleep", attach(pid, nil, "ps").stdout)
    stop(p)
    os.remove(script)
  end)

  it("lets into neap -i, and what is typed there goes on", function()
    local p <close> = start {neap, "-i", "-e", "counter = 7 io.stdout:write 'up\\n' io.stdout:flush()"}
    assert.equal("7\n", attach(p.pid, "counter = counter or 0 return counter").stdout)
    attach(p.pid, "counter = 8")
    p.stdin:write "print('is', counter)\n"
    repeat
      local line = assert(p.stdout:read "l")
    until line:find "is\t8"
    stop(p)
  end)

  it("lets into neap test, while a spec waits", function()
    local spec = os.tmpname() .. "_spec.lua"
    file(spec, [[it("waits", function()
      counter = 7
      io.stdout:write "up\n"
      io.stdout:flush()
      require "neap.task".sleep(30)
    end)]])
    local p = assert(process.spawn {neap, "test", spec, stdout = "pipe", env = env()})
    local _ <close> = p
    repeat
      local line = assert(p.stdout:read "l")
    until line == "up"
    assert.matches("waiting +sleep", attach(p.pid, nil, "ps").stdout)
    assert.matches("_spec.lua:%d+: in ", attach(p.pid, nil, "stack").stdout)
    stop(p)
    os.remove(spec)
  end)

  it("lets into the main thread of neap -w, and into each worker", function()
    local p <close> = start {neap, "-w", "2", "-l", "worker=neap.worker", "-e",
      "if worker.id == 1 then " .. SCRIPT .. " end task.sleep(1000)"}
    assert.equal("nil\n", attach(p.pid, "counter").stdout)
    assert.equal("7\n", attach(p.pid .. "/1", "counter").stdout)
    assert.matches("worker 1:.*worker 2:.*main +waiting +sleep", attach(p.pid, nil, "ps").stdout)
    stop(p)
  end)
end)
