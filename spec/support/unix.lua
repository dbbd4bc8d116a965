--- Unix sockets, their files, and who else has them.

local assert = require "luassert"
local net = require "neap.net"
local process = require "neap.process"

local neap = require "spec.support.child".neap

local unix = {}

--- What a line of sh prints, without its last line end, and its status.
function unix.sh(line, ...)
  local result = assert(process.run {"sh", "-c", line, "sh", ...})
  return (result.stdout:gsub("\n$", "")), result.code
end

--- Is there anything at a path?
function unix.exists(path)
  return select(2, unix.sh('[ -e "$1" ] || [ -L "$1" ]', path)) == 0
end

--- Do we own everything?
unix.is_root = unix.sh "id -u" == "0"

--- The permissions of a file, in octal.
function unix.mode_of(path)
  return unix.sh('stat -c %a "$1"', path)
end

function unix.write_file(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

function unix.read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- A child that runs Lua, once it has told that it is ready.
function unix.child(script, options)
  options = options or {}
  options[1], options[2], options[3] = neap, "-e", script
  options.stdin, options.stdout = options.stdin or "pipe", "pipe"
  local p = assert(process.spawn(options))
  assert.equal("ready", p.stdout:read "l")
  return p
end

--- End a process at once, and wait for it.
function unix.kill(p)
  p:kill "SIGKILL"
  p:wait()
  p:close()
end

--- A connection through a listener.
function unix.connected(listener, endpoint)
  local a = assert(net.connect(endpoint or listener.endpoint))
  return a, assert(listener:accept())
end

--- Do the two ends meet?
function unix.assert_meet(listener, endpoint)
  local a, b = unix.connected(listener, endpoint)
  a:write "hello\n"
  assert.equal("hello", b:read())
  b:write "you\n"
  assert.equal("you", a:read())
  a:close()
  b:close()
end

return unix
