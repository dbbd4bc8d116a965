-- What a service has to do with its manager: sockets that it is given, what it tells, and
-- how it starts itself anew.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local child = require "spec.support.child"
local handover = require "spec.support.handover"

local root = os.tmpname()
local running = {}

local write = handover.write

--- A process of these words, after which nothing of it is left.
local function start(command, env)
  command.env = process.env()
  for name, value in pairs(env or {}) do
    command.env[name] = value
  end
  command.stdout = command.stdout or "pipe"
  command.stderr = command.stderr or "pipe"
  local p = assert(process.spawn(command))
  running[#running + 1] = p
  return p
end

--- A manager: opens sockets, as descriptors from 3 on, and becomes what follows.
local MANAGER = [[
use Socket; use POSIX;
my ($port, $names) = (shift, shift);
socket(my $a, PF_INET, SOCK_STREAM, 0) or die;
setsockopt($a, SOL_SOCKET, SO_REUSEADDR, 1);
bind($a, sockaddr_in($port, INADDR_LOOPBACK)) or die "$!";
listen($a, 511) or die;
socket(my $b, PF_INET, SOCK_DGRAM, 0) or die;
bind($b, sockaddr_in($port, INADDR_LOOPBACK)) or die "$!";
my ($x, $y) = (fcntl($a, F_DUPFD, 20), fcntl($b, F_DUPFD, 20));
POSIX::dup2($x, 3); POSIX::dup2($y, 4); POSIX::close($x); POSIX::close($y);
$ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 2; $ENV{LISTEN_FDNAMES} = $names;
$^F = 10;
exec @ARGV;
]]

local function activated(port, ...)
  return start {"perl", "-e", MANAGER, tostring(port), "web:log", child.neap, ...}
end

--- Where a service tells how it is; the text of each message, and who sent it.
local function notify_socket(name)
  local socket = assert(net.bind("unixgram:" .. name))
  socket:set {passcred = true}
  local function receive()
    return (assert(task.timeout(60, socket.recv, socket)))
  end
  return socket, receive
end

after_each(function()
  for _, p in ipairs(running) do
    p:kill "SIGKILL"
    p:close()
    p:wait()
  end
  running = {}
end)

teardown(function()
  os.remove(root)
end)

local SERVER = [[
  local net, process, task = require "neap.net", require "neap.process", require "neap.task"
  local signal = require "neap.signal"
  task.spawn(function()
    for _ in signal.each "SIGUSR1" do
      print(process.restart())
      io.stdout:flush()
    end
  end)
  listener:serve(function(stream)
    local line = stream:read "l"
    while line do
      stream:write(line, " ", process.pid, "\n")
      line = task.idle(stream.read, stream, "l")
    end
  end)
]]

local function ask(port, stream)
  local _ <close> = not stream and nil or stream
  stream = stream or net.connect("tcp://127.0.0.1:" .. port)
  if not stream then
    return nil
  end
  stream:write "who\n"
  local answer = stream:read "l"
  return answer and math.tointeger(answer:match "^who (%d+)$")
end

--- A server, once it answers, and its port.
local function serving()
  local port = handover.port()
  write(root, ("local listener = assert(require 'neap.net'.listen 'tcp://127.0.0.1:%d') "):format(port) .. SERVER)
  local p = start {child.neap, root}
  handover.await(function()
    return ask(port)
  end)
  return p, port
end

--- Tell a server to start itself anew: the process that then answers.
local function replaced(port, before)
  os.execute("kill -USR1 " .. before)
  return handover.await(function()
    local pid = ask(port)
    return pid ~= before and pid
  end)
end

describe("net.activated", function()
  it("gives the manager's sockets, in their order and by name", function()
    local port = handover.port()
    local p = activated(port, "-e", [[
      local sockets = assert(net.activated())
      print(#sockets, sockets.web == sockets[1], sockets.log == sockets[2])
      print(sockets[1].endpoint, sockets[1].address, sockets[2].localaddr)
      local again = net.activated()
      print(again.web ~= sockets.web, again.web.fd ~= sockets.web.fd)
      again.web:close()
      task.spawn(function()
        local stream <close> = assert(net.connect(sockets.web.endpoint))
        print(stream:read "a")
      end)
      local stream <close> = sockets[1]:accept()
      stream:write "hello"
      print(process.run({"sh", "-c", "ls -l /proc/self/fd | grep -c socket"}).stdout)
    ]])
    assert.equal(("2\ttrue\ttrue\n%s\t127.0.0.1:%d\t127.0.0.1:%d\ntrue\ttrue\n0\n\nhello\n")
      :format("tcp://127.0.0.1:" .. port, port, port), p.stdout:read "a")
    assert.equal("", p.stderr:read "a")
  end)

  it("leaves nothing behind of what it cannot adopt", function()
    local p = start {"sh", "-c", [[LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -e "$1" 3< /]], child.neap, [[
      local function count()
        return #assert(fs.list "/proc/self/fd")
      end
      print(select(2, net.activated()).code)
      local before = count()
      for _ = 1, 3 do
        net.activated()
      end
      print(count() - before)
    ]]}
    assert.equal("EISDIR\n0\n", p.stdout:read "a")
  end)

  it("gives none that are another process's, or not there", function()
    for expected, env in pairs {
      ["0\tnil"] = {LISTEN_PID = "1", LISTEN_FDS = "3"},
      ["0\tnil "] = {LISTEN_FDS = "3"},
      ["nil\tE%u+"] = {LISTEN_PID = "self", LISTEN_FDS = "1"},
      ["0\tnil  "] = {LISTEN_PID = "self", LISTEN_FDS = "x"},
      ["0\tnil   "] = {LISTEN_PID = "self", LISTEN_FDS = "-1"},
    } do
      local p = start({"sh", "-c",
        [=[ [ "$LISTEN_PID" != self ] || LISTEN_PID=$$; exec 3>&- 4>&-; exec "$0" -e "$1" ]=], child.neap, [[
        local sockets, err = net.activated()
        print(sockets and #sockets, err and err.code)
      ]]}, env)
      assert.matches("^" .. expected:match "^(.-) *$" .. "\n$", p.stdout:read "a")
    end
  end)

  it("serves in workers, too", function()
    local port = handover.port()
    local p = activated(port, "-w", "2", "-e", [[
      local listener = assert(net.activated()).web
      listener:serve(function(stream) stream:write(worker.id, "\n") end)
    ]])
    local seen, n = {}, 0
    handover.await(function()
      local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
      local id = stream and stream:read "l"
      if not id then
        return false
      end
      n = n + (seen[id] and 0 or 1)
      seen[id] = true
      return n == 2
    end)
    p:kill()
    assert.equal("", p.stderr:read "a")
  end)
end)

describe("a listener that was adopted", function()
  it("has an endpoint that can be connected to", function()
    local port = handover.port()
    local p = activated(port, "-e", [[
      local listener = assert(net.listen "fd:3")
      print(listener.endpoint, listener)
      task.spawn(function() listener:accept():write "hello\n" end)
      print(net.connect(listener.endpoint):read "l")
    ]])
    assert.matches(("^tcp://127.0.0.1:%d\tlistener %%d+ %%(tcp://127.0.0.1:%d%%)\nhello\n$"):format(port, port),
      p.stdout:read "a")
  end)
end)

describe("process.notify", function()
  it("tells a path and an abstract name, and nobody where there is none", function()
    assert.is_false(process.notify "READY=1")
    for _, name in ipairs {root .. ".sock", "@" .. root} do
      local socket <close>, receive = notify_socket(name)
      local p = start({child.neap, "-e", [[
        print(process.notify "READY=1\nSTATUS=here")
        print(process.notify "STATUS=there")
      ]]}, {NOTIFY_SOCKET = name})
      assert.equal("READY=1\nSTATUS=here", receive())
      assert.equal("STATUS=there", receive())
      assert.equal("true\ntrue\n", p.stdout:read "a")
      assert.equal(0, (p:wait()))
      assert.is_truthy(socket)
      os.remove(name)
    end
  end)

  it("says what is wrong", function()
    for _, bad in ipairs {"", "READY", "READY=1\n", "x y=1", 1, {}, false} do
      local ok, message = pcall(process.notify, bad)
      assert.is_false(ok, tostring(bad))
      assert.matches("bad argument #1 to 'notify'", message)
    end
    for name, code in pairs {["/no/such/socket"] = "ENOENT", ["vsock:2:1"] = "EAFNOSUPPORT"} do
      local p = start({child.neap, "-e", "print(select(2, process.notify 'STATUS=x').code)"},
        {NOTIFY_SOCKET = name})
      assert.equal(code .. "\n", p.stdout:read "a")
    end
  end)

  it("beats while the loop goes on, and tells of the end", function()
    local socket <close>, receive = notify_socket("@" .. root)
    local p = start({child.neap, "--drain=60", "-e", [[
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      print(listener.endpoint)
      io.stdout:flush()
      process.notify "READY=1"
      listener:serve(function(stream)
        if stream:read "l" == "spin" then
          while true do os.clock() end
        end
      end)
    ]]}, {NOTIFY_SOCKET = "@" .. root, WATCHDOG_USEC = "100000"})
    local endpoint = p.stdout:read "l"
    assert.equal("READY=1", receive())
    for _ = 1, 5 do
      assert.equal("WATCHDOG=1", receive())
    end
    local idle <close> = assert(net.connect(endpoint))
    p:kill()
    local told
    repeat
      told = receive()
    until told ~= "WATCHDOG=1"
    assert.equal("STOPPING=1", told)
    assert.equal("WATCHDOG=1", receive()) -- it drains
    idle:close()
    assert.equal("SIGTERM", select(2, p:wait()))
    p = start({child.neap, "-e", [[
      process.notify "READY=1"
      task.sleep(0.3)
      while true do os.clock() end
    ]]}, {NOTIFY_SOCKET = "@" .. root, WATCHDOG_USEC = "100000"})
    repeat
      told = receive()
    until told == "READY=1"
    local beats = 0
    while task.timeout(1, socket.recv, socket) do
      beats = beats + 1
    end
    assert.is_true(beats >= 1 and beats < 30, beats)
    p:kill "SIGKILL"
  end)

  it("does not beat for another process, and keeps no program alive", function()
    local socket <close>, receive = notify_socket("@" .. root)
    local p = start({child.neap, "-e", "process.notify 'READY=1' task.sleep(0.2)"},
      {NOTIFY_SOCKET = "@" .. root, WATCHDOG_USEC = "20000", WATCHDOG_PID = "1"})
    assert.equal("READY=1", receive())
    assert.equal(0, (p:wait()))
    assert.is_nil((task.timeout(0.05, socket.recv, socket)))
  end)

  it("waits for all workers, and beats while all their loops go on", function()
    local _ <close>, receive = notify_socket("@" .. root)
    local p = start({child.neap, "-w", "2", "-e", [[
      task.sleep(worker.id * 0.1)
      process.notify("STATUS=" .. worker.id)
      process.notify "READY=1"
      if worker.id == 2 then
        task.sleep(1)
        while true do os.clock() end
      end
      task.sleep(1000)
    ]]}, {NOTIFY_SOCKET = "@" .. root, WATCHDOG_USEC = "200000"})
    assert.equal("STATUS=1", receive())
    assert.equal("STATUS=2", receive())
    assert.equal("READY=1", receive())
    assert.equal("WATCHDOG=1", receive())
    local quiet = time.now()
    while time.now() - quiet < 2 do
      if task.timeout(2, receive) then
        quiet = math.max(quiet, time.now() - 1.9)
      end
      if time.now() - quiet >= 2 then
        break
      end
    end
    p:kill "SIGKILL"
  end)
end)

describe("process.restart", function()
  it("hands its listeners to a new process, and loses no connection", function()
    local port = handover.port()
    write(root, ("local listener = assert(require 'neap.net'.listen 'tcp://127.0.0.1:%d') "):format(port) .. SERVER)
    local p = start {child.neap, root, stderr = "inherit"}
    local first = handover.await(function()
      return ask(port)
    end)
    assert.equal(p.pid, first)
    local kept <close> = assert(net.connect("tcp://127.0.0.1:" .. port))
    kept:write "x\n"
    kept:read "l"
    local last = first
    handover.under_load(port, handover.many, function()
      last = replaced(port, last)
    end)
    assert.is_nil((kept:read "l")) -- it was idle, where all has drained
    assert.equal("SIGTERM", select(2, p:wait()))
    os.execute("kill -KILL " .. last)
  end)

  it("is one at a time", function()
    local p, port = serving()
    write(root, "require 'neap.task'.sleep(100)") -- it never listens
    p:kill "SIGUSR1"
    local out = process.run {child.neap, "attach", tostring(p.pid), input = [[
      print(select(2, require "neap.process".restart()).code)
    ]]}
    assert.equal("EALREADY\n", out.stdout)
    p:kill() -- which ends the other one, too
    p:wait()
    handover.await(function()
      local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
      return not stream
    end)
  end)

  it("goes on where the new process does not start", function()
    local p, port = serving()
    write(root, "error 'no good'")
    p:kill "SIGUSR1"
    assert.equal("nil\trestart: the new process ended before it served (ECHILD)", p.stdout:read "l")
    assert.matches("no good", p.stderr:read "l")
    assert.equal(p.pid, ask(port))
  end)

  it("hands on what its manager has given it", function()
    local port = handover.port()
    write(root, "local listener = assert(require 'neap.net'.activated()).web " .. SERVER)
    activated(port, root)
    local last = handover.await(function()
      return ask(port)
    end)
    handover.under_load(port, handover.many, function()
      last = replaced(port, last)
    end)
    os.execute("kill -KILL " .. last)
  end)

  it("hands on what its manager has given and nobody has asked for, and no file", function()
    local marker <const> = root .. ".marker"
    write(root, ([[
      local net, process = require "neap.net", require "neap.process"
      local marker = "%s"
      local kept = io.open(marker)
      if not kept then
        kept = io.open(marker, "w")
        process.restart()
      else
        kept:close()
        local list = io.popen("ls -l /proc/" .. process.pid .. "/fd"):read "a"
        print(#assert(net.activated()), list:find(marker, 1, true))
      end
    ]]):format(marker))
    local p = activated(handover.port(), root)
    assert.equal("2\tnil\n", p.stdout:read "a")
    os.remove(marker)
  end)

  it("hands on none that has got the number of what its manager has given", function()
    local marker <const> = root .. ".marker"
    write(root, ([[
      local net, process = require "neap.net", require "neap.process"
      if io.open "%s" then
        print(select(2, net.listen "fd:3").code, select(2, net.activated()).code)
      else
        io.open("%s", "w"):close()
        assert(net.listen "fd:3"):close()
        local other = assert(net.listen "tcp://127.0.0.1:0")
        print(other.fd)
        io.stdout:flush()
        process.restart()
      end
    ]]):format(marker, marker))
    local p = activated(handover.port(), root)
    assert.equal("3\nEBUSY\tEBADF\n", p.stdout:read "a", p.stderr:read "a")
    os.remove(marker)
  end)

  it("hands on also where the process dies before the new one has begun", function()
    local port = handover.port()
    local wrapper = root .. ".sh"
    write(root, "local listener = assert(require 'neap.net'.activated()).web " .. SERVER)
    write(wrapper, ([[#!/bin/sh
      kill -KILL $PPID
      while grep -q "^PPid:.$PPID$" /proc/$$/status; do :; done
      exec %s "$@"
    ]]):format(child.neap))
    os.execute("chmod +x " .. wrapper)
    local p = start {"perl", "-e", MANAGER, tostring(port), "web:log", "bash", "-c", [[exec -a "$0" "$@"]], wrapper,
      child.neap, root}
    local first = handover.await(function()
      return ask(port)
    end)
    p.stdout:close() -- it need not find anybody who reads what it prints, either
    os.execute("kill -USR1 " .. first)
    assert.equal("SIGKILL", select(2, p:wait()))
    local last = handover.await(function()
      return ask(port)
    end)
    assert.not_equal(first, last)
    os.execute("kill -KILL " .. last)
    os.remove(wrapper)
  end)

  it("ends the new process, and no other one of its number", function()
    local wrapper = root .. ".sh"
    write(wrapper, "#!/bin/sh\necho $$ > " .. root .. ".pid\n")
    os.execute("chmod +x " .. wrapper)
    write(root, ([[
      local process, task = require "neap.process", require "neap.task"
      local restarting = task.spawn(process.restart)
      local function number()
        local file <close> = io.open("%s.pid")
        return file and file:read "n"
      end
      task.yield()
      local pid
      repeat pid = number() until pid -- nobody else runs meanwhile
      repeat until not os.execute("kill -0 " .. pid .. " 2> /dev/null")
      local other
      for _ = 1, 100 do
        other = io.popen("echo " .. pid - 1 .. " > /proc/sys/kernel/ns_last_pid; sleep 100 & echo $!"):read "n"
        if other == pid then
          break
        end
        os.execute("kill " .. other)
      end
      print(other == pid)
      restarting:join()
      task.sleep(0.05)
      print(os.execute("grep -c 'State:.[SR]' /proc/" .. pid .. "/status > /dev/null"))
      os.execute("kill " .. pid)
    ]]):format(root))
    local result = assert(process.run {
      "unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c",
      [[bash -c 'exec -a "$0" "$@"' "$@" < /dev/null; true]], "sh", wrapper, child.neap, root,
    })
    if result.stderr:find "unshare:" then
      pending "no process namespaces here"
    end
    assert.equal("true\ntrue\texit\t0\n", result.stdout, result.stderr)
    os.remove(wrapper)
    os.remove(root .. ".pid")
  end)

  it("hands on a unix socket's file, and a free port that was chosen", function()
    local path = root .. ".unix"
    write(root, ([[
      local net, process, task = require "neap.net", require "neap.process", require "neap.task"
      local any = assert(net.listen "tcp://127.0.0.1:0")
      local listener = assert(net.listen("unix:%s", {unlink_stale = true}))
      print(any.port)
      io.stdout:flush()
      task.spawn(any.serve, any, function() end)
      task.spawn(function()
        for _ in require "neap.signal".each "SIGUSR1" do process.restart() end
      end)
      listener:serve(function(stream) stream:write(process.pid, "\n") end)
    ]]):format(path))
    local p = start {child.neap, root}
    local function pid()
      local stream <close> = net.connect("unix:" .. path)
      return stream and math.tointeger(stream:read "l")
    end
    local port = p.stdout:read "l"
    local first = handover.await(pid)
    p:kill "SIGUSR1"
    local second = handover.await(function()
      local now = pid()
      return now ~= first and now
    end)
    assert.equal(port, p.stdout:read "l")
    assert.equal("SIGTERM", select(2, p:wait()))
    assert.equal(second, pid())
    os.execute("kill -TERM " .. second)
    handover.await(function()
      return (select(2, net.connect("unix:" .. path)) or {}).code == "ENOENT"
    end)
  end)

  it("tells the manager of the new main process, and not that it stops", function()
    local socket <close>, receive = notify_socket("@" .. root)
    write(root, [[
      local net, process, signal, task = require "neap.net", require "neap.process", require "neap.signal",
        require "neap.task"
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      task.spawn(function() for _ in signal.each "SIGUSR1" do process.restart() end end)
      task.spawn(listener.serve, listener, function() end)
      process.notify "READY=1"
    ]])
    local p = start({child.neap, root}, {NOTIFY_SOCKET = "@" .. root, WATCHDOG_USEC = "60000000"})
    assert.equal("READY=1", receive())
    assert.equal("WATCHDOG=1", receive())
    task.sleep(0.1)
    p:kill "SIGUSR1"
    local pid
    for _ = 1, 3 do
      pid = pid or receive():match "^MAINPID=(%d+)$"
    end
    assert.is_truthy(pid)
    assert.equal("SIGTERM", select(2, p:wait()))
    local late = task.timeout(0.2, function()
      repeat
        local text = socket:recv()
      until text == "STOPPING=1"
      return true
    end)
    assert.is_nil(late)
    os.execute("kill -KILL " .. pid)
  end)

  it("restarts all workers by SIGUSR2", function()
    local port = handover.port()
    write(root, ("local listener = assert(require 'neap.net'.listen 'tcp://127.0.0.1:%d') "):format(port) .. SERVER)
    local p = start {child.neap, "-w", "2", root, stderr = "inherit"}
    local last = handover.await(function()
      return ask(port)
    end)
    task.sleep(0.2)
    handover.under_load(port, handover.many, function()
      local before = last
      os.execute("kill -USR2 " .. last)
      last = handover.await(function()
        local pid = ask(port)
        return pid ~= before and pid
      end)
      task.sleep(0.3)
    end)
    assert.equal("SIGTERM", select(2, p:wait()))
    os.execute("kill -KILL " .. last)
  end)

  it("is refused to process 1 of a container", function()
    local result = assert(process.run {
      "unshare", "--pid", "--fork", child.neap, "-e", "print(select(2, process.restart()).code)",
    })
    if result.stderr:find "unshare:" then
      pending "no process namespaces here"
    end
    assert.equal("EPERM\n", result.stdout)
  end)
end)

describe("a service", function()
  it("is ready, beats and stops with no stdin, no /proc, and as process 1", function()
    local server = [[
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      process.notify "READY=1"
      listener:serve(function() end)
    ]]
    for what, words in pairs {
      ["stdin /dev/null"] = {"sh", "-c", 'exec "$@" < /dev/null', "sh"},
      ["no stdin"] = {"sh", "-c", 'exec "$@" <&-', "sh"},
      ["nothing open"] = {"sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"},
      ["process 1"] = {"unshare", "--pid", "--fork", "--kill-child"},
      ["no /proc"] = not child.sanitized -- sanitizers need it
        and {"unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"} or nil,
    } do
      local _ <close>, receive = notify_socket("@" .. root)
      local command = {table.unpack(words)}
      for _, word in ipairs {child.neap, "-e", server} do
        command[#command + 1] = word
      end
      local p = start(command, {NOTIFY_SOCKET = "@" .. root, WATCHDOG_USEC = "100000"})
      local ready = task.timeout(60, receive)
      if not ready and words[1] == "unshare" then
        pending("no namespaces here: " .. what)
      end
      assert.equal("READY=1", ready, what)
      assert.equal("WATCHDOG=1", receive(), what)
      if what == "process 1" then
        os.execute(("kill -TERM $(cat /proc/%d/task/%d/children)"):format(p.pid, p.pid))
      else
        p:kill()
      end
      local told
      repeat
        told = receive()
      until told ~= "WATCHDOG=1"
      assert.equal("STOPPING=1", told, what)
      p:wait()
      assert.is_true(p.signal == "SIGTERM" or p.code == 143, what)
    end
  end)
end)

describe("the unit in the guide", function()
  local page = (function()
    local file <close> = assert(io.open "docs/guide/production.md")
    return file:read "a"
  end)()

  local known = {
    Unit = {Description = ".", Wants = "%.socket$"},
    Service = {
      Type = "^notify$", NotifyAccess = "^all$", ExecStart = "^/", ExecReload = "^/", Restart = "^on%-failure$",
      WatchdogSec = "^%d+$", TimeoutStopSec = "^%d+$", DynamicUser = "^yes$", NoNewPrivileges = "^yes$",
      ProtectSystem = "^strict$", LimitNOFILE = "^%d+$", MemoryMax = "^%d+G$", TasksMax = "^%d+$",
    },
    Socket = {ListenStream = "^%d+$", FileDescriptorName = "^%w+$", Backlog = "^%d+$"},
    Install = {WantedBy = "%.target$"},
  }

  --- The directives of all units on the page.
  local function directives()
    local found = {}
    for text in page:gmatch "```systemd\n(.-)```" do
      local section
      for line in text:gmatch "[^\n]+" do
        section = line:match "^%[(%u%l+)%]$" or section
        local name, value = line:match "^(%a+)=(.+)$"
        if name then
          local pattern = assert(known[section], line)[name]
          assert(pattern and value:find(pattern), line)
          found[name] = value
        else
          assert(line == "[" .. section .. "]", line)
        end
      end
    end
    return found
  end

  it("does what the guide says", function()
    local unit = directives()
    local port = handover.port()
    write(root, (page:match "```lua\n(.-)```"))
    local words = {}
    for word in unit.ExecStart:gmatch "%S+" do
      words[#words + 1] = word:find "/neap$" and child.neap or word:find "%.lua$" and root or word
    end
    local socket <close>, receive = notify_socket("@" .. root)
    local p = start({"perl", "-e", MANAGER, tostring(port), unit.FileDescriptorName .. ":log", table.unpack(words)}, {
      NOTIFY_SOCKET = "@" .. root, WATCHDOG_USEC = tostring(tonumber(unit.WatchdogSec) * 1000000 // 50),
    })
    local function ask_for(line)
      local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
      return stream and stream:write(line, "\n"):read "l"
    end
    assert.equal("HELLO", handover.await(function()
      return ask_for "hello" -- which waits for its start
    end))
    assert.equal("READY=1", receive())
    assert.equal("WATCHDOG=1", receive())
    local reload = unit.ExecReload:gsub("^/bin/", ""):gsub("%$MAINPID", p.pid)
    assert(os.execute(reload))
    local told = {}
    repeat
      told[#told + 1] = receive()
      assert.equal("AGAIN", ask_for "again")
    until told[#told] == "READY=1"
    assert.matches("RELOADING=1\nMONOTONIC_USEC=%d+", table.concat(told, " "))
    local drain = tonumber(unit.ExecStart:match "%-%-drain=(%d+)")
    assert.is_true(drain < tonumber(unit.TimeoutStopSec))
    p:kill()
    local last
    repeat
      last = receive()
    until last ~= "WATCHDOG=1"
    assert.equal("STOPPING=1", last)
    assert.equal("SIGTERM", select(2, p:wait()))
    assert.is_truthy(socket)
  end)

  it("is one that systemd knows", function()
    if process.run({"sh", "-c", "command -v systemd-analyze"}).code ~= 0 then
      pending "systemd-analyze is not installed"
    end
    local service = page:match "```systemd\n(.-)```":gsub("ExecStart=%S+", "ExecStart=/bin/true")
    local folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir " .. folder)
    write(folder .. "/shout.service", service)
    local result = assert(process.run {"systemd-analyze", "verify", "--man=no", folder .. "/shout.service"})
    os.execute("rm -r " .. folder)
    assert.is_nil(result.stderr:match "[^\n]*shout[^\n]*[Uu]nknown[^\n]*")
  end)
end)
