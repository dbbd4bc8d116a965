-- luv MODE ENDPOINT: callbacks, with try_write first; for Lua 5.4 and LuaJIT

local uv = require "luv"

local mode, endpoint = ...

local function give(stream, data)
  local sent = stream:try_write(data)
  if not sent then
    stream:write(data)
  elseif sent < #data then
    stream:write(data:sub(sent + 1))
  end
end

local function echo(stream)
  stream:read_start(function(err, data)
    if err or not data then
      stream:close()
    else
      give(stream, data)
    end
  end)
end

local function lines(stream)
  local rest = ""
  stream:read_start(function(err, data)
    if err or not data then
      stream:close()
      return
    end
    data = rest .. data
    local at, answers = 1, {}
    while true do
      local nl = data:find("\n", at, true)
      if not nl then
        break
      end
      local line = data:sub(at, nl - 1)
      answers[#answers + 1] = line .. "\n"
      at = nl + 1
    end
    rest = data:sub(at)
    if answers[1] then
      give(stream, table.concat(answers))
    end
  end)
end

-- A peer that is gone is an error of try_write, and not the end.
local sigpipe = uv.new_signal()
sigpipe:start "sigpipe"

local path = endpoint:match "^unix:(.*)"
local listener = path and uv.new_pipe(false) or uv.new_tcp()
if path then
  assert(listener:bind(path))
else
  assert(listener:bind("127.0.0.1", 0))
end
assert(listener:listen(4096, function()
  local stream = path and uv.new_pipe(false) or uv.new_tcp()
  listener:accept(stream)
  if not path then
    stream:nodelay(true)
  end
  if mode == "lines" then
    lines(stream)
  else
    echo(stream)
  end
end))
print(path and endpoint or "tcp://127.0.0.1:" .. listener:getsockname().port)
io.stdout:flush()
uv.run()
