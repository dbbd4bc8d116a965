-- Libraries written for LuaSocket, unmodified, on neap's: as Debian packages them, and
-- LuaSocket's own tests, which `scripts/deps --test` fetches. NEAP_LUASOCKET=1 runs all of
-- these, which takes a minute.

local child = require "spec.support.child"
local folder = require "spec.support.folder"
local process = require "neap.process"
local task = require "neap.task"

local TESTS = ".cache/luasocket/test/"

before_each(folder.make)
after_each(folder.remove)

--- Debian installs pure Lua for the versions that it was packaged for.
local PATHS = "package.path = package.path .. ';/usr/share/lua/5.3/?.lua;/usr/share/lua/5.2/?.lua'\n"

--- Run a script under --luasocket, where these modules are.
local function run(modules, text)
  for _, name in ipairs(modules) do
    local paths = "/usr/share/lua/5.4/?.lua;/usr/share/lua/5.3/?.lua;/usr/share/lua/5.2/?.lua"
    if not package.searchpath(name, paths) then
      pending(("no module '%s' here (scripts/deps --test)"):format(name))
    end
  end
  folder.write("script.lua", PATHS .. text)
  return folder.run("--luasocket", "script.lua", folder.path)
end

describe("unmodified libraries for LuaSocket", function()
  it("socket.http: a hundred requests of 0.2 s at once take less than 1 s", function()
    local result = run({"socket.http"}, [[
      local http = require "neap.http"
      local net, task, time = require "neap.net", require "neap.task", require "neap.time"
      local request = require "socket.http".request
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      task.background(http.serve, listener, function(asked)
        task.sleep(0.2)
        return asked.path
      end)
      local function waited() -- for a processor, on a busy machine
        local file <close> = io.open "/proc/self/schedstat"
        return file and file:read "a":match "^%d+ (%d+)" / 1e9 or 0
      end
      local start = time.now() - waited()
      task.scope(function(scope)
        for i = 1, 100 do
          scope:spawn(function()
            local body, code = request(("http://127.0.0.1:%d/%d"):format(listener.port, i))
            assert(body == "/" .. i and code == 200, code)
          end)
        end
      end)
      local took = time.now() - waited() - start
      io.stderr:write(took < 1 and "" or took)
      print "done"
      os.exit(0)]])
    assert.same(folder.says "done\n", result)
  end)

  it("socket.smtp and ltn12 send a message", function()
    assert.same(folder.says "MAIL FROM:<a@x>|RCPT TO:<b@x>|Subject: hello| |text|..dot| \t1\n", run({"socket.smtp"}, [[
      local socket, smtp, task = require "socket", require "socket.smtp", require "neap.task"
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local heard = {}
      task.spawn(function()
        local client = server:accept()
        client:send "220 here\r\n"
        for line in function() return (client:receive()) end do
          if line:find "^MAIL" or line:find "^RCPT" then
            heard[#heard + 1] = line
          elseif line == "DATA" then
            client:send "354 go on\r\n"
            line = client:receive()
            while line ~= "." do
              if not line:find "^[CDMX][%w-]+:" then
                heard[#heard + 1] = line == "" and " " or line
              end
              line = client:receive()
            end
          end
          client:send(line == "QUIT" and "221 bye\r\n" or "250 ok\r\n")
        end
      end)
      local sent = smtp.send {
        from = "<a@x>", rcpt = "<b@x>", server = "127.0.0.1", port = port,
        source = smtp.message {headers = {subject = "hello"}, body = "text\r\n.dot\r\n"},
      }
      server:close()
      print(table.concat(heard, "|"), sent)]]))
  end)

  it("redis.lua speaks with redis-server", function()
    if process.run({"sh", "-c", "command -v redis-server"}).code ~= 0 then
      pending "no redis-server"
    end
    assert.same(folder.says "true\t2\t2\t7\n", run({"redis"}, [[
      local process, task = require "neap.process", require "neap.task"
      local server <close> = process.spawn {"redis-server", "--port", "0", "--unixsocket", "redis.sock",
        "--save", "", stdout = "pipe"}
      for line in server.stdout:lines() do
        if line:find "ready to accept" then
          break
        end
      end
      local redis = require "redis"
      local one = redis.connect ("unix://" .. arg[1] .. "/redis.sock")
      local popped = task.spawn(function()
        local two = redis.connect ("unix://" .. arg[1] .. "/redis.sock")
        return two:blpop("list", 0)[2]
      end)
      one:set("a", 1)
      print(one:ping(), one:incr("a"), one:get("a"), one:rpush("list", 7) and popped:join())]]))
  end)

  it("copas runs a server and twenty clients of its own", function()
    assert.same(folder.says "100\n", run({"copas", "coxpcall"}, [[
      local socket, copas = require "socket", require "copas"
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      copas.addserver(server, function(client)
        client = copas.wrap(client)
        for line in function() return (client:receive()) end do
          client:send(line:upper() .. "\n")
        end
      end)
      local answers, ended = 0, 0
      for i = 1, 20 do
        copas.addthread(function()
          local raw = socket.tcp()
          raw:settimeout(0)
          assert(copas.connect(raw, "127.0.0.1", port))
          local client = copas.wrap(raw)
          for _ = 1, 5 do
            client:send("hello " .. i .. "\n")
            local answer = client:receive()
            answers = answers + (answer == "HELLO " .. i and 1 or 0)
          end
          raw:close()
          ended = ended + 1
        end)
      end
      while ended < 20 do
        copas.step()
      end
      print(answers)]]))
  end)

  it("logging.socket logs", function()
    assert.same(folder.says "INFO one\nWARN two\n", run({"logging", "logging.socket"}, [[
      local socket, task = require "socket", require "neap.task"
      require "logging.socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local logs = task.spawn(function()
        for _ = 1, 2 do
          local client = server:accept()
          io.write(client:receive "*a")
          client:close()
        end
      end)
      local logger = logging.socket("127.0.0.1", port, "%level %message\n")
      logger:info "one"
      logger:warn "two"
      logs:join()]]))
  end)
end)

describe("LuaSocket's own tests", function()
  --- A program, with what its debug build gives: the time that a call took.
  local function program(name)
    local file = io.open(TESTS .. name)
    if not file then
      pending "LuaSocket's source is not here (scripts/deps --test)"
    end
    local text = file:read "a"
    file:close()
    return ([[
      do
        local socket = require "socket"
        socket._DEBUG = true
        local server = assert(socket.bind("127.0.0.1", 0))
        local client = assert(socket.connect("127.0.0.1", (select(2, server:getsockname()))))
        local methods = getmetatable(client).__index
        for _, name in ipairs {"receive", "send"} do
          local method = methods[name]
          methods[name] = function(...)
            local start = socket.gettime()
            local a, b, c = method(...)
            return a, b, c, socket.gettime() - start
          end
        end
        client:close()
        server:close()
      end
      host, port = "127.0.0.1", arg[1]
    ]]) .. text
  end

  --- Lines without those of long sizes and sleeps.
  local function shorter(text)
    text = text:gsub("10%.0%.0%.1", "255.255.255.255") -- there may be such a host
    if os.getenv "NEAP_LUASOCKET" then
      return text
    end
    text = text:gsub("\ntest_nonblocking%([48]%d+%)", ""):gsub("\ntest_nonblocking%(1?[17]%)", "")
    text = text:gsub("800091, 1, 3", "200091, 1, 2"):gsub("\n[%w_]+%(800091[^\n]*", "")
    return (text:gsub("8000000", "200000"):gsub("801990", "180199"))
  end

  local function start(which, name, ...)
    local words = which == "neap" and {child.neap, "--luasocket"} or {"lua5.4"}
    for _, word in ipairs {name, ...} do
      words[#words + 1] = word
    end
    words.cwd, words.stdout, words.stderr = folder.path, "pipe", "pipe"
    return assert(process.spawn(words))
  end

  --- What the client says of it.
  local function try(client_in, server_in)
    local server <close> = start(server_in, "server.lua", "0")
    local port = assert(server.stdout:read "l")
    local drain = task.spawn(server.stdout.read, server.stdout, "a")
    local client <close> = start(client_in, "client.lua", port)
    local said = client.stderr:read "a"
    client:wait()
    drain:join()
    return said
  end

  it("pass with the client, the server, and both in neap", function()
    if process.run({"lua5.4", "-e", "require 'socket'"}).code ~= 0 then
      pending "no lua5.4 with LuaSocket"
    end
    folder.write("client.lua", shorter(program "testclnt.lua"))
    folder.write("server.lua", (program "testsrvr.lua":gsub("\nserver = assert%b()",
      "%0 io.stdout:setvbuf 'line' print((select(2, server:getsockname())))")))
    local ways = {}
    for _, way in ipairs {{"neap", "lua"}, {"lua", "neap"}, {"neap", "neap"}} do
      ways[#ways + 1] = function()
        return try(way[1], way[2])
      end
    end
    for _, said in ipairs(task.all(ways)) do
      assert.matches("testing: done in", said)
      assert.is_nil(said:find "ERROR")
    end
  end)
end)
