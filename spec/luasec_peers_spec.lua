-- LuaSec itself, and libraries that are written for it, unmodified, as Debian packages them.

local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local folder = require "spec.support.folder"
local process = require "neap.process"
local task = require "neap.task"

before_each(folder.make)
after_each(folder.remove)

--- Debian installs pure Lua for the versions that it was packaged for.
local PATHS = "package.path = package.path .. ';/usr/share/lua/5.3/?.lua;/usr/share/lua/5.2/?.lua'\n"

--- Run a script under --luasocket, where these modules are, with a server's certificate.
local function run(modules, text)
  for _, name in ipairs(modules) do
    local paths = "/usr/share/lua/5.4/?.lua;/usr/share/lua/5.3/?.lua;/usr/share/lua/5.2/?.lua"
    if not package.searchpath(name, paths) then
      pending(("no module '%s' here (scripts/deps --test)"):format(name))
    end
  end
  local cert, key = require "neap.tls".selfsigned {names = {"localhost", "127.0.0.1"}}
  folder.write("cert.pem", cert)
  folder.write("key.pem", key)
  folder.write("script.lua", PATHS .. text)
  return folder.run("--luasocket", "script.lua", folder.path)
end

--- Neap's own https server, which takes its time, and the requests.
local HTTPS = [[
  local http = require "neap.http"
  local net, task, time = require "neap.net", require "neap.task", require "neap.time"
  local listener = assert(net.listen("tls://127.0.0.1:0", {cert = "cert.pem", key = "key.pem"}))
  task.background(http.serve, listener, function(asked)
    task.sleep(asked.path:find "slow" and 0.2 or 0)
    return http.response(200, {["x-method"] = asked.method}, asked.path .. (asked:read "a" or ""))
  end)
  local url = ("https://127.0.0.1:%d/"):format(listener.port)
]]

