--- Who is measured: how to start each one's servers, and what they can do.
---
--- A command gets the mode (echo, lines, relay), the endpoint to listen at
--- (tcp://127.0.0.1:0 or unix:PATH) and, for a relay, where to connect to. It
--- prints the endpoint as its first line when it is ready.

---@class bench.Peer
---@field id string
---@field name string  in tables
---@field kind "limit"|"neap"|"lua"|"other"
---@field needs string[]  executables
---@field probe? string[]  a command that succeeds where a library is there
---@field env? table<string, string>
---@field modes table<string, boolean>  echo, unix, bulk, lines, relay, connect, idle, tls, http, ws, large, files
---@field most? integer  connections
---@field relays? boolean  it answers nothing by itself: in mode tls it relays to an echo
---@field server fun(mode: string, endpoint: string, upstream?: string): string[]
---@field start? string[]  a program that does nothing
---@field tasks? string[]  what prints ns to spawn, and to switch

--- @param build string  where what was compiled lies
--- @param neap string  the executable
return function(build, neap)
  local function modes(text)
    local set = {}
    for word in text:gmatch "%S+" do
      set[word] = true
    end
    return set
  end

  local function server(...)
    local words = {...}
    return function(mode, endpoint, upstream)
      local command = table.move(words, 1, #words, 1, {})
      for _, word in ipairs {mode, endpoint, upstream} do
        command[#command + 1] = word
      end
      return command
    end
  end

  local function erl(module)
    return {
      "erl", "-noshell", "+S", "1", "+Q", "65536", "-pa", build, "-run", module, "main", "-extra",
    }
  end

  -- Debian's own, which sees its packages, rather than another one in PATH.
  local python = io.open "/usr/bin/python3" and "/usr/bin/python3" or "python3"
  local all = "echo unix bulk lines relay connect idle"
  local with_workers = all .. " workers"

  local function relay(script)
    return function(mode, _, upstream)
      return {"sh", "bench/peers/" .. script, build, mode, upstream}
    end
  end

  --- What serves HTTP by a program of its own, and all else by `others`.
  local function also_http(others, ...)
    local http = server(...)
    return function(mode, ...)
      return (mode == "http" and http or others)(mode, ...)
    end
  end

  return {
    {
      id = "epoll", name = "C, epoll", kind = "limit", needs = {}, modes = modes(with_workers),
      server = server(build .. "/epoll"), start = {build .. "/nothing"},
    },
    {
      id = "openssl", name = "C, epoll, OpenSSL", kind = "limit", needs = {}, modes = modes "tls",
      probe = {"test", "-x", build .. "/tls_epoll"},
      server = function(_, endpoint)
        return {build .. "/tls_epoll", "echo", endpoint}
      end,
    },
    {
      id = "llhttp", name = "C, epoll, llhttp", kind = "limit", needs = {}, modes = modes "http ws",
      probe = {"test", "-x", build .. "/http_llhttp"}, server = server(build .. "/http_llhttp"),
    },
    {
      id = "awake", name = "C, epoll, never asleep", kind = "limit", needs = {}, env = {AWAKE = "1"},
      modes = modes "pingpong connect", server = server(build .. "/epoll"),
    },
    {
      id = "libuv", name = "C, libuv", kind = "limit", needs = {},
      modes = modes "echo unix bulk lines connect idle", server = server(build .. "/libuv"),
    },
    {
      id = "neap", name = "neap", kind = "neap", needs = {}, modes = modes(with_workers .. " tls http ws large files"),
      server = also_http(server(neap, "bench/peers/neap.lua"), neap, "bench/peers/http_neap.lua"),
      start = {neap, "-e", "return net"},
      tasks = {neap, "bench/peers/tasks.lua"},
    },
    {
      id = "busy", name = "neap --busy-poll=200", kind = "neap", needs = {},
      probe = {neap, "--busy-poll=200", "-e", ""}, modes = modes "pingpong connect",
      server = server(neap, "--busy-poll=200", "bench/peers/neap.lua"),
    },
    {
      id = "neap2", name = "neap -w 2", kind = "neap", needs = {}, modes = modes "workers",
      server = server(neap, "-w", "2", "bench/peers/neap.lua"),
    },
    {
      id = "luajit", name = "luv, LuaJIT", kind = "lua", needs = {"luajit"},
      probe = {"luajit", "-e", "require 'luv'"}, modes = modes "echo unix bulk lines connect idle",
      server = server("luajit", "bench/peers/luv.lua"), start = {"luajit", "-e", "require 'luv'"},
      tasks = {"luajit", "bench/peers/tasks.lua"},
    },
    {
      id = "luv", name = "luv, Lua 5.4", kind = "lua", needs = {"lua5.4"},
      probe = {"lua5.4", "-e", "require 'luv'"}, modes = modes "echo unix bulk lines connect idle",
      server = server("lua5.4", "bench/peers/luv.lua"), start = {"lua5.4", "-e", "require 'luv'"},
      tasks = {"lua5.4", "bench/peers/tasks.lua"},
    },
    {
      id = "cqueues", name = "cqueues", kind = "lua", needs = {"lua5.4"},
      probe = {"lua5.4", "-e", "require 'cqueues'"}, modes = modes "echo unix bulk lines connect idle",
      server = server("lua5.4", "bench/peers/cqueues.lua"),
      tasks = {"lua5.4", "bench/peers/tasks_cqueues.lua"},
    },
    {
      id = "luasocket", name = "LuaSocket, select", kind = "lua", needs = {"lua5.4"}, most = 900,
      probe = {"lua5.4", "-e", "require 'socket'"}, modes = modes "echo lines connect",
      server = server("lua5.4", "bench/peers/luasocket.lua"),
    },
    {
      id = "go", name = "Go", kind = "other", needs = {"go"}, env = {GOMAXPROCS = "1"},
      probe = {"test", "-x", build .. "/server"}, modes = modes(all .. " tls http large files"),
      server = also_http(server(build .. "/server"), build .. "/http_go"), tasks = {build .. "/tasks"},
    },
    {
      id = "go2", name = "Go, GOMAXPROCS=2", kind = "other", needs = {"go"}, env = {GOMAXPROCS = "2"},
      probe = {"test", "-x", build .. "/server"}, modes = modes "workers",
      server = server(build .. "/server"),
    },
    {
      id = "node", name = "node", kind = "other", needs = {"node"},
      modes = modes(all .. " tls http ws large files"),
      server = also_http(server("node", "bench/peers/node.js"), "node", "bench/peers/http_node.js"),
      start = {"node", "-e", "require 'net'"},
      tasks = {"node", "bench/peers/tasks.js"},
    },
    {
      id = "uvloop", name = "Python, uvloop", kind = "other", needs = {python},
      probe = {python, "-c", "import uvloop"}, env = {LOOP = "uvloop"}, modes = modes(all .. " tls"),
      server = server(python, "bench/peers/asyncio_server.py"),
      tasks = {python, "bench/peers/tasks.py"},
    },
    {
      id = "asyncio", name = "Python, asyncio", kind = "other", needs = {python},
      modes = modes(all .. " tls"), server = server(python, "bench/peers/asyncio_server.py"),
      start = {python, "-c", "import asyncio"}, tasks = {python, "bench/peers/tasks.py"},
    },
    {
      id = "erlang", name = "Erlang", kind = "other", needs = {"erl"},
      probe = {"test", "-e", build .. "/server.beam"}, modes = modes "echo bulk lines connect idle",
      server = server(table.unpack(erl "server")),
      start = {"erl", "-noshell", "-eval", "halt()."}, tasks = erl "tasks",
    },
    {
      id = "nginx", name = "nginx, stream", kind = "other", needs = {"nginx"},
      probe = {"test", "-e", "/usr/lib/nginx/modules/ngx_stream_module.so"}, modes = modes "relay tls",
      relays = true, server = relay "nginx",
    },
    {
      id = "nginx_http", name = "nginx", kind = "other", needs = {"nginx"}, modes = modes "http large",
      server = function(mode)
        return {"sh", "bench/peers/http_nginx", build, mode}
      end,
    },
    {
      id = "aiohttp", name = "Python, aiohttp", kind = "other", needs = {python},
      probe = {python, "-c", "import aiohttp"}, modes = modes "http ws",
      server = server(python, "bench/peers/http_aiohttp.py"),
    },
    {
      id = "stunnel", name = "stunnel", kind = "other", needs = {"stunnel"}, modes = modes "tls",
      relays = true, server = relay "stunnel",
    },
  }
end
