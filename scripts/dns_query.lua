-- usage: neap dns_query.lua NAME [TYPE] [@SERVER[:PORT]]
--
-- Asks a name server, by default the system's, for records of a TYPE (default A; a name or a
-- number) of a NAME, or for the names of an address. Prints the answer as dig does.

local dns = require "neap.dns"
local net = require "neap.net"

-- The fields of a record's data, in the order in which dig prints them; text in quotes.
local FIELDS = {
  A = {"address"}, AAAA = {"address"}, CNAME = {"cname"}, NS = {"nsdname"}, PTR = {"ptrdname"},
  DNAME = {"target"}, MX = {"preference", "exchange"}, SRV = {"priority", "weight", "port", "target"},
  SOA = {"mname", "rname", "serial", "refresh", "retry", "expire", "minimum"}, TXT = {"txt"},
  CAA = {"flags", "tag", '"value'}, TLSA = {"usage", "selector", "matching", "association"},
  NAPTR = {"order", "preference", '"flags', '"services', '"regexp', "replacement"},
  SVCB = {"priority", "target", "parameters"}, HTTPS = {"priority", "target", "parameters"},
}

local function fail(status, message)
  io.stderr:write("dns_query: ", tostring(message), "\n",
    status == 2 and io.lines(arg[0])():sub(4) .. "\n" or "")
  os.exit(status)
end

-- Text of a record may be any bytes; they are not to play tricks on a terminal.
local function quote(text)
  return '"' .. text:gsub("[^\x20-\x7e]", "?") .. '"'
end

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02X"):format(c:byte())
  end))
end

local function parameter(p)
  return ("%s=%s"):format(p.key, p.key == "port" and (">I2"):unpack(p.value)
    or quote(p.key == "alpn" and p.value:gsub("[\1-\31]", ","):sub(2) or hex(p.value)))
end

local function text_of(record)
  local words = {}
  for i, field in ipairs(FIELDS[record.type] or {}) do
    local value = record[field:match "%a+"]
    if field == "txt" then
      for k, text in ipairs(value) do
        words[i + k - 1] = quote(text)
      end
    elseif field == "parameters" then
      for k, p in ipairs(value) do
        words[i + k - 1] = parameter(p)
      end
    else
      words[i] = field == "association" and hex(value) or field:find '"' and quote(value) or tostring(value)
    end
  end
  return #words > 0 and table.concat(words, " ") or "\\# " .. #(record.rdata or "") .. " " .. hex(record.rdata or "")
end

local name, kind
local opts = {timeout = 2, tries = 3}
for _, word in ipairs(arg) do
  if word:find "^@" then
    local host, port = word:match "^@%[(.+)%]:?(%d*)$"
    if not host then
      host, port = word:match "^@([^:]+):(%d+)$"
    end
    opts.server, opts.port = host or word:sub(2), tonumber(port)
  elseif name then
    kind = not kind and word or fail(2, word .. ": what is that?")
  else
    name = not word:find "^%-" and word or fail(2, word .. ": no options, please")
  end
end
name = name or fail(2, "a name, please")
kind = math.tointeger(kind) or kind
local is_address, address = pcall(net.address, name)
local asked, records, answer = pcall(function()
  if is_address and not kind then
    return dns.reverse(address, opts)
  end
  return dns.query(name, kind, opts)
end)
if not asked then
  fail(2, records:gsub("^%S+:%d+: ", ""))
elseif not records then
  fail(1, answer)
end
for _, record in ipairs(answer.answer) do
  print(record.name, record.ttl, record.type, text_of(record))
end
