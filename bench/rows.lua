--- What is measured, in the order of the tables.

---@class bench.Row
---@field id string
---@field title string
---@field how "load"|"tls"|"http"|"idle"|"start"|"tasks"|"beside"
---@field mode string  of the server
---@field load? string[]  the load generator's words
---@field connections? integer
---@field unit string
---@field less? boolean  is better
---@field rounds? integer  instead of the usual number
---@field base? string  the yardstick, instead of the server in C
---@field seconds? number  instead of the usual window
---@field free? boolean  server and load may use all cores
---@field curve? string  which curve it is a point of; only the base and neap take part
---@field x? integer  where on it

---@type bench.Row[]
local rows = {
  {
    id = "echo50", title = "TCP echo 64 B, 50 connections", how = "load", mode = "echo",
    load = {"echo"}, connections = 50, unit = "messages/s",
  },
  {
    id = "echo1000", title = "TCP echo 64 B, 1,000 connections", how = "load", mode = "echo",
    load = {"echo"}, connections = 1000, unit = "messages/s",
  },
  {
    id = "flight", title = "TCP echo 64 B, 16 under way, 50 connections", how = "load",
    mode = "echo", load = {"echo", "depth=16"}, connections = 50, unit = "messages/s",
  },
  {
    id = "line", title = "a line of 64 B and its answer, 50 connections", how = "load",
    mode = "lines", load = {"echo"}, connections = 50, unit = "lines/s",
  },
  {
    id = "lines", title = "lines of 64 B, 16 pipelined, 50 connections", how = "load",
    mode = "lines", load = {"echo", "depth=16"}, connections = 50, unit = "lines/s",
  },
  {
    id = "bulk", title = "TCP echo 16 KiB, 16 connections", how = "load", mode = "bulk",
    load = {"echo", "size=16384"}, connections = 16, unit = "messages/s",
  },
  {
    id = "unix", title = "unix stream echo 64 B, 50 connections", how = "load", mode = "unix",
    load = {"echo"}, connections = 50, unit = "messages/s",
  },
  {
    id = "connect", title = "connect, one echo, close", how = "load", mode = "connect",
    load = {"connect"}, connections = 16, unit = "connections/s",
  },
  {
    id = "relay", title = "relay, one way, 8 connections", how = "load", mode = "relay",
    load = {"relay"}, connections = 8, unit = "bytes/s",
  },
  {
    id = "pingpong", title = "TCP echo 64 B, 1 connection", how = "load", mode = "pingpong",
    load = {"echo"}, connections = 1, unit = "messages/s",
  },
  {
    id = "workers", title = "TCP echo 64 B, 50 connections, all cores for all", how = "load",
    mode = "workers", load = {"echo"}, connections = 50, unit = "messages/s", free = true,
  },
  {
    id = "idle", title = "an idle connection, of 10,000", how = "idle", mode = "idle",
    connections = 10000, unit = "bytes", less = true, rounds = 1,
  },
  {
    id = "start", title = "start and end of a process with its sockets library", how = "start", mode = "start",
    unit = "ms", less = true,
  },
  {
    id = "spawn", title = "a task spawned, run and ended", how = "tasks", mode = "tasks",
    unit = "ns", less = true,
  },
  {
    id = "switch", title = "a switch to the next task", how = "tasks", mode = "tasks",
    unit = "ns", less = true,
  },
  {
    id = "channel", title = "a value through a channel to a task that waits", how = "switches",
    mode = "switches", unit = "ns", less = true,
  },
  {
    id = "future", title = "the same, by a future", how = "switches", mode = "switches", unit = "ns",
    less = true,
  },
  {
    id = "select", title = "the same, by a channel and task.select of two", how = "switches",
    mode = "switches", unit = "ns", less = true,
  },
}

-- TLS: what counts is the server's processor time an operation, for both sides compute.

