---@meta _

---@class neap.process
---@field pid integer  of this process
local process = {}

--- Start a child. It has no descriptor of ours but those that it is given, the
--- default action for every signal, no signal blocked, and the limit of descriptors
--- that neap was started with. It has become the program when this returns: what keeps
--- it from that is an error here. Raises for options that are wrong or unknown.
---
--- ```lua
--- local process = require "neap.process"
---
--- local p <close> = assert(process.spawn {"echo", "hello", stdout = "pipe"})
--- print(p.stdout:read "a")  --> hello
--- print(p:wait())  --> 0 nil
---
--- local none, err = process.spawn {"no-such-program"}
--- print(none, err)  --> nil spawn no-such-program: no such file or directory (ENOENT)
---
--- local limited = {"sh", "-c", "ulimit -n; umask", rlimits = {nofile = 64}, umask = "027"}
--- print(process.run(limited).stdout:gsub("\n", " "))  --> 64 0027  2
--- ```
---@param options neap.process.Options  the program and its arguments, and what it is given
---@return neap.Process? child
---@return neap.Error? err  ENOENT, EACCES, E2BIG, EPERM, EMFILE, ...; `err.endpoint` is the
--- program, or what else is to blame: the folder, `"uid"`, `"rlimits.nofile"`, `"fds[3]"`
function process.spawn(options) end

--- A copy of the environment, to change and pass as `env`.
---
--- ```lua
--- local process = require "neap.process"
---
--- local env = process.env()
--- env.GREETING = "hello"
--- print(process.run({"sh", "-c", "echo $GREETING", env = env}).stdout)  --> hello
--- ```
---@return table<string, string> env
function process.env() end

---@class neap.process.Options
---@field [integer] string  the program, looked up in the PATH of its environment unless it
--- has a "/", and its arguments
---@field stdin neap.process.Stdio?  default `"null"`
---@field stdout neap.process.Stdio?  default `"inherit"`
---@field stderr (neap.process.Stdio|"stdout")?  default `"inherit"`; `"stdout"`: where stdout
--- goes
---@field fds table<integer, file*|neap.Stream|neap.Listener|neap.Datagram>?  what it has as
--- descriptors from 3 on: `fds = {[3] = listener}`. Streams and files block for it, and so for
--- whoever has them, too; listeners and message sockets do not
---@field pty (boolean|neap.process.Size)?  at a terminal of its own, in a session of its own:
--- `p.pty` is the other side of that, and those of stdin, stdout and stderr are it that are not
--- given; closing it hangs up
---@field cwd string?  the folder to run in
---@field env table<string, string>?  the whole environment, see `process.env`; default ours
---@field group boolean?  it leads a process group; default: unless one of its stdin, stdout
--- and stderr is a terminal
---@field grace number?  seconds between SIGTERM and SIGKILL, when it is told to end; default 5;
--- 0: SIGKILL at once; math.huge: none while the program runs
---@field detached boolean?  in a session and process group of its own, which a ^C at our
--- terminal does not reach; closing the Process leaves it alone
---@field uid integer?  user to run as, for root
---@field gid integer?  group to run as, for root
---@field groups integer[]?  its supplementary groups, for root; default none, where `uid` or
--- `gid` is given
---@field umask string?  octal digits: `"027"`
---@field rlimits neap.process.Limits?  see setrlimit(2)

--- Limits of a child: a number is both the soft and the hard one, math.huge none.
---@class neap.process.Limits
---@field as (number|number[])?  bytes of address space
---@field core (number|number[])?  bytes of a core dump
---@field cpu (number|number[])?  seconds of processor time
---@field data (number|number[])?  bytes of data
---@field fsize (number|number[])?  bytes of a file that it writes
---@field memlock (number|number[])?  bytes that it may lock
---@field nice (number|number[])?  20 minus the lowest nice value
---@field nofile (number|number[])?  descriptors, and the highest of them plus 1
---@field nproc (number|number[])?  processes and threads of its user
---@field rtprio (number|number[])?  real-time priority
---@field sigpending (number|number[])?  signals that are queued
---@field stack (number|number[])?  bytes of its stack

--- The size of a terminal; `stream:resize` changes it.
---@class neap.process.Size
---@field rows integer?  default 24
---@field columns integer?  default 80

--- What a child's input or output is: the null device; what ours is; a pipe,
--- whose other end is a stream of the Process; an open file or stream (flush it
--- before; the child shares its position, so close it here).
---@alias neap.process.Stdio "null"|"inherit"|"pipe"|file*|neap.Stream

--- A child. It is reaped when it ends, whether or not anyone waits for it; a
--- Process that is collected lets its child run on.
---@class neap.Process
---@field pid integer
---@field status "running"|"exited"|"killed"
---@field code integer?  once it has ended: its exit status, or 128 + the number of its signal
---@field signal string?  once a signal has ended it: `"SIGTERM"`
---@field stdin neap.Stream?  our end, where it is a pipe
---@field stdout neap.Stream?
---@field stderr neap.Stream?
---@field pty neap.Stream?  our side of its terminal, whose end is its end
---@field group boolean  it leads a process group
local Process = {}

--- Wait until it has ended. Any number of tasks may wait; at once if it has
--- already.
---
--- ```lua
--- local process = require "neap.process"
---
--- local p = assert(process.spawn {"sh", "-c", "exit 3"})
--- print(p:wait())  --> 3 nil
--- print(p.status, p.code)  --> exited 3
--- ```
---@async
---@return integer? code  its exit status, or 128 + the number of the signal
---@return (string|neap.Error)? signal  the name of the signal that ended it; the error,
--- behind nil
function Process:wait() end

--- Send it a signal: to this one process, or to all of the group that it leads, which may
--- go on without it.
---
--- ```lua
--- local process = require "neap.process"
---
--- local p = assert(process.spawn {"sleep", "10"})
--- print(p:kill "SIGKILL")  --> true
--- print(p:wait())  --> 137 SIGKILL
--- print(select(2, p:kill()).code)  --> ESRCH
---
--- local all = assert(process.spawn {"sh", "-c", "sleep 10 & sleep 10", group = true})
--- print(all:kill("SIGKILL", "group"))  --> true
--- ```
---@param signal? neap.signal.Name  default `"SIGTERM"`; raises for an unknown name
---@param whom? "process"|"group"  default `"process"`; raises for the group of one that leads none
---@return true? ok
---@return neap.Error? err  ESRCH once it, or all of the group, has ended: the number may be
--- another's by then; EPERM
function Process:kill(signal, whom) end

--- Close its pipes and its terminal, and unless it is detached tell it to end, with all of
--- its group: by SIGTERM, and when the grace is over by SIGKILL. `<close>` does the same. It
--- does not wait; `wait` may follow.
---
--- ```lua
--- local process = require "neap.process"
---
--- local p = assert(process.spawn {"cat", stdin = "pipe"})
--- print(p:close())  --> true
--- p:wait()
--- print(p.status ~= "running")  --> true
--- ```
---@return true ok
function Process:close() end
