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
function Channel:send(value) end

--- The oldest value; waits for one. Each value goes to one receiver.
---
--- ```lua
--- local worker = require "neap.worker"
---
--- local channel = worker.channel()
--- channel:send "value"
--- channel:close()
--- print(channel:recv(), channel:recv())  --> value nil
--- ```
---@async
---@return any? value  nil when the channel is closed and empty
function Channel:recv() end

--- Iterate over the values, until the channel is closed and empty.
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
--- received. May be called again.
---
--- ```lua
--- local worker = require "neap.worker"
---
--- local channel = worker.channel()
--- channel:close()
--- print(channel.closed, channel:recv())  --> true nil
--- ```
function Channel:close() end