local function tls(row)
  row.mode, row.base, row.how = "tls", "openssl", row.how or "tls"
  row.rounds = row.rounds or 10
  rows[#rows + 1] = row
end

tls {
  id = "tls_bulk", title = "TLS echo 16 KiB, 16 connections", load = {"echo", "size=16384"}, connections = 16,
  unit = "messages/s",
}
tls {
  id = "tls_echo", title = "TLS echo 64 B, 50 connections", load = {"echo"}, connections = 50,
  unit = "messages/s",
}
tls {
  id = "tls_full", title = "full handshake, one echo, close", load = {"full"}, connections = 16,
  unit = "connections/s",
}
tls {
  id = "tls_resumed", title = "resumed handshake, one echo, close", load = {"resumed"},
  connections = 16, unit = "connections/s",
}
tls {
  id = "tls_idle", title = "an idle TLS connection, of 5,000", how = "idle", connections = 5000, unit = "bytes",
  less = true, rounds = 1,
}

-- HTTP/1.1, connections kept: here, too, processor time tells.

local function http(row)
  row.mode, row.base, row.how = row.mode or "http", row.base or "llhttp", "http"
  row.rounds, row.unit = row.rounds or 10, row.unit or "requests/s"
  rows[#rows + 1] = row
end

http {id = "http_hello", title = "HTTP hello, 50 connections", load = {"hello"}, connections = 50}
http {id = "http_hello1000", title = "HTTP hello, 1,000 connections", load = {"hello"}, connections = 1000}
http {
  id = "http_flight", title = "HTTP hello, 16 pipelined, 50 connections", load = {"hello", "depth=16"},
  connections = 50,
}
http {id = "http_json", title = "HTTP, 1 KiB made as JSON, 50 connections", load = {"json"}, connections = 50}
http {id = "http_file", title = "HTTP, 100 KiB, 50 connections", load = {"file"}, connections = 50}
http {id = "http_post", title = "HTTP POST of 1 MiB, 16 connections", load = {"post"}, connections = 16}
http {
  id = "ws_echo", title = "WebSocket echo 64 B, 50 connections", mode = "ws", load = {"ws"}, connections = 50,
  unit = "messages/s",
}
http {
  id = "ws_flight", title = "WebSocket echo 64 B, 16 under way, 50 connections", mode = "ws",
  load = {"ws", "depth=16"}, connections = 50, unit = "messages/s",
}

-- Files: one that is large, from its folder to the socket; and what reading costs others.

http {
  id = "sendfile", title = "HTTP, a file of 100 MiB, 1 connection", mode = "large", base = "nginx_http",
  load = {"large"}, connections = 1, unit = "bytes/s", seconds = 1,
}
rows[#rows + 1] = {
  id = "files", title = "99 of 100 echoes of 64 B, while 8 read a file of 1 MiB ten times a second each",
  how = "beside", mode = "files", load = {"echo"}, connections = 1, unit = "µs", less = true, rounds = 10,
  seconds = 1,
}

-- How cost grows: points of three curves.

for _, n in ipairs {1, 10, 100, 1000, 5000} do
  rows[#rows + 1] = {
    id = "connections" .. n, title = ("TCP echo 64 B, %d connections"):format(n), how = "load",
    mode = "echo", load = {"echo"}, connections = n, unit = "messages/s", rounds = 3,
    curve = "connections", x = n,
  }
end

for _, n in ipairs {16, 256, 1024, 4096, 16384, 65536} do
  rows[#rows + 1] = {
    id = "size" .. n, title = ("TCP echo, messages of %d bytes"):format(n), how = "load",
    mode = "echo", load = {"echo", "size=" .. n}, connections = 16, unit = "messages/s",
    rounds = 3, curve = "size", x = n,
  }
end

for _, n in ipairs {1000, 10000, 100000, 1000000} do
  rows[#rows + 1] = {
    id = "asleep" .. n, title = ("a task asleep, of %d"):format(n), how = "asleep", mode = "asleep",
    unit = "bytes", less = true, rounds = 1, curve = "tasks", x = n,
  }
end

return rows
