---@meta _

---@class neap.task
local task = {}

--- Run a function in a task of its own, in the program's root scope: the
--- program ends when all tasks of that scope have ended. The new task runs when
--- the caller next waits, after those that are ready already.
---
--- An error in it ends the program, with its traceback and exit status 1. Spawn
--- `pcall` to handle it instead, or spawn into a `task.scope`.
---
--- ```lua
--- local task = require "neap.task"
---
--- local t = task.spawn(function(a, b)
---   task.sleep(0.001)
---   return a + b
--- end, 1, 2)
--- print(t:join())  --> 3
---
--- local ok, message = task.spawn(pcall, error, "broken"):join()
--- print(ok, message)  --> false broken
--- ```
---@param f fun(...): any  raises for what cannot be called
---@param ... any  its arguments
---@return neap.Task task
function task.spawn(f, ...) end

--- Run a function in a task of its own, in the program's root scope, that the program does
--- not wait for: when all its other tasks have ended, it is cancelled, and its `<close>`
--- variables run. For what goes on beside the program, such as a cache that is refreshed. An
--- error in it ends the program, as of `spawn`; what it spawns itself by `spawn` is waited
--- for.
---
--- ```lua
--- local task = require "neap.task"
---
--- task.background(function()
---   local _ <close> = setmetatable({}, {__close = function() print "over" end})
---   while true do
---     task.sleep(60)
---   end
--- end)
--- task.yield()
--- print "the end"
--- --> the end
--- --> over
--- ```
---@param f fun(...)
---@param ... any  its arguments
---@return neap.Task
function task.background(f, ...) end

--- The running task. The main script runs in one, too.
---
--- ```lua
--- local task = require "neap.task"
---
--- print(task.current().name)  --> main
--- ```
---@return neap.Task task
function task.current() end

--- The task with this number (`t.id`, as `:ps` and `neap ps` list it), if it has not
--- ended.
---
--- ```lua
--- local task = require "neap.task"
---
--- local sleeper = task.spawn(task.sleep, 1000)
--- print(task.get(sleeper.id) == sleeper)  --> true
--- sleeper:cancel()
--- sleeper:join()
--- print(task.get(sleeper.id))  --> nil
--- ```
---@param id integer
---@return neap.Task? task
function task.get(id) end

--- Wait for a time, by the clock of `time.now`; never shorter. 0 or less is a
--- `task.yield`. Raises for NaN.
---
--- ```lua
--- local task = require "neap.task"
--- local time = require "neap.time"
---
--- local start = time.now()
--- task.sleep(0.01)
--- print(time.now() - start >= 0.01)  --> true
--- ```
---@async
---@param seconds number
function task.sleep(seconds) end

--- Let the other ready tasks run first.
---
--- ```lua
--- local task = require "neap.task"
---
--- task.spawn(print, "the other")
--- task.yield()
--- print "this one"
--- --> the other
--- --> this one
--- ```
---@async
function task.yield() end

--- Call a function, and end it when its time is up: what waits in it then raises
--- an error with the code ETIMEDOUT, its `<close>` variables run, and `timeout`
--- returns that error. The function runs in the calling task, so only what waits
--- can be ended; a loop that computes cannot. What has been received or accepted
--- by then is not lost: the next call finds it.
---
--- Timeouts nest: the earliest one counts. An error of the function is raised.
---
--- ```lua
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local a, b = net.socketpair()
--- a:write "first half"
--- local line, err = task.timeout(0.01, b.read, b, "l")
--- print(line, err.code)  --> nil ETIMEDOUT
--- a:write " and second\n"
--- print(task.timeout(1, b.read, b, "l"))  --> first half and second
--- ```
---@async
---@param seconds number  with 0 a wait looks once for what is there
---@param f fun(...): any
---@param ... any  its arguments
---@return any ...  what `f` returned; nil and an error when the time was up
function task.timeout(seconds, f, ...) end

