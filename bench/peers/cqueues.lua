-- cqueues MODE ENDPOINT: a coroutine a connection

local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local mode, endpoint = ...

--- A failure is a result, and not raised.
local function open(stream)
  stream:setmode("bn", "bn")
  stream:onerror(function(_, _, why)
    return why
  end)
end

local function echo(stream)
  open(stream)
  while true do
    local data = stream:read(-65536)
    if not data then
      break
    end
    stream:write(data)
  end
  stream:close()
end

local function lines(stream)
  open(stream)
  for line in stream:lines "*l" do
    stream:write(line, "\n")
  end
  stream:close()
end

local path = endpoint:match "^unix:(.*)"
local listener
if path then
  listener = assert(socket.listen {path = path})
  assert(listener:listen())
  print(endpoint)
else
  listener = assert(socket.listen {host = "127.0.0.1", port = 0, nodelay = true, backlog = 4096})
  assert(listener:listen())
  local _, _, port = listener:localname()
  print("tcp://127.0.0.1:" .. port)
end
io.stdout:flush()
local loop = cqueues.new()
loop:wrap(function()
  for stream in listener:clients {nodelay = true} do
    loop:wrap(mode == "lines" and lines or echo, stream)
  end
end)
assert(loop:loop())
