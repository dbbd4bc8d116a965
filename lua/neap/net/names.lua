--- What neap.net does with endpoints whose host is a name: look it up, and race its
--- addresses. Loaded when the first is met.

local core = require "neap.net.core"
local endpoints = require "neap.endpoint"
local error_object = require "neap.error"
local sched = require "neap.task.core"

local error, ipairs, pcall, rawget, format = error, ipairs, pcall, rawget, string.format
local max_of, concat = math.max, table.concat

local names = {}

--- Seconds between the starts of two attempts at one name (RFC 8305, section 5).
local ATTEMPT_DELAY = 0.25

--- Why the race's queue was woken.
local FAILED, CONNECTED = 1, 2

--- The family of an endpoint's addresses: `udp6` takes those of IPv6.
local function family_of(scheme)
  local number = string.match(scheme, "%d$")
  return number == "4" and "inet" or number == "6" and "inet6" or nil
end

--- Addresses of an endpoint whose host is a name.
---@async
---@param endpoint string
---@param op string  the verb, for the error
---@param opts? { resolver?: "system"|"dns", cache?: boolean }
---@return neap.Address[]? addresses
---@return neap.Error? err
function names.lookup(endpoint, op, opts)
  local parts = endpoints.parse(endpoint)
  opts = opts or {}
  local found, err = core.resolve(parts.host, family_of(parts.scheme), rawget(opts, "resolver"),
    rawget(opts, "cache"))
  if not found then
    err.op, err.endpoint = op, endpoint
    return nil, err
  end
  return found
end

--- The families in turn, beginning with the first address's (RFC 8305, 4).
local function interleave(addresses)
  local first, second, out = {}, {}, {}
  for _, address in ipairs(addresses) do
    local list = address.family == addresses[1].family and first or second
    list[#list + 1] = address
  end
  for i = 1, max_of(#first, #second) do
    out[#out + 1] = first[i]
    out[#out + 1] = second[i]
  end
  return out
end

--- One error for all attempts: the first one's code, and every address.
local function all_failed(endpoint, errors)
  local texts = {}
  for i, err in ipairs(errors) do
    texts[i] = format("%s: %s", err.endpoint or "?", err.message)
  end
  return error_object.new {
    code = errors[1].code,
    message = #errors == 1 and errors[1].message or concat(texts, "; "),
    op = "connect",
    endpoint = endpoint,
    attempts = errors,
  }
end

--- Race the addresses: the next attempt starts when the last one has failed, or
--- after ATTEMPT_DELAY; the first connection wins and ends the others.
local function race(endpoint, opts, addresses)
  local winner
  local errors = {}
  local ok, interrupt = pcall(sched.scope, function(scope)
    local news = sched.queue "connect"
    local function attempt(i, address)
      local stream, err = core.dial(endpoint, opts, address)
      if not stream then
        errors[i] = err
        news:wake(FAILED)
      elseif winner then
        stream:close()
      else
        winner = stream
        news:wake(CONNECTED)
      end
    end
    for i, address in ipairs(addresses) do
      scope:spawn(attempt, i, address)
      if i < #addresses then
        sched.timeout(ATTEMPT_DELAY, news.wait, news)
      end
      if winner then
        break
      end
    end
    while not winner and scope.live > 0 do
      news:wait()
    end
    scope:cancel()
  end)
  if not ok then
    if winner then
      winner:close()
    end
    error(interrupt, 0)
  elseif winner then
    return winner
  end
  sched.check "connect"
  return nil, all_failed(endpoint, errors)
end

--- Connect to one of the addresses of an endpoint's name.
---@async
---@param endpoint string
---@param opts? neap.net.ConnectOptions  without a timeout
---@return neap.Stream|neap.Datagram|nil socket
---@return neap.Error? err
function names.connect(endpoint, opts)
  local addresses, err = names.lookup(endpoint, "connect", opts)
  if not addresses then
    return nil, err
  end
  return race(endpoint, opts, interleave(addresses))
end

return names
