--- Forms of several parts: their texts, and their files in a folder.

local options = require "neap.options"
local parts = require "neap.http.parts"
local shield = require "neap.task.core".shield
local fail = require "neap.http.request".fail
local unread = require "neap.http.body".unread

local ipairs, require, type = ipairs, require, type

--- Bytes of the texts of a form, together.
local TEXTS = 1024 * 1024

--- A part of a body, read as a body is: `read`, `lines`, `chunks`, `recv`, `readuntil`,
--- `readexactly`; until the next one is asked for.
---@class neap.http.Part: neap.http.Body
---@field name string?  of the form's field
---@field filename string?  as the client calls the file: the last component of a path, without
--- control characters; nil when nothing is left, or it is none
---@field type string?  its content type
---@field headers neap.http.Headers
---@field private file boolean  is it one, whatever its name?

--- What bounds the parts of a body, besides the bytes of all (`limits.body`).
---@class neap.http.MultipartOptions
---@field parts integer?  how many; default 1000
---@field header integer?  bytes of the head of each; default 8 KiB

--- And what becomes of files.
---@class neap.http.FormOptions: neap.http.MultipartOptions
---@field files (string|fun(part: neap.http.Part))?  a folder, or what reads them

--- A file of a form, in a folder.
---@class neap.http.File
---@field name string  of the form's field
---@field filename string?  as the client calls it: see `neap.http.Part`
---@field type string?
---@field path string  where it is
---@field size integer  bytes

local form = {}

--- The options of a request's methods.
form.of_multipart = { parts = options.count, header = options.count }
form.of_form = { parts = options.count, header = options.count, files = { function(value)
  return type(value) == "function" or type(value) == "string" and value ~= ""
end, "a folder's path or a function" } }

--- What reads the parts of a request; or nil and an error.
function form.reader(request, opts)
  return parts.reader(request, request.headers:all "content-type", opts, function(status, err)
    fail(request, status, err)
  end)
end

--- Write a part into a file that the request removes in the end.
local function save(request, part, folder)
  local fs = require "neap.fs"
  local crypto = require "neap.crypto"
  local path = folder .. "/upload-" .. crypto.tohex(crypto.random(12))
  request.written = request.written or {}
  request.written[#request.written + 1] = path
  local file <close>, why = fs.open(path, "w", { new = true, mode = 384 }) -- 0600
  if not file then
    return nil, why
  end
  local size, ok = 0, true
  local piece, err = part:recv()
  while piece do
    size = size + #piece
    ok, err = file:write(piece)
    if not ok then
      return nil, err
    end
    piece, err = part:recv()
  end
  if not err then
    ok, err = file:flush()
  end
  if err or not ok then
    return nil, err
  end
  return { name = part.name, filename = part.filename, type = part.type, path = path, size = size }
end

--- Take a file: true.
local function take_file(request, part, how, files)
  if how and not part.filename then -- an input in which no file was chosen?
    local piece, err = part:recv()
    if not piece then
      return not err or nil, err
    end
    unread(part, piece or "")
  end
  if type(how) == "function" then
    how(part)
  elseif how then
    local file, err = save(request, part, how)
    if not file then
      return nil, err
    end
    files[#files + 1] = file
    files[part.name] = files[part.name] or file
  end
  return true
end

--- The text of a part, of which there may be so many bytes.
local function text_of(reader, part, left)
  part.most = left
  local text, err = part:read "a"
  if err and err.code == "EMSGSIZE" then
    reader.refuse(413, err)
  end
  return text, err
end

local function read_parts(request, reader, opts)
  local fields, files, left = {}, {}, TEXTS
  local part, err = reader:next()
  while part do
    local ok, text
    if not part.name then
      return reader:wrong(400, "EBADMSG", "a part without the name of a field")
    elseif part.file then
      ok, err = take_file(request, part, opts.files, files)
    else
      text, err = text_of(reader, part, left)
      ok = text
      left = left - #(text or "") - #part.name
    end
    if not ok then
      return nil, err
    end
    fields[part.name] = fields[part.name] or text
    part, err = reader:next()
  end
  if err then
    return nil, err
  end
  return fields, opts.files and files
end

--- The texts and files of a form in parts; or nil and an error.
function form.read(request, opts)
  local reader, err = form.reader(request, opts)
  if not reader then
    return nil, err
  elseif reader.type ~= "multipart/form-data" then
    return reader:wrong(415, "EBADMSG", "a body of type multipart/form-data expected")
  end
  return read_parts(request, reader, opts)
end

--- Remove files, those which are still there.
function form.remove(paths)
  shield(function()
    for _, path in ipairs(paths) do
      require "neap.fs".remove(path)
    end
  end)
end

return form
