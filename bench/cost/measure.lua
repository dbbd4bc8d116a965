--- What a message costs the server: instructions in user mode, by callgrind,
--- and system calls, by strace. Neither depends on how busy the machine is.
---
--- A server that serves n messages and one that serves more of them differ by
--- what the messages cost: start and end cancel out. What these cost is counted of
--- a program that does nothing else.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local tls = require "neap.tls"

local measure = {}

---@class bench.Path
---@field program string[]?  neap's arguments; the path is its start and end, and no messages; or,
--- where it has rounds, what comes as its last argument
---@field server string  its path in bench/cost/server.lua
---@field endpoint string
---@field cert string?  of a server that speaks TLS, and its key
---@field key string?
---@field connections integer
---@field depth integer  messages under way on each connection
---@field size integer?  bytes of one; 64
---@field rounds integer[]  how often each connection asks, in the two runs
---@field client fun(endpoint: string, path: bench.Path, rounds: integer)

local payload = ("x"):rep(64)

--- Run f in so many tasks.
local function each(connections, f)
  task.scope(function(scope)
    for _ = 1, connections do
      scope:spawn(f)
    end
  end)
end

--- All connections are there before the first message.
local function ask(endpoint, path, rounds)
  local context = path.cert and assert(tls.context {ca = path.cert})
  local message = payload:rep(path.depth * (path.size or #payload) // #payload)
  if path.server == "lines" then
    message = (payload:sub(1, 63) .. "\n"):rep(path.depth)
  end
  local streams = {}
  for i = 1, path.connections do
    streams[i] = assert(net.connect(endpoint, {context = context or nil}))
    if context then
      assert(streams[i]:handshake())
    end
  end
  each(path.connections, function()
    local stream = table.remove(streams)
    for _ = 1, rounds do
      stream:write(message)
      assert(stream:read(#message) == message)
    end
    stream:close()
  end)
end

--- Requests as a browser's, and the answers to them.
local function ask_http(endpoint, path, rounds)
  local request = "GET %s HTTP/1.1\r\nHost: localhost:8080\r\n"
    .. "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html,*/*;q=0.8\r\n"
    .. "Accept-Language: en,de;q=0.5\r\nConnection: keep-alive\r\n\r\n"
  local usual = request:format "/"
  local message = usual:rep(path.depth)
  local streams, size = {}, nil
  for i = 1, path.connections do
    local stream = assert(net.connect(endpoint))
    stream:write(usual)
    size = #assert(stream:readuntil "\r\n\r\n") + 4 + #assert(stream:readexactly(12))
    streams[i] = stream
  end
  each(path.connections, function()
    local stream = table.remove(streams)
    for _ = 1, rounds do
      stream:write(message)
      assert(stream:readexactly(path.depth * size))
    end
    stream:write(request:format "/end")
    assert(stream:readexactly(size))
    stream:close()
  end)
end

local function connect(endpoint, path, rounds)
  each(path.connections, function()
    for _ = 1, rounds do
      local stream <close> = assert(net.connect(endpoint))
      stream:write(payload)
      assert(stream:read "a" == payload)
    end
  end)
end

local function ask_datagrams(endpoint, path, rounds)
  local socket <close> = assert(net.connect(endpoint))
  for _ = 1, rounds do
    for _ = 1, path.depth do
      assert(socket:send(payload))
    end
    for _ = 1, path.depth do
      assert(socket:recv() == payload)
    end
  end
  assert(socket:send "")
end

---@type table<string, bench.Path>
measure.paths = {
  start = {program = {"-e", ""}},
  start_net = {program = {"-e", "return net"}},
  channel = {program = {"bench/switches.lua", "channel"}, rounds = {1000, 6000}},
  future = {program = {"bench/switches.lua", "future"}, rounds = {1000, 6000}},
  select = {program = {"bench/switches.lua", "select"}, rounds = {1000, 6000}},
  file_read = {program = {"bench/files.lua", "read"}, rounds = {20, 120}},
  file_send = {program = {"bench/files.lua", "send"}, rounds = {20, 120}},
  log_quiet = {program = {"bench/services.lua", "quiet"}, rounds = {1000, 11000}},
  log_line = {program = {"bench/services.lua", "line"}, rounds = {1000, 3000}},
  counter = {program = {"bench/services.lua", "counter"}, rounds = {1000, 11000}},
  histogram = {program = {"bench/services.lua", "histogram"}, rounds = {1000, 6000}},
  echo = {
    server = "echo", endpoint = "tcp://127.0.0.1:0", connections = 50, depth = 1,
    rounds = {10, 60}, client = ask,
  },
  unix = {
    server = "echo", endpoint = "unix:@", connections = 50, depth = 1,
    rounds = {10, 60}, client = ask,
  },
  tls = {
    server = "echo", endpoint = "tls://127.0.0.1:0", connections = 50, depth = 1,
    rounds = {10, 60}, client = ask,
  },
  tls_bulk = {
    server = "echo", endpoint = "tls://127.0.0.1:0", connections = 16, depth = 1, size = 16384,
    rounds = {5, 30}, client = ask,
  },
  lines = {
    server = "lines", endpoint = "tcp://127.0.0.1:0", connections = 10, depth = 16,
    rounds = {5, 30}, client = ask,
  },
  http = {
    server = "http", endpoint = "tcp://127.0.0.1:0", connections = 50, depth = 1,
    rounds = {10, 60}, client = ask_http,
  },
  http_flight = {
    server = "http", endpoint = "tcp://127.0.0.1:0", connections = 10, depth = 16,
    rounds = {5, 30}, client = ask_http,
  },
  connect = {
    server = "connect", endpoint = "tcp://127.0.0.1:0", connections = 10, depth = 1,
    rounds = {10, 60}, client = connect,
  },
  udp = {
    server = "udp", endpoint = "udp://127.0.0.1:0", connections = 1, depth = 64,
    rounds = {5, 55}, client = ask_datagrams,
  },
}

measure.paths.tls.cert, measure.paths.tls.key = tls.selfsigned {names = {"127.0.0.1"}}
measure.paths.tls_bulk.cert, measure.paths.tls_bulk.key = measure.paths.tls.cert, measure.paths.tls.key

--- Their order, in tables.
measure.order = {"echo", "lines", "unix", "connect", "udp", "tls", "tls_bulk", "http", "http_flight", "start",
  "start_net", "channel", "future", "select", "file_read", "file_send", "log_quiet", "log_line", "counter", "histogram"}

local function connections(path, rounds)
  return path.server == "connect" and path.connections * rounds or path.connections
end

--- A program's rounds are two switches each, there and back.
local function messages(path, rounds)
  return path.program and 2 * rounds or path.connections * path.depth * rounds
end

--- Run a path's program, or serve the messages of so many rounds, under a command
--- that measures.
local function serve(neap, name, rounds, command)
  local path = measure.paths[name]
  if path.program then
    local words = table.move(command, 1, #command, 1, {})
    words[#words + 1] = neap
    table.move(path.program, 1, #path.program, #words + 1, words)
    words[#words + 1] = rounds and tostring(rounds)
    local result = assert(process.run(words))
    assert(result.code == 0, result.stderr)
    return result.stderr
  end
  local endpoint = path.endpoint == "unix:@" and "unix:@" .. os.tmpname() or path.endpoint
  local words = table.move(command, 1, #command, 1, {stdout = "pipe", stderr = "pipe"})
  for _, word in ipairs {
    neap, "bench/cost/server.lua", path.server, endpoint, tostring(connections(path, rounds)),
    path.cert or "", path.key or "",
  } do
    words[#words + 1] = word
  end
  local server <close> = assert(process.spawn(words))
  local client = task.spawn(function()
    path.client(assert(server.stdout:read "l"), path, rounds)
  end)
  local told = server.stderr:read "a"
  client:join()
  assert(server:wait() == 0, told)
  return told
end

local function count_instructions(neap, name, rounds)
  local told = serve(neap, name, rounds, {
    "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
  })
  return tonumber((told:match "Collected : (%d+)"))
end

--- Instructions a message, or a program.
---@param neap string  the executable
---@param name string  a key of `paths`
---@return number
function measure.instructions(neap, name)
  local path, counts = measure.paths[name], {}
  if not path.rounds then
    return count_instructions(neap, name)
  end
  for i, rounds in ipairs(path.rounds) do
    counts[i] = count_instructions(neap, name, rounds)
  end
  return (counts[2] - counts[1]) / (messages(path, path.rounds[2]) - messages(path, path.rounds[1]))
end

--- Leave a profile of so many rounds at a path, for callgrind_annotate(1).
---@param neap string
---@param name string
---@param rounds integer
---@param file string
function measure.profile(neap, name, rounds, file)
  serve(neap, name, rounds, {"valgrind", "--tool=callgrind", "--callgrind-out-file=" .. file})
  return messages(measure.paths[name], rounds)
end

local function count_calls(neap, name, rounds)
  local counts, log = {}, os.tmpname()
  serve(neap, name, rounds, {"strace", "-f", "-c", "-o", log})
  for line in io.lines(log) do
    local calls, call = line:match "^%s*[%d.]+%s+[%d.]+%s+%d+%s+(%d+)%s*%d*%s+([%w_]+)$"
    if call then
      counts[call] = tonumber(calls)
    end
  end
  os.remove(log)
  return counts
end

--- System calls a message, or a program: their sum, and each one's.
---@param neap string
---@param name string
---@return number sum, table<string, number> calls
function measure.calls(neap, name)
  local path, each_call = measure.paths[name], {}
  if not path.rounds then
    each_call = count_calls(neap, name)
  else
    local few = count_calls(neap, name, path.rounds[1])
    local many = count_calls(neap, name, path.rounds[2])
    local more = messages(path, path.rounds[2]) - messages(path, path.rounds[1])
    for call, count in pairs(many) do
      each_call[call] = (count - (few[call] or 0)) / more
    end
  end
  local sum = each_call.total
  each_call.total = nil
  return sum, each_call
end

return measure
