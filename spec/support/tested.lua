--- Specs that a second neap runs.

local neap = require "spec.support.child".neap

local tested = {}

--- Run the text of a spec, with arguments of `neap test` and variables of the
--- environment: what it prints, and its status.
function tested.run(spec, arguments, environment)
  local name = os.tmpname()
  local path = name .. ".lua"
  local file <close> = assert(io.open(path, "w"))
  file:write(spec)
  file:close()
  -- In another folder, for the .busted here is not theirs.
  local out = assert(io.popen(("%s '%s' test --output=TAP -C /tmp %s %s </dev/null 2>&1"):format(
    environment or "", neap, arguments or "", path)))
  local text = out:read "a"
  local _, _, status = out:close()
  os.remove(path)
  os.remove(name)
  return text, status
end

return tested
