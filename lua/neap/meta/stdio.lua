---@meta neap.stdio

--- The standard input and outputs as streams, whatever they are: a terminal, a
--- pipe, a socket, a file, /dev/null.
---
--- ```lua
--- local stdio = require "neap.stdio"
---
--- for line in stdio.stdin:lines() do
---   stdio.stdout:write(line:upper(), "\n")
--- end
--- ```
---
--- A stream is opened when its field is first read; if that fails (EBADF: the
--- descriptor is closed) the field raises the error. Closing it leaves the
--- descriptor to `print` and `io`. These have buffers of their own: what
--- they hold when `stdout` is opened is sent first; later, use one or the other.

---@class neap.stdio
---@field stdin neap.Stream  to read
---@field stdout neap.Stream  to write; a peer that has gone is EPIPE, a full disk ENOSPC
---@field stderr neap.Stream  to write
local stdio = {}

return stdio
