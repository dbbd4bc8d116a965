--- Hosts and ports of URLs, as HTTP and WebSocket name them.

local find, gsub = string.find, string.gsub

local authority = {}

local ports = { http = 80, https = 443, ws = 80, wss = 443 }

--- A host as an authority has it.
local function bracketed(host)
  return find(host, ":", 1, true) and "[" .. host .. "]" or host
end

--- The port of a URL, its scheme's if it says none; nil where that has none.
function authority.port(url)
  return url.port or ports[url.scheme]
end

--- Host and port, as CONNECT and endpoints name them.
function authority.whole(url)
  return bracketed(url.host) .. ":" .. authority.port(url)
end

--- What the field Host says: the port where it is another than the scheme's, and no zone.
function authority.host(url)
  local port = url.port ~= ports[url.scheme] and url.port
  return bracketed((gsub(url.host, "%%.*", ""))) .. (port and ":" .. port or "")
end

return authority
