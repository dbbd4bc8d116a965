--- A folder that each test has to itself, which others may enter: for sockets, scripts and
--- modules; neap runs in it.
---
---     before_each(folder.make)
---     after_each(folder.remove)

local lfs = require "lfs"
local process = require "neap.process"

local folder = {}

folder.neap = require "spec.support.child".neap

function folder.make()
  folder.path = os.tmpname()
  os.remove(folder.path)
  assert(process.run({"mkdir", "-m", "755", folder.path}).code == 0)
end

local function remove(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then
        remove(path .. "/" .. name)
      end
    end
    return assert(lfs.rmdir(path))
  end
  assert(os.remove(path))
end

function folder.remove()
  remove(folder.path)
end

--- Write a file there.
---@param name string
---@param text string
---@return string path
function folder.write(name, text)
  local path = folder.path .. "/" .. name
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
  return path
end

--- Run neap in that folder.
---@param ... string  its arguments
function folder.run(...)
  return assert(process.run {folder.neap, cwd = folder.path, ...})
end

--- Run a script of that text.
---@param text string
---@param ... string  its arguments
function folder.run_script(text, ...)
  folder.write("script.lua", text)
  return folder.run("script.lua", ...)
end

--- Run it behind a shell that redirects.
---@param line string  'exec "$0" "$@" <&-'
---@param ... string
function folder.run_sh(line, ...)
  return assert(process.run {"sh", "-c", line, folder.neap, cwd = folder.path, ...})
end

--- A result that is this output, and nothing else.
---@param stdout string
function folder.says(stdout)
  return {stdout = stdout, stderr = "", code = 0}
end

return folder
