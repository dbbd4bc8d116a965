-- The director of `neap sim --hosts 3 server.lua -- client.lua`: no world file.
-- Arguments: the number of hosts, that of their arguments, the script and those, the client and its.

local sim = require "neap.sim"

local tonumber, gsub, match, move = tonumber, string.gsub, string.match, table.move

--- A host's name from its script's.
local function name_of(path)
  local name = gsub(gsub(match(path, "([^/]*)$"), "%.lua$", ""), "[^%w.-]", "-")
  return match(name, "^%w.*$") or "host"
end

return function(count, n, script, ...)
  local words = {...}
  count, n = tonumber(count), tonumber(n)
  local name, client = name_of(script), words[n + 1]
  for i = 1, count do
    sim.host(count > 1 and name .. i or name, script, {args = move(words, 1, n, 1, {})})
  end
  local other = name_of(client)
  sim.client(other == name and "client" or other, client, {args = move(words, n + 2, #words, 1, {})})
end
