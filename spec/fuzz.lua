--- What fuzz.c runs: a target, on each input.
---
--- A target is a module of spec/fuzz/: a table with `check(bytes, feed, options)`, which raises
--- where what must hold does not; `seeds`, a list of inputs to begin with; and `lines`, whether
--- the lines of Lua that run are to steer libFuzzer, too, for what is not in C.

local name, folder, input, feed, watch, options = ...

local target = require("spec.fuzz." .. name)

--- Is there nothing in it, as far as we put it there?
local function is_new(path)
  local file <close> = io.open(path, "rb")
  return not file
end

if folder and is_new(folder .. "/seed-1") then
  for i, seed in ipairs(target.seeds) do
    local file <close> = assert(io.open(folder .. "/seed-" .. i, "wb"))
    assert(file:write(seed))
  end
end

if target.lines then
  watch()
end

while true do
  target.check(input(), feed, options)
end
