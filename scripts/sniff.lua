-- usage: neap sniff.lua [-c COUNT] [-w FILE.pcapng] INTERFACE [FILTER...]
--
-- Prints a line a packet that passes an interface, and with -w writes what
-- Wireshark reads. INTERFACE may be `any`. FILTER is tcpdump's language, see
-- `packet.filter`; the kernel applies it. Needs root, or CAP_NET_RAW.
--
--   neap sniff.lua -c 10 -w dns.pcapng eth0 udp port 53 and host 192.0.2.1

local endpoints = require "neap.endpoint"
local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local function check(value, err)
  if not value then
    io.stderr:write("sniff: ", tostring(err), "\n")
    os.exit(1)
  end
  return value
end

-- Options first; the rest is the interface and the words of the filter.
local options, words = {}, {table.unpack(arg)}
while words[1] and words[1]:find "^%-" do
  local name, value = table.remove(words, 1), table.remove(words, 1)
  if name ~= "-c" and name ~= "-w" or not value then
    usage(("%s: -c COUNT and -w FILE there are"):format(name))
  end
  options[name] = value
end
local count = options["-c"] and math.tointeger(tonumber(options["-c"])) or math.huge
local interface = table.remove(words, 1)
if not interface then
  usage "an interface, please"
elseif count < 1 or options["-c"] and count == math.huge then
  usage "-c: a whole number of 1 or more"
end

-- Packets begin with Ethernet's header, loopback's too; of tun devices with IP's.
local function first_layer()
  for _, one in ipairs(check(net.interfaces())) do
    if one.name == interface and one.hwtype ~= 1 and one.hwtype ~= 772 then
      return "raw"
    end
  end
  return "eth"
end

local first = first_layer()
local program
if #words > 0 then
  local ok, result, err = pcall(packet.filter, table.concat(words, " "), first)
  program = ok and check(result, err) or usage(result)
end
local endpoint = "packet://" .. (interface == "any" and "*" or interface)
if not pcall(endpoints.parse, endpoint) then
  usage(interface .. ": no name of an interface")
end
local socket <close> = check(net.bind(endpoint,
  {filter = program, timestamp = true, rcvbuf = 4 << 20}))
local capture <close> = options["-w"] and check(pcap.writer(options["-w"],
  {linktype = first == "eth" and "ethernet" or "raw", name = interface})) or nil
local seen = 0

-- At the end, on Ctrl-C too.
local _ <close> = setmetatable({}, {__close = function()
  io.stderr:write(("%d packets, %d dropped for lack of room\n"):format(seen, socket:get "drops"))
end})

-- The network's layers say enough; Ethernet's is shown where there is no other.
local function line(bytes, info)
  local p = packet.dissect(bytes, first == "eth" and "eth" or pcap.linktypes.raw)
  local text = tostring(p)
  if p.ip or p.ipv6 or p.arp then
    text = text:gsub("^eth [^/]*/ ", "")
  end
  local whole, part = math.modf(info.time)
  return ("%s.%06d %s"):format(os.date("%H:%M:%S", math.tointeger(whole)), part * 1e6 // 1, text)
end

io.stderr:write(("sniffing at %s\n"):format(socket.endpoint))
for bytes, _, info in socket:messages() do
  -- What loopback sends comes in again: once is enough.
  if info.interface ~= "lo" or info.kind ~= "outgoing" then
    seen = seen + 1
    print(line(bytes, info))
    io.stdout:flush()
    if capture then
      check(capture:write(bytes, {time = info.time}))
    end
    if seen >= count then
      break
    end
  end
end