describe("ssl.https", function()
  it("makes a hundred requests of 0.2 s at once, and suspends their tasks only", function()
    local result = run({"socket.http", "ssl.https"}, HTTPS .. [[
      local request = require "ssl.https".request
      local function waited() -- for a processor, on a busy machine
        local file <close> = io.open "/proc/self/schedstat"
        return file and file:read "a":match "^%d+ (%d+)" / 1e9 or 0
      end
      local waits = 0
      local ticking = task.spawn(function()
        while true do
          task.sleep(0.01)
          waits = waits + 1
        end
      end)
      local start = time.now() - waited()
      task.scope(function(scope)
        for i = 1, 100 do
          scope:spawn(function()
            local body, code = request(url .. "slow" .. i)
            assert(body == "/slow" .. i and code == 200, code)
          end)
        end
      end)
      local took = time.now() - waited() - start
      ticking:cancel()
      io.stderr:write(took < 10 and "" or took)
      print(waits > 5)
      os.exit(0)]])
    assert.same(folder.says "true\n", result)
  end)

  for _, which in ipairs {"LuaSec's", "neap's, where LuaSec is not installed,"} do
    it(which .. " takes texts and tables, and says what it does not do", function()
      local result = run({"socket.http", "ssl.https"}, HTTPS .. (which:find "neap" and [[
        package.path = package.path:gsub("[^;]*%?[^;]*", function(where)
          return (where:gsub("%?", "?"))
        end)
        package.preload["ssl.https"] = function() return require "neap.luasocket.ssl.https" end
        ]] or "") .. [[
        local ltn12, https, parts = require "ltn12", require "ssl.https", {}
        print(https.request(url .. "a", "x=1"))
        local ok, code, headers = https.request {url = url .. "b", sink = ltn12.sink.table(parts), verify = "peer",
          cafile = "cert.pem", method = "PUT", source = ltn12.source.string "text",
          headers = {["content-length"] = 4}}
        print(ok, code, headers["x-method"], table.concat(parts))
        print(https.request {url = url, verify = "peer", cafile = "key.pem"})
        print(https.request {url = url, proxy = "x"})
        print(https.request {url = url, redirect = true})
        print(https.request {url = url, create = print})
        print(require "socket.http".request(url .. "c"))
        os.exit(0)]])
      assert.equal("", result.stderr)
      local lines = {}
      for line in result.stdout:gmatch "[^\n]+" do
        lines[#lines + 1] = line:gsub("table: %S+", "table")
      end
      assert.same({"/ax=1\t200\ttable\tHTTP/1.1 200 OK", "1\t200\tPUT\t/btext"}, {lines[1], lines[2]})
      assert.matches("^nil\terror loading CA locations", lines[3])
      assert.same({"nil\tproxy not supported", "nil\tredirect not supported",
        "nil\tcreate function not permitted"}, {lines[4], lines[5], lines[6]})
      assert.equal("/c\t200\ttable\tHTTP/1.1 200 OK", lines[7])
    end)
  end
end)

describe("socket.smtp", function()
  it("sends a message by TLS, to a server of neap's", function()
    assert.same(folder.says("MAIL FROM:<a@x>|RCPT TO:<b@x>|DATA|Subject: hello||text|..dot|.|QUIT\t1\n"),
      run({"socket.smtp"}, [[
        local net, task = require "neap.net", require "neap.task"
        local smtp, socket, ssl = require "socket.smtp", require "socket", require "ssl"
        local listener = assert(net.listen("tls://127.0.0.1:0", {cert = "cert.pem", key = "key.pem"}))
        local server = task.spawn(function()
          local stream <close> = assert(listener:accept())
          local heard, is_text = {}, false
          stream:write "220 here\r\n"
          for line in stream:lines("l", {crlf = true}) do
            if not line:find "^EHLO" and not line:find "^[CdDMmXx][%w-]+:" then
              heard[#heard + 1] = line
            end
            is_text = line == "DATA" or is_text and line ~= "."
            if not is_text or line == "DATA" then
              stream:write(line == "DATA" and "354 go on\r\n" or line == "QUIT" and "221 bye\r\n" or "250 ok\r\n")
            end
          end
          return table.concat(heard, "|")
        end)
        local function create()
          local one = socket.tcp()
          local proxy = {}
          function proxy:connect(host, port)
            assert(one:connect(host, port))
            one = assert(ssl.wrap(one, {mode = "client", protocol = "any", cafile = "cert.pem", verify = "peer"}))
            return assert(one:dohandshake()) and 1
          end
          return setmetatable(proxy, {__index = function(_, name)
            return function(_, ...) return one[name](one, ...) end
          end})
        end
        local sent = assert(smtp.send {
          from = "<a@x>", rcpt = "<b@x>", server = "127.0.0.1", port = listener.port, create = create,
          source = smtp.message {headers = {subject = "hello"}, body = "text\r\n.dot"},
        })
        print(server:join(), sent)
        os.exit(0)]]))
  end)
end)

describe("LuaSec itself", function()
  --- Three connections: a usual one, one by another name, and one by a name that is refused.
  local SERVER = [[
    local socket, ssl = require "socket", require "ssl"
    io.stdout:setvbuf "line"
    local function context(name, alpn)
      return assert(ssl.newcontext {mode = "server", protocol = "any", key = "key.pem", certificate = name .. ".pem",
        cafile = "ca.pem", verify = {"peer", "fail_if_no_peer_cert"}, options = {"all", "no_sslv2"}, alpn = alpn,
        depth = 2})
    end
    local usual, other = context("usual", function(list) return list[#list] end), context "other"
    local server = assert(socket.bind("127.0.0.1", 0))
    server:settimeout(20)
    print((select(2, server:getsockname())))
    for i = 1, 3 do
      local client = assert(ssl.wrap(assert(server:accept()), usual))
      client:sni({["other.example"] = other}, i == 3)
      client:settimeout(20)
      local done, why = client:dohandshake()
      print(done, not why or #why > 0)
      if done then
        print(client:getsniname(), client:getalpn(), client:getpeerverification(), client:info "protocol")
        print(client:getpeercertificate():subject()[1].value, #client:getpeerchain(), (client:receive()))
        print(client:receive(100000) == ("x"):rep(100000))
        client:send "answer\n"
      end
      client:close()
    end]]

  local CLIENT = [[
    local socket, ssl = require "socket", require "ssl"
    for i, name in ipairs {"usual.example", "other.example", "none.example"} do
      local client = assert(socket.connect("127.0.0.1", arg[1]))
      client = assert(ssl.wrap(client, {mode = "client", protocol = i == 2 and "tlsv1_2" or "any", key = "key.pem",
        certificate = "client.pem", cafile = i == 1 and "ca.pem" or nil, verify = i == 1 and "peer" or "none",
        verifyext = i == 2 and "lsec_continue" or nil, options = "all", alpn = {"a", "b"}}))
      client:sni(name)
      client:settimeout(0)
      local done, why = client:dohandshake()
      while not done and (why == "wantread" or why == "wantwrite") do
        socket.select(why == "wantread" and {client} or nil, why == "wantwrite" and {client} or nil)
        done, why = client:dohandshake()
      end
      print(done)
      if done then
        local ok, errors = client:getpeerverification()
        print(ok, type(errors) == "table" and errors[2][1] or errors, client:getalpn())
        local about = client:info()
        print(about.protocol, about.export, about.mac, math.tointeger(about.bits))
        print(client:getpeercertificate():extensions()["2.5.29.17"].dNSName[1], #client:getpeerchain())
        print(#client:getfinished() > 0, #client:getpeerfinished() > 0)
        print((select(2, client:receive "*a")))
        client:settimeout(20)
        client:send "hello\n"
        client:send(("x"):rep(100000))
        print((client:receive()))
        print((select(2, client:receive())))
      end
      client:close()
    end]]

  local function start(which, name, ...)
    local words = which == "neap" and {child.neap, "--luasocket"} or {"lua5.4"}
    for _, word in ipairs {name, ...} do
      words[#words + 1] = word
    end
    words.cwd, words.stdout, words.stderr = folder.path, "pipe", "pipe"
    return assert(process.spawn(words))
  end

  --- What both say.
  local function try(client_in, server_in)
    local server <close> = start(server_in, "server.lua")
    local port = assert(server.stdout:read "l", server.stderr)
    local heard = task.spawn(server.stdout.read, server.stdout, "a")
    local client <close> = start(client_in, "client.lua", port)
    local said = client.stdout:read "a" .. client.stderr:read "a"
    client:wait()
    return said .. "--\n" .. heard:join() .. server.stderr:read "a"
  end

  it("speaks with neap's both ways, and both say the same", function()
    if not certificates.possible() or process.run({"lua5.4", "-e", "require 'ssl'"}).code ~= 0 then
      pending "no lua5.4 with LuaSec, or no openssl"
    end
    certificates.begin(folder.path)
    for _, name in ipairs {"usual", "other", "client"} do
      certificates.openssl("req", "-new", "-config", "config", "-key", "key.pem", "-subj", "/CN=" .. name,
        "-addext", "subjectAltName=DNS:" .. name .. ".example", "-out", name .. ".csr")
      certificates.openssl("ca", "-batch", "-config", "config", "-in", name .. ".csr", "-days", "30", "-notext",
        "-out", name .. ".pem")
    end
    folder.write("client.lua", CLIENT)
    folder.write("server.lua", SERVER)
    local ways = {}
    for i, way in ipairs {{"lua", "lua"}, {"neap", "lua"}, {"lua", "neap"}, {"neap", "neap"}} do
      ways[i] = function()
        return try(way[1], way[2])
      end
    end
    local said = task.all(ways)
    assert.matches("^true\ntrue\tnil\tb\nTLSv1.3\tfalse\tAEAD\t256\n", said[1])
    assert.matches("\nfalse\ttrue\n$", said[1])
    for i = 2, 4 do
      assert.equal(said[1], said[i])
    end
  end)
end)
