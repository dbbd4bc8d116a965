---@meta neap.signal

--- Signals: what the system or another process says to this one.
---
--- A signal is something to wait for, in a task of its own if need be; there are
--- no handlers. Signals do not count: any number of the same one that come
--- before a task has looked are seen as one, but the last is never lost.
---
--- From the first `wait` or `each` for a signal on, it does nothing else (its
--- default would often be to end the process), and one that comes while no task
--- waits is kept for the next `wait` or `each`. `default` undoes this.
---
--- SIGINT and SIGTERM end a neap program. One that serves (`listener:serve`) drains first:
--- nobody new is accepted, and what is served may end, for 5 seconds or
--- `--drain=SECONDS` (see `task.idle`). Then, and otherwise at once, they cancel its root scope (a task that
--- computes and does not wait is interrupted where it is, once; a call that blocks
--- all of neap, such as `io.read` or `os.execute`, gives up, and raises that instead
--- of its result), and the second one ends the process at once, also where nothing can
--- interrupt what runs: a C function that takes long, a finalizer (`__gc`). When all is closed
--- the process dies of that signal, unless `os.exit` says otherwise meanwhile; as
--- process 1 of a container, which signals do not kill, it exits with 128 + the
--- number. A task that waits for one of them, or iterates over it, takes it over for
--- that time only. A signal that was ignored when neap began (nohup, a background
--- job of a shell) stays so until a task waits for it.

---@class neap.signal
---@field names string[]  by number: `names[15] == "SIGTERM"`
local signal = {}

--- A signal, by its name: "SIGHUP"; `names` has them all.
---@alias neap.signal.Name string

--- Wait until one of these signals comes.
---
--- ```lua
--- local signal = require "neap.signal"
--- local task = require "neap.task"
---
--- task.spawn(signal.raise, "SIGUSR1")
--- print(signal.wait("SIGHUP", "SIGUSR1"))  --> SIGUSR1
--- ```
---
--- Raises for an unknown name, for those that cannot be caught (SIGKILL, SIGSTOP,
--- SIGSEGV, ...), and for SIGCHLD, which is neap's own (wait for the Process).
---@async
---@param name neap.signal.Name
---@param ... neap.signal.Name
---@return string? name  the one that came
---@return neap.Error? err  EBUSY: the signals are another host's, which is in the same thread
function signal.wait(name, ...) end

--- Iterate over the signals as they come.
---
--- ```lua
--- local signal = require "neap.signal"
--- local task = require "neap.task"
---
--- task.spawn(signal.raise, "SIGHUP")
--- for name in signal.each("SIGHUP", "SIGUSR1") do
---   print(name)  --> SIGHUP
---   break
--- end
--- ```
---
--- What comes during the loop's body is kept for its next turn. The loop's end
--- gives the signals back; after a `break` out of a loop whose variable a closure
--- holds, only the collector does (Lua 5.4.4).
---@async
---@param name neap.signal.Name
---@param ... neap.signal.Name
---@return fun(): string next
---@return any ...  what `for` needs, a value to close among it
function signal.each(name, ...) end

--- Let a signal do nothing. Children of io.popen and os.execute inherit that,
--- those of neap.process do not.
---
--- ```lua
--- local signal = require "neap.signal"
---
--- assert(signal.ignore "SIGHUP")
--- assert(signal.raise "SIGHUP")
--- print "still here"  --> still here
--- ```
---@param name neap.signal.Name
---@return true? ok
---@return neap.Error? err  EBUSY while a task waits for it
function signal.ignore(name) end

--- Let a signal do again what it does where no script says otherwise: nothing, if
--- it was ignored when neap began; else SIGINT and SIGTERM end the program in order; SIGPIPE ends it when `print` or `io` has
--- written to a standard output that nobody reads any more, and else does nothing
--- (a stream's write fails with EPIPE); the others do what the system's table says
--- (signal(7)).
---
--- ```lua
--- local signal = require "neap.signal"
---
--- signal.ignore "SIGHUP"
--- print(signal.default "SIGHUP")  --> true
--- ```
---@param name neap.signal.Name
---@return true? ok
---@return neap.Error? err  EBUSY while a task waits for it
function signal.default(name) end

--- Send a signal to this process itself.
---
--- ```lua
--- local signal = require "neap.signal"
--- local task = require "neap.task"
---
--- task.spawn(function()
---   print(signal.wait "SIGUSR2")  --> SIGUSR2
--- end)
--- task.yield()
--- signal.raise "SIGUSR2"
--- ```
---@param name neap.signal.Name  any, SIGKILL too
---@return true? ok
---@return neap.Error? err
function signal.raise(name) end

return signal
