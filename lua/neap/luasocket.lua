--- LuaSocket's API on neap's sockets, so that libraries written for it run unmodified, and
--- each of their calls suspends its task only.
---
--- `neap --luasocket script.lua`, or `install()`, lets `require "socket"`, `"socket.core"` and
--- `"socket.unix"` give this one. Of the rest of LuaSocket 3, which is written in Lua
--- (`socket.http`, `socket.smtp`, `socket.ftp`, `socket.url`, `socket.tp`, `socket.headers`,
--- `ltn12`, `mime`), that is used which is installed (Debian's lua-socket, LuaRocks'
--- luasocket); `mime.core` is neap's where there is none.
---
--- `require "ssl"` gives LuaSec's API on neap's TLS in the same way, and so do `ssl.core`,
--- `ssl.context`, `ssl.config` and `ssl.x509`. `ssl.https` is LuaSec's own where that is
--- installed, and neap's otherwise.
---
--- What is otherwise than in LuaSocket 3.1:
---
--- - An object is a table, and no userdata; `tostring` tells its class as ever.
--- - A TCP or unix socket that is bound listens already, with a queue of 511; `listen` then
---   only says so. The file of a unix socket goes with its listener.
--- - `getfd` of a socket that is neither bound nor connected is of something that stands for
---   it. Bytes that were read ahead (`dirty`) are not to be seen by its descriptor.
--- - Names are looked up as by `net.resolve`, and their addresses raced; the short forms of
---   addresses (`127.1`) are none. Within a time the lookup counts, too.
--- - Where Lua cannot suspend (a comparison of `table.sort`, a debug hook, a coroutine that
---   a C library resumes) a call raises, instead of blocking everything.
---
--- And than in LuaSec 1.2:
---
--- - Protocols are TLS 1.2 and 1.3; `sslv3`, `tlsv1` and `tlsv1_1` are none.
--- - The server's order of ciphers counts; renegotiation and compression are off.
--- - A handshake's failure is told in neap's words, but for `certificate verify failed`.
--- - `dhparam` is not called: OpenSSL's own parameters are as strong as the key. There is no
---   DANE.

local package, loadfile, error = package, loadfile, error
local format, searchpath = string.format, package.searchpath

---@class neap.luasocket
local luasocket = {}

--- Of LuaSocket, in Lua: used as it is installed.
local parts = {
  "ltn12", "mime", "socket.http", "socket.smtp", "socket.ftp", "socket.url", "socket.tp",
  "socket.headers", "mbox",
}

--- Where it is installed nowhere, say what it belongs to.
local function finder(name)
  return function(...)
    local file, tried = searchpath(name, package.path)
    if not file then
      error(format("module '%s' not found: it is a part of LuaSocket that neap uses as it is "
        .. "installed (apt-get install lua-socket, or luarocks install luasocket):%s",
        name, tried), 0)
    end
    local chunk, text = loadfile(file, "t")
    if not chunk then
      error(format("error loading module '%s' from file '%s':\n\t%s", name, file, text), 0)
    end
    return chunk(...)
  end
end

--- `mime.core` has no socket: LuaSocket's own, in C, is as good, and quicker.
local function mime_core()
  local file = searchpath("mime.core", package.cpath)
  local open = file and package.loadlib(file, "luaopen_mime_core")
  if open then
    return open "mime.core"
  end
  return require "neap.luasocket.mime"
end

--- LuaSec's modules, opened when they are asked for; `ssl.https` as it is installed.
local secure = {"ssl", "ssl.core", "ssl.context", "ssl.config", "ssl.x509"}

local function secure_part(name)
  return require "neap.luasocket.ssl"[name]
end

local function https(...)
  local file = searchpath("ssl.https", package.path)
  local chunk = file and loadfile(file, "t")
  if chunk then
    return chunk(...)
  end
  return require "neap.luasocket.ssl.https"
end

--- Let `require "socket"` and its like give LuaSocket on neap's sockets from now on, in this
--- host; whoever has LuaSocket's own already keeps that. Workers have to call it themselves,
--- or be started under `--luasocket`. May be called again.
---
--- ```lua
--- require "neap.luasocket".install()
--- local socket = require "socket"
--- local task = require "neap.task"
---
--- local server = assert(socket.bind("127.0.0.1", 0))
--- task.spawn(function()
---   local client = server:accept()
---   client:send(client:receive():upper() .. "\n")
---   client:close()
--- end)
---
--- local host, port = server:getsockname()
--- local client = assert(socket.connect(host, port))
--- client:settimeout(5)
--- client:send "hello\n"
--- print(client:receive())  --> HELLO
--- print(client:receive())  --> nil closed
--- server:close()
--- ```
---@return table socket  what `require "socket"` gives
function luasocket.install()
  local loaded, preload = package.loaded, package.preload
  local socket = require "neap.luasocket.socket"
  loaded["socket"], loaded["socket.core"], loaded["socket.unix"] = socket, socket, socket.unix
  preload["mime.core"] = mime_core
  for i = 1, #parts do
    preload[parts[i]] = finder(parts[i])
  end
  for i = 1, #secure do
    loaded[secure[i]], preload[secure[i]] = nil, secure_part
  end
  preload["ssl.https"] = https
  return socket
end

return luasocket
