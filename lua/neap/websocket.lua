--- WebSocket (RFC 6455): messages both ways, over a stream of any kind. This is the client;
--- a server's end is `request:websocket()` in a handler of `neap.http`.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local websocket = require "neap.websocket"
---
--- local listener = assert(net.listen "tcp://127.0.0.1:0")
--- local server = task.spawn(http.serve, listener, function(request)
---   local ws = assert(request:websocket())
---   for data, kind in ws:messages() do
---     ws:send(data, kind)
---   end
--- end)
---
--- local ws <close> = assert(websocket.connect("ws://127.0.0.1:" .. listener.port))
--- ws:send "hello"
--- print(ws:recv())  --> hello text
--- server:cancel()
--- ```
---
--- What the peer must not do ends the connection, with the code that says so: 1002, 1007 (a
--- text that is no UTF-8), 1009 (a message longer than `max`).

local require = require

---@class neap.websocket
local websocket = {}

--- Of both ends.
---@class neap.websocket.Options
---@field max integer?  bytes of a message that is received; default 16 MiB
---@field ping number?  seconds without a word from the peer until it is asked for one; after
--- so many more the connection is given up (ETIMEDOUT, code 1006). While somebody reads
---@field close_timeout number?  seconds for the peer to answer a close; default 10
---@field deflate boolean|neap.websocket.DeflateOptions|nil  make messages smaller, where the peer
--- does, too; default false: it costs 310 KiB a connection

--- How (permessage-deflate, RFC 7692). What one end wants is what both do, or it is not
--- agreed on.
---@class neap.websocket.DeflateOptions
---@field level integer?  from 0 (as it is) by 1 (fast) to 9 (small); default 6
---@field server_no_context_takeover boolean?  each message of the server's by itself: nothing is
--- kept between them, neither here nor there, but they are larger
---@field client_no_context_takeover boolean?  the same of the client's
---@field server_max_window_bits integer?  how far back the server's refer, as a power of two: 9
--- to 15; default 15
---@field client_max_window_bits integer?  the same of the client's

---@class neap.websocket.AcceptOptions: neap.websocket.Options
---@field protocols string[]|(fun(offered: string[], request: neap.http.Request): string?)|nil
--- subprotocols, the best one first, of which the first that is offered is taken; or a function
--- that chooses. Without any in common there is none
---@field origin string[]|(fun(origin: string?, request: neap.http.Request): boolean)|nil  whose pages
--- may connect: `"https://example.com"`, `"*"`; default: those of the host that is asked, and
--- who does not say, which browsers always do

---@class neap.websocket.ConnectOptions: neap.websocket.Options
---@field protocols string[]?  subprotocols to offer, the best one first
---@field headers table<string, string>|neap.http.Headers|nil  of the request: cookies, authorization
---@field origin string?  as a browser would say it: `"https://example.com"`
---@field tls (neap.tls.Context|neap.tls.StartOptions)?  of `wss://`
---@field timeout number?  seconds for all of it, until the handshake is done; default 30
---@field stream neap.Stream?  speak over this one, and connect to nothing. It is closed where
--- the handshake fails

--- Connect, and shake hands.
---
--- ```lua
--- local websocket = require "neap.websocket"
---
--- print(select(2, websocket.connect "ws+unix:/no/such/socket:/chat").code)  --> ENOENT
--- print(select(2, websocket.connect "http://localhost/"))
--- --> websocket: ws://, wss:// or ws+unix: expected (EBADMSG)
--- ```
---@async
---@param address string  `ws://host:port/path?query`, `wss://...`, `ws+unix:/path/of/socket:/path`
---@param opts? neap.websocket.ConnectOptions
---@return neap.WebSocket? ws
---@return neap.Error? err  EPROTO: the answer is none, or a no, with its `status`; EBADMSG: no
--- such address; ETIMEDOUT; what `net.connect` fails with
function websocket.connect(address, opts)
  local ws, err = require "neap.websocket.client".connect(address, opts or {})
  return ws, err
end

return websocket
