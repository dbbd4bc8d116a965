---@meta

--- A channel between workers; `#channel` is how many messages it holds, and it is
--- equal (`==`) to others of the same channel. It is closed by `close` and by
--- `local c <close>`, for all who hold it.
---@class neap.WorkerChannel
---@field capacity integer
---@field closed boolean
---@field name string?
local Channel = {}

--- Put a copy of a value in; waits while there is no room for it. Raises for nil,
--- and for what cannot be copied.
---
--- ```lua
--- local worker = require "neap.worker"
---
--- local channel = worker.channel()
--- print(channel:send {"a", "table"}, #channel)  --> true 1
--- print(pcall(channel.send, channel, print))  --> false a function cannot be sent to another worker
--- channel:close()
--- print(channel:send "late")  --> nil
--- ```
---@async
---@param value any  not nil
---@return true? sent  nil when the channel is closed
---@return any err  what it was closed with
function Channel:send(value) end

--- The oldest value; waits for one. Each value goes to one receiver.
---
--- ```lua
--- local worker = require "neap.worker"
---
--- local channel = worker.channel()
--- channel:send "value"
--- channel:close "no more"
--- print(channel:recv())  --> value
--- print(channel:recv())  --> nil no more
--- ```
---@async
---@return any? value  nil when the channel is closed and empty
---@return any err  what it was closed with
function Channel:recv() end

--- Put a copy of a value in if there is room for it now. It never waits. Raises as `send`
--- does.
---
--- ```lua
--- local worker = require "neap.worker"
---
--- local channel = worker.channel(nil, 1)
--- print(channel:try_send "value")  --> true
--- print(channel:try_send "more")  --> nil channel send: the channel is full (EAGAIN)
--- ```
---@param value any  not nil
---@return true? sent
---@return any err  EAGAIN: there is no room; or what the channel was closed with
function Channel:try_send(value) end

--- The oldest value, if there is one now. It never waits.
---
--- ```lua
--- local worker = require "neap.worker"
---
--- local channel = worker.channel()
--- print(channel:try_recv())  --> nil channel recv: the channel is empty (EAGAIN)
--- channel:send "value"
--- print(channel:try_recv())  --> value
--- ```
---@return any? value
---@return any err  EAGAIN: there is none; or what the channel was closed with
function Channel:try_recv() end

--- What `send` does, for `task.select`. The value is copied now, and anew when it has been
--- sent and the case is used again.
---
--- ```lua
--- local task = require "neap.task"
--- local worker = require "neap.worker"
---
--- local full, other = worker.channel(nil, 1), worker.channel(nil, 1)
--- full:send "value"
--- print(task.select(full:sending "a", other:sending "b"))  --> 2 true
--- print(#full, other:recv())  --> 1 b
--- ```
---@param value any  not nil
---@return neap.Case
function Channel:sending(value) end

--- What `recv` does, for `task.select`.
---
--- ```lua
--- local task = require "neap.task"
--- local worker = require "neap.worker"
---
--- local jobs, stop = worker.channel(), task.event()
--- jobs:send "value"
--- print(task.select(stop:waiting(), jobs:receiving()))  --> 2 value
--- ```
---@return neap.Case
function Channel:receiving() end

--- Iterate over the values, until the channel is closed and empty. Raises what it was
--- closed with.
---
--- ```lua
--- local worker = require "neap.worker"
---
--- local channel = worker.channel()
--- channel:send(1)
--- channel:send {2, 3}
--- channel:close()
--- for value in channel:each() do
---   print(type(value))
--- end
--- --> number
--- --> table
--- ```
---@async
---@return fun(): any?
function Channel:each() end

--- No more values go in: all that wait get nil; what is in the channel can still be
--- received. May be called again; the first call counts.
---
--- ```lua
--- local worker = require "neap.worker"
---
--- local channel = worker.channel()
--- channel:close "broken"
--- print(channel.closed, channel:recv())  --> true nil broken
--- ```
---@param err? any  why: what all get behind nil. It is copied, and has no channels in it
function Channel:close(err) end
