---@meta neap.error

--- Errors of the world, as values.
---
--- What the world does to a program, a connection refused or a disk full, is
--- returned: `nil, err`, and `err` is an error object. So `assert(net.connect(e))`
--- is a good script, and `if not stream then ... err.code` a good program. What
--- the script does wrong, an option misspelt or a number where a string belongs,
--- is raised instead, as a text with its place.
---
--- Codes are the names of errno(3) (`"ECONNREFUSED"`, `"EPIPE"`) and of
--- getaddrinfo(3) (`"EAI_NONAME"`); those of TLS begin with `ETLS` (see neap.tls). Some mean the same everywhere:
---
--- | code | it says |
--- | --- | --- |
--- | `ETIMEDOUT` | the time was up, or the peer has not answered for too long |
--- | `ECANCELED` | closed by another task, or cancelled |
--- | `EBADF` | it was closed before |
--- | `EPIPE` `ECONNRESET` | the peer has gone |
--- | `EMSGSIZE` | longer than the limit |
--- | `ENODATA` | the stream ended in the middle of what was asked for |
--- | `EBADMSG` | the bytes are no value of the kind that was asked for |
--- | `EMFILE` `ENFILE` | no more descriptors |
--- | `ECONNREFUSED` | nobody listens there |
--- | `EADDRINUSE` | another socket has this address, or had it until now |
--- | `EADDRNOTAVAIL` | it is no address of this machine; or there is no free port |
--- | `ENETUNREACH` `EHOSTUNREACH` | there is no way to that address |
--- | `EACCES` `EPERM` | this user may not, or a rule of the system forbids it |
--- | `EAI_NONAME` `EAI_NODATA` | there is no such name, or it has no address |
--- | `EAI_AGAIN` | no name server answers, or it can't tell just now |
--- | `EPROTO` | the peer does not keep to the protocol |
--- | `EBUSY` | another task, or another part of the program, has it |
--- | `EAGAIN` | it would have to wait |

---@class neap.error
local error_object = {}

--- `tostring` gives one line, `op endpoint: message (CODE)`, without what is not
--- there: `connect tcp://127.0.0.1:1: connection refused (ECONNREFUSED)`. `..`
--- concatenates that.
---
--- The fields are plain ones, and can be set.
---@class neap.Error
---@field code string  `"ECONNREFUSED"`
---@field message string  `"connection refused"`
---@field op string?  the verb: `"connect"`
---@field endpoint string?  what it was about: `"tcp://127.0.0.1:1"`, a name, a program
---@field attempts neap.Error[]?  of `net.connect` to a name: the error of each address
---@field accepted integer?  of `stream:write`: how many bytes of the call were
--- accepted, and go out if they still can; 0 or all
---@field partial string?  of an ENODATA, where what was to be read was cut: what there is of it
---@field cause any?  of an ECANCELED: the first failure in the scope, because of which
--- it is cancelled
---@field line integer?  of a text that is no JSON: where
---@field column integer?  in characters
---@field traceback string?  of an error that a task failed with, or a scope: where it
--- began, and where the task was spawned
---@operator concat(any): string

--- Make an error object of a table. The table itself is it, further fields stay.
---
--- ```lua
--- local errors = require "neap.error"
---
--- local err = errors.new {code = "EPROTO", message = "no greeting", op = "hello", line = 3}
--- print(err)  --> hello: no greeting (EPROTO)
--- print(err.line)  --> 3
--- ```
---@param fields { code: string, message: string, [string]: any }  raises if `code` or
--- `message` is no string
---@return neap.Error err
function error_object.new(fields) end

--- Is this an error object? For those that were raised.
---
--- ```lua
--- local errors = require "neap.error"
--- local net = require "neap.net"
---
--- local ok, err = pcall(function()
---   return assert(net.connect "mem:nobody")
--- end)
--- print(ok, errors.is(err) and err.code)  --> false ECONNREFUSED
--- print(errors.is "text")  --> false
--- ```
---@param value any
---@return boolean is
function error_object.is(value) end

return error_object
