-- usage: neap http_get.lua [-i] URL
--
-- Gets http[s]://HOST[:PORT][/PATH] and writes the body to standard output, with
-- -i the status line and the headers before it. HTTP/1.1 (RFC 9112) by hand: a body
-- has a known length, comes in chunks, or ends with the connection. Redirects
-- are not followed. The exit status is 0 for a whole answer with 2xx, else 1.

local endpoints = require "neap.endpoint"
local net = require "neap.net"
local stdio = require "neap.stdio"

local PATIENCE = 10 -- seconds to connect in, and to wait for what comes next
local HEADERS = 100 -- of one answer, at most; read allows each 64 KiB

local function check(ok, err)
  if not ok then
    io.stderr:write("http_get: ", tostring(err), "\n")
    os.exit(1)
  end
  return ok
end

-- A line, without the CR LF at its end.
local function read_line(stream)
  local line, err = stream:read "L"
  check(not err, err)
  return check(line and line:match "^(.-)\r?\n$", "the answer ends too early")
end

-- The status line, its code, and the headers: as a list, and by their names.
local function read_head(stream)
  local status, headers = read_line(stream), {}
  local code = check(status:match "^HTTP/1%.%d (%d%d%d)", "not HTTP/1: " .. status)
  for line in read_line, stream do
    if line == "" then
      return status, tonumber(code), headers
    end
    local name, value = line:match "^([^%s:]+):%s*(.-)%s*$"
    check(name and #headers < HEADERS, "bad, or too many headers: " .. line)
    headers[#headers + 1] = line
    headers[name:lower()] = value
  end
end

-- Pass on n bytes, or all that come.
local function copy(stream, n)
  while n > 0 do
    local chunk, err = stream:recv(math.min(n, 65536))
    check(not err, err)
    if not chunk then
      return check(n == math.huge, n .. " bytes of the body are missing")
    end
    check(stdio.stdout:write(chunk))
    n = n - #chunk
  end
end

-- Each chunk has its size before it, in hex, and an empty line behind it. After
-- the last, of 0 bytes, more headers may come; nobody asked for them.
local function copy_chunks(stream)
  repeat
    local line = read_line(stream)
    local digits = line:match "^%x+" or ""
    local size = check(#digits < 16 and tonumber(digits, 16), "bad chunk: " .. line)
    copy(stream, size)
    check(size == 0 or read_line(stream) == "", "a chunk is longer than its size")
  until size == 0
end

local shows_head = arg[1] == "-i"
local url = arg[shows_head and 2 or 1] or ""
local s, host, path = url:match "^http(s?)://([^/?#@%s%c]+)%f[/?#\0]([^#%s%c]*)[^%s%c]*$"
local endpoint = host and (s == "s" and "tls://" or "tcp://") .. host
  .. (host:find ":%d+$" and "" or s == "s" and ":443" or ":80")
if #arg > (shows_head and 2 or 1) or not pcall(endpoints.parse, endpoint) then
  io.stderr:write("a URL that begins with http:// or https://, please\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local stream = check(net.connect(endpoint, {timeout = PATIENCE}))
stream:settimeout(PATIENCE)
check(stream:write("GET ", path:find "^/" and "" or "/", path, " HTTP/1.1\r\nHost: ", host,
  "\r\nUser-Agent: neap\r\nAccept: */*\r\nConnection: close\r\n\r\n"))
local status, code, headers
repeat
  status, code, headers = read_head(stream)
until code >= 200 -- 1xx tell that there will be another
if shows_head then
  check(stdio.stdout:write(status, "\n", table.concat(headers, "\n"), "\n\n"))
end

local coding, length = headers["transfer-encoding"], headers["content-length"]
if coding then
  check(coding:lower() == "chunked", "unknown transfer coding: " .. coding)
  copy_chunks(stream)
elseif code ~= 204 and code ~= 304 then
  copy(stream, length and check(tonumber(length:match "^%d+$"), "bad length") or math.huge)
end
check(stdio.stdout:flush())
check(code < 300, status)
