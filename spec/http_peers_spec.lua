-- How others frame what we accept: the vectors of support/http_vectors.lua, given to nginx,
-- which hands on to a server of ours what it has understood, and to node.

local http = require "neap.http"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local aside = require "spec.support.aside"
local folder = require "spec.support.folder"
local vectors = require "spec.support.http_vectors"

local NODE = [[
const http = require("http");
const server = http.createServer({insecureHTTPParser: false});
const saw = (req, body) => req.method + " " + req.url + " =" + body.toString("hex");
const on = (req, res) => {
  const parts = [];
  req.on("data", (part) => parts.push(part));
  req.on("end", () => {
    res.setHeader("x-saw", saw(req, Buffer.concat(parts)));
    res.end();
  });
};
server.httpAllowHalfOpen = true;
server.keepAliveTimeout = 100;
server.on("request", on);
server.on("checkContinue", on);
server.on("checkExpectation", on);
server.on("connect", (req, socket) =>
  socket.end("HTTP/1.1 200 OK\r\nx-saw: " + saw(req, Buffer.alloc(0)) + "\r\nconnection: close\r\n\r\n"));
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
  large_client_header_buffers 4 16k;
  proxy_buffer_size 64k;
  proxy_buffers 4 64k;
  proxy_busy_buffers_size 128k;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen unix:FOLDER/nginx.sock;
    location / {
      proxy_pass http://unix:FOLDER/ours.sock;
      proxy_http_version 1.1;
      proxy_ignore_client_abort on;
    }
  }
}
]]

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

--- What nginx hands on: an absolute target has become its path.
local function as_path(target)
  local path = target:match "^%a+://[^/?]*(.*)$"
  return path and (path:find "^/" and path or "/" .. path) or target
end

local function answering(endpoint)
  return aside(http.serve, endpoint, function(request)
    local body = assert(request:read "a")
    return http.response(200, {["x-saw"] = ("%s %s %s"):format(request.method, request.target, "=" .. hex(body))}, "")
  end)
end

--- Connect, once it listens.
local function dial(endpoint)
  for _ = 1, 1000 do
    local stream = net.connect(endpoint)
    if stream then
      return stream
    end
    task.sleep(0.01)
  end
  error("nobody listens at " .. endpoint)
end

--- The requests that a server has found in these bytes.
local function ask(endpoint, bytes)
  local stream <close> = dial(endpoint)
  stream:settimeout(5)
  stream:write(bytes)
  stream:shutdown()
  local found, parts = {}, {}
  local part = stream:recv()
  while part do -- to the end, or a reset: some close before they have read all
    parts[#parts + 1] = part
    part = stream:recv()
  end
  for method, target, body in table.concat(parts):gmatch "[Xx]%-[Ss]aw: (%S+) (%S+) =(%x*)\r\n" do
    found[#found + 1] = ("%s %s %s"):format(method, as_path(target), body)
  end
  return found
end

local function ours_of(vector)
  local all = {}
  for i, request in ipairs(vector.requests) do
    all[i] = ("%s %s %s"):format(request[1], as_path(request[2]), hex(request[3]))
  end
  return all
end

--- Of what both accept, is something not the same?
local function differ(ours, theirs)
  for i = 1, math.min(#ours, #theirs) do
    if ours[i] ~= theirs[i] then
      return true
    end
  end
end

--- Vectors that only we accept, and why that is no danger.
local alone = {
  ["Transfer-Encoding:\tchunked\t "] = "blanks around a value may be tabs (RFC 9110 §5.6.3)",
}

local function is_there(name)
  local found = process.run({"sh", "-c", "PATH=$PATH:/usr/sbin; command -v " .. name}).stdout
  return found ~= "" and found:gsub("\n", "")
end

describe("the framing of requests, by others", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("is ours of all that we accept, where they accept it; and one of them does", function()
    local nginx, node = is_there "nginx", is_there "node"
    if not nginx or not node then
      pending "nginx and node are not both there"
      return
    end
    local path = folder.path
    folder.write("nginx.conf", (NGINX:gsub("FOLDER", path)))
    folder.write("server.js", NODE)
    local recorder = answering("unix:" .. path .. "/ours.sock")
    local peers = {
      nginx = process.spawn {nginx, "-p", path, "-c", path .. "/nginx.conf", "-e", "stderr", stderr = "null"},
      node = process.spawn {node, path .. "/server.js", path .. "/node.sock"},
    }
    local judged, wrong = {}, {}
    for _, vector in ipairs(vectors) do
      judged[#judged + 1] = not vector.served and vector or nil
    end
    local ok, err = pcall(function()
      for _, vector in ipairs(judged) do
        local ours, most = ours_of(vector), 0
        for name in pairs(peers) do
          local theirs = ask(("unix:%s/%s.sock"):format(path, name), vector.bytes)
          most = math.max(most, #theirs)
          if differ(ours, theirs) then
            wrong[#wrong + 1] = ("%s: %s frames it as %s"):format(vector.name, name, table.concat(theirs, " | "))
          end
        end
        if #ours > most and not alone[vector.name] then
          wrong[#wrong + 1] = vector.name .. ": only we accept it"
        end
      end
    end)
    for _, child in pairs(peers) do
      child:kill "SIGKILL"
      child:wait()
    end
    recorder:cancel()
    assert(ok, err)
    assert.same({}, wrong)
  end)
end)
