-- Clients of one server that take turns: what bench/bus.lua and bench/redis.lua share.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local turns = {folder = arg[0]:match "^(.*)/" or "."}

--- The options -n and -r, of which these are the defaults.
function turns.options(options)
  for i = 1, #arg, 2 do
    local name = assert(arg[i]:match "^%-([nr])$", "-n or -r expected")
    options[name] = math.tointeger(assert(tonumber(arg[i + 1]), "a number expected"))
  end
  return options
end

local function median(list, i)
  table.sort(list, function(a, b) return a[i] < b[i] end)
  return list[#list // 2 + 1][i]
end

--- Start what `server(port)` says, and let each client, {name, command}, do `options.n` of each in
--- `kinds`, `options.r` times; it is told the URL and n, and prints a kind, its rate, and the
--- microseconds of its processor for each, in a line with tabs. Medians are printed.
function turns.run(server, scheme, clients, kinds, options)
  local port
  do
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    port = listener.port
  end
  local command = server(tostring(port))
  command.stdout, command.stderr, command.grace, command.env = "null", "null", 0, process.env()
  command.env.PATH = command.env.PATH .. ":/usr/sbin"
  local _ <close> = assert(process.spawn(command))
  repeat
    task.sleep(0.01)
    local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
  until stream

  for _ = 1, options.r do
    for _, client in ipairs(clients) do
      local words = table.move(client.command, 1, #client.command, 1, {})
      words[#words + 1], words[#words + 2] = scheme .. "://127.0.0.1:" .. port, tostring(options.n)
      local result = process.run(words)
      for what, rate, cost in (result and result.code == 0 and result.stdout or ""):gmatch "(%a+)\t(%S+)\t(%S+)" do
        client[what] = client[what] or {}
        table.insert(client[what], {tonumber(rate), tonumber(cost)})
      end
    end
  end

  for _, what in ipairs(kinds) do
    for _, client in ipairs(clients) do
      local list = client[what]
      print(list and ("%s, %s: %.0f/s, %.1f us each"):format(what, client.name, median(list, 1), median(list, 2))
        or what .. ", " .. client.name .. ": it does not run here")
    end
  end
end

return turns
