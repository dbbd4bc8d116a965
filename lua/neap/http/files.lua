--- A folder as a handler: its files, as HTTP has them.
---
--- A path is looked up beneath the folder by `neap.fs`, which never leaves it. What the file is,
--- and the file itself, come from one look (core.view), so that head and body are of the same
--- one, whatever takes its name meanwhile.

local accepts = require "neap.http.coding".accepts
local conditions = require "neap.http.conditions"
local core = require "neap.http.core"
local crypto = require "neap.crypto"
local fs_core = require "neap.fs.core"
local headers = require "neap.http.headers"
local message = require "neap.http.message"
local options = require "neap.options"
local response_of = require "neap.http.response"
local time = require "neap.time"
local types = require "neap.http.types"

local error, ipairs, next, tostring, type = error, ipairs, next, tostring, type
local byte, find, format, gmatch, gsub, lower, match, sub =
  string.byte, string.find, string.format, string.gmatch, string.gsub, string.lower,
  string.match, string.sub
local concat, sort = table.concat, table.sort
local floor, mathtype = math.floor, math.type
local wall = time.wall
local here = fs_core.here

local HTML = "text/html; charset=utf-8"

--- Errors that say: there is no such file, for who asks.
local absent = { ENOENT = true, ENOTDIR = true, EXDEV = true, ENAMETOOLONG = true, ELOOP = true, EINVAL = true }
local forbidden = { EACCES = true, EPERM = true }

local function plain(status, words, more)
  local list = headers.new(more)
  return response_of.response(status, list:set("content-type", "text/plain; charset=utf-8"), words .. "\n")
end

local function missing()
  return plain(404, "no such page")
end

--- Can it be a name here? What stands for another folder, or is more than one, can't.
local function is_name(text, hidden)
  return text ~= "" and text ~= "." and text ~= ".." and not find(text, "[/\0]")
    and (hidden or byte(text) ~= 46)
end

