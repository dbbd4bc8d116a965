-- The programs of others in docs/guide/moving-in.md do what neap's do there, where what runs them
-- is installed.

local fs = require "neap.fs"
local http = require "neap.http"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local folder = require "spec.support.folder"
local server = require "spec.support.server"

before_each(folder.make)
after_each(folder.remove)

local page = assert(fs.read "docs/guide/moving-in.md")

local function need(path, package)
  if not fs.stat(path) then
    pending(("%s is missing (Debian: %s)"):format(path, package))
  end
end

--- The program behind ```language, at a port that is free, and with time on a busy machine: its
--- file's path, and the port.
local function program(language, name)
  local text = assert(page:match("\n```" .. language .. "\n(.-)\n```\n"), language)
  local port = server.port()
  text = text:gsub("%f[%d]7000%f[%D]", port):gsub("timeout%(500%)", "timeout(30000)")
    :gsub("timeout%(0.5%)", "timeout(30)")
  return folder.write(name, text), port
end

--- Run it until its port is answered; what is to be closed.
local function start(port, command)
  command.stdout, command.stderr, command.grace = "null", "null", 0
  local running = assert(process.spawn(command))
  local up = task.timeout(30, function()
    repeat
      task.sleep(0.02)
      local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
    until stream
    return true
  end)
  if not up then
    running:close()
    error("it does not listen: " .. table.concat(command, " "))
  end
  return running
end

local function answers_lines(port)
  for _ = 1, 2 do
    local stream <close> = assert(net.connect("tcp://127.0.0.1:" .. port))
    stream:write "high tide\nat "
    assert.equal("HIGH TIDE", stream:read "l")
    stream:write "six\n"
    assert.equal("AT SIX", stream:read "l")
  end
end

local function is_gateway(port)
  local base = "http://127.0.0.1:" .. port
  local answer = assert(http.get(base .. "/"))
  assert.same({200, "application/json", {price = 3, stock = 7}}, {answer.status,
    answer.headers["content-type"]:match "^[^;]*", answer:json()})
  assert.same({price = 3}, assert(http.get(base .. "/price")):json())
  assert.equal(404, assert(http.get(base .. "/none")).status)
end

describe("the program of", function()
  it("luv answers lines", function()
    need("/usr/bin/lua5.4", "lua5.4")
    if process.run({"lua5.4", "-e", "require 'luv'"}).code ~= 0 then
      pending "luv is missing (Debian: lua-luv)"
    end
    local path, port = program("lua luv", "lines.lua")
    local _ <close> = start(port, {"lua5.4", path})
    answers_lines(port)
  end)

  it("lua-eco answers lines", function()
    if process.run({"sh", "-c", "command -v eco"}).code ~= 0 then
      pending "lua-eco is missing (Debian has none)"
    end
    local path, port = program("lua eco", "lines.lua")
    local _ <close> = start(port, {"eco", path})
    answers_lines(port)
  end)

  it("OpenResty is a gateway", function()
    need("/usr/lib/nginx/modules/ngx_http_lua_module.so", "libnginx-mod-http-lua")
    local path, port = program("nginx", "locations")
    local config = folder.write("nginx.conf", ([[
load_module modules/ndk_http_module.so;
load_module modules/ngx_http_lua_module.so;
daemon off;
master_process off;
error_log stderr;
pid %s/pid;
events {}
http {
  access_log off;
  client_body_temp_path %s/body;
  proxy_temp_path %s/proxy;
  fastcgi_temp_path %s/fastcgi;
  uwsgi_temp_path %s/uwsgi;
  scgi_temp_path %s/scgi;
  server { listen 127.0.0.1:%d; include %s; }
}
]]):gsub("%%d", port):gsub("%%s", folder.path, 6):gsub("%%s", path))
    local _ <close> = start(port, {"/usr/sbin/nginx", "-c", config, "-p", "/usr/share/nginx"})
    is_gateway(port)
  end)

  it("Node is a gateway", function()
    if process.run({"node", "-e", "process.exit(typeof fetch == 'function' ? 0 : 1)"}).code ~= 0 then
      pending "Node of 18 or more is missing (Debian: nodejs)"
    end
    local path, port = program("javascript", "gateway.mjs")
    local _ <close> = start(port, {"node", path})
    is_gateway(port)
  end)

  it("Python is a gateway", function()
    if process.run({"/usr/bin/python3", "-c", "import aiohttp, asyncio; asyncio.timeout"}).code ~= 0 then
      pending "Python of 3.11 or more, or aiohttp, is missing (Debian: python3-aiohttp)"
    end
    local path, port = program("python", "gateway.py")
    local _ <close> = start(port, {"/usr/bin/python3", path})
    is_gateway(port)
  end)
end)
