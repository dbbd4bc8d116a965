---@meta

--- A trace that runs, from `trace.start` or `trace.events`. `local t <close>` stops it.
--- One of a file goes on when nobody has it any more; one of a queue then ends.
---@class neap.Tracer
---@field count integer  events that its filters let through
---@field dropped integer  those of them that found no room, or could not be written
---@field stopped boolean
---@operator call: neap.trace.Event|string|nil
local Tracer = {}

--- Stop: what it has is written, and the file closed. What waits in a queue can
--- still be taken.
---
--- ```lua
--- local trace = require "neap.trace"
---
--- local tracer = assert(trace.start {to = "/dev/null"})
--- print(tracer:stop(), tracer.stopped)  --> true true
--- ```
---@return true? done
---@return neap.Error? err  of writing the file: ENOSPC, EPIPE, ...
function Tracer:stop() end

--- The next event of a queue; waits for one. `tracer()` is the same, so that
--- `for event in tracer do` takes them all. With a `format`, the bytes of those
--- that have come. Raises for a tracer that writes to a file or to stderr.
---
--- ```lua
--- local net = require "neap.net"
--- local trace = require "neap.trace"
---
--- local tracer <close> = assert(trace.events {filter = "mem:*"})
--- local listener = net.listen "mem:example"
--- local event = tracer:next()
--- print(event.kind, event.endpoint)  --> listen mem:example
--- listener:close()
--- ```
---@async
---@return neap.trace.Event|string|nil event  nil when it was stopped, or no other task goes on
function Tracer:next() end

--- Something that happened at a socket, or to a child. Of a message, the addresses are the
--- message's.
---@class neap.trace.Event
---@field time number  seconds since the trace began
---@field kind "listen"|"connect"|"connected"|"accept"|"open"|"read"|"write"|"end"|"shutdown"|"error"|"close"|"closed"|"reset"|"spawn"|"exit"  `end`:
--- the peer sends no more; `shutdown`: nor do we; `close`: the script has closed it, and `size` bytes
--- are still to go out; `closed` and `reset`: it is gone
---@field type string?  of the socket: `"tcp"`, `"udp"`, ..., `"listener"`; nil: of no socket
---@field serial integer?  its number, as `tostring(socket)` has it
---@field listener integer?  of an `accept`: the listener's number
---@field localaddr neap.Address?
---@field remoteaddr neap.Address?
---@field endpoint string?  where it was opened; of a child: its program
---@field pid integer?  of a child
---@field exit integer?  of an `exit`: its status, or 128 + the number of the signal
---@field signal integer?  of an `exit`: the number of the signal that ended it
---@field data string?  of a `read` or `write`: its bytes, `bytes` of them at most
---@field size integer?  how many there were; of an `error`: how many were not sent
---@field full integer?  of a message that was cut when it arrived: its size
---@field op string?  of an `error`: the verb that failed
---@field code string?  of an `error`: `"ECONNRESET"`, ...
---@field dropped integer?  events that were dropped before this one
