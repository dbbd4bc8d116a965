-- How children end, with all that they have started.

local lfs = require "lfs"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local child = require "spec.support.child"

local neap = child.neap

local function read(path)
  local file <close> = io.open(path)
  return file and file:read "a"
end

--- The processes in a group that run, by /proc.
local function members(group)
  local list = {}
  for name in lfs.dir "/proc" do
    local state, pgrp = (name:find "^%d+$" and read("/proc/" .. name .. "/stat") or "")
      :match "%) (%a) %d+ (%d+)"
    if tonumber(pgrp) == group and state ~= "Z" and state ~= "X" then
      list[#list + 1] = tonumber(name)
    end
  end
  return list
end

--- Wait until f is true; false, when that takes too long.
local function soon(f)
  for _ = 1, 1000 do
    if f() then
      return true
    end
    task.sleep(0.01)
  end
  return false
end

local function is_empty(group)
  return function()
    return #members(group) == 0
  end
end

--- Wait until nothing is left of its group, also nothing that init has yet to reap.
local function gone(p)
  assert.is_true(soon(function()
    local _, err = p:kill("SIGCONT", "group")
    return err and err.code == "ESRCH"
  end))
end

--- A child whose own child ignores SIGTERM, when both are there. The shell waits, or
--- ends at once and leaves it.
local function stubborn(options, left)
  options = options or {}
  local line = [[sh -c 'trap "" TERM; echo ready; while :; do sleep 5; done' & ]] .. (left and "" or "wait")
  options[1], options[2], options[3], options.stdout = "sh", "-c", line, "pipe"
  local p = assert(process.spawn(options))
  assert.equal("ready", p.stdout:read "l")
  return p
end

describe("a child's group", function()
  it("ends with it: none is left, though they ignore SIGTERM (M9)", function()
    local rounds, groups = tonumber(os.getenv "NEAP_SPAWNS" or 20), {}
    for i = 1, rounds do
      local p <close> = stubborn({grace = 0.02}, i % 2 == 0)
      assert.is_true(p.group)
      groups[#groups + 1] = p.pid
    end
    for _, group in ipairs(groups) do
      assert.is_true(soon(is_empty(group)), "some are left")
    end
  end)

  it("has the grace to end well", function()
    local path = os.tmpname()
    do
      local p <close> = assert(process.spawn {
        "sh", "-c", [[sh -c 'trap "sleep 0.1; echo well >"'"$0"'"; exit" TERM
          echo ready; while :; do sleep 0.01; done' & wait]], path, stdout = "pipe", grace = 60,
      })
      assert.equal("ready", p.stdout:read "l")
    end
    assert.is_true(soon(function()
      return read(path) == "well\n"
    end))
    os.remove(path)
  end)

  it("is killed at once without a grace", function()
    local p = stubborn {grace = 0}
    p:close()
    assert.equal("SIGKILL", select(2, p:wait()))
    assert.is_true(soon(is_empty(p.pid)))
  end)

  it("ends with a run that is late, also when its leader has ended before", function()
    local path = os.tmpname()
    local result, err = task.timeout(0.3, process.run, {
      "sh", "-c", [[echo $$ >"$0"; sh -c 'trap "" TERM; while :; do sleep 5; done' & ]], path, grace = 0.05,
    })
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    local group = tonumber(read(path))
    assert.is_true(soon(is_empty(group)))
    os.remove(path)
  end)

  it("goes on when a run has ended well", function()
    local result = assert(process.run {"sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!; echo $$"})
    local left, group = result.stdout:match "(%d+)\n(%d+)"
    assert.same({tonumber(left)}, members(tonumber(group)))
    process.run {"kill", left}
  end)

  it("is sent a signal on demand", function()
    local p <close> = stubborn()
    assert.is_true(p:kill("SIGKILL", "group"))
    assert.equal("SIGKILL", select(2, p:wait()))
    assert.is_true(soon(is_empty(p.pid)))
    gone(p)
  end)

  it("is sent it also when its leader has ended", function()
    local p <close> = stubborn(nil, true)
    assert.equal(0, (p:wait()))
    assert.equal("ESRCH", select(2, p:kill "SIGKILL").code)
    assert.is_true(p:kill("SIGKILL", "group"))
    assert.is_true(soon(is_empty(p.pid)))
    gone(p)
  end)

  it("is not had without asking where the child has our terminal", function()
    local script = [[
      local process = require "neap.process"
      local terminal = {stdin = "inherit", stdout = "inherit", stderr = "inherit"}
      for _, options in ipairs {
        terminal, {stdin = "null", stdout = "pipe", stderr = "null"}, {stdin = "null", stderr = "null"},
      } do
        options[1] = "true"
        local p <close> = assert(process.spawn(options))
        print(p.group)
      end
    ]]
    local p <close> = assert(process.spawn {neap, "-e", script, pty = true})
    assert.equal("false\r\ntrue\r\nfalse\r\n", p.pty:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("may be ours", function()
    local p = stubborn {group = false, grace = 60}
    assert.is_false(p.group)
    local own = tonumber(read("/proc/self/stat"):match "%) %a %d+ (%d+)")
    assert.equal(own, tonumber(read(("/proc/%d/stat"):format(p.pid)):match "%) %a %d+ (%d+)"))
    local ok, message = pcall(p.kill, p, "SIGTERM", "group")
    assert.is_false(ok)
    assert.matches("this child has no group of its own: spawn it with group = true", message, 1, true)
    local list = assert(process.run {"pgrep", "-P", tostring(p.pid)}).stdout
    p:close()
    assert.equal("SIGTERM", select(2, p:wait()))
    local left = tonumber(list)
    assert.is_not_nil(read(("/proc/%d/stat"):format(left)))
    process.run {"kill", "-KILL", tostring(left)}
  end)

  it("stays where the child is detached", function()
    local p = assert(process.spawn {"sleep", "60", detached = true})
    p:close()
    assert.same({p.pid}, members(p.pid))
    assert.is_true(p:kill("SIGKILL", "group"))
    p:wait()
  end)
end)

describe("a program's end", function()
  local ends = {
    [""] = 0, ["os.exit(0)"] = 0, ["os.exit(3, true)"] = 3, ["error 'failed'"] = 1,
    ["require 'neap.signal'.raise 'SIGTERM' require 'neap.task'.sleep(10)"] = 143,
  }

  for ending, code in pairs(ends) do
    it("kills what it had told to end: " .. (ending ~= "" and ending or "return"), function()
      local result = assert(process.run {neap, "-e", [[
        local process = require "neap.process"
        local p <close> = assert(process.spawn {
          "sh", "-c", "trap '' TERM; echo $$; while :; do sleep 5; done", stdout = "pipe", grace = 0.1,
        })
        print(p.stdout:read "l")
        if ]] .. tostring(ending:find "os.exit%(0%)" ~= nil) .. [[ then p:close() end
      ]] .. ending})
      assert.equal(code, result.code)
      assert.is_true(#members(tonumber(result.stdout)) == 0)
    end)
  end

  it("does not wait for what ends at once", function()
    local before = time.now()
    local result = assert(process.run {neap, "-e", [[
      local p <close> = assert(require "neap.process".spawn {"sleep", "60", grace = 60})
    ]]})
    assert.equal(0, result.code)
    assert.is_true(time.now() - before < 4)
  end)
end)

describe("where the kernel", function()
  local script = [[
    local process = require "neap.process"
    local task = require "neap.task"
    print(process.run {"sh", "-c", "exit 3"}.code)
    local p = assert(process.spawn {
      "sh", "-c", [=[sh -c 'trap "" TERM; echo $$; while :; do sleep 5; done' & exit 4]=],
      stdout = "pipe", grace = 0.02,
    })
    local left = p.stdout:read "l"
    print(p:wait())
    print(p.group, p:kill("SIGCONT", "group"))
    p:close()
    for i = 1, 1000 do
      if os.execute("kill -0 " .. left .. " 2>/dev/null") then task.sleep(0.01) else break end
    end
    print(os.execute("kill -0 " .. left .. " 2>/dev/null"))
  ]]

  local function try(what, inject)
    it(what, function()
      if not process.run {"strace", "-V"} then
        return pending "no strace here"
      end
      local result = child.strace({"-e", "trace=pidfd_open,pidfd_send_signal", "-e", "inject=" .. inject}, script)
      assert.same({stdout = "3\n4\tnil\ntrue\ttrue\nnil\texit\t1\n", stderr = "", code = 0},
        {stdout = result.stdout, stderr = result.stderr, code = result.code})
    end)
  end

  try("has no pidfd, children's ends are looked for", "pidfd_open:error=ENOSYS")
  try("signals no group by a pidfd, it is signalled by its number", "pidfd_send_signal:error=EINVAL")
end)

describe("process 1", function()
  --- Run a script as the first process of a namespace.
  local function first(script, line)
    local env = process.env()
    env.ASAN_OPTIONS = (env.ASAN_OPTIONS or "") .. ":detect_leaks=0" -- which needs /proc
    local result = assert(process.run {
      "unshare", "-r", "--pid", "--fork", "--mount-proc", "sh", "-c",
      (line or "") .. 'exec "$0" -e "$1"', neap, script, env = env,
    })
    if result.stderr:find "unshare" then
      pending("no namespaces here: " .. result.stderr)
    end
    return result
  end

  it("reaps orphans, and tells the ends of its own children", function()
    local result = first [[
      local process = require "neap.process"
      local task = require "neap.task"
      local popen = io.popen("exit 5")
      for _ = 1, 20 do
        os.execute "sh -c 'sleep 0.01 & sleep 0.02 & exit 0'"
      end
      local codes = {}
      for i = 1, 20 do
        codes[i] = process.run({"sh", "-c", "sh -c 'sleep 0.01 &'; exit " .. i}).code
      end
      local function zombies()
        local _, n = process.run({"sh", "-c", "cat /proc/[0-9]*/stat"}).stdout:gsub("%) Z 1 ", "")
        return n
      end
      for _ = 1, 300 do
        task.sleep(0.01)
        if zombies() == 0 then break end
      end
      print(process.pid, zombies(), table.concat(codes, " "))
      print(popen:close())
      print(os.execute "exit 7")
    ]]
    assert.same({
      stdout = "1\t0\t1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20\nnil\texit\t5\nnil\texit\t7\n",
      stderr = "", code = 0,
    }, result)
  end)

  it("leaves nothing that ignores SIGTERM", function()
    local result = first [[
      local process = require "neap.process"
      local p = assert(process.spawn {
        "sh", "-c", [=[sh -c 'trap "" TERM; echo $$; while :; do sleep 5; done' & exit 4]=],
        stdout = "pipe", grace = 0.02,
      })
      local left = p.stdout:read "l"
      print(p:wait())
      p:close()
      repeat
        require "neap.task".sleep(0.01)
      until not io.open("/proc/" .. left .. "/stat")
    ]]
    assert.same({stdout = "4\tnil\n", stderr = "", code = 0}, result)
  end)

  local needs = [[
    local process = require "neap.process"
    print(process.run({"sh", "-c", "cat; exit 3"}).code)
    local p <close> = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
    p.stdin:write "through\n"
    print(p.stdout:read "l")
  ]]

  for what, line in pairs {
    ["without /proc"] = "umount -l /proc && mount -t tmpfs none /proc && ",
    ["without a stdin"] = "exec <&-; ",
    ["with /dev/null for its stdin"] = "exec </dev/null; ",
  } do
    it("has children " .. what, function()
      if line:find "umount" and child.sanitized then
        return pending "a sanitizer needs /proc"
      end
      assert.same({stdout = "3\nthrough\n", stderr = "", code = 0}, first(needs, line))
    end)
  end

  it("has them without devices, whose input has ended", function()
    local result = first([[
      local process = require "neap.process"
      print(process.run({"sh", "-c", "read x || exit 3"}).code)
      print(process.spawn {"true", stdout = "null"})
      print(process.spawn {"true", pty = true})
    ]], "mount -t tmpfs none /dev && ")
    assert.same({
      stdout = "3\nnil\tspawn /dev/null: no such file or directory (ENOENT)\n"
        .. "nil\tspawn pty: no such file or directory (ENOENT)\n", stderr = "", code = 0,
    }, result)
  end)
end)

describe("what is told of children", function()
  it("is in the list of tasks", function()
    local lists = require "neap.repl.lists"
    local p <close> = stubborn {grace = 60}
    local waiting = task.spawn(p.wait, p)
    task.sleep(0)
    assert.matches(("%d  sh +running +"):format(p.pid), lists.ps())
    p:close()
    assert.matches(("%d  sh +ending +"):format(p.pid), lists.ps())
    p:kill("SIGKILL", "group")
    waiting:join()
    gone(p)
  end)

  it("is in traces", function()
    local trace = require "neap.trace"
    local events <close> = assert(trace.events())
    process.run {"sh", "-c", "exit 3"}
    process.run {"sh", "-c", "kill -9 $$"}
    local found = {}
    for event in events do
      if event.pid then
        assert.equal("sh", event.endpoint)
        found[#found + 1] = ("%s %s %s"):format(event.kind, event.exit, event.signal)
      end
      if #found == 4 then
        break
      end
    end
    assert.same({"spawn nil nil", "exit 3 nil", "spawn nil nil", "exit 137 9"}, found)
  end)
end)
