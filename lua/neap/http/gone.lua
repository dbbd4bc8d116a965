--- Handlers are cancelled whose clients are gone.
---
--- Who answers at once pays two entries in a table. What goes on for longer is found by a task
--- that looks now and then, and is given one of its own, which is the stream's reader: so the
--- body must have been read by then, and the server takes it back before it reads again.

local leave = require "neap.http.response".leave
local task = require "neap.task"

local next = next
local background, current, sleep = task.background, task.current, task.sleep

local gone = {}

--- Seconds between two looks.
gone.LOOK = 0.5

--- Our own end closed it.
local ours = { ECANCELED = true, EBADF = true }

--- Wait for what the client does: to ask for more is no end.
local function watch(response, handler, ends)
  local stream = response.request.stream
  local ready, err
  repeat
    ready, err = stream:wait "r"
  until ready or err.code ~= "ETIMEDOUT"
  local more = nil
  if ready then
    more, err = stream:peek(1)
  end
  if more or not err and not ends or err and ours[err.code] then
    return
  end
  response.gone = true
  handler:cancel "the client is gone"
end

local over = { done = true, failed = true, cancelled = true }

--- Whom its own end has cancelled is over, too.
local function is_over(response, handler)
  return over[handler.status] or response.done
    or response.closes and response.status or response.taken or response.watcher
end

--- The handler, cancelled when its client resets the connection; `ends`: or ends its side.
function gone.around(handler, ends)
  local young, old, looker = {}, {}, nil

  --- Give what was there at the last look, and still is, a watcher.
  local function look()
    repeat
      sleep(gone.LOOK)
      local aged = old
      old, young = young, {}
      for response, one in next, aged do
        if not is_over(response, one) and not response.request.parser.whole then
          young[response] = one
        elseif not is_over(response, one) then
          response.watcher = background(watch, response, one, ends)
          response.watcher.name = "client"
        end
      end
    until not next(old) and not next(young)
    looker = nil
  end

  return function(request, response)
    young[response] = current()
    if not looker then
      looker = background(look)
      looker.name = "clients"
    end
    local result = handler(request, response)
    young[response], old[response] = nil, nil
    if response.watcher and not response.gone then
      leave(response)
    end
    return result
  end
end

return gone
