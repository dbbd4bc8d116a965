-- usage: neap discover.lua [-i INTERFACE] [-t SECONDS] [NAME [SERVICE=ENDPOINT...]]
--
-- Who offers what on this network? By multicast, IPv4's and IPv6's, on all interfaces
-- or one. With a NAME it offers services, and prints who comes and goes, until Ctrl-C;
-- without one it asks, and prints the answers of some seconds (default 1):
--   neap discover.lua -i eth0 kitchen http=tcp://192.0.2.7:80

local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local PORT = 7707
local GROUPS = {udp4 = "239.255.77.7", udp6 = "[ff02::4d07]"} -- this site's; this link's
local PERIOD = tonumber(os.getenv "DISCOVER_PERIOD" or 5) -- who is silent for 3 has gone

local function fail(status, message)
  io.stderr:write("discover: ", tostring(message), "\n",
    status == 2 and io.lines(arg[0])():sub(4) .. "\n" or "")
  os.exit(status)
end

local options, words = {}, {table.unpack(arg)}
while words[1] and words[1]:find "^%-" do
  local option, value = table.remove(words, 1), table.remove(words, 1)
  if option ~= "-i" and option ~= "-t" or not value then
    fail(2, option .. ": -i INTERFACE and -t SECONDS there are")
  end
  options[option] = value
end
local seconds, name = tonumber(options["-t"] or 1), table.remove(words, 1)
local services = table.concat(words, "\n")
if not seconds or seconds <= 0 or #services > 1000 or name and not name:find "^[%w._-]+$"
  or services:gsub("[%w_-]+=%g+", ""):find "%S" then
  fail(2, "SECONDS above 0, NAME and SERVICE=ENDPOINT without blanks, 1000 bytes at most")
end
local sockets, known, why = {}, {}, nil -- socket -> its group; name -> {text =, at =}

-- The port is shared: each instance on this machine gets what a group is sent.
local function open(scheme, group, interface)
  local socket, err = net.bind(("%s://*:%d"):format(scheme, PORT),
    {reuseaddr = true, multicast_all = false, multicast_interface = interface})
  assert(assert(socket, err):join(group:match "[^%[%]]+", {interface = interface}))
  sockets[socket] = ("%s:%d"):format(group, PORT)
end

local function tell(message)
  for socket, to in pairs(sockets) do
    socket:send(message, to) -- an interface may have one family only
  end
end

-- What was heard of a name, printed when it is new; nil when it has gone.
local function note(who, text)
  if text ~= (known[who] and known[who].text) then
    local line = (text or ""):gsub("[^%g\n]", "?"):gsub("\n", "  ")
    io.write(text and "+ " or "- ", who, line, "\n"):flush()
  end
  known[who] = text and {text = text, at = time.now()}
end

-- Messages: query; bye NAME; here NAME, with a line for each service behind it.
local offer = ("neap-discover here %s\n%s"):format(name, services):gsub("\n$", "")
local function listen(socket)
  for message in socket:messages() do
    local verb, who, what = message:match "^neap%-discover (%l+) ?([%w._-]*)(.*)$"
    if verb == "query" and name then
      tell(offer)
    elseif (verb == "here" or verb == "bye") and who ~= "" and who ~= name then
      note(who, verb == "here" and what or nil)
    end
  end
end

for _, one in ipairs(assert(net.interfaces())) do
  local usual = one.flags.up and one.flags.multicast and one.name
  for scheme, group in pairs(one.name == (options["-i"] or usual) and GROUPS or {}) do
    local ok, err = pcall(open, scheme, group, one.name)
    why = not ok and err or why
  end
end
local _ <close> = name and setmetatable({}, {__close = function() -- on Ctrl-C, too
  task.shield(tell, "neap-discover bye " .. name)
end}) or nil
task.scope(function(scope)
  for socket in pairs(next(sockets) and sockets or fail(1, why or "no such interface, or none is up")) do
    scope:spawn(listen, socket)
  end
  tell "neap-discover query"
  task.sleep(name and 0 or seconds)
  while name do
    tell(offer)
    task.sleep(PERIOD)
    for who, peer in pairs(known) do
      if time.now() - peer.at > 3 * PERIOD then
        note(who)
      end
    end
  end
  scope:cancel()
end)
