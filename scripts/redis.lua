-- usage: neap redis.lua [-e ENDPOINT] [COMMAND [ARGUMENT...]]
--
-- A client of Redis, at tcp://127.0.0.1:6379 or another endpoint: sends one command, or
-- those of standard input, a line each, without waiting for answers in between. Prints what
-- is answered, each value on a line, as it comes and however long it is. An error goes to
-- stderr, and the exit status is 1 then. After `hello 3` the answers are of RESP3.
--
--   neap redis.lua set greeting "hello, world"
--   seq 1000 | sed 's/.*/set key:& "this is &"/' | neap redis.lua

local args = require "neap.args"
local net = require "neap.net"
local stdio = require "neap.stdio"
local task = require "neap.task"

local DEPTH = 32 -- of arrays in arrays
local LONGEST = 512 << 20 -- bytes of a value, as Redis has it
local WAITING = 10000 -- commands that are not answered yet

local given = args.parse(arg, {
  name = "neap redis.lua",
  {"-e, --endpoint=ENDPOINT", "the server's", default = "tcp://127.0.0.1:6379", type = require "neap.endpoint".print},
  {"[COMMAND...]", "and its arguments; default: commands from standard input"},
})
local out, status = stdio.stdout, 0

local function stop(message)
  out:flush()
  io.stderr:write("redis: ", tostring(message), "\n")
  os.exit(1)
end

local function check(value, err)
  return value or stop(err or "the server has ended")
end

-- Bytes go out as they come, and behind them is the end of a line.
local function copy(server, n)
  while n > 0 do
    local piece = check(server:recv(math.min(n, 1 << 16)))
    check(out:write(piece))
    n = n - #piece
  end
  return check(server:readexactly(2)) == "\r\n" and check(out:write "\n") or stop "a value does not end"
end

-- Take one answer. Its first byte tells what it is, and what follows on the line is the
-- value itself, or how many bytes of it come, or how many values that make it up.
local function show(server, depth)
  local line = check(server:readuntil("\r\n", nil, {strict = true}))
  local kind, text = line:match "^([-+:,(#_$!=*~>%%|])(.*)$"
  local n = kind and math.tointeger(text:match "^%-?%d+$") or -2
  if kind == "-" then
    io.stderr:write("redis: ", text:gsub("%c", "?"), "\n")
    status = 1
  elseif n == -1 or kind and kind:find "[+:,(#_]" then
    check(out:write(n == -1 and kind:find "[$*]" and "" or text, "\n"))
  elseif n < 0 or n > LONGEST or depth == DEPTH then
    stop "an answer is malformed, too long or too deep"
  elseif kind:find "[$=!]" then
    copy(server, n)
    status = kind == "!" and 1 or status
  else
    for _ = 1, kind:find "[%%|]" and 2 * n or n do
      show(server, depth + 1)
    end
    return kind:find "[>|]" and show(server, depth) -- those stand before the answer
  end
end

local server <close> = check(net.connect(given.endpoint, {timeout = 10}))
local waiting = task.channel(WAITING)

-- Words may hold anything, so each has its length; a line is a command as it is.
local function send_all()
  local parts = {"*" .. #given.command}
  for i, word in ipairs(given.command) do
    parts[i + 1] = ("$%d\r\n%s"):format(#word, word)
  end
  local whole = parts[2] and table.concat(parts, "\r\n"):gmatch ".+"
  for line in whole or stdio.stdin:lines() do
    if line:find "%S" then
      waiting:send(true)
      check(server:write(line, "\r\n"))
    end
  end
  waiting:close()
end

task.scope(function(scope)
  scope:spawn(send_all)
  for _ in waiting:each() do
    show(server, 0)
  end
end)
check(out:flush())
os.exit(status)
