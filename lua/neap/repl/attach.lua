--- Attaching: a prompt of one neap inside another one.
---
--- A process opens its place, a unix socket that is this user's alone, when it is
--- knocked at by a signal, and closes it when nobody has been there for a while. So
--- a program that nobody looks into has no socket, no file and no task for it. What
--- serves it is a daemon: nothing waits for it. The knock is for the main thread, which
--- passes it on: each worker opens a place of its own.

local core = require "neap.repl.core"
local harmless = require "neap.host".harmless
local lists = require "neap.repl.lists"
local net = require "neap.net"
local syntax = require "neap.repl.syntax"
local task = require "neap.task"
local tasks = require "neap.prompt.core"
local trace = require "neap.trace.core"
local time = require "neap.time"
local wire = require "neap.repl.wire"
local workers = require "neap.worker.core"

local format = string.format

local attach = {}

--- Seconds that a place stays open with nobody there.
local LINGER = 5

--- Seconds that a place may take to open.
local PATIENCE = 10

--- Seconds after which one that is in others' hands is not waited for.
local DOUBT = 2

--- Seconds between two knocks.
local SOON = 0.3

--
-- The place
--

--- The folders where a user's place may be, the first one that works is taken: each
--- as what must be there already, and what is made below it.
local function folders(uid, runtime)
  local found = {}
  if runtime and string.find(runtime, "^/") then
    found[1] = {runtime, "neap"}
  end
  found[#found + 1] = {"/tmp", format("neap-%d", uid)}
  return found
end

--- id: of a worker; 0 for the main thread.
local function path_in(folder, pid, id)
  return id == 0 and format("%s/%d.sock", folder, pid) or format("%s/%d.%d.sock", folder, pid, id)
end

local function listen_in(base, below)
  local folder, err = core.folder(base, below)
  if not folder then
    return nil, err
  end
  core.sweep(folder)
  local path = path_in(folder, core.pid(), (workers.self()))
  return net.listen("unix:" .. path, {mode = tonumber("600", 8), unlink_stale = true})
end

local function listen()
  local listener, err
  for _, folder in ipairs(folders(core.uid(), os.getenv "XDG_RUNTIME_DIR")) do
    listener, err = listen_in(table.unpack(folder))
    if listener then
      trace.hide(listener) -- a prompt that shows a trace would trace itself
      return listener
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
  local arg = rawget(_G, "arg")
  local name = type(arg) == "table" and rawget(arg, 0)
  if type(name) ~= "string" then
    return "neap"
  end
  local line = string.match(name, "^[^\n]*")
  return #line > 40 and string.sub(line, 1, 37) .. "..." or line
end

local function receive(stream)
  local _ <close> = stream
  local _ <close> = setmetatable({}, {__close = function()
    place.visitors = place.visitors - 1
  end})
  trace.hide(stream)
  if not is_welcome(stream) then
    return
  end
  local Session = require "neap.repl.session"
  local session = Session.new {stream = stream, remote = true, now = time.now}
  session:send {kind = "welcome", pid = core.pid(), script = program(), workers = workers.ids()}
  session:serve()
end

--- Take visitors until there was none for a while.
local function keep_open()
  tasks.visited(true)
  local _ <close> = setmetatable({}, {__close = function()
    tasks.visited(false)
  end})
  local listener <close>, err = listen()
  if not listener then
    io.stderr:write("neap: attach: ", harmless(tostring(err)), "\n")
    return
  end
  repeat
    place.knocked = false
    local stream = task.timeout(LINGER, listener.accept, listener)
    if stream then
      place.visitors = place.visitors + 1
      lists.hide(tasks.daemon(pcall, receive, stream)).name = "attached"
    end
  until not stream and not place.knocked and place.visitors == 0
end

--- Somebody knocked. Called from the loop, in no task. A worker that drains leaves its
--- place to its successor.
function attach.summoned()
  workers.summon()
  if workers.self() > 0 and task.draining() then
    return
  end
  place.knocked = true
  if not place.task or place.task.status ~= "waiting" and place.task.status ~= "ready" then
    place.task = lists.hide(tasks.daemon(pcall, keep_open))
    place.task.name = "attach"
  end
end

--
-- The visitor
--

local function fail(...)
  io.stderr:write("neap: ", harmless(format(...)), "\n")
  os.exit(1)
end

local function wrong(word)
  io.stderr:write(format("usage: neap %s PID[/WORKER]|PATH\n", word))
  os.exit(2)
end

--- What is in a file of /proc, or "".
local function about(pid, name)
  local file = io.open(format("/proc/%d/%s", pid, name), "rb")
  local text = file and file:read "a" or ""
  if file then
    file:close()
  end
  return text
end

local function number(text)
  return math.tointeger(tonumber(text))
end

--- A user of ours, as one in the process's namespace has it.
local function inside(pid, uid)
  for first, ours, count in string.gmatch(about(pid, "uid_map"), "(%d+) +(%d+) +(%d+)") do
    first, ours, count = number(first), number(ours), number(count)
    if first and ours and count and uid >= ours and uid - ours < count then
      return uid - ours + first
    end
  end
  return uid
end

---@class neap.repl.Found  a process, as it is seen from here
---@field pid integer
---@field own integer  its number as it knows it
---@field owner integer  its effective user
---@field folders string[]  where its place may be, by its own environment

---@return neap.repl.Found
local function find(pid)
  local status = "\n" .. about(pid, "status")
  local owner = number(string.match(status, "\nUid:%s+%d+%s+(%d+)")) or core.uid()
  local runtime = string.match("\0" .. about(pid, "environ"), "%zXDG_RUNTIME_DIR=(/[^%z]*)")
    or owner == core.uid() and os.getenv "XDG_RUNTIME_DIR" or nil
  local root, paths = core.root(pid), {}
  for i, folder in ipairs(folders(inside(pid, owner), runtime)) do
    paths[i] = root .. table.concat(folder, "/")
  end
  local own = number(string.match(status, "\nNSpid:[%s%d]-(%d+)\n")) or pid
  return {pid = pid, own = own, owner = owner, folders = paths}
end

--- Does this user serve there? What is typed, and what is to be shown, is nobody
--- else's.
local function is_served_by(stream, uid)
  local peer = stream.peercred
  return peer ~= nil and peer.uid == uid
end

local function exposed(folder, uid)
  return format("%s is not a folder of user %d alone", folder, uid)
end

--- Connect to the process's place in one of its folders; nil, and what is wrong with
--- each of those that are not its user's alone.
local function try(found, id)
  local refused = {}
  for _, folder in ipairs(found.folders) do
    local path = path_in(folder, found.own, id)
    local ok, err = core.is_private(folder, found.owner)
    local stream = ok and net.connect("unix:" .. path)
    if stream and is_served_by(stream, found.owner) and stream.peercred.pid == found.pid then
      return stream
    elseif stream then
      stream:close()
      refused[#refused + 1] = path .. " is another user's, or another process's"
    elseif not ok and err.code ~= "ENOENT" then
      refused[#refused + 1] = exposed(folder, found.owner)
    end
  end
  return nil, refused
end

--- The call that it is inside, and where; or nil.
local function call_in(note)
  return note and string.match(note, "^([^\n]* is inside a call that waits: [^\n]*), for ")
end

local function knock(pid, tag)
  local ok, err = core.knock(pid, tag and "where" or "attach", tag)
  if not ok and err.code == "EOPNOTSUPP" then
    fail("process %d is no neap that one can attach to", pid)
  elseif not ok then
    fail("%s", tostring(err))
  end
end

--- What it has noted of where it is, since it was asked by that tag.
local function note_of(pid, id, tag)
  return core.note(pid, tag, id == 0 and "neap" or format("neap: worker %d", id))
end

--- A place may be about to close: knock again from time to time, and ask where it is
--- that does not come. One that is in others' hands is no place; there may be a good one
--- besides, a little later. Or nil, and where it is that it does not answer: with
--- take_note as soon as it was found twice in the same call; without, that is told then,
--- once.
local function visit(pid, id, take_note)
  local found = find(pid)
  local began = time.now()
  local knocks, tag, note, before, waited, told = 0, nil, nil, nil, 0, false
  repeat
    if waited >= knocks * SOON then
      tag = knocks > 0 and (core.pid() << 8 & 0x7fff00 | knocks) or nil
      before = call_in(note)
      knock(pid, tag)
      knocks = knocks + 1
    end
    local stream, refused = try(found, id)
    if stream then
      return stream
    elseif #refused == #found.folders or #refused > 0 and waited > DOUBT then
      fail("attach: %s", table.concat(refused, "; "))
    end
    local now = tag and note_of(pid, id, tag)
    local stays = now and before and call_in(now) == before
    if now and take_note and (stays or waited > PATIENCE / 2) then
      return nil, now
    elseif stays and not told then
      told = true
      io.stderr:write("neap: ", harmless(string.match(now, "^[^\n]*")), "; it is waited for\n")
    end
    note = now or note
    task.sleep(0.005)
    waited = time.now() - began
  until waited > PATIENCE
  return nil, note
end

local function fail_visit(pid, id, note)
  local why = note and string.match(note, "^[^\n]*") or id == 0 and "perhaps it is busy"
    or "perhaps it is busy, or there is none"
  fail("%s does not answer: %s", id == 0 and format("process %d", pid)
    or format("worker %d of process %d", id, pid), why)
end

--- A place by its path: this user's. Root may name another's, too, if it is in a folder
--- of that one's alone.
local function visit_path(path)
  local stream, err = net.connect("unix:" .. path)
  if not stream then
    fail("%s", tostring(err))
  end
  local peer = stream.peercred
  local folder = string.match(path, "^(.*)/[^/]*$") or "."
  if is_served_by(stream, core.uid()) then
    return stream
  elseif core.uid() ~= 0 or not peer then
    fail("attach: %s is another user's, who does not let this user in", path)
  elseif not core.is_private(folder, peer.uid) then
    fail("attach: %s", exposed(folder, peer.uid))
  end
  return stream
end

--- The stream to a process, and its greeting; or nil, and where it is that it does not
--- answer, if take_note is set.
local function reach(word, where, take_note)
  local pid, id = string.match(where or "", "^(%d+)/?(%d*)$")
  pid, id = number(pid), number(id) or 0
  if not pid and (where or "") == "" then
    wrong(word)
  end
  local stream, note
  if pid then
    stream, note = visit(pid, id, take_note)
  else
    stream = visit_path(where)
  end
  if not stream and not (note and take_note) then
    fail_visit(pid, id, note)
  elseif not stream then
    return nil, note
  end
  local welcome = wire.receive(stream)
  if not welcome or welcome.kind ~= "welcome" then
    fail("process %s does not let this user in", where)
  end
  -- The kernel says which process it is: a knock is for that one.
  return stream, stream.peercred.pid, welcome
end

--- What is told as it happens (a trace) is not kept back.
local function print_text(text)
  io.stdout:write(harmless(text, true))
  io.stdout:flush()
end

local function is_command(text)
  return string.find(text, "^:%a+%f[%s%z]") ~= nil
end

--- The inputs of a text: a line that begins with a command is one, and so is what is
--- between such lines.
local function inputs_of(text)
  local inputs, last = {}, ""
  for line in string.gmatch(text, "[^\n]*\n?") do
    if (is_command(line) or is_command(last)) and not syntax.is_incomplete(last) then
      inputs[#inputs + 1] = string.find(last, "%S") and last or nil
      last = ""
    end
    last = last .. line
  end
  inputs[#inputs + 1] = string.find(last, "%S") and last or nil
  return inputs
end

--- Have the inputs of a text run there, one behind the other, and print what they print,
--- or give it to put. Were they seen to their end, and has one failed?
local function once(text, stream, pid, put, columns)
  local inputs = inputs_of(text)
  local at, failed, ended = 0, false, false
  local _ <close> = setmetatable({}, {__close = function()
    if pid then -- it was not seen to its end
      core.knock(pid, "interrupt")
    end
  end})
  wire.send(stream, {kind = "hello", columns = columns or 100})
  for message in wire.receive, stream do
    if message.kind == "print" then
      (put or print_text)(message.text)
    elseif message.kind == "ready" then
      at, failed = at + 1, message.failed or false
      ended = not inputs[at]
      if not ended then
        wire.send(stream, {kind = "input", text = inputs[at]})
      end
    end
    if ended or message.kind == "bye" then
      ended = true
      break
    end
  end
  pid = nil
  stream:close()
  if failed and not put then
    os.exit(1)
  end
  return ended, failed
end

attach.reach, attach.once, attach.fail = reach, once, fail

local function is_interactive()
  return core.is_terminal(0) and core.is_terminal(1)
end

--- `neap attach`
---@async
function attach.attach(where)
  local stream, pid, welcome = reach("attach", where)
  if not is_interactive() then
    return once(io.read "a", stream, pid)
  end
  io.stdout:write(format("process %d, %s; ^D leaves it\n", pid, harmless(welcome.script or "neap")))
  local Terminal = require "neap.repl.terminal"
  local terminal = Terminal.new {
    stream = stream,
    prompt = format("neap %d> ", pid),
    remote = true,
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

--- Lists fit the window; elsewhere they are whole.
local function window()
  return core.is_terminal(1) and core.size() or 100000
end

--- What one thread of the process prints of a command; or where it is that it cannot,
--- the first lines of that or, if stacks is set, all.
local function tell(word, where, command, stacks)
  local stream, pid, welcome = reach(word, where, word ~= "socks")
  if stream then
    once(command, stream, pid, nil, window())
    return pid, welcome
  end
  local note = pid
  print_text(stacks and note or (string.gsub(note, "\n\t[^\n]*", "")))
end

--- One command, in the main thread and in each worker of the process; of one place only
--- where it is named.
local function everywhere(word, where, command, stacks)
  local pid, welcome = tell(word, where, command, stacks)
  if not pid or string.find(where, "/", 1, true) then
    return
  end
  local ids = welcome.workers or {}
  table.sort(ids)
  for _, id in ipairs(ids) do
    io.stdout:write(format("worker %d:\n", id))
    tell(word, format("%d/%d", pid, id), command, stacks)
  end
end

--- `neap ps`
---@async
function attach.ps(where)
  everywhere("ps", where, ":ps")
end

--- `neap socks`
---@async
function attach.socks(where)
  everywhere("socks", where, ":socks")
end

--- `neap stack`
---@async
function attach.stack(where)
  everywhere("stack", where, ":bt", true)
end

return attach
