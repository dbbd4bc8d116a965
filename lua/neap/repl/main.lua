--- What the command line starts: a prompt here, behind a program, or in another
--- process.

local core = require "neap.repl.core"
local task = require "neap.task"
local tasks = require "neap.prompt.core"

local main = {}

--- Run what standard input has, as a script.
local function plainly(...)
  local f, err = loadfile(nil, "t")
  if not f then
    io.stderr:write("neap: ", err, "\n")
    os.exit(1)
  end
  f(...)
end

local function is_interactive()
  return core.is_terminal(0) and core.is_terminal(1)
end

--- A prompt on this terminal, until it is left.
---@async
local function open_prompt(prepare)
  local net = require "neap.net"
  local time = require "neap.time"
  local Session = require "neap.repl.session"
  local Terminal = require "neap.repl.terminal"
  local ours, theirs = net.socketpair "mem"
  local session = Session.new {stream = theirs, now = time.now}
  if prepare then
    prepare(session)
  end
  local serving = tasks.aside(session.serve, session)
  serving.name = "prompt"
  Terminal.new {stream = ours}:run()
  ours:close()
end

--- `neap` alone.
---@async
function main.prompt(...)
  if not is_interactive() then
    return plainly(...)
  end
  tasks.lenient(true)
  io.stdout:write("neap ", core.version, " (", _VERSION, "); :help tells what there is\n")
  open_prompt()
  tasks.finish(0)
end

--- `neap -i`: the program, and a prompt.
---@async
function main.interactive(program, ...)
  if not is_interactive() then
    program(...)
    return plainly()
  end
  tasks.lenient(true)
  local ok, err = xpcall(program, debug.traceback, ...)
  if not ok then
    io.stderr:write("neap: ", tostring(err), "\n")
  end
  open_prompt()
  tasks.finish(0)
end

--- `neap attach`, `ps`, `socks`.
---@async
function main.remote(word, ...)
  return require "neap.repl.attach"[word](...)
end

main.open = open_prompt
main.task = task

return main
