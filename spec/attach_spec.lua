-- A prompt of one neap inside another one.

local child = require "spec.support.child"
local net = require "neap.net"
local process = require "neap.process"
local screen = require "spec.support.screen"
local task = require "neap.task"
local time = require "neap.time"
local wire = require "neap.repl.wire"

local neap = child.neap
local patient = child.sanitized and 5 or 1

local runtime -- stands for XDG_RUNTIME_DIR
local copy, remove_copy -- of the executable, which other users may run

setup(function()
  runtime = os.tmpname()
  os.remove(runtime)
  assert(process.run {"mkdir", "-m", "700", runtime})
  copy, remove_copy = child.copy()
end)

teardown(function()
  process.run {"rm", "-rf", runtime}
  remove_copy()
end)

local function with(variables)
  local env = process.env()
  env.XDG_RUNTIME_DIR = runtime
  for name, value in pairs(variables or {}) do
    env[name] = value
  end
  return env
end

--- Start a script that is to be looked into, once it has said something.
local function start(script, options)
  options = options or {}
  local command = {options.uid and copy or neap, stdout = "pipe", stderr = options.stderr,
    env = with(options.env), uid = options.uid, gid = options.uid, cwd = "/"}
  table.move(options, 1, #options, #command + 1, command)
  command[#command + 1] = "-e"
  command[#command + 1] = script
  local p = assert(process.spawn(command))
  assert(p.stdout:read "l")
  return p
end

--- Run code in it.
local function attach(p, code, word)
  return assert(process.run {neap, word or "attach", tostring(p.pid), input = code, env = with()})
end

local idle = "counter = 7 print 'up' io.stdout:flush() task.sleep(60)"

local function stop(p)
  p:kill "SIGTERM"
  return p:wait()
end

describe("neap attach", function()
  it("knocks at nobody who has the number of one that has ended meanwhile", function()
    local folder = runtime .. "/knock"
    local result = assert(process.run {
      "unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", [[
      mkdir "$1"
      mkfifo "$1/status" "$1/environ"
      cp "$(command -v sleep)" "$1/neap"
      ln -s "$1/neap" "$1/exe"
      "$1/neap" 100 &
      first=$!
      mount --bind "$1" /proc/$first
      "$2" attach $first < /dev/null 2>&1 &
      visitor=$!
      echo > "$1/status" # it asks whose it is
      echo > "$1/environ"
      exec 3> "$1/status" # it looks whether it may knock
      kill -KILL $first
      wait $first 2> /dev/null
      echo $((first - 1)) > /proc/sys/kernel/ns_last_pid
      "$1/neap" 100 &
      echo $(($! == first))
      while ! grep -q neap /proc/$first/comm; do :; done
      printf 'SigCgt:\tffffffffffffffff\n' >&3
      exec 3>&-
      wait $visitor
      kill -TERM $first
      wait $first
      echo $?
    ]], "sh", folder, neap, env = with(),
    })
    if result.stderr:find "unshare:" then
      pending "no process namespaces here"
    end
    assert.matches("^1\n.*ESRCH.*\n143\n$", result.stdout, result.stderr)
  end)

  it("runs code in a process that was started without any flag", function()
    local p <close> = start(idle)
    local result = attach(p, "counter = counter + 1 print('here', counter) return counter, arg[0] ~= nil")
    assert.same({stdout = "here\t8\n8  true\n", stderr = "", code = 0}, result)
    assert.equal("8\n", attach(p, "counter").stdout)
    assert.equal("nil\n", attach(p, "rawget(_G, '_1')").stdout)
    result = attach(p, "error 'boo'")
    assert.matches("boo", result.stdout)
    assert.equal(1, result.code)
    assert.equal(143, (stop(p)))
    assert.equal("", p.stdout:read "a")
  end)

  it("runs all of its inputs: commands, and what is between them", function()
    local p <close> = start(idle)
    local result = attach(p, ":ps\n:socks\nlocal text = [[\n:ps\n]]\nprint(#text)\n:time do\nend\n:jobs\n")
    assert.matches("^ *ID  TASK.*\n *ID  KIND.*\n4\n[%d.]+ s, of which [^\n]*\n$", result.stdout)
    assert.equal(0, result.code)
    result = attach(p, ":nosuch\ncounter")
    assert.matches("\n7\n$", result.stdout)
    assert.equal(1, result.code)
    assert.same({stdout = "", stderr = "", code = 0}, attach(p, ""))
    stop(p)
  end)

  it("has the script's io, but for what is written", function()
    local p <close> = start(idle)
    local result = attach(p, [[
      local pipe = io.popen "echo x"
      print(pipe:read(), pipe:close())
      for name in pairs(_G.io) do
        assert(name == "write" or io[name] == _G.io[name], name)
      end
      local file = io.tmpfile()
      local before = io.output(file)
      assert(io.output() == file and io.output(before) == before and io.close(file))
      assert(io.input() == io.stdin and io.lines "/dev/null"() == nil)
      io.mine = 1
      assert(io.write "said\n" == io.stdout)
      return _G.io.mine]])
    assert.same({stdout = "x\ttrue\texit\t0\nsaid\n1\n", stderr = "", code = 0}, result)
    attach(p, "io = nil")
    assert.equal("said", attach(p, "io.write 'said' return io.stdout").stdout:match "^said")
    stop(p)
  end)

  it("tells what an error has that is a table", function()
    local p <close> = start(idle)
    assert.matches("^error: {code = 1}\n", attach(p, "error {code = 1}").stdout)
    assert.matches("^error: {1, 2}\n", attach(p, "assert(false, {1, 2})").stdout)
    assert.matches("^error: told\n",
      attach(p, "error(setmetatable({}, {__tostring = function() return 'told' end}))").stdout)
    assert.matches("^error: connect mem:nobody: .*%(ECONNREFUSED%)\n",
      attach(p, "assert(net.connect 'mem:nobody')").stdout)
    stop(p)
  end)

  it("lists tasks and sockets once (neap ps, neap socks)", function()
    local p <close> = start("l = net.listen 'tcp://127.0.0.1:0' " .. idle)
    local ps = attach(p, nil, "ps")
    assert.equal(0, ps.code)
    assert.matches("main +waiting +sleep", ps.stdout)
    local socks = attach(p, nil, "socks")
    assert.equal(0, socks.code)
    assert.matches("tcp +listening", socks.stdout)
    stop(p)
  end)

  it("shows what sockets do, until the visitor leaves", function()
    local p <close> = start [[
      local trace = require "neap.trace"
      local start = trace.start
      function trace.start(opts)
        tracer = start(opts)
        return tracer
      end
      print "up" io.stdout:flush()
      local a, b = net.socketpair()
      while true do a:write "hello" b:read(5) task.sleep(0.01) end]]
    attach(p, "1")
    local stream <close> = assert(net.connect(("unix:%s/neap/%d.sock"):format(runtime, p.pid)))
    wire.send(stream, {kind = "hello", columns = 80})
    wire.send(stream, {kind = "input", text = ":trace unix"})
    local text = ""
    repeat
      local message = assert(wire.receive(stream))
      text = text .. (message.kind == "print" and message.text or "")
    until text:find "%-> 5 bytes\n[^\n]*hello"
    stream:close()
    repeat
      local stopped = attach(p, "tracer.stopped").stdout
    until stopped == "true\n"
    stop(p)
  end)

  it("refuses what it cannot attach to", function()
    local off <close> = start(idle, {"--no-attach"})
    assert.matches("is no neap that one can attach to", attach(off, "1").stderr)
    local other <close> = start(idle, {env = {NEAP_ATTACH = "0"}})
    assert.equal(1, attach(other, "1").code)
    stop(off)
    stop(other)
    local gone = attach(off, "1")
    assert.matches("no such process", gone.stderr)
    assert.equal(1, gone.code)
    for _, words in ipairs {{"attach"}, {"ps"}, {"socks", ""}} do
      local result = assert(process.run {neap, table.unpack(words)})
      assert.equal(2, result.code)
      assert.matches("^usage: neap " .. words[1], result.stderr)
    end
    assert.matches("ENOENT", assert(process.run {neap, "attach", "/none"}).stderr)
  end)

  it("has a place for this user alone, while somebody is there", function()
    local p <close> = start(idle)
    attach(p, "1")
    local path = ("%s/neap/%d.sock"):format(runtime, p.pid)
    local result = assert(process.run {"stat", "-c", "%a %F", path, runtime .. "/neap"})
    assert.equal("600 socket\n700 directory\n", result.stdout)
    assert.equal("2\n", assert(process.run {neap, "attach", path, input = "1 + 1"}).stdout)
    stop(p)
    assert.is_nil(io.open(path))
  end)

  it("clears away the places of processes that were killed", function()
    local dead <close> = start(idle)
    attach(dead, "1")
    dead:kill "SIGKILL"
    dead:wait()
    local p <close> = start(idle)
    attach(p, "1")
    local left = assert(process.run {"ls", runtime .. "/neap"}).stdout
    assert.equal(p.pid .. ".sock\n", left)
    stop(p)
  end)

  it("lets no other user in", function()
    if assert(process.run {"id", "-u"}).stdout ~= "0\n" then
      pending "only root can become another user"
    end
    local p <close> = start(idle)
    attach(p, "1")
    local path = ("%s/neap/%d.sock"):format(runtime, p.pid)
    assert(process.run {"chmod", "-R", "777", runtime})
    local theirs = child.run_as_nobody {"attach", path, input = "1", env = with {HOME = "/tmp"}}
    assert.equal("", theirs.stdout)
    assert.matches("does not let this user in", theirs.stderr)
    assert.equal(1, theirs.code)
    local knocked = child.run_as_nobody {"attach", tostring(p.pid), input = "1"}
    assert.matches("EPERM", knocked.stderr)
    assert.equal("1\n", assert(process.run {neap, "attach", path, input = "1"}).stdout)
    assert(process.run {"chmod", "-R", "700", runtime})
    stop(p)
  end)

  local function is_root()
    return assert(process.run {"id", "-u"}).stdout == "0\n"
  end

  --- What an impostor hears who listens in a place before the process does.
  local function impostor(path, uid)
    local p = assert(process.spawn {copy, env = with {PLACE = path}, "-e", [[
      local l = assert(net.listen("unix:" .. os.getenv "PLACE", {mode = tonumber("666", 8)}))
      print "up" io.stdout:flush()
      local wire = require "neap.repl.wire"
      for s in l:accepts() do
        wire.send(s, {kind = "welcome", pid = 1})
        wire.send(s, {kind = "print", text = "forged"})
        print(wire.receive(s) and "heard something" or "heard nothing")
        io.stdout:flush()
      end]], stdout = "pipe", uid = uid, gid = uid, cwd = "/"})
    assert(p.stdout:read "l")
    return p
  end

  it("gives nothing to another user who serves in its place, and takes nothing", function()
    if not is_root() then
      pending "only root can become another user"
      return
    end
    local p <close> = start(idle)
    local path = ("%s/neap/%d.sock"):format(runtime, p.pid)
    local open = 'mkdir -p -m 700 "$1/neap" && chmod 755 "$1" && chmod 777 "$1/neap"'
    assert(process.run {"sh", "-c", open, "sh", runtime})
    local other <close> = impostor(path, 65534)
    assert(process.run {"sh", "-c", 'chmod 700 "$1" "$1/neap"', "sh", runtime})
    local result = assert(process.run {neap, "attach", path, input = "counter", env = with()})
    assert.equal("", result.stdout)
    assert.matches("is not a folder of user 65534 alone", result.stderr)
    assert.equal(1, result.code)
    assert.equal("7\n", attach(p, "counter").stdout) -- there is another place for it
    other:kill "SIGKILL"
    assert.matches("^heard nothing\nheard nothing\n[heard nothing\n]*$", other.stdout:read "a")
    os.remove(path)
    stop(p)
  end)

  it("refuses a folder that others may enter, or that a link leads to", function()
    for _, line in ipairs {'mkdir -m 777 "$1/neap"', 'mkdir -m 700 "$1/elsewhere"; ln -s elsewhere "$1/neap"'} do
      assert(process.run {"sh", "-c", 'rm -rf "$1/neap" "$1/elsewhere"; ' .. line, "sh", runtime})
      local p <close> = start(idle, {env = {NEAP_ATTACH = "1"}})
      local other <close> = impostor(("%s/neap/%d.sock"):format(runtime, p.pid))
      -- The process itself takes another folder.
      local result = attach(p, "counter")
      assert.equal("7\n", result.stdout)
      stop(p)
      other:kill "SIGKILL"
      other:wait()
    end
    assert(process.run {"sh", "-c", 'rm -rf "$1/neap" "$1/elsewhere"', "sh", runtime})
  end)

  it("tells that there is no place in good hands", function()
    if not is_root() then
      pending "only root can become another user"
      return
    end
    local p <close> = start(idle, {env = {XDG_RUNTIME_DIR = ""}, uid = 4242, stderr = "pipe"})
    assert(process.run {"sh", "-c", 'mkdir "/tmp/neap-4242" && chown 65534 "/tmp/neap-4242"'})
    local result = attach(p, "counter")
    local told = p.stderr:read "L"
    os.remove "/tmp/neap-4242"
    assert.equal("", result.stdout)
    assert.equal("neap: attach: mkdir /tmp/neap-4242: operation not permitted (EPERM)\n", told)
    assert.matches("/tmp/neap%-4242 is not a folder of user 4242 alone", result.stderr)
    assert.equal(1, result.code)
    stop(p)
  end)

  it("lets root into another user's process", function()
    if not is_root() then
      pending "only root can become another user"
      return
    end
    local p <close> = start(idle, {env = {XDG_RUNTIME_DIR = ""}, uid = 4242})
    assert.equal("7\n", attach(p, "counter").stdout)
    local path = ("/tmp/neap-4242/%d.sock"):format(p.pid)
    assert.equal("7\n", assert(process.run {neap, "attach", path, input = "counter"}).stdout)
    assert(process.run {"chmod", "755", "/tmp/neap-4242"})
    local result = assert(process.run {neap, "attach", path, input = "counter"})
    assert.matches("is not a folder of user 4242 alone", result.stderr)
    assert.equal(1, result.code)
    stop(p)
    process.run {"rm", "-rf", "/tmp/neap-4242"}
  end)

  it("uses no folder that others could have made", function()
    local p <close> = start(idle, {env = {XDG_RUNTIME_DIR = runtime .. "/open"}})
    assert(process.run {"mkdir", "-p", "-m", "777", runtime .. "/open/neap"})
    assert.equal("1\n", attach(p, "1").stdout)
    assert.is_nil(io.open(("%s/open/neap/%d.sock"):format(runtime, p.pid)))
    stop(p)
  end)

  it("does not keep a finished program, or its deadlock, alive", function()
    local p <close> = start "print 'up' io.stdout:flush() task.sleep(0.5)"
    local began = time.now()
    attach(p, "task.spawn(function() end) background = 1")
    assert.equal(0, (p:wait()))
    assert(time.now() - began < 2 * patient)
  end)

  it("ends a loop of an attached prompt that never waits", function()
    local p <close> = start(idle)
    local visitor = assert(process.spawn {
      neap, "attach", tostring(p.pid), stdin = "pipe", stdout = "pipe", env = with(),
    })
    visitor.stdin:write "print 'begun' while true do end"
    visitor.stdin:close()
    task.sleep(0.3 * patient)
    visitor:kill "SIGTERM"
    visitor:wait()
    visitor:close()
    assert.equal("7\n", attach(p, "counter").stdout) -- it was interrupted by its visitor's end
    stop(p)
  end)

  it("ends what a visitor ran that was killed, whatever it does", function()
    local p <close> = start(idle)
    for _, code in ipairs {
      "while true do end", "while true do pcall(function() while true do end end) end", "task.sleep(1000)",
    } do
      local visitor <close> = assert(process.spawn {
        neap, "attach", tostring(p.pid), stdin = "pipe", stdout = "pipe", env = with(),
      })
      visitor.stdin:write("io.stdout:write 'begun\\n' io.stdout:flush() " .. code)
      visitor.stdin:close()
      assert.equal("begun", p.stdout:read "l")
      visitor:kill "SIGKILL"
      visitor:wait()
      assert.equal("7\n", attach(p, "counter").stdout, code)
      local left = attach(p, [[
        for _, row in ipairs(require "neap.host".tasks()) do
          print(row.name)
        end]]).stdout
      assert.equal(1, select(2, left:gsub("attached", "")), left)
    end
    stop(p)
  end)

  it("leaks nothing in many visits", function()
    local count = tonumber(os.getenv "NEAP_ATTACHES") or (patient > 1 and 50 or 200)
    local p <close> = start(idle)
    local function stats()
      return attach(p, [[
        collectgarbage() collectgarbage()
        local c = require "neap.host".stats()
        print(c.tasks, c.streams, c.listeners, c.descriptors, c.handles)]]).stdout
    end
    attach(p, "1")
    local before = stats()
    local path = ("unix:%s/neap/%d.sock"):format(runtime, p.pid)
    for i = 1, count do
      local stream = assert(net.connect(path))
      if i % 4 > 0 then
        wire.send(stream, {kind = "hello", columns = 80})
        wire.send(stream, {kind = "input", text = i % 2 == 0 and "1" or "task.sleep(100)"})
      end
      if i % 3 == 0 then
        wire.receive(stream)
        stream:reset()
      end
      stream:close()
    end
    task.sleep(0.1 * patient)
    assert.equal(before, stats())
    stop(p)
  end)
end)

describe("an attached prompt", function()
  local function open(p)
    if not screen.is_there() then
      pending "tmux is not installed"
    end
    local s = screen.open({"attach", tostring(p.pid)}, {env = {XDG_RUNTIME_DIR = runtime}})
    s:expect(("neap %d>"):format(p.pid))
    return s
  end

  it("is as the local one: completion, jobs, ^C, output above what is typed", function()
    local p <close> = start(idle)
    local s <close> = open(p)
    local prompt = ("neap %d>"):format(p.pid)
    s:type "coun"
    s:press "Tab"
    s:expect "> counter"
    s:press "Enter"
    s:expect("\n7\n" .. prompt)
    s:enter "task.sleep(0.2) print 'from a job' &"
    s:type "half"
    s:find "from a job\n"
    s:expect(prompt .. " half")
    s:press "C-c"
    for _, input in ipairs {"task.sleep(100)", "while true do end", "while true do pcall(task.sleep, 1) end"} do
      s:enter(input)
      task.sleep(0.1)
      local began, waited = time.now(), child.waited(p.pid)
      s:press "C-c"
      s:expect("cancelled\n" .. prompt)
      assert(time.now() - began - (child.waited(p.pid) - waited) < 0.5 * patient)
    end
    s:press "C-d"
    s:find "(ended with 0)"
    assert.equal("7\n", attach(p, "counter").stdout)
    stop(p)
  end)

  it("is interrupted though another thread gets the signal", function()
    local call = ({x86_64 = 297, aarch64 = 240})[process.run({"uname", "-m"}).stdout:match "%S+"]
    if not call or not process.run {"perl", "-e", ""} then
      pending "no rt_tgsigqueueinfo(2) without perl, or on this machine"
      return
    end
    local p <close> = start([[
      task.spawn(function()
        require "neap.worker".run(function() require "neap.task".sleep(60) end)
      end)
      task.yield()
    ]] .. idle)
    local visitor <close> = assert(process.spawn {
      neap, "attach", tostring(p.pid), stdin = "pipe", stdout = "pipe", env = with(),
    })
    visitor.stdin:write "while true do end"
    visitor.stdin:close()
    task.sleep(0.5 * patient)
    local threads = process.run({"ls", ("/proc/%d/task"):format(p.pid)}).stdout
    local other = threads:gsub(("%%f[%%d]%d\n"):format(p.pid), ""):match "%d+"
    local sent = assert(process.run {"perl", "-e", [[
      my ($call, $pid, $thread) = map { $_ + 0 } @ARGV;
      my $signal = 34 + 6; # SIGATTACH
      my $info = pack("iiixxxxiiq", $signal, 0, -1, $$, $<, 1); # KNOCK_INTERRUPT
      $info .= "\0" x (128 - length $info);
      exit(syscall($call, $pid, $thread, $signal, $info) != 0);
    ]], tostring(call), tostring(p.pid), other})
    assert.equal(0, sent.code)
    assert(task.timeout(8, visitor.wait, visitor), "it goes on")
    assert.matches("cancelled", visitor.stdout:read "a")
    stop(p)
  end)

  it("is one of several, and its death disturbs nobody", function()
    local p <close> = start(idle)
    local one <close>, prompt = open(p), ("neap %d>"):format(p.pid)
    local two = open(p)
    two:enter "task.sleep(100)"
    one:enter "counter = 1"
    one:expect("\n" .. prompt)
    two:close() -- its terminal is gone
    one:enter "counter"
    one:expect("\n1\n" .. prompt)
    task.sleep(0.1)
    one:enter "for _, line in ipairs {help and 'still here'} do print(line) end"
    one:find "still here"
    stop(p)
    one:find "has ended"
  end)
end)
