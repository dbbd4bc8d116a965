-- usage: neap webhook.lua [-d FOLDER] [ENDPOINT]
--
-- Shows what arrives by HTTP at ENDPOINT (tcp://127.0.0.1:8080), whatever its method
-- and path: where from, the request line, the fields, and the body; or how long it
-- is, where that is no text. With -d each body is kept in a file in FOLDER instead.
--
--   curl -d '{"state": "done"}' http://127.0.0.1:8080/hook

local crypto = require "neap.crypto"
local fs = require "neap.fs"
local http = require "neap.http"
local net = require "neap.net"

local SHOWN = 64 * 1024 -- bytes of a body, at most

local folder = arg[1] == "-d" and (table.remove(arg, 1) and table.remove(arg, 1) or "") or nil
local endpoint = arg[1] or "tcp://127.0.0.1:8080"
if folder == "" or #arg > 1 or not pcall(require "neap.endpoint".parse, endpoint) then
  io.stderr:write(io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

-- Bytes that could play tricks on a terminal are shown.
local function printable(text)
  return (text:gsub("\xc2[\x80-\x9f]", "?"):gsub("%c", function(c)
    return (c == "\n" or c == "\t") and c or ("\\x%02x"):format(c:byte())
  end))
end

-- The text of a body, and how much more there was.
local function text_of(request)
  local text, more = "", 0
  for bytes in request:chunks() do
    local room = SHOWN - #text
    text, more = text .. bytes:sub(1, room), more + math.max(#bytes - room, 0)
  end
  return text, more
end

-- Keep the body in a file, of which nobody knows the name before.
local function keep(request)
  local path = ("%s/hook-%s"):format(folder, crypto.tohex(crypto.random(8)))
  local file <close> = assert(fs.open(path, "w", {new = true}))
  for bytes in request:chunks() do
    assert(file:write(bytes))
  end
  assert(file:flush())
  return path
end

local function show(request)
  local lines = {("%s from %s"):format(os.date "%H:%M:%S", request.remoteaddr or "?"),
    printable(("%s %s"):format(request.method, request.target))}
  for name, value in pairs(request.headers) do
    lines[#lines + 1] = printable(name .. ": " .. value)
  end
  if folder then
    lines[#lines + 1] = "\n" .. keep(request)
  else
    local text, more = text_of(request)
    lines[#lines + 1] = "\n" .. (text:find "%z" and #text + more .. " bytes" or printable(text))
      .. (more > 0 and not text:find "%z" and ("\n... and %d bytes"):format(more) or "")
  end
  print(table.concat(lines, "\n") .. "\n")
  io.stdout:flush()
  return "thanks\n"
end

local listener = assert(net.listen(endpoint))
print("listening at " .. listener.endpoint)
io.stdout:flush()
http.serve(listener, show, {max = 100})
