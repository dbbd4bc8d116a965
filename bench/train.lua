-- usage: neap bench/train.lua    do, for a few seconds, what neap is mostly used for
--
-- For scripts/optimise: the compiler counts here what runs how often. So this is
-- a mixture, and nothing is measured.

local channel = require "neap.task".channel
local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"

local handlers = dofile "bench/handlers.lua"

local small, large = ("x"):rep(64), ("x"):rep(16 * 1024)

--- Run f(1), f(2), ... in so many tasks.
local function each(count, f)
  task.scope(function(scope)
    for i = 1, count do
      scope:spawn(f, i)
    end
  end)
end

--- A server at the endpoint, while its clients run.
local function with_server(endpoint, handler, count, client)
  local listener <close> = assert(net.listen(endpoint))
  local server = task.spawn(listener.serve, listener, handler)
  each(count, function()
    local stream <close> = assert(net.connect(listener.endpoint))
    client(stream, listener.endpoint)
  end)
  server:cancel()
  pcall(server.join, server)
end

local function ask(message, rounds)
  return function(stream)
    for _ = 1, rounds do
      stream:write(message)
      assert(stream:read(#message) == message)
    end
  end
end

local function ask_once(_, endpoint)
  for _ = 1, 300 do
    local stream <close> = assert(net.connect(endpoint))
    stream:write(small)
    assert(stream:recv() == small)
  end
end

local function ask_lines(rounds, depth)
  local line = small:sub(2) .. "\n"
  return function(stream)
    for _ = 1, rounds do
      stream:write(line:rep(depth))
      for _ = 1, depth do
        assert(#stream:read() == 63)
      end
    end
  end
end

local function strip_lines(stream)
  for line in stream:lines() do
    stream:write(line, "\n")
  end
end

local function streams()
  with_server("tcp://127.0.0.1:0", handlers.echo, 50, ask(small, 500))
  with_server("tcp://127.0.0.1:0", handlers.chunks, 50, ask(small, 500))
  with_server("tcp://127.0.0.1:0", handlers.chunks, 500, ask(small, 50))
  with_server("unix:@neap-train-" .. tostring(task.current().id), handlers.echo, 50, ask(small, 500))
  with_server("tcp://127.0.0.1:0", handlers.chunks, 10, ask(large, 200))
  with_server("tcp://127.0.0.1:0", handlers.lines, 50, ask_lines(50, 16))
  with_server("tcp://127.0.0.1:0", handlers.lines, 50, ask_lines(200, 1))
  with_server("tcp://127.0.0.1:0", strip_lines, 50, ask_lines(50, 4))
  with_server("tcp://127.0.0.1:0", handlers.echo, 10, ask_once)
end

local page = "GET %s HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
  .. "Accept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n%s\r\n"

--- Requests, and after each their answers: of connections that are kept, and by our own client.
local function pages()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  local app = http.router()
  app:get("/", function()
    return "hello world\n"
  end)
  app:get("/users/:id", function(request)
    return http.json {id = request.params.id, tags = {"a", "b"}, agent = request.headers["user-agent"]}
  end)
  app:post("/", function(request)
    return http.response(201, {["x-count"] = #request:read "a"}, "done\n")
  end)
  local server = task.spawn(http.serve, listener, app)
  local function ask_pages(text, rounds, depth)
    local stream <close> = assert(net.connect(listener.endpoint))
    for _ = 1, rounds do
      stream:write(text:rep(depth))
      for _ = 1, depth do
        local head = assert(stream:readuntil "\r\n\r\n")
        stream:readexactly(tonumber(head:match "content%-length: (%d+)"))
      end
    end
  end
  each(50, function(i)
    ask_pages(page:format("/", ""), 50, 1)
    ask_pages(page:format("/users/" .. i, "Cookie: a=b\r\n"), 8, 1)
    ask_pages(page:format("/", ""), 2, 16)
    ask_pages(page:gsub("GET", "POST"):format("/", "Content-Length: 64\r\n") .. small, 5, 1)
  end)
  local client <close> = http.client {base = "http://" .. tostring(listener.address)}
  each(8, function(i)
    for _ = 1, 20 do
      assert(client:get "/":read "a")
      assert(client:post("/", {json = {i}}):read "a")
    end
  end)
  server:cancel()
  pcall(server.join, server)
end

local function datagrams(depth, rounds)
  local socket <close> = assert(net.bind "udp://127.0.0.1:0")
  local server = task.spawn(handlers.datagrams, socket)
  local client <close> = assert(net.connect(socket.endpoint))
  for _ = 1, rounds do
    for _ = 1, depth do
      client:send(small)
    end
    for _ = 1, depth do
      client:recv()
    end
  end
  client:send ""
  server:join()
end

local function tasks()
  for _ = 1, 20 do
    each(1000, function()
      task.yield()
    end)
  end
  local values = channel(100)
  task.scope(function(scope)
    scope:spawn(function()
      for i = 1, 20000 do
        values:send(i)
      end
      values:close()
    end)
    for _ in values.recv, values do end
  end)
  each(200, function()
    for _ = 1, 5 do
      task.sleep(0.001)
      task.timeout(1, task.yield)
    end
  end)
end

streams()
pages()
datagrams(64, 400)
datagrams(1, 5000)
tasks()
