-- usage: neap traceroute.lua [-4|-6] [-q PROBES] [-m HOPS] [-w SECONDS] HOST
--
-- Which routers lie on the way to a host? Sends UDP messages that may pass one
-- router, two, three, ..., and prints who sent them back by ICMP, as traceroute -n
-- does. The kernel hands these errors to the socket, so no privilege is needed.

local endpoints = require "neap.endpoint"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local AHEAD = 4 -- hops that are asked before the one that is shown has answered
local FIRST_PORT = 33434 -- each probe has the next one; nobody should listen there
local BODY = ("neap"):rep(8)

-- What a destination unreachable says, by code (RFC 792 and 1812; RFC 4443). A
-- port that is unreachable is what the probes are after.
local MARKS = {
  inet = {[0] = " !N", " !H", " !P", "", " !F", " !S", [9] = " !X", [10] = " !X", [13] = " !X"},
  inet6 = {[0] = " !N", " !X", " !S", " !H", "", " !X", " !X"},
}
local UNREACHABLE = {inet = 3, inet6 = 1}

local function fail(status, message)
  io.stderr:write("traceroute: ", tostring(message), "\n",
    status == 2 and io.lines(arg[0])():sub(4) .. "\n" or "")
  os.exit(status)
end

local options, family = {q = 3, m = 30, w = 3}, nil
local host = table.concat(arg, " "):gsub("%-([46]) ", function(number)
  family = number == "6" and "inet6" or "inet"
  return ""
end):gsub("%-([qmw]) ([%d.]+)", function(name, value)
  options[name] = tonumber(value)
  return ""
end):match "^%s*([^%s-]%S*)%s*$" or fail(2, "a host, please")
for name, most in pairs {q = 10, m = 255, w = 60} do
  local value = options[name] or 0
  if value <= 0 or value > most or name ~= "w" and value % 1 > 0 then
    fail(2, ("-%s: a %snumber up to %d, please"):format(name, name ~= "w" and "whole " or "", most))
  end
end

-- One message. Returns who answered, after how many milliseconds, and at the end
-- of the way a mark.
local function probe(ip, hop, port)
  local endpoint = endpoints.print {scheme = "udp", host = ip, port = port}
  local socket <close>, refused = net.connect(endpoint, {ttl = hop})
  local began = time.now()
  if not socket or not socket:settimeout(options.w):send(BODY) then
    fail(1, refused or "cannot send to " .. endpoint)
  end
  local data, err = socket:recv()
  local took = (time.now() - began) * 1000
  if data then
    return ip, took, ""
  elseif err.by and err.icmp_type == UNREACHABLE[socket.family] then
    return err.by.ip, took, MARKS[socket.family][err.icmp_code] or " !<" .. err.icmp_code .. ">"
  end
  return err.by and err.by.ip, took
end

-- What the probes of a hop met, as they end. Returns whether this was the end.
local function show(hop, probes)
  local last, done
  io.write(("%2d "):format(hop))
  for _, one in ipairs(probes) do
    local by, took, mark = one:join()
    io.write(by and by ~= last and " " .. by or "", by and ("  %.3f ms"):format(took) or " *",
      mark or "")
    io.stdout:flush()
    last, done = by or last, done or mark
  end
  print()
  return done
end

local addresses, unknown = net.resolve(host, {family = family})
local ip = addresses and addresses[1].ip or fail(1, unknown)
print(("traceroute to %s (%s), %d hops max, %d byte packets"):format(host, ip, options.m,
  #BODY + (ip:find ":" and 48 or 28)))

-- The farther probes are given up when the end of the way is known.
task.scope(function(scope)
  local hops = {}
  for hop = 1, options.m do
    while #hops < math.min(hop + AHEAD, options.m) do
      local probes = {}
      for i = 1, options.q do
        probes[i] = scope:spawn(probe, ip, #hops + 1, FIRST_PORT + #hops * options.q + i - 1)
      end
      hops[#hops + 1] = probes
    end
    if show(hop, hops[hop]) then
      break
    end
  end
  scope:cancel()
end)
