--- Servers that are replaced under load.

local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local handover = {}

--- How many connections are many: `NEAP_HANDOVER=40000 build/neap test spec/service_spec.lua
--- spec/workers_spec.lua --filter=connection` is the long campaign.
handover.many = tonumber(os.getenv "NEAP_HANDOVER" or 300)

--- Write a script, or what it reads.
function handover.write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

--- A port that nobody listens at.
function handover.port()
  local probe <close> = assert(net.listen "tcp://127.0.0.1:0")
  return probe.port
end

--- Wait for it to be true: what it is.
function handover.await(f)
  local give_up = time.now() + 20
  repeat
    local value = f()
    if value then
      return value
    end
    task.sleep(0.02)
  until time.now() > give_up
  error("it does not come", 2)
end

--- Connect again and again, 8 at a time, until so many connections were answered, while f is
--- called, once or more often: how many. Any that is not answered is an error.
function handover.under_load(port, n, f, ...)
  local answered = 0
  local going = true
  local arguments = table.pack(...)
  task.scope(function(scope)
    for client = 1, 8 do
      scope:spawn(function()
        while going or answered < n do
          local stream <close> = assert(net.connect("tcp://127.0.0.1:" .. port, {
            localaddr = ("127.0.0.%d"):format(client + 1), -- each has ports of its own
          }))
          local text = ("%d"):format(client)
          assert(stream:write(text, "\n"))
          local line, err = stream:read "l"
          assert(line and line:find("^" .. text), err or "no answer")
          answered = answered + 1
        end
      end)
    end
    repeat
      f(table.unpack(arguments, 1, arguments.n))
    until answered >= n
    going = false
  end)
  return answered
end

return handover
