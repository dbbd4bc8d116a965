---@meta neap.time

--- The clocks of the world that a program runs in, and a steady beat. All times
--- are seconds, as floats. To wait is `task.sleep`.

---@class neap.time
local time = {}

--- A clock that only goes forward, whatever is done to the wall clock. It counts
--- from some time before the program began; only differences mean something.
---
--- ```lua
--- local time = require "neap.time"
---
--- local start = time.now()
--- local took = time.now() - start
--- print(took >= 0 and took < 1)  --> true
--- ```
---@return number seconds
function time.now() end

--- The time of day: since 1970-01-01 00:00:00 UTC (POSIX.1), leap seconds not
--- counted. It may jump.
---
--- ```lua
--- local time = require "neap.time"
---
--- print(math.abs(time.wall() - os.time()) < 2)  --> true
--- ```
---@return number seconds
function time.wall() end

--- Iterate at a fixed rate.
---
--- Tick n comes n periods after the call, never early, and without drift however
--- long the body takes. Ticks that pass during the body are not made up for: the
--- latest of them comes at once, and its number tells how many were missed.
--- An error in the body ends the loop, as in any loop.
---
--- Raises for a period that is not a number of seconds above 0.
---
--- ```lua
--- local time = require "neap.time"
---
--- local start = time.now()
--- for tick in time.every(0.002) do
---   if tick >= 3 then
---     break
---   end
--- end
--- print(time.now() - start >= 0.006)  --> true
--- ```
---@async
---@param seconds number  the period, at least a nanosecond
---@return fun(): integer next  the tick's number, from 1
---@return userdata beat
function time.every(seconds) end

return time
