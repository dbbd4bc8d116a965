-- Waits for files that are interrupted (see cancel_spec).

local fs = require "neap.fs"
local process = require "neap.process"
local task = require "neap.task"
local folder = require "spec.support.folder"
local transports = require "spec.support.transports"
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
        function()
          local ok, err
          repeat -- who gave up may be its reader for a moment
            ok, err = fs.write(path, "bytes")
          until ok or err.code ~= "EPIPE"
          assert.is_true(ok)
        end,
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

  interrupts("a wait for a file's lock", function()
    folder.make()
    local path = folder.path .. "/lock"
    local held = assert(fs.lock(path))
    return function() return fs.lock(path) end, function()
      held:close()
      local lock <close> = assert(fs.lock(path)) -- who gave up may have it for a moment
      assert(lock)
      repeat -- or come only now, and make its file anew
        task.sleep(0.001)
      until pcall(folder.remove)
    end
  end)

  interrupts("a watch", function()
    folder.make()
    local watch = assert(fs.watch(folder.path))
    return function() return watch:next() end, function()
      folder.write("f", "")
      assert.equal("created", watch:next().kind)
      watch:close()
      folder.remove()
    end
  end)

  for _, kind in ipairs {"tcp", "mem"} do
    interrupts(("sendfile (%s)"):format(kind), function()
      folder.make()
      local file = assert(fs.open(folder.write("f", ("x"):rep(4096))))
      local ours, theirs = transports.narrow_pair(kind)
      transports.stuff(ours)
      return function() return ours:sendfile(file) end, function()
        ours:reset()
        theirs:reset()
        file:close()
        folder.remove()
      end
    end)
  end
end)