--- Call a function that waits for nothing in particular, such as the next request of a
--- client that keeps its connection: when the program drains, what waits in it is ended, as
--- by a timeout, and while it drains only what is there is taken.
---
--- A program drains behind its first SIGTERM or SIGINT, while `serve` has connections:
--- nobody new is accepted, and the handlers go on until they have ended, for 5 seconds at
--- most (`neap --drain=SECONDS`). Then all is cancelled; a second signal ends the process at
--- once.
---
--- ```lua
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local function handler(stream)
---   local line = stream:read "l" -- who has just come has something to say
---   while line do
---     stream:write(line:upper(), "\n")
---     line = task.idle(stream.read, stream, "l")
---   end
--- end
---
--- local a, b = net.socketpair()
--- a:write "one\ntwo\n"
--- a:shutdown()
--- handler(b)
--- b:close()
--- print(a:read("l", "l"))  --> ONE TWO
--- ```
---@async
---@param f fun(...): any
---@param ... any  its arguments
---@return any ...  what `f` returned; nil and an error (ECANCELED) when the program drains
function task.idle(f, ...) end

--- Does the program drain? A handler that sees so says goodbye soon: an HTTP server
--- answers with `Connection: close`. See `task.idle`.
---
--- ```lua
--- local task = require "neap.task"
---
--- print(task.draining())  --> false
--- ```
---@return boolean draining
function task.draining() end

--- Call a function that no cancelling and no timeout from outside interrupts:
--- for what must be done to the end, such as a farewell in a `__close` that waits
--- for the peer's answer. What was asked for meanwhile comes at the next wait behind it,
--- and what a signal asked for also where nothing waits. So a command of `os.execute` in a
--- shield is waited for. Give what is inside a timeout of its own.
---
--- ```lua
--- local task = require "neap.task"
---
--- local t = task.spawn(function()
---   task.shield(function()
---     task.sleep(0.01)
---     print "done"  --> done
---   end)
---   task.sleep(10)
--- end)
--- task.yield()
--- t:cancel()
--- print(select(2, t:join()).code)  --> ECANCELED
--- ```
---@async
---@param f fun(...): any
---@param ... any  its arguments
---@return any ...  what `f` returned
function task.shield(f, ...) end

--- Call a function with a new scope, and return when it and all tasks that were
--- spawned into the scope have ended.
---
--- The first failure, of the function or of a task, cancels all the others, and
--- is raised here once they have ended; if nobody handles it, the report tells of
--- the others, too. If it is an error object, its field `traceback` has that of the
--- task that failed; a text is raised as it is, and only the report has the traceback.
--- The ECANCELED that is raised in the others has it as `cause`. When the caller is cancelled or its time is up, so are the tasks.
--- The tasks of a scope that nobody can come back to (its coroutine was closed)
--- are cancelled, and the program waits for them.
---
--- ```lua
--- local task = require "neap.task"
---
--- local seen = {}
--- task.scope(function(s)
---   for i = 3, 1, -1 do
---     s:spawn(function()
---       task.sleep(i * 0.005)
---       seen[#seen + 1] = i
---     end)
---   end
--- end)
--- print(table.concat(seen, " "))  --> 1 2 3
---
--- print(pcall(task.scope, function(s)
---   s:spawn(error, "broken", 0)
---   task.sleep(10)
--- end))  --> false broken
--- ```
---@async
---@param f fun(s: neap.Scope): any
---@return any ...  what `f` returned; nil and an error (ECANCELED) when
--- `s:cancel()` ended it
function task.scope(f) end

--- A coroutine that the scheduler owns. It is kept while it runs, whether or not
--- anyone holds its Task.
---@class neap.Task
---@field status "ready"|"running"|"waiting"|"done"|"failed"|"cancelled"
---@field name string  for reports; can be set, and is `task N` until then
---@field id integer  its number N
local Task = {}

--- Wait until the task has ended, and return its results; at once when it has
--- already. Its error, if it failed, is raised here too; or, where that failure
--- cancels the caller's scope, an ECANCELED whose `cause` it is. Any number of tasks
--- may join one. Raises for the running task itself.
---
--- ```lua
--- local task = require "neap.task"
---
--- local t = task.spawn(string.upper, "abc")
--- print(t:join())  --> ABC
--- print(t:join())  --> ABC
--- ```
---@async
---@return any ...  nil and an error (ECANCELED) if it was cancelled
function Task:join() end

