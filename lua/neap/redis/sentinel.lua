--- Sentinels: who asks them is told which server is the master now.

local link = require "neap.redis.link"
local place = require "neap.redis.place"
local resp = require "neap.redis.resp"
local task = require "neap.task"

local insert, remove = table.insert, table.remove
local type, tointeger, tonumber = type, math.tointeger, tonumber
local failure = resp.failure

local sentinel = {}

--- The master's place, as one sentinel says.
local function ask(one, name, opts)
  local options = { user = one.user, password = one.password, tls = opts.tls, max = 1 << 20 }
  local stream, reader = link.greet(one, options)
  if not stream then
    return nil, reader
  end
  local _ <close> = stream
  local answer, err = link.ask_now(stream, reader, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
  if answer == nil then
    return nil, err
  end
  local host = answer ~= resp.null and answer[1]
  if not host then
    return nil, failure("ENOENT", "a sentinel knows no such master")
  end
  local port = tointeger(tonumber(answer[2]))
  if type(host) ~= "string" or not port or port < 1 or port > 65535 then
    return nil, failure("EPROTO", "a sentinel names no place")
  end
  return place.new(host, port, one.tls)
end

--- A function that finds the master.
function sentinel.finder(list, name, opts)
  local seconds = (opts.timeout or 5) / (#list + 1)
  return function()
    local last
    for _ = 1, #list do
      local server, err = task.timeout(seconds, ask, list[1], name, opts)
      if server then
        return server
      end
      last = err
      insert(list, remove(list, 1)) -- the others come first
    end
    return nil, last
  end
end

--- Is it the master, and not one that was?
function sentinel.check(ask_it)
  local role, err = ask_it "ROLE"
  if role and role[1] ~= "master" then
    return nil, failure("READONLY", "it is not the master")
  end
  return role, err
end

return sentinel
