--- Attaching: a prompt of one neap inside another one.
---
--- A process opens its place, a unix socket that is this user's alone, when it is
--- knocked at by a signal, and closes it when nobody has been there for a while. So
--- a program that nobody looks into has no socket, no file and no task for it. What
--- serves it is aside of the program: nothing waits for it.

local core = require "neap.repl.core"
local net = require "neap.net"
local task = require "neap.task"
local tasks = require "neap.prompt.core"
local trace = require "neap.trace.core"
local time = require "neap.time"
local wire = require "neap.repl.wire"

local format = string.format

local attach = {}

--- Seconds that a place stays open with nobody there.
local LINGER = 5

--- Seconds that a place may take to open.
local PATIENCE = 10

--
-- The place
--

--- The folders where it may be, the first one that works is taken.
local function folders()
  local found = {}
  local runtime = os.getenv "XDG_RUNTIME_DIR"
  if runtime and runtime:sub(1, 1) == "/" then
    found[1] = runtime .. "/neap"
  end
  found[#found + 1] = format("/tmp/neap-%d", core.uid())
  return found
end

local function path_in(folder, pid)
  return format("%s/%d.sock", folder, pid)
end

local function listen()
  local err
  for _, folder in ipairs(folders()) do
    local ok, listener
    ok, err = core.folder(folder)
    if ok then
      core.sweep(folder)
      listener, err = net.listen("unix:" .. path_in(folder, core.pid()),
        {mode = tonumber("600", 8), unlink_stale = true})
      if listener then
        trace.hide(listener) -- a prompt that shows a trace would trace itself
        return listener
      end
    end
  end
  return nil, err
end

--- The same user, or root, who may look into any process anyway.
local function is_welcome(stream)
  local peer = stream.peercred
  return peer and (peer.uid == core.uid() or peer.uid == 0)
end

local place = {visitors = 0}

--- What this process runs, in a few words.
local function program()
  local name = arg and arg[0]
  if type(name) ~= "string" then
    return "neap"
  end
  local line = name:match "^[^\n]*"
  return #line > 40 and line:sub(1, 37) .. "..." or line
end

local function receive(stream)
  local _ <close> = stream
  local _ <close> = setmetatable({}, {__close = function()
    place.visitors = place.visitors - 1
  end})
  if not is_welcome(stream) then
    return
  end
  local Session = require "neap.repl.session"
  local session = Session.new {stream = stream, remote = true, now = time.now}
  session:send {kind = "welcome", pid = core.pid(), script = program()}
  session:serve()
end

--- Take visitors until there was none for a while.
local function keep_open()
  local listener <close>, err = listen()
  if not listener then
    io.stderr:write("neap: attach: ", tostring(err), "\n")
    return
  end
  repeat
    place.knocked = false
    local stream = task.timeout(LINGER, listener.accept, listener)
    if stream then
      place.visitors = place.visitors + 1
      tasks.aside(pcall, receive, stream).name = "attached"
    end
  until not stream and not place.knocked and place.visitors == 0
end

--- Somebody knocked. Called from the loop, in no task.
function attach.summoned()
  place.knocked = true
  if not place.task or place.task.status ~= "waiting" and place.task.status ~= "ready" then
    place.task = tasks.aside(pcall, keep_open)
    place.task.name = "attach"
  end
end

--
-- The visitor
--

local function fail(...)
  io.stderr:write("neap: ", format(...), "\n")
  os.exit(1)
end

local function wrong(word)
  io.stderr:write(format("usage: neap %s PID|PATH\n", word))
  os.exit(2)
end

--- Where the process's place may be: as for this one, or by its own environment.
local function places_of(pid)
  local found = folders()
  local file = io.open(format("/proc/%d/environ", pid), "rb")
  if file then
    local runtime = ("\0" .. file:read "a"):match "%zXDG_RUNTIME_DIR=(/[^%z]*)"
    file:close()
    if runtime then
      table.insert(found, 1, runtime .. "/neap")
    end
  end
  for i, folder in ipairs(found) do
    found[i] = path_in(folder, pid)
  end
  return found
end

local function try(paths)
  for _, path in ipairs(paths) do
    local stream = net.connect("unix:" .. path)
    if stream then
      return stream
    end
  end
end

local function knock(pid)
  local ok, err = core.knock(pid, "attach")
  if not ok and err.code == "EOPNOTSUPP" then
    fail("process %d is no neap that one can attach to", pid)
  elseif not ok then
    fail("%s", tostring(err))
  end
end

--- A place may be about to close: knock again from time to time.
local function visit(pid)
  local paths = places_of(pid)
  local began = time.now()
  local next_knock = 0
  while time.now() - began < PATIENCE do
    if time.now() - began >= next_knock then
      knock(pid)
      next_knock = next_knock + 1
    end
    local stream = try(paths)
    if stream then
      return stream
    end
    task.sleep(0.005)
  end
  fail("process %d does not answer: perhaps it is busy", pid)
end

--- The stream to a process, and its greeting.
local function reach(word, where)
  local pid = where and math.tointeger(tonumber(where))
  local stream, err
  if pid then
    stream = visit(pid)
  elseif where and where ~= "" then
    stream, err = net.connect("unix:" .. where)
  else
    wrong(word)
  end
  if not stream then
    fail("%s", tostring(err))
  end
  local welcome = wire.receive(stream)
  if not welcome or welcome.kind ~= "welcome" then
    fail("process %s does not let this user in", where)
  end
  return stream, welcome
end

--- Have one text run there, and print what it prints.
local function once(text, stream, welcome)
  local pid = welcome.pid
  local failed = false
  local _ <close> = setmetatable({}, {__close = function()
    if pid then -- it was not seen to its end
      core.knock(pid, "interrupt")
    end
  end})
  wire.send(stream, {kind = "hello", columns = 100, once = text})
  for message in wire.receive, stream do
    if message.kind == "print" then
      io.stdout:write(message.text)
    elseif message.kind == "bye" then
      failed = message.failed
      break
    end
  end
  pid = nil
  stream:close()
  if failed then
    os.exit(1)
  end
end

local function is_interactive()
  return core.is_terminal(0) and core.is_terminal(1)
end

--- `neap attach`
---@async
function attach.attach(where)
  local stream, welcome = reach("attach", where)
  if not is_interactive() then
    return once(io.read "a", stream, welcome)
  end
  local pid = welcome.pid
  io.stdout:write(format("process %d, %s; ^D leaves it\n", pid, welcome.script or "neap"))
  local Terminal = require "neap.repl.terminal"
  local terminal = Terminal.new {
    stream = stream,
    prompt = format("neap %d> ", pid),
    hangup = true,
    interrupt = function()
      core.knock(pid, "interrupt")
    end,
  }
  local _ <close> = setmetatable({}, {__close = function()
    if terminal.state == "running" then
      core.knock(pid, "interrupt")
    end
  end})
  terminal:run()
  if not terminal.finished then
    stream:close()
  else
    fail("process %d has ended", pid)
  end
end

--- `neap ps`
---@async
function attach.ps(where)
  once(":ps", reach("ps", where))
end

--- `neap socks`
---@async
function attach.socks(where)
  once(":socks", reach("socks", where))
end

return attach
