--- Whose request a proxy hands on, as its fields say: x-forwarded-for, or forwarded (RFC 7239).
--- Of those which others may have written nothing counts.

local core = require "neap.net.core"
local trim = require "neap.http.message".trim

local ipairs, pcall = ipairs, pcall
local find, format, gmatch, lower, match, sub =
  string.find, string.format, string.gmatch, string.lower, string.match, string.sub
local concat = table.concat

local forwarded = {}

--- An address as proxies write it: with a port or without, IPv6 in brackets or without.
local function address_of(text)
  local bytes_of = require "neap.packet.address"
  local ip, port = match(text, "^%[([%x:.]+)%]:?(%d*)$")
  if not ip then
    ip, port = match(text, "^([%d.]+):?(%d*)$")
  end
  ip = ip or text
  local is_v6 = bytes_of.to_ipv6(ip)
  if not is_v6 and not bytes_of.to_ipv4(ip) then
    return nil
  end
  local whole = port and port ~= "" and format(is_v6 and "[%s]:%s" or "%s:%s", ip, port) or ip
  local ok, found = pcall(core.address, whole)
  return ok and found or nil
end

--- The values of a list, each without blanks around.
local function listed(values)
  local found = {}
  for one in gmatch(concat(values, ","), "[^,]+") do
    found[#found + 1] = trim(one)
  end
  return found
end

--- What x-forwarded-for and x-forwarded-proto say, the nearest proxy's word last.
local function by_custom(fields)
  local hops = {}
  for i, text in ipairs(listed(fields:all "x-forwarded-for")) do
    hops[i] = { of = text }
  end
  local schemes = listed(fields:all "x-forwarded-proto")
  if #hops > 0 then
    hops[#hops].proto = schemes[#schemes]
  end
  return hops, schemes[#schemes]
end

--- A pair of an element, and where it ends: name, value, position; nil: it is none.
local function pair_at(text, at)
  local name, from = match(text, "^[ \t]*([%w_-]+)=()", at)
  if not name then
    return nil
  elseif sub(text, from, from) ~= '"' then
    local value, behind = match(text, "^([^%s,;\"]+)[ \t]*()", from)
    return value and lower(name), value, behind
  end
  local stop = find(text, '"', from + 1, true)
  if not stop then
    return nil
  end
  return lower(name), sub(text, from + 1, stop - 1), match(text, "^[ \t]*()", stop + 1)
end

--- The elements of a text; nil where any of it is none.
local function elements_of(text)
  local at, hops = 1, { {} }
  while at <= #text do
    local name, value, behind = pair_at(text, at)
    local mark = name and sub(text, behind, behind)
    if not name or mark ~= "" and mark ~= ";" and mark ~= "," then
      return nil
    end
    hops[#hops][name == "for" and "of" or name] = value
    at = behind + 1
    if mark == "," then
      hops[#hops + 1] = {}
    end
  end
  return hops
end

--- What forwarded says. Where it is none, what is behind the last comma is still the nearest
--- proxy's, whatever a client has put before.
local function by_standard(fields)
  local text = concat(fields:all "forwarded", ",")
  return elements_of(text) or elements_of(match(text, ",([^,]*)$") or "") or {}
end

--- The address of who has asked, and the scheme by which: what is known of the connection, or
--- what those say who are trusted, each of the one before it.
function forwarded.resolve(trust, fields, peer, scheme)
  if not trust.is(peer) then
    return peer, scheme
  end
  local hops, said = (trust.by == "forwarded" and by_standard or by_custom)(fields)
  for i = #hops, 1, -1 do
    said = hops[i].proto or said
    local address = address_of(hops[i].of or "")
    peer = address or peer
    if not address or not trust.is(address) then
      break
    end
  end
  said = said and lower(said)
  return peer, (said == "https" or said == "http") and said or scheme
end

return forwarded
