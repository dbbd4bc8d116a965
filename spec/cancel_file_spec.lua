-- Waits for files that are interrupted (see cancel_spec).

local fs = require "neap.fs"
local process = require "neap.process"
local task = require "neap.task"
local folder = require "spec.support.folder"
local interrupts = require "spec.support.interrupting".interrupts

--- A FIFO, and what removes it.
local function fifo()
  folder.make()
  local path = folder.path .. "/fifo"
  assert(process.run({"mkfifo", path}).code == 0)
  return path
end

describe("interrupting", function()
  interrupts("a wait for who reads a FIFO", function()
    local path = fifo()
    return function() return fs.open(path, "w") end, function()
      local reader <close> = assert(fs.open(path))
      local writer = assert(fs.open(path, "w"))
      writer:write "bytes"
      writer:close()
      assert.equal("bytes", reader:read "a")
      folder.remove()
    end
  end)

  interrupts("a read of a whole FIFO", function()
    local path = fifo()
    return function() return fs.read(path) end, function()
      task.all {
        function() assert.equal("bytes", fs.read(path)) end,
        function() assert.is_true(fs.write(path, "bytes")) end,
      }
      folder.remove()
    end
  end)

  interrupts("a read of a FIFO that is open", function()
    local path = fifo()
    local reader = assert(fs.open(path))
    return function() return reader:read "l" end, function()
      assert.is_true(fs.write(path, "line\n"))
      assert.equal("line", reader:read "l")
      reader:close()
      folder.remove()
    end
  end)
end)
