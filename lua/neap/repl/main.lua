--- What the command line starts: a prompt here, behind a program, or in another
--- process.

local core = require "neap.repl.core"
local harmless = require "neap.host".harmless
local lists = require "neap.repl.lists"
local task = require "neap.task"
local tasks = require "neap.prompt.core"

local main = {}

--- Run what standard input has, as a script.
local function plainly(...)
  local f, err = loadfile(nil, "t")
  if not f then
    io.stderr:write("neap: ", harmless(err), "\n")
    os.exit(1)
  end
  f(...)
end

local function is_interactive()
  return core.is_terminal(0) and core.is_terminal(1)
end

local open = false

--- Is a prompt open on this process's terminal?
function main.is_open()
  return open
end

--- Say something before the prompt.
function main.say(...)
  io.stdout:write(...)
  io.stdout:write "\n"
end

--- Run the front end, as what an input that computes lets in.
---@async
---@param terminal neap.repl.Terminal
local function show(terminal)
  local ok, err
  local front <close> = setmetatable({
    task = lists.hide(tasks.daemon(function()
      tasks.spend(true)
      ok, err = xpcall(terminal.run, debug.traceback, terminal)
    end)),
  }, {__close = function(self)
    self.task:cancel()
    task.shield(self.task.join, self.task)
  end})
  front.task.name = "prompt"
  front.task:join()
  if ok == false then
    error(err, 0)
  end
end

--- Open a prompt on this terminal, until it is left.
---@async
---@param prepare? fun(session: neap.repl.Session)
function main.open(prepare)
  local net = require "neap.net"
  local time = require "neap.time"
  local Session = require "neap.repl.session"
  local Terminal = require "neap.repl.terminal"
  local before = tasks.lenient(true)
  open = true
  local trace = require "neap.trace"
  local ours, theirs = net.socketpair "mem"
  for _, stream in ipairs {ours, theirs, require "neap.stdio".stdin} do
    trace.hide(stream) -- a prompt that shows a trace would trace itself
  end
  local _ <close> = setmetatable({}, {__close = function()
    ours:close()
    tasks.lenient(before)
    open = false
  end})
  local session = Session.new {stream = theirs, now = time.now}
  session.asks = not prepare -- else the program goes on
  if prepare then
    prepare(session)
  end
  lists.hide(tasks.daemon(session.serve, session)).name = "prompt session"
  show(Terminal.new {stream = ours, asks = session.asks})
end

--- Run a program so that ^C ends it, and not the process.
local function run(program, ...)
  local arguments = table.pack(...)
  local ok, err
  local running = tasks.daemon(function()
    ok, err = xpcall(program, debug.traceback, table.unpack(arguments, 1, arguments.n))
  end)
  running.name = "main"
  tasks.foreground(running)
  running:join()
  return ok, err
end

--- `neap -i`: the program if there is one, and a prompt, whatever standard input is.
---@async
function main.interactive(program, ...)
  tasks.lenient(true)
  lists.hide(task.current())
  if not program then
    main.say("neap ", core.version, " (", _VERSION, "); :help tells what there is")
  else
    local ok, err = run(program, ...)
    if ok == false then
      io.stderr:write("neap: ", harmless(tostring(err)), "\n")
    end
  end
  main.open()
  tasks.finish(0)
end

--- `neap` alone.
---@async
function main.prompt(...)
  if not is_interactive() then
    return plainly(...)
  end
  main.interactive()
end

--- What is more than a list of neap.repl.attach.
local VISITS = {profile = "neap.repl.measure", heap = "neap.repl.measure", top = "neap.repl.top"}

--- `neap attach`, `ps`, `socks`, `stack`, `profile`, `heap`, `top`.
---@async
function main.remote(word, ...)
  return require(VISITS[word] or "neap.repl.attach")[word](...)
end

return main
