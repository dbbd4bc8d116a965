-- neap.http's client and servers of others: nginx, node and python3's.

local folder = require "spec.support.folder"
local http = require "neap.http"
local process = require "neap.process"
local task = require "neap.task"

local NODE = [[
const http = require("http");
const server = http.createServer((req, res) => {
  if (req.url === "/echo") {
    res.setHeader("x-type", req.headers["content-type"] || "");
    req.pipe(res);
  } else if (req.url === "/chunks") {
    res.setHeader("Trailer", "x-sum");
    res.write("one,"); res.write("two");
    res.addTrailers({"x-sum": "7"});
    res.end();
  } else if (req.url === "/early") {
    res.writeEarlyHints({link: "</a>; rel=preload"});
    res.end("late");
  } else if (req.url === "/close") {
    res.setHeader("connection", "close");
    res.end("bye");
  } else {
    res.statusCode = 404;
    res.end("no");
  }
});
server.on("checkContinue", (req, res) => { res.writeContinue(); server.emit("request", req, res); });
server.on("upgrade", (req, socket, head) => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nfirst\n");
  socket.pipe(socket);
});
server.listen(process.argv[2]);
]]

local NGINX = [[
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  gzip on;
  gzip_min_length 100;
  gzip_types text/plain;
  keepalive_requests 3;
  server {
    listen unix:FOLDER/server.sock;
    root FOLDER/www;
    location /moved { return 302 /file.txt; }
    location /put { client_max_body_size 10; return 200 "ok"; }
  }
}
]]

local function is_there(name)
  return process.run({"sh", "-c", "PATH=$PATH:/usr/sbin; command -v " .. name}).code == 0
end

describe("http's client", function()
  local server, client

  before_each(folder.make)
  after_each(function()
    if client then
      client:close()
      client = nil
    end
    if server then
      server:close()
      server:wait()
      server = nil
    end
    folder.remove()
  end)

  --- Start it, and wait until it listens.
  local function start(arguments)
    arguments.stderr = "null"
    arguments.cwd = folder.path
    server = assert(process.spawn(arguments))
    client = http.client {endpoint = "unix:" .. folder.path .. "/server.sock"}
    for _ = 1, 2000 do
      local response = client:get "http://web/none"
      if response then
        response:read "a"
        return
      end
      task.sleep(0.01)
    end
    error "it does not listen"
  end

  it("and node's server", function()
    if not is_there "node" then
      pending "node is not installed"
    end
    folder.write("server.js", NODE)
    start {"node", "server.js", "server.sock"}
    local text = ("0123456789"):rep(100000)
    assert.is_true(client:post("http://web/echo", {body = text}):read "a" == text)
    assert.is_true(client:post("http://web/echo", {body = http.body {text, text}}):read "a" == text .. text)
    assert.equal("abc", client:post("http://web/echo", {body = "abc", expect = true}):read "a")
    local response = client:post("http://web/echo", {json = {1, 2}})
    assert.equal("application/json", response.headers["X-Type"])
    assert.same({1, 2}, response:json())
    response = client:get "http://web/chunks"
    assert.equal("one,two", response:read "a")
    assert.equal("7", response.trailers["X-Sum"])
    assert.equal("late", client:get "http://web/early":read "a")
    assert.equal("bye", client:get "http://web/close":read "a")
    assert.equal("no", client:get "http://web/x":read "a")
    response = client:get("http://web/ws", {upgrade = "echo"})
    response.stream:write "second\n"
    assert.same({"first", "second"}, {response.stream:read(), response.stream:read()})
    response.stream:close()
  end)

  it("and nginx", function()
    if not is_there "nginx" then
      pending "nginx is not installed"
    end
    folder.write("nginx.conf", (NGINX:gsub("FOLDER", folder.path)))
    assert.equal(0, process.run({"mkdir", folder.path .. "/www"}).code)
    local text = ("line of a file\n"):rep(20000)
    folder.write("www/file.txt", text)
    start {"env", "PATH=" .. os.getenv "PATH" .. ":/usr/sbin", "nginx", "-p", folder.path, "-c",
      folder.path .. "/nginx.conf"}
    for _ = 1, 10 do -- each third time it closes
      assert.is_true(client:get "http://web/file.txt":read "a" == text)
    end
    local response = client:get "http://web/file.txt"
    assert.equal("gzip", response.headers["content-encoding"])
    response:close()
    response = client:get("http://web/file.txt", {decode = false})
    assert.is_nil(response.headers["content-encoding"])
    assert.equal(#text, response.length)
    response:close()
    response = client:get "http://web/moved"
    assert.equal("http://web/file.txt", response.url)
    assert.is_true(response:read "a" == text)
    response = client:get("http://web/file.txt", {headers = {range = "bytes=0-14"}})
    assert.same({206, "line of a file\n"}, {response.status, response:read "a"}) -- a part is not compressed
    response = client:get("http://web/file.txt", {headers = {["if-none-match"] = response.headers.etag}})
    assert.same({304, ""}, {response.status, response:read "a"})
    response = client:request {method = "HEAD", url = "http://web/file.txt"}
    assert.same({200, ""}, {response.status, response:read "a"})
    assert.equal(413, client:post("http://web/put", {body = ("x"):rep(100000)}).status)
  end)

  it("and python3's server", function()
    if not is_there "python3" then
      pending "python3 is not installed"
    end
    folder.write("file.txt", "of a file")
    server = process.spawn {"python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", cwd = folder.path,
      stdout = "pipe", stderr = "null"}
    local url = server.stdout:read "l":match "%((http://.-/)%)"
    client = http.client {base = url}
    assert.equal("of a file", client:get "file.txt":read "a")
    assert.equal(404, client:get "none".status)
    assert.equal(501, client:post("file.txt", {body = "x"}).status)
  end)
end)
