-- usage: neap download.lua URL [FILE]
--
-- Downloads to a file, by default named as the URL's path ends. A file that is there
-- already in part, FILE.part, is gone on with where the server can (RFC 9110 §14): if what
-- the server has is still the same. Tells on a terminal how far it is.

local args = require "neap.args"
local http = require "neap.http"
local stdio = require "neap.stdio"
local time = require "neap.time"
local url = require "neap.url"

local given = args.parse(arg, {
  about = "Downloads to a file, and goes on where it was cut.",
  {"URL", "what to download: http:// or https://", type = url.parse},
  {"[FILE]", "where to; default: as the URL's path ends"},
})
local target = given.url
local path = given.file or url.decode(target.path:match "([^/]*)$")
if path == "" or not given.file and path:find "[/%z]" then
  path = "index.html"
end
local part, tag_path = path .. ".part", path .. ".part.etag"

local function read(name)
  local file <close> = io.open(name, "rb")
  return file and file:read "a"
end

local function fail(...)
  io.stderr:write("download: ", table.concat {...}, "\n")
  os.exit(1)
end

--- Ask for what is missing, where it is known what there is a part of.
local tag, there = read(tag_path), 0
local file = tag and io.open(part, "r+b")
if file then
  there = file:seek "end"
end
local response, err = http.get(target, {
  decode = false, headers = there > 0 and {range = ("bytes=%d-"):format(there), ["if-range"] = tag} or nil,
})
if not response then
  fail(tostring(err))
elseif response.status == 206
  and (response.headers["content-range"] or ""):match "^bytes (%d+)-" ~= tostring(there) then
  fail("the server sends another part than it was asked for")
elseif response.status ~= 206 then
  if response.status ~= 200 then
    fail(("%d %s"):format(response.status, response.reason))
  end
  there = 0
  file = assert(io.open(part, "wb"))
end

tag = response.headers.etag
if tag and not tag:find "^W/" then
  assert(io.open(tag_path, "wb")):write(tag):close()
else
  os.remove(tag_path)
end

local whole, began, shown = response.length and there + response.length, time.now(), 0
local from = there

local function show(last)
  if stdio.stderr.protocol ~= "tty" or not last and time.now() - shown < 0.1 then
    return
  end
  shown = time.now()
  local filled = whole and whole > 0 and math.floor(30 * there / whole) or 0
  stdio.stderr:write(("\r%s [%s%s] %.1f MB, %.1f MB/s "):format(whole and ("%3d %%"):format(
    whole > 0 and 100 * there // whole or 100) or "", ("#"):rep(filled), (" "):rep(30 - filled), there / 1e6,
    (there - from) / 1e6 / math.max(shown - began, 0.001)), last and "\n" or "")
end

for bytes in response:chunks() do
  assert(file:write(bytes))
  there = there + #bytes
  show()
end
assert(file:close())
show(true)
assert(os.rename(part, path))
os.remove(tag_path)
