-- usage: neap bench/names.lua [-n lookups] [-c at-once] [-r rounds] [-s core] [-p core]    names looked up a second
--
-- Each program looks up as many names, all of them different, with so many lookups at once,
-- for IPv4 and IPv6, in a network where a dnsmasq knows them (which wants dnsmasq, unshare and
-- the right to use them).  The server is on core 0 (-s), the program on core 1 (-p).  What is
-- told is the median of the rounds: lookups a second, which the server limits, and the
-- program's processor time a lookup.

local process = require "neap.process"

local folder = arg[0]:match "^(.*)/" or "."

local go = os.tmpname() -- compiled, where Go is
process.run {"sh", "-c", 'go build -o "$0" "$1"', go, folder .. "/peers/names_go.go"}

local programs = {
  {name = "neap", command = {arg[-1], folder .. "/peers/names_neap.lua"}},
  {name = "neap, system", command = {"env", "NEAP_RESOLVER=system", arg[-1], folder .. "/peers/names_neap.lua"}},
  {name = "node, c-ares", command = {"node", folder .. "/peers/names_node.js", "resolve"}},
  {name = "node, system", command = {"node", folder .. "/peers/names_node.js", "lookup"}},
  {name = "Go", command = {"env", "GOMAXPROCS=1", go}},
  {name = "asyncio", command = {"/usr/bin/python3", folder .. "/peers/names_asyncio.py"}},
}

local options = {n = 5000, c = 50, r = 5, s = 0, p = 1}
for i = 1, #arg, 2 do
  local option = arg[i]:match "^%-([ncrsp])$"
  options[option or error("no such option: " .. arg[i], 0)] = assert(tonumber(arg[i + 1]), "a number expected")
end

local NETWORK = [[
  ip link set lo up
  conf=$(mktemp)
  echo "nameserver 127.0.0.1" >$conf
  mount --bind $conf /etc/resolv.conf
  taskset -c $1 dnsmasq -C /dev/null --no-resolv --no-hosts --user=root --pid-file= --cache-size=0 \
    --listen-address=127.0.0.1 --bind-interfaces --no-daemon \
    --address=/test/192.0.2.1 --address=/test/2001:db8::1 2>/dev/null & dns=$!
  sleep 0.3
  program=$2
  shift 2
  taskset -c $program "$@"
  kill $dns
  rm $conf
]]

--- Lookups a second, and microseconds of processor time each.
local function run(program)
  local command = {"unshare", "-rmn", "sh", "-c", NETWORK, "sh", tostring(options.s), tostring(options.p)}
  table.move(program.command, 1, #program.command, #command + 1, command)
  command[#command + 1] = tostring(options.n)
  command[#command + 1] = tostring(options.c)
  local result = assert(process.run(command))
  local rate, cost = result.stdout:match "(%S+)%s+(%S+)"
  return tonumber(rate), tonumber(cost), result.stderr
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local rates, costs = {}, {}
for _ = 1, options.r do
  for i, program in ipairs(programs) do
    local rate, cost, said = run(program)
    rates[i], costs[i] = rates[i] or {}, costs[i] or {}
    if rate then
      table.insert(rates[i], rate)
      table.insert(costs[i], cost)
    else
      program.said = said
    end
  end
end
for i, program in ipairs(programs) do
  if #rates[i] > 0 then
    print(("%-14s %7.0f lookups a second  %6.1f us each"):format(program.name, median(rates[i]), median(costs[i])))
  else
    print(("%-14s did not run: %s"):format(program.name, program.said:match "[^\n]*"))
  end
end
os.remove(go)