--- The path beneath the folder of a path as it came, and whether it ended in a slash: nil if
--- there can be none.
local function path_of(raw, hidden)
  local names = {}
  if not find(raw, "^/") and raw ~= "" then
    return nil
  end
  for text in gmatch(sub(raw, 2), "[^/]*") do
    names[#names + 1] = message.unescape(text)
  end
  local slash = raw ~= "" and names[#names] == ""
  if names[#names] == "" then
    names[#names] = nil
  end
  for i = 1, #names do
    if not is_name(names[i], hidden) then
      return nil
    end
  end
  return #names > 0 and concat(names, "/") or ".", slash
end

--- What it is, and the file if it is one; nil and an answer.
local function view(self, path)
  local about, file = fs_core.view(self.root, path)
  if about then
    return about, file
  elseif absent[file.code] then
    return nil, missing()
  elseif forbidden[file.code] then
    return nil, plain(403, "not for you")
  end
  error(file, 0)
end


-- Folders

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local function escape(text)
  return (gsub(text, "[&<>\"']", entities))
end

local function encode(name)
  return (gsub(name, "[^%w._~-]", function(c)
    return format("%%%02X", byte(c))
  end))
end

local function listing(self, request, path)
  local names, kinds = fs_core.list(self.root, path, 0)
  if not names then
    error(kinds, 0)
  end
  sort(names)
  local title = escape(request.path)
  local parts = {
    format('<!doctype html>\n<meta charset="utf-8">\n<title>%s</title>\n<h1>%s</h1>\n<ul>\n', title, title),
  }
  if path ~= "." then
    parts[#parts + 1] = '<li><a href="../">../</a>\n'
  end
  for _, name in ipairs(names) do
    if is_name(name, self.hidden) then
      local slash = kinds[name] == "directory" and "/" or ""
      parts[#parts + 1] = format('<li><a href="./%s%s">%s%s</a>\n', encode(name), slash, escape(name), slash)
    end
  end
  parts[#parts + 1] = "</ul>\n"
  return response_of.response(200, { ["content-type"] = HTML, ["cache-control"] = self.cache }, concat(parts))
end

--- To the same with a slash at its end: relative to the folder above, so that it is the same
--- host and prefix, also behind a proxy that has another one.
local function redirect(request)
  local path, query = match(request.target, "^([^?]*)(.*)$")
  return plain(301, "it is a folder", { location = "./" .. match(path, "[^/]*$") .. "/" .. query })
end


-- Files

--- The same file compressed, which lies beside it: if the client takes that, and it is not of an
--- older one.
local function compressed(self, request, path, about)
  if not self.gzip or not accepts(request:header "accept-encoding") then
    return nil
  end
  local about_gz, file = fs_core.view(self.root, path .. ".gz")
  if about_gz and file and about_gz.modified < about.modified then
    file:close()
    return nil
  end
  return about_gz and file, about_gz
end

--- Several ranges in one body, each behind a head of its own (RFC 9110 §14.6).
local function send_ranges(response, list, file, ranges, kind, size)
  local mark = crypto.tohex(crypto.random(16))
  local heads, length = {}, 0
  for i, range in ipairs(ranges) do
    heads[i] = format("\r\n--%s\r\ncontent-type: %s\r\ncontent-range: bytes %d-%d/%d\r\n\r\n", mark, kind, range[1],
      range[2], size)
    length = length + #heads[i] + range[2] - range[1] + 1
  end
  local last = "\r\n--" .. mark .. "--\r\n"
  list[#list + 1], list[#list + 2] = "content-type", "multipart/byteranges; boundary=" .. mark
  list[#list + 1], list[#list + 2] = "content-length", tostring(length + #last)
  local ok = response:start(206, headers.of(list))
  for i, range in ipairs(ranges) do
    ok = ok and response:write(heads[i]) and response_of.sendfile(response, file, range[1], range[2] - range[1] + 1)
  end
  return ok and response:write(last)
end

local function send(response, list, file, ranges, kind, size)
  if ranges and #ranges > 1 then
    return send_ranges(response, list, file, ranges, kind, size)
  end
  local status, from, length = 200, 0, size
  if ranges then
    local first, last = ranges[1][1], ranges[1][2]
    status, from, length = 206, first, last - first + 1
    list[#list + 1], list[#list + 2] = "content-range", format("bytes %d-%d/%d", first, last, size)
  end
  list[#list + 1], list[#list + 2] = "content-type", kind
  list[#list + 1], list[#list + 2] = "content-length", tostring(length)
  return response:start(status, headers.of(list)) and response_of.sendfile(response, file, from, length)
end

--- What goes with every answer about the file.
local function fields_of(self, tag, modified)
  local list = { "etag", tag, "last-modified", core.date(modified), "accept-ranges", "bytes" }
  if self.cache then
    list[#list + 1], list[#list + 2] = "cache-control", self.cache
  end
  if self.gzip then
    list[#list + 1], list[#list + 2] = "vary", "accept-encoding"
  end
  return list
end

local function answer(self, request, response, path, about, file)
  local _ <close> = file
  local gz <close>, about_gz = compressed(self, request, path, about)
  if gz then
    about, file = about_gz, gz
  end
  local now, size = wall(), about.size
  local modified = floor(about.modified < now and about.modified or now)
  local tag = format('"%x-%x-%x"', size, floor(about.modified * 1000000), about.inode)
  local list = fields_of(self, tag, modified)
  local status = conditions.status(request, tag, modified, now)
  if status == 304 then
    return response_of.response(304, headers.of(list))
  elseif status then
    return plain(status, "it is not what it was")
  end
  local ranges = conditions.ranges(request, size, tag, modified, now)
  if ranges and #ranges == 0 then
    list[#list + 1], list[#list + 2] = "content-range", format("bytes */%d", size)
    return response_of.response(416, headers.of(list), format("it has %d bytes\n", size))
  end
  if gz then
    list[#list + 1], list[#list + 2] = "content-encoding", "gzip"
  end
  send(response, list, file, ranges, types.of(path, self.types), size)
end


-- The handler

local function folder(self, request, response, path)
  if self.index then
    local name = path .. "/" .. self.index
    local about, file = view(self, name)
    if about and file then
      return answer(self, request, response, name, about, file)
    elseif not about and file.status ~= 404 then
      return file
    end
  end
  return self.list and listing(self, request, path) or missing()
end

local function serve(self, request, response)
  if request.method ~= "GET" and request.method ~= "HEAD" then
    return plain(405, "only GET and HEAD are for files", { allow = "GET, HEAD" })
  end
  local path, slash = path_of(request.subpath, self.hidden)
  if not path then
    return missing()
  end
  local about, file = view(self, path)
  if not about then
    return file
  elseif about.type == "directory" then
    if slash then
      return folder(self, request, response, path)
    end
    return redirect(request)
  elseif file and not slash then
    return answer(self, request, response, path, about, file)
  elseif file then
    file:close()
  end
  return missing()
end

local known = {
  index = { function(value)
    return value == false or type(value) == "string" and is_name(value, true)
  end, "the name of a file, or false," },
  cache = { function(value)
    return mathtype(value) == "integer" and value >= 0
  end, "a whole number of seconds" },
  list = options.flag, hidden = options.flag, gzip = options.flag, types = options.table,
}

--- A copy of such a table, whose endings are in lower case.
local function types_of(given, level)
  local copy = {}
  for ending, kind in next, given do
    if type(ending) ~= "string" or not find(ending, "^[^./]+$") or type(kind) ~= "string" or not core.value(kind) then
      error(format("http.files: option 'types': an ending without dots, and a type, expected: %s", tostring(ending)),
        level + 1)
    end
    copy[lower(ending)] = kind
  end
  return copy
end

local files = {}

function files.new(path, opts)
  if type(path) ~= "string" or find(path, "\0", 1, true) then
    error("http.files: the path of a folder expected, got " .. type(path), 2)
  end
  local self = options.check("http.files", opts == nil and {} or opts, known, 2)
  self.types = self.types and types_of(self.types, 2)
  self.index = self.index == nil and "index.html" or self.index
  self.cache = self.cache and format("max-age=%d", self.cache)
  local err
  self.root, err = fs_core.root(here, path)
  if not self.root then
    return nil, err
  end
  return function(request, response)
    return serve(self, request, response)
  end
end

return files
