---@meta _

---@class neap.process
---@field pid integer  of this process
local process = {}

--- Start a child. It has no descriptor of ours but the three it is given, the
--- default action for every signal, no signal blocked, and the limit of descriptors
--- that neap was started with. Raises for options
--- that are wrong or unknown.
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
--- ```
---@param options neap.process.Options  the program and its arguments, and what it is given
---@return neap.Process? child
---@return neap.Error? err  ENOENT, EACCES, E2BIG, EPERM, EMFILE, ...; `err.endpoint` is the
--- program, or the folder when that is to blame
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
---@field [integer] string  the program, looked up in PATH unless it has a "/", and its arguments
---@field stdin neap.process.Stdio?  default `"null"`
---@field stdout neap.process.Stdio?  default `"inherit"`
---@field stderr (neap.process.Stdio|"stdout")?  default `"inherit"`; `"stdout"`: where stdout
--- goes
---@field cwd string?  the folder to run in
---@field env table<string, string>?  the whole environment, see `process.env`; default ours
---@field detached boolean?  in a session and process group of its own, which a ^C at our
--- terminal does not reach; closing the Process leaves it alone
---@field uid integer?  user to run as, for root
---@field gid integer?  group to run as, for root

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

--- Send it a signal: to this one process. What it has started itself lives on, and may
--- hold the pipes open, so that a read of `stdout` goes on waiting. One that is
--- `detached` leads a process group, and `os.execute("kill -- -" .. child.pid)` reaches
--- all of that, while the child has not ended or others of the group run.
---
--- ```lua
--- local process = require "neap.process"
---
--- local p = assert(process.spawn {"sleep", "10"})
--- print(p:kill "SIGKILL")  --> true
--- print(p:wait())  --> 137 SIGKILL
--- print(select(2, p:kill()).code)  --> ESRCH
--- ```
---@param signal? string  default `"SIGTERM"`; raises for an unknown name
---@return true? ok
---@return neap.Error? err  ESRCH once it has ended, for the pid may be another's by then;
--- EPERM
function Process:kill(signal) end

--- Close its pipes, and send SIGTERM to a child that still runs and is not
--- detached; `<close>` does the same. It does not wait; `wait` may follow.
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
