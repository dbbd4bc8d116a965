-- usage: neap certs.lua HOST[:PORT]...
--
-- Shows the certificates of TLS servers, port 443 where none is given: whom they name, who
-- has signed them, and when they end. The exit status is 1 where one is refused, 2 where
-- one can't be reached.

local endpoints = require "neap.endpoint"
local net = require "neap.net"
local time = require "neap.time"

local DAY, PATIENCE = 86400, 10

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local function endpoint_of(text)
  local endpoint = "tls://" .. text .. (text:find "%]?:%w+$" and "" or ":443")
  return text ~= "" and pcall(endpoints.parse, endpoint) and endpoint or usage(text .. ": no host")
end

local function day(seconds)
  return os.date("!%Y-%m-%d", seconds)
end

local function show(i, certificate)
  local left = (certificate.not_after - time.wall()) // DAY
  print(("  %d %s"):format(i, certificate.subject))
  if certificate.names[1] then
    print("    names   " .. table.concat(certificate.names, ", "))
  end
  print("    issuer  " .. certificate.issuer)
  print(("    valid   %s to %s, %s"):format(day(certificate.not_before), day(certificate.not_after),
    left < 0 and "ended" or ("%d days left"):format(left)))
  print("    sha256  " .. certificate.fingerprint)
end

-- The stream, and why it should not be trusted.
local function connect(endpoint)
  local stream, err = net.connect(endpoint, {timeout = PATIENCE})
  if stream or err.code ~= "ETLSVERIFY" then
    return stream, err
  end
  local refused = err.message
  stream, err = net.connect(endpoint, {timeout = PATIENCE, verify = false})
  return stream, err or refused
end

if #arg == 0 then
  usage "a host, please"
end

local list, status = {}, 0
for i, text in ipairs(arg) do
  list[i] = endpoint_of(text)
end

for _, endpoint in ipairs(list) do
  local stream <close>, refused = connect(endpoint)
  if stream then
    local about = stream.tls
    print(("%s  %s  %s"):format(endpoint, about.version, about.cipher))
    for i, certificate in ipairs(about.chain) do
      show(i, certificate)
    end
    print(refused and "  REFUSED: " .. refused or "  verified")
    status = math.max(status, refused and 1 or 0)
  else
    io.stderr:write(tostring(refused), "\n")
    status = 2
  end
end
os.exit(status)
