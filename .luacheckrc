std = "lua54+busted"
max_line_length = 120
exclude_files = {"build*", ".cache", "lua/neap/meta"}
read_globals = {}

-- A function of another host has no upvalues, so it requires again what is required around it.
for _, path in ipairs {"spec/sim_bugs", "spec/sim_world.lua", "bench/sim.lua"} do
  files[path] = {ignore = {"431", "432"}}
end
