-- luasocket MODE ENDPOINT: LuaSocket and its select; TCP, up to 1,000 connections

local socket = require "socket"

local mode = ...

local listener = assert(socket.bind("127.0.0.1", 0, 4096))
local _, port = listener:getsockname()
print("tcp://127.0.0.1:" .. port)
io.stdout:flush()
listener:settimeout(0)

local reads = {listener}
local rest = {}

local function forget(stream)
  for i = 2, #reads do
    if reads[i] == stream then
      reads[i] = reads[#reads]
      reads[#reads] = nil
      break
    end
  end
  rest[stream] = nil
  stream:close()
end

local function answer(stream, data)
  if mode ~= "lines" then
    return data
  end
  data = rest[stream] .. data
  local last = data:match ".*()\n"
  rest[stream] = data:sub((last or 0) + 1)
  local answers = {}
  for line in data:gmatch "([^\n]*)\n" do
    answers[#answers + 1] = line .. "\n"
  end
  return table.concat(answers)
end

while true do
  for _, stream in ipairs((socket.select(reads))) do
    if stream == listener then
      local new = listener:accept()
      if new then
        new:settimeout(0)
        new:setoption("tcp-nodelay", true)
        reads[#reads + 1] = new
        rest[new] = ""
      end
    else
      local data, err, partial = stream:receive(65536)
      data = data or partial
      if data ~= "" then
        data = answer(stream, data)
        local sent, _, part = stream:send(data)
        while not sent do
          socket.select(nil, {stream})
          sent, _, part = stream:send(data, part + 1)
        end
      end
      if err == "closed" then
        forget(stream)
      end
    end
  end
end
