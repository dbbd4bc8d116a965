--- `neap --luarc`: a .luarc.json for lua-language-server, in this folder. The annotations
--- that it names are those which are built into this neap, written out for it.

local annotations = require "neap.repl.annotations"
local fs = require "neap.fs"
local host = require "neap.host"
local json = require "neap.json"

local assert, pcall, tostring = assert, pcall, tostring
local find, format, gsub, match = string.find, string.format, string.gsub, string.match
local harmless = host.harmless
local exit, getenv, stderr, stdout = os.exit, os.getenv, io.stderr, io.stdout

local NAME = ".luarc.json"

local TEXT = [[
{
  "runtime.version": "Lua 5.4",
  "workspace.checkThirdParty": false,
  "workspace.library": [%s]
}
]]

local function fail(text, ...)
  stderr:write("neap: ", harmless(format(text, ...)), "\n")
  exit(1)
end

--- Where the annotations are to be: below `$XDG_DATA_HOME`, or `~/.local/share`.
local function library()
  local home, data = getenv "HOME", getenv "XDG_DATA_HOME"
  if data and find(data, "^/") then
    return data .. "/neap/lua"
  elseif home and find(home, "^/") then
    return home .. "/.local/share/neap/lua"
  end
  fail("--luarc: HOME names no folder, and so does XDG_DATA_HOME")
end

--- Write all that is annotated below a folder, as `require` looks for it.
local function write_annotations(folder)
  annotations.read(function(path)
    local text = host.source("neap." .. gsub(match(path, "^(.*)%.lua$"), "/", "."))
    local to = format("%s/neap/%s", folder, path)
    assert(fs.mkdir(match(to, "^(.*)/"), {parents = true}))
    assert(fs.write(to, text))
    return text
  end)
end

--- Write the file, and what it names.
---@async
return function()
  local folder = library()
  if fs.lstat(NAME) then
    fail("--luarc: %s is there, and stays as it is", NAME)
  end
  local ok, err = pcall(write_annotations, folder)
  local file
  if ok then
    file, err = fs.open(NAME, "w", {new = true})
  end
  if file then
    ok, err = file:write(format(TEXT, json.encode(folder)))
    file:close()
  end
  if not ok or not file then
    fail("--luarc: %s", tostring(err))
  end
  stdout:write(harmless(format("%s is written; it names the annotations in %s\n", NAME, folder)))
end
