local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local nowhere = require "spec.support.child".missing

local neap = require "spec.support.child".neap

local function sh(line, options)
  options = options or {}
  options[1], options[2], options[3] = "sh", "-c", line
  return options
end

local function temporary(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text or "")
  return path
end

local function contents(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- The pids of our children, reaped or not.
local function children()
  local list = {}
  for pid in contents(("/proc/self/task/%d/children"):format(process.pid)):gmatch "%d+" do
    list[#list + 1] = tonumber(pid)
  end
  return list
end

describe("process.spawn", function()
  it("gives the exit status", function()
    local p <close> = assert(process.spawn {"false"})
    assert.is_true(p.pid > 0)
    assert.equal("running", p.status)
    assert.is_nil(p.code)
    local code, signal = p:wait()
    assert.equal(1, code)
    assert.is_nil(signal)
    assert.equal(1, p.code)
    assert.equal("exited", p.status)
    assert.equal(("process %d (exited)"):format(p.pid), tostring(p))
  end)

  it("gives the signal, and the code that a shell would", function()
    local p <close> = assert(process.spawn(sh "kill -9 $$"))
    local code, signal = p:wait()
    assert.equal(137, code)
    assert.equal("SIGKILL", signal)
    assert.equal("SIGKILL", p.signal)
    assert.equal("killed", p.status)
  end)

  it("makes streams of pipes", function()
    local p <close> = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
    assert.is_nil(p.stderr)
    p.stdin:write "one\n"
    assert.equal("one", p.stdout:read "l")
    p.stdin:write("two\n", "three")
    p.stdin:close()
    assert.equal("two\nthree", p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("passes arguments as they are, numbers too", function()
    local result = assert(process.run {"printf", "%s|", "a b", "", "*", "$HOME", 1, 2.5})
    assert.equal("a b||*|$HOME|1|2.5|", result.stdout)
  end)

  it("gives an empty input unless told otherwise", function()
    local result = assert(process.run {"cat"})
    assert.same({stdout = "", stderr = "", code = 0}, result)
  end)

  it("lets stderr go where stdout goes", function()
    local p <close> = assert(process.spawn(sh("echo a; echo b >&2", {
      stdout = "pipe", stderr = "stdout",
    })))
    assert.equal("a\nb\n", p.stdout:read "a")
  end)

  it("takes files of io", function()
    local path, from = temporary(), temporary "input"
    local output, input = assert(io.open(path, "w")), assert(io.open(from))
    output:write "before "
    local p <close> = assert(process.spawn {"cat", stdin = input, stdout = output})
    assert.equal(0, (p:wait()))
    output:close()
    input:close()
    assert.equal("before input", contents(path))
    os.remove(path)
    os.remove(from)
  end)

  it("takes streams, and two children make a pipeline", function()
    local first <close> = assert(process.spawn {"printf", "b\\na\\n", stdout = "pipe"})
    local second <close> = assert(process.spawn {"sort", stdin = first.stdout, stdout = "pipe"})
    first.stdout:close()
    assert.equal("a\nb\n", second.stdout:read "a")
    assert.equal(0, (second:wait()))
  end)

  it("takes a socket, as inetd does", function()
    local ours, theirs = net.socketpair()
    local p <close> = assert(process.spawn {"cat", stdin = theirs, stdout = theirs})
    theirs:close()
    ours:write "through a child"
    ours:shutdown()
    assert.equal("through a child", ours:read "a")
    ours:close()
    assert.equal(0, (p:wait()))
  end)

  --- Call f with each thing that a child may be given and adopt, and the verb for that.
  local function each_adoptable(f)
    local file, listener = assert(io.tmpfile()), assert(net.listen "tcp://127.0.0.1:0")
    local datagrams, one, other = assert(net.bind "udp://127.0.0.1:0"), net.socketpair()
    for what, verb in pairs {
      [file] = "connect", [one] = "connect", [listener] = "listen", [datagrams] = "bind",
    } do
      f(what, verb)
      what:close()
    end
    other:close()
  end

  it("gets nothing of ours in the place of what was closed", function()
    each_adoptable(function(what, verb)
      local result = assert(process.run {
        neap, "-e", ([[
          for _, name in ipairs {"fd:0", "fd:1"} do
            assert(net.%s(name)):close()
          end
          task.sleep(0.001)
          local ours <close> = assert(net.bind "udp://127.0.0.1:0")
          local p <close> = assert(process.spawn {
            "sh", "-c", "echo $(readlink /proc/$$/fd/0) >&2",
            stdin = "inherit", stdout = "null", stderr = "pipe",
          })
          io.stderr:write(tostring(ours.fd > 2), " ", p.stderr:read "a")
        ]]):format(verb), stdin = what, stdout = what,
      })
      assert.same({stderr = "true /dev/null\n", code = 0}, result)
    end)
  end)

  it("nor do we, where no other descriptor can be had for that", function()
    each_adoptable(function(what, verb)
      local result = assert(process.run {
        "sh", "-c", 'ulimit -n 64; exec "$0" -e "$1"', neap, ([[
          local adopted, held = assert(net.%s "fd:0"), {}
          for i = 1, 64 do
            held[i] = io.open "/dev/null"
          end
          adopted:close()
          task.sleep(0.01)
          print(#held < 64, (io.open "/etc/passwd"), (io.read "l"))
        ]]):format(verb), stdin = what,
      })
      assert.same({stdout = "true\tnil\tnil\n", stderr = "", code = 0}, result)
    end)
  end)

  it("nor do we, where there are no devices", function()
    local result = assert(process.run {
      "unshare", "-rm", "sh", "-c", 'mount -t tmpfs none /dev && exec "$0" -e "$1" <&-', neap, [[
        local first = assert(net.bind "udp://127.0.0.1:0").fd
        assert(net.connect "fd:1"):close()
        task.sleep(0.01)
        local _ <close> = assert(io.open "/etc/passwd")
        io.stdout:setvbuf "no"
        io.stderr:write(tostring(first > 2), " ", tostring(io.read "l"), " ", tostring(io.write "x"), "\n")
      ]],
    })
    if result.stderr:find "^unshare:" or result.stderr:find "^mount:" then
      pending("no file systems of its own: " .. result.stderr)
      return
    end
    assert.same({stdout = "", stderr = "true nil nil\nneap: stdout: not all of it was written\n", code = 1},
      result)
  end)

  it("runs in a folder", function()
    assert.equal("/usr\n", process.run({"pwd", cwd = "/usr"}).stdout)
  end)

  it("gives the environment it is told, or ours (M3)", function()
    assert.equal("", process.run({"/usr/bin/env", env = {}}).stdout)
    assert.equal("A=x y\n", process.run({"/usr/bin/env", env = {A = "x y"}}).stdout)
    local inherited = process.run({"/usr/bin/env"}).stdout
    assert.matches("PATH=" .. os.getenv "PATH", inherited, 1, true)
    local env = process.env()
    assert.equal(os.getenv "PATH", env.PATH)
    env.NEAP_SPEC = "1"
    assert.equal("1\n", process.run(sh("echo $NEAP_SPEC", {env = env})).stdout)
  end)

  it("makes a session of its own on demand, which close leaves alone", function()
    local path = temporary()
    local line = "sleep 0.02; cut -d' ' -f6 /proc/self/stat >" .. path
    local p = assert(process.spawn(sh(line, {detached = true})))
    p:close()
    assert.equal(0, (p:wait()))
    assert.equal(p.pid, tonumber(contents(path)))
    os.remove(path)
  end)

  it("is another user on demand, for root", function()
    local uid = tonumber(process.run({"id", "-u"}).stdout)
    local result, err = process.run {"id", "-u", uid = 65534, gid = 65534}
    if uid == 0 then
      assert.equal("65534\n", result.stdout)
    else
      assert.is_nil(result)
      assert.equal("EPERM", err.code)
    end
  end)

  it("leaves no pipe to be closed again at the program's end", function()
    local result = assert(process.run {"timeout", "-s", "KILL", "8", neap, "-e", [[
      for _, pipes in ipairs {{stdin = "pipe"}, {stdin = "pipe", stdout = "pipe"}} do
        pipes[1] = os.tmpname() .. "/none"
        print(select(2, process.spawn(pipes)).code)
        os.remove(pipes[1]:match "(.*)/")
      end
    ]]})
    assert.same({stdout = "ENOTDIR\nENOTDIR\n", stderr = "", code = 0}, result)
  end)

  it("returns what the system refuses, and leaves nothing (M3)", function()
    local text = temporary "no program"
    local missing = nowhere()
    local before = children()
    for endpoint, row in pairs {
      [missing] = {"ENOENT", {missing}},
      ["no-such-command"] = {"ENOENT", {"no-such-command"}},
      [text] = {"EACCES", {text}},
      [missing .. "/folder"] = {"ENOENT", {"true", cwd = missing .. "/folder"}},
      [text .. "/"] = {"ENOTDIR", {"true", cwd = text .. "/"}},
      ["true"] = {"E2BIG", {"true", ("x"):rep(4 << 20)}},
    } do
      row[2].stdin, row[2].stdout, row[2].stderr = "pipe", "pipe", "pipe"
      local p, err = process.spawn(row[2])
      assert.is_nil(p)
      assert.equal(row[1], err.code)
      assert.equal("spawn", err.op)
      assert.equal(endpoint, err.endpoint)
    end
    os.remove(text)
    assert.same(before, children())
  end)

  it("returns a lack of descriptors, and works again after it (D4)", function()
    local line = [[ulimit -n 24; exec "$0" -e '
      local held, p, err = {}
      repeat
        p, err = process.spawn {"true", stdin = "pipe", stdout = "pipe", stderr = "pipe"}
        held[#held + 1] = p
      until not p
      print(err.code, #held > 0)
      for _, child in ipairs(held) do
        child:close()
        child:wait()
      end
      print(process.run({"echo", "again"}).stdout)
    ']]
    local result = assert(process.run {"sh", "-c", line, neap, stderr = "stdout"})
    assert.equal("EMFILE\ttrue\nagain\n\n", result.stdout)
    assert.equal(0, result.code)
  end)

  it("returns it, too, where nothing more may be watched", function()
    local results = require "spec.support.child".unwatched [[
      local result, err = process.run {"echo", "x"}
      print(result and result.stdout or err.code)
    ]]
    assert.is_true(#results >= 5)
    for _, result in ipairs(results) do
      if result.code == 0 then
        assert.is_true(result.stdout == "ENOSPC\n" or result.stdout == "x\n\n", result.stdout)
      else
        assert.same({1, "neap: cannot start: No space left on device (ENOSPC)\n"}, {result.code, result.stderr})
      end
    end
  end)

  it("raises for what is no command (M3, O2)", function()
    for expected, options in pairs {
      ["command: a string at index 1 expected"] = {},
      ["command: a name expected"] = {""},
      ["command: a string without zeros expected"] = {"a\0b"},
      ["argument: a string without zeros expected"] = {"true", "a\0b"},
      ["argument: a string expected"] = {"true", true},
      ["arguments: a list without holes expected"] = {"true", [3] = "x"},
      ["unknown option 'stdn'"] = {"true", stdn = "pipe"},
      ["unknown option 'cwd env'"] = {"true", ["cwd env"] = 1},
      ["unknown option '1.5'"] = {"true", [1.5] = 1},
      ["cwd: a string expected"] = {"true", cwd = {}},
      ["cwd: a string without zeros expected"] = {"true", cwd = "/\0"},
      ["env: a table expected"] = {"true", env = "A=1"},
      ["env: a name without '=' for each variable expected"] = {"true", env = {["A=B"] = "1"}},
      ["A: a string expected"] = {"true", env = {A = true}},
      ["env: a string without zeros expected"] = {"true", env = {A = "\0"}},
      ["stdin: \"inherit\", \"null\", \"pipe\", an open file or stream expected"] =
        {"true", stdin = "stdout"},
      ["stdout: \"inherit\", \"null\", \"pipe\", an open file or stream expected"] =
        {"true", stdout = {}},
      ["detached: a boolean expected"] = {"true", detached = 1},
      ["uid: a number expected"] = {"true", uid = -1},
    } do
      local ok, message = pcall(function()
        process.spawn(options)
      end)
      assert.is_false(ok)
      assert.matches("^spec/process_spec.lua:%d+: bad argument #1 to 'spawn' %(", message)
      assert.matches(expected, message, 1, true)
    end
    assert.has_error(process.spawn)
    assert.has_error(function()
      process.spawn "true"
    end)
    local closed = io.tmpfile()
    closed:close()
    assert.is_false(pcall(process.spawn, {"true", stdin = closed}))
  end)

  it("gives the child no descriptor of ours (M6)", function()
    local file <close> = assert(io.open "/etc/passwd")
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local client <close> = assert(net.connect(tostring(listener.endpoint or
      "tcp://127.0.0.1:" .. listener.port)))
    local served <close> = assert(listener:accept())
    assert(file and client and net.resolve "localhost")
    for _, options in ipairs {{}, {stdin = "pipe", stderr = "pipe"}, {stdin = served}} do
      options[1], options[2] = "ls", "/proc/self/fd"
      options.stdout = "pipe"
      local p <close> = assert(process.spawn(options))
      assert.equal("0\n1\n2\n3\n", p.stdout:read "a") -- 3 is the listing's own
    end
  end)
end)

describe("a Process", function()
  it("refuses to be killed once it has ended (M8)", function()
    local p <close> = assert(process.spawn {"true"})
    p:wait()
    for _ = 1, 2 do
      local ok, err = p:kill()
      assert.is_nil(ok)
      assert.equal("ESRCH", err.code)
    end
    p:close()
    assert.equal(0, (p:wait()))
  end)

  it("is killed by a signal of choice", function()
    local p <close> = assert(process.spawn {"sleep", "10"})
    assert.is_true(p:kill "SIGUSR1")
    assert.equal("SIGUSR1", select(2, p:wait()))
    assert.has_error(function()
      p:kill "SIGNOTHING"
    end)
  end)

  it("may be waited for by many, before and after its end", function()
    local p <close> = assert(process.spawn(sh "sleep 0.02; exit 3"))
    local waiting = {}
    for i = 1, 3 do
      waiting[i] = task.spawn(p.wait, p)
    end
    for i = 1, 3 do
      assert.equal(3, (waiting[i]:join()))
    end
    assert.equal(3, (p:wait()))
  end)

  it("goes on when a wait for it is cancelled (I1)", function()
    local p <close> = assert(process.spawn {"cat", stdin = "pipe"})
    local code, err = task.timeout(0.01, p.wait, p)
    assert.is_nil(code)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("running", p.status)
    p.stdin:close()
    assert.equal(0, (p:wait()))
  end)

  it("gets SIGTERM at the end of its scope, and is reaped", function()
    local p
    do
      local child <close> = assert(process.spawn {"sleep", "10", stdout = "pipe"})
      p = child
    end
    assert.equal("SIGTERM", select(2, p:wait()))
    local _, err = p.stdout:read()
    assert.equal("EBADF", err.code)
    assert.same({}, children())
  end)

  it("that is collected lets its child run on, and it is reaped", function()
    local path = temporary()
    assert(process.spawn(sh("sleep 0.05; echo done >" .. path, {stderr = "pipe"})))
    collectgarbage()
    collectgarbage()
    assert.equal(1, #children())
    for _ = 1, 200 do
      if #children() == 0 then
        break
      end
      task.sleep(0.01)
    end
    assert.same({}, children())
    assert.equal("done\n", contents(path))
    os.remove(path)
  end)

  it("has no more than its fields", function()
    local p <close> = assert(process.spawn {"true"})
    assert.is_nil(p.nothing)
    assert.is_nil(p[1])
    assert.is_nil(p.stdin)
    p:wait()
    assert.has_error(function()
      p.wait()
    end)
    assert.has_error(function()
      p.wait(io.stdout)
    end)
  end)
end)

describe("what the parent has left", function()
  --- Run a script behind a line of sh that ends with exec "$@".
  local function behind(line, script)
    local result = task.timeout(10, process.run, {"sh", "-c", line, "sh", neap, "-e", script})
    return assert(result, "it hangs")
  end

  it("does not keep a child's end from being told: SIGCHLD blocked", function()
    local result = behind('exec env --block-signal=CHLD "$@"', [[
      print(process.run{"sh", "-c", "exit 3"}.code)
      io.write(process.run{"grep", "SigBlk", "/proc/self/status"}.stdout)
    ]])
    assert.same({stdout = "3\nSigBlk:\t0000000000000000\n", stderr = "", code = 0}, result)
  end)

  local limit = 'ulimit -Sn 64 && exec "$@"'

  it("is a limit of descriptors, which children get and neap raises", function()
    local result = behind(limit, [[
      local line = "ulimit -Sn"
      local ours = assert(io.open "/proc/self/limits"):read "a"
      print(tonumber(ours:match "Max open files%s+(%d+)") > 64)
      print((process.run{"sh", "-c", line}.stdout:gsub("\n", "")))
      print(io.popen(line):read "n")
      io.stdout:flush()
      os.execute(line)
      require "neap.worker".run(function()
        os.execute "ulimit -Sn"
        print((require "neap.process".run{"sh", "-c", "ulimit -Sn"}.stdout:gsub("\n", "")))
      end)
    ]])
    assert.same({stdout = "true\n64\n64\n64\n64\n64\n", stderr = "", code = 0}, result)
  end)

  it("is no bound to a child's start when more are open", function()
    local result = behind(limit, [[
      local open = {}
      for i = 1, 100 do open[i] = assert(io.open "/dev/null") end
      for _, options in ipairs {
        {stdout = "pipe", stderr = "stdout"}, {stdout = "null", stderr = "null"},
        {stdin = "inherit", stdout = "inherit", stderr = "stdout"},
        {stdin = "null", stdout = io.stderr, stderr = io.stdout},
      } do
        options[1], options[2], options[3] = "sh", "-c", "echo to 1; echo to 2 >&2"
        local p = assert(process.spawn(options))
        if p.stdout then io.write(p.stdout:read "a") end
        io.stdout:flush()
        assert(p:wait() == 0)
      end
    ]])
    assert.same({stdout = "to 1\nto 2\nto 1\nto 2\nto 2\n", stderr = "to 1\n", code = 0}, result)
  end)
end)

describe("process.run", function()
  it("feeds and collects", function()
    local result = assert(process.run {"tr", "a-z", "A-Z", input = "shout"})
    assert.same({stdout = "SHOUT", stderr = "", code = 0}, result)
  end)

  it("drains both outputs at the same time (M5)", function()
    local result = assert(process.run(sh [[
      head -c 10000000 /dev/zero &
      head -c 10000000 /dev/zero >&2
      wait
    ]]))
    assert.equal(10000000, #result.stdout)
    assert.equal(10000000, #result.stderr)
    assert.equal(0, result.code)
  end)

  it("passes megabytes both ways", function()
    local input = ("0123456789abcde\n"):rep(1 << 18)
    assert.is_true(input == process.run({"cat", input = input}).stdout)
  end)

  it("does not mind a child that does not read", function()
    local result = assert(process.run {"true", input = ("x"):rep(1 << 20)})
    assert.equal(0, result.code)
  end)

  it("leaves alone what is no pipe", function()
    assert.same({code = 0}, process.run {"true", stdout = "null", stderr = "null"})
    assert.same({code = 0, stdout = "a\nb\n"},
      process.run(sh("echo a; echo b >&2", {stderr = "stdout"})))
  end)

  it("reports a failure by the code, whatever ended it", function()
    assert.same({stdout = "", stderr = "", code = 143, signal = "SIGTERM"},
      process.run(sh "kill $$"))
  end)

  it("ends a child that says more than `max`", function()
    local result, err = process.run {"yes", max = 100000}
    assert.is_nil(result)
    assert.equal("EMSGSIZE", err.code)
    assert.equal(6, #process.run({"echo", "12345", max = 6}).stdout)
  end)

  it("ends a child when its caller is cancelled", function()
    local result, err = task.timeout(0.02, process.run, {"sleep", "10", input = ("x"):rep(1 << 20)})
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    for _ = 1, 200 do
      if #children() == 0 then
        break
      end
      task.sleep(0.01)
    end
    assert.same({}, children())
  end)

  it("starts nothing where it cannot wait", function()
    local path = temporary()
    local ok, message = pcall(string.gsub, "x", "x", function()
      process.run(sh("echo ran >" .. path))
    end)
    assert.is_false(ok)
    assert.matches("run cannot wait here", message)
    assert.same({}, children())
    assert.equal("", contents(path))
    os.remove(path)
  end)

  it("returns what spawn does, and raises for options", function()
    local result, err = process.run {nowhere(), input = "x"}
    assert.is_nil(result)
    assert.equal("ENOENT", err.code)
    for _, options in ipairs {
      {"cat", input = 1}, {"cat", input = "", stdin = "null"}, {"cat", stdin = "pipe"},
      {"cat", max = "1"}, {"cat", max = -1}, {"cat", unknown = 1}, {},
    } do
      local ok, message = pcall(function()
        process.run(options)
      end)
      assert.is_false(ok)
      assert.matches("^spec/process_spec.lua:%d+: bad argument #1 to 'run' %(", message)
    end
    assert.has_error(process.run)
  end)
end)

it("process.pid is ours", function()
  assert.equal(process.pid .. "\n", process.run(sh "echo $PPID").stdout)
end)

it("a program ends though its children run", function()
  local before = time.now()
  local result = assert(process.run {neap, "-e", [[
    process.spawn {"sleep", "9", stdout = "null", stderr = "null"}
    local p = process.spawn {"sleep", "10", stdout = "null", stderr = "null"}
    task.spawn(p.wait, p)
    task.sleep(0.01)
    p:close()
  ]]})
  assert.is_true(time.now() - before < 8)
  assert.same({stdout = "", stderr = "", code = 0}, result)
end)

it("io.popen works where descriptor 0 was closed", function()
  local result = assert(process.run {neap, "-e", [[
    assert(net.connect "fd:0"):close()
    task.sleep(0.01)
    local p = io.popen("cat", "w")
    assert(p:write "through it\n")
    print(p:close())
  ]]})
  assert.same({stdout = "through it\ntrue\texit\t0\n", stderr = "", code = 0}, result)
end)
