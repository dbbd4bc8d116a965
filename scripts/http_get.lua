-- usage: neap http_get.lua [-i] URL
--
-- Gets http[s]://HOST[:PORT][/PATH] and writes the body to standard output, with
-- -i the status line and the headers before it. Redirects are not followed. The exit
-- status is 0 for a whole answer with 2xx, else 1.

local http = require "neap.http"
local stdio = require "neap.stdio"
local url = require "neap.url"

local function check(ok, err)
  if not ok then
    io.stderr:write("http_get: ", tostring(err), "\n")
    os.exit(1)
  end
  return ok
end

local shows_head = arg[1] == "-i"
local target = url.parse(arg[shows_head and 2 or 1] or "")
if #arg > (shows_head and 2 or 1) or not target or not target.scheme:find "^https?$" or target.userinfo then
  io.stderr:write("a URL that begins with http:// or https://, please\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local response = check(http.get(target, {redirects = 0, decode = false, timeout = {header = 10, idle = 10}}))
local status = ("HTTP/%s %d %s"):format(response.version, response.status, response.reason)
if shows_head then
  check(stdio.stdout:write(status, "\n"))
  for name, value in pairs(response.headers) do
    check(stdio.stdout:write(name, ": ", value, "\n"))
  end
  check(stdio.stdout:write "\n")
end
repeat
  local bytes, err = response:recv()
  check(bytes or not err, err)
  check(stdio.stdout:write(bytes or ""))
until not bytes
check(stdio.stdout:flush())
check(response.ok, status)
