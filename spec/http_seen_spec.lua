-- What lists and traces say of streams that speak HTTP or WebSocket.

local host = require "neap.host"
local http = require "neap.http"
local lists = require "neap.repl.lists"
local net = require "neap.net"
local task = require "neap.task"
local tls = require "neap.tls"
local trace = require "neap.trace"
local websocket = require "neap.websocket"

local listener, server

local function serve(endpoint, opts)
  listener = assert(net.listen(endpoint, opts))
  server = task.spawn(http.serve, listener, function(request, response)
    if request.path == "/chat" then
      local ws = assert(request:websocket())
      ws:send(host.socket(request.stream).speaks)
      ws:recv()
    elseif request.path == "/echo" then
      local stream = assert(response:upgrade {upgrade = "echo"})
      stream:write(host.socket(stream).speaks or "nothing")
    else
      return lists.socks()
    end
  end)
end

--- The lines of a trace of f, without times, bytes and numbers.
local function traced(filter, f)
  local path = os.tmpname()
  local tracer = assert(trace.start {to = path, bytes = 0, filter = filter})
  f()
  tracer:stop()
  local file <close> = assert(io.open(path))
  local text = file:read "a"
  os.remove(path)
  return (text:gsub("%f[^\n\0]%d+%.%d+ +", ""):gsub("%d+", "N"):gsub(" +", " "))
end

describe("a stream that speaks HTTP", function()
  after_each(function()
    server:cancel()
    server:join()
    listener:close()
  end)

  it("is listed so, over what it is over", function()
    serve "tcp://127.0.0.1:0"
    local client <close> = http.client()
    local text = client:get("http://127.0.0.1:" .. listener.port):read "a"
    local _, count = text:gsub("\n *%d+ +tcp, http +open ", "")
    assert.equal(2, count, text)
  end)

  it("is listed so over TLS", function()
    local cert, key = tls.selfsigned {names = {"localhost"}}
    serve("tcp://127.0.0.1:0", {tls = {cert = cert, key = key}})
    local client <close> = http.client {tls = {ca = cert}}
    local text = client:get("https://localhost:" .. listener.port):read "a"
    local _, count = text:gsub("\n *%d+ +tls TLSv1.3 [%w_]+[^\n]-, http +open ", "")
    assert.equal(2, count, text)
  end)

  it("is so no more when it changes to another protocol", function()
    serve "mem:seen"
    local client <close> = http.client {endpoint = "mem:seen"}
    local response = assert(client:get("http://web/echo", {upgrade = "echo"}))
    assert.equal("nothing", response.stream:read "a")
    assert.is_nil(host.socket(response.stream).speaks)
    response.stream:close()
    local ws <close> = assert(websocket.connect("ws://web/chat", {stream = net.connect "mem:seen"}))
    assert.equal("websocket", (ws:recv()))
    assert.equal("websocket", host.socket(ws.stream).speaks)
    assert.matches("mem, websocket", lists.socks(), nil, true)
  end)

  it("is called so in traces, which can be of nothing else", function()
    serve "mem:seen"
    local function talk()
      local client <close> = http.client {endpoint = "mem:seen"}
      client:get "http://web/":read "a"
      local a, b = net.socketpair()
      a:write "x"
      a:close()
      b:close()
      local ws <close> = assert(websocket.connect("ws://web/chat", {stream = net.connect "mem:seen"}))
      ws:recv()
    end
    local all = traced({"mem"}, talk)
    assert.matches("\nhttp N %-> N bytes\n", all)
    assert.matches("\nwebsocket N %-> N bytes\n", all)
    assert.matches("mem N open", all)
    local some = traced({"http"}, talk)
    assert.matches("http N <%- N bytes\n", some)
    assert.matches("http N closed", some)
    assert.is_nil(some:find("unix", 1, true))
    assert.is_nil(some:find("mem N", 1, true), some)
    some = traced({"websocket"}, talk)
    assert.matches("^websocket N ", some)
    assert.is_nil(some:find("http", 1, true), some)
  end)
end)