--- Ask the task to end. From then on whatever waits in it raises an error with
--- the code ECANCELED, every time, except inside `task.shield`; `<close>`
--- variables run. What takes something or gives way (`recv`, `accept`, `join`, `lock`,
--- `yield`, `sleep`) raises even if it need not wait; what puts something (`write`,
--- `flush`, `send`) raises only if it has to, so that a `<close>` can say goodbye.
--- A task that catches the error and returns has not been cancelled: it is done.
--- One that goes on all the same may put a hundred times, then its puts raise, too;
--- behind two hundred waits and puts it is reported on stderr, and from then on `pcall`
--- raises the error again. Returns at once; `join` waits for the end. Does
--- nothing when it has ended or was cancelled before.
---
--- ```lua
--- local task = require "neap.task"
---
--- local t = task.spawn(task.sleep, 10)
--- task.yield()
--- t:cancel "not needed any more"
--- print(t:join())  --> nil not needed any more (ECANCELED)
--- print(t.status)  --> cancelled
---
--- local channel = task.channel(1)
--- t = task.spawn(function()
---   local farewell <close> = setmetatable({}, {__close = function()
---     channel:send "bye"
---   end})
---   task.sleep(10)
--- end)
--- task.yield()
--- t:cancel()
--- print(channel:recv())  --> bye
--- ```
---@param reason? string  the error's message
function Task:cancel(reason) end

--- What `task.scope` calls its function with. It can be given away; once
--- `task.scope` has returned, `spawn`, `serve` and `wait` raise.
---@class neap.Scope
---@field live integer  tasks in it that have not ended
local Scope = {}

--- Run a function in a task of its own, in this scope. An error in it cancels
--- the scope, and `task.scope` raises it.
---
--- ```lua
--- local task = require "neap.task"
---
--- task.scope(function(s)
---   local t = s:spawn(math.max, 3, 5)
---   print(t:join())  --> 5
--- end)
--- ```
---@param f fun(...): any
---@param ... any  its arguments
---@return neap.Task task  cancelled from the start if the scope is
function Scope:spawn(f, ...) end

--- Run a function in a task of its own, as `Listener:serve` does: an error in it
--- is reported on stderr (an error object in one line, any other with its traceback)
--- and ends that task only, and `object` is closed when the task ends, however it does.
---
--- ```lua
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local a, b = net.socketpair()
--- task.scope(function(s)
---   s:serve(function(stream)
---     stream:write "hello\n"
---   end, b)
--- end)
--- print(a:read "a")  --> hello
--- ```
---@param f fun(object: any, ...): any
---@param object any  closed by its `__close`, if it has one
---@param ... any  further arguments
---@return neap.Task task
function Scope:serve(f, object, ...) end

--- Cancel all tasks of the scope, those that are spawned later, and what
--- `task.scope` called: `task.scope` then returns nil and an error (ECANCELED).
--- If that had returned before, its results stand.
---
--- ```lua
--- local task = require "neap.task"
---
--- local result, err = task.scope(function(s)
---   s:spawn(function()
---     task.sleep(0.001)
---     s:cancel()
---   end)
---   task.sleep(10)
--- end)
--- print(result, err.code)  --> nil ECANCELED
--- ```
function Scope:cancel() end

--- Wait until at most `count` tasks live in the scope: a bound on how many run
--- side by side, or a barrier between two steps.
---
--- ```lua
--- local task = require "neap.task"
---
--- local most = 0
--- task.scope(function(s)
---   for _ = 1, 10 do
---     s:wait(2)
---     s:spawn(task.sleep, 0.001)
---     most = math.max(most, s.live)
---   end
--- end)
--- print(most)  --> 3
--- ```
---@async
---@param count? integer  default 0
function Scope:wait(count) end
