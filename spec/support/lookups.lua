--- Lookups of a child's, by servers of the spec's.

local child = require "spec.support.child"
local name_server = require "spec.support.name_server"
local process = require "neap.process"

local lookups = {}

--- What scripts begin with: `ask(name, opts?)` prints what it came to, and `took` is how
--- long.
lookups.BEGIN = [==[
  local time = require "neap.time"
  local took
  local function text(found, err)
    local words = {}
    for i, address in ipairs(found or {err.code}) do
      words[i] = address.ip or address
    end
    return table.concat(words, " ")
  end
  local function ask(name, opts)
    local before = time.now()
    local said = text(net.resolve(name, opts))
    took = time.now() - before
    print(name, said)
  end
]==]

--- A file that is there until the end of a scope.
local function file_of(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return setmetatable({path = path}, {__close = function()
    os.remove(path)
  end})
end

--- Run a script whose servers are these, by resolv.conf; under strace, if that goes before:
--- its stdout.
---@param servers table[]  with a port each
---@param options string  lines of resolv.conf
---@param script string
---@param before? string[]
function lookups.run(servers, options, script, before)
  local lines = {}
  for i, server in ipairs(servers) do
    lines[i] = ("nameserver [127.0.0.1]:%d\n"):format(server.port)
  end
  local conf <close> = file_of(table.concat(lines) .. options .. "\n")
  local env = process.env()
  env.NEAP_RESOLV_CONF, env.NEAP_RESOLVER = conf.path, nil
  env.LOCALDOMAIN, env.RES_OPTIONS = nil, nil
  local command = {env = env, table.unpack(before or {})}
  table.move({child.neap, "-e", lookups.BEGIN .. script}, 1, 3, #command + 1, command)
  if before then
    env.ASAN_OPTIONS = "detect_leaks=0" -- not under ptrace
  end
  local result = assert(process.run(command))
  if result.stderr ~= "" or result.code ~= 0 then
    error(("%s%d"):format(result.stderr, result.code), 2)
  end
  return result.stdout
end

--- The answers of a server that has addresses of some names; there is none of the others.
function lookups.zone(names)
  return function(name, type)
    local record = names[name:lower()]
    if not record then
      return {rcode = "nxdomain", authority = {name_server.soa(0)}}
    elseif not record[type] then
      return {authority = {name_server.soa(60)}}
    end
    local list = {}
    for i, ip in ipairs(record[type]) do
      list[i] = {name = name, type = type, ttl = record.ttl or 60, address = ip}
    end
    return {answer = list}
  end
end

return lookups
