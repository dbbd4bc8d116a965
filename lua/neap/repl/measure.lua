--- `neap profile` and `neap heap`: what another process spends, as text or a picture.

local attach = require "neap.repl.attach"
local harmless = require "neap.host".harmless
local profile = require "neap.repl.profile"
local signal = require "neap.signal"
local task = require "neap.task"
local wire = require "neap.repl.wire"

local tonumber = tonumber
local find, format, gsub, match = string.find, string.format, string.gsub, string.match
local concat = table.concat

local measure = {}

local USAGES = {
  profile = "usage: neap profile PID[/WORKER]|PATH [SECONDS] [-o FILE]\n",
  heap = "usage: neap heap PID[/WORKER]|PATH [SECONDS] [-o FILE]\n",
}

local function misused(word)
  io.stderr:write(USAGES[word])
  os.exit(2)
end

--- The process, how long, and the file.
local function arguments(word, ...)
  local found, path = {}, nil
  local given = {...}
  local i = 1
  while given[i] do
    local text = match(given[i], "^%-o(.*)$")
    if text then
      i = text == "" and i + 1 or i
      path = text ~= "" and text or given[i] or misused(word)
    elseif find(given[i], "^%-") then
      misused(word)
    else
      found[#found + 1] = given[i]
    end
    i = i + 1
  end
  local seconds = found[2] and tonumber(found[2])
  if not found[1] or #found > 2 or found[2] and not (seconds and seconds > 0 and seconds <= 86400) then
    misused(word)
  end
  return found[1], seconds, path
end

--- What the process prints of a command. The first ^C says that it is enough.
---@async
local function answer(word, where, command)
  local stream, pid = attach.reach(word, where)
  local parts = {}
  local waiting = task.background(function()
    signal.wait "SIGINT"
    wire.send(stream, {kind = "enough"})
  end)
  local ended, failed = attach.once(command, stream, pid, function(text)
    parts[#parts + 1] = text
  end)
  waiting:cancel()
  if not ended then
    attach.fail("process %d has ended", pid)
  elseif failed then
    attach.fail("%s", (gsub(concat(parts), "\n$", "")))
  end
  return concat(parts), pid
end

local function write(path, text, ...)
  if not path then
    io.stdout:write(harmless(text, true))
    return
  end
  local ok, err = profile.write(path, text, ...)
  if not ok then
    attach.fail("%s", err)
  end
end

--- `neap profile`
---@async
function measure.profile(...)
  local where, seconds, path = arguments("profile", ...)
  local text, pid = answer("profile", where, format(":profile %s folded", seconds or 10))
  write(path, text, format("processor time of process %d", pid), "samples")
end

--- `neap heap`
---@async
function measure.heap(...)
  local where, seconds, path = arguments("heap", ...)
  if not seconds and path then
    misused "heap" -- a list by type is no picture
  end
  local command = seconds and format(":heap %s folded", seconds) or ":heap"
  local text, pid = answer("heap", where, command)
  write(path, text, format("memory allocated by process %d", pid), "bytes")
end

return measure
