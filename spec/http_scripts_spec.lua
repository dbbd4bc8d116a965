-- The scripts that speak HTTP, run as their users would run them.

local folder = require "spec.support.folder"
local http = require "neap.http"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local closers = {}

before_each(folder.make)
after_each(function()
  for _, close in ipairs(closers) do
    close()
  end
  closers = {}
  folder.remove()
end)

local here = process.run({"pwd"}).stdout:match "[^\n]+"

--- Run a script in the folder.
local function run(name, ...)
  return assert(process.run {folder.neap, cwd = folder.path, here .. "/scripts/" .. name .. ".lua", ...})
end

--- Serve beside the test, by `how(listener, handler, options)`; the host and port.
local function beside(how, handler)
  local listener = assert(net.listen "tcp://127.0.0.1:0")
  local serving = task.spawn(how, listener, handler, {onerror = function() end})
  table.insert(closers, function()
    serving:cancel()
    serving:join()
    listener:close()
  end)
  return tostring(listener.address)
end

--- A server that does this with each connection; its host and port.
local function serve(handler)
  return beside(function(listener, ...)
    return listener:serve(...)
  end, handler)
end

--- One of HTTP; its URL.
local function serve_http(handler)
  return "http://" .. beside(http.serve, handler)
end

local function is_there(tool)
  return process.run({"sh", "-c", "command -v " .. tool}).code == 0
end

--- Text that differs everywhere.
local function pattern(n)
  local lines = {}
  for i = 1, n // 8 do
    lines[i] = ("%07x\n"):format(i)
  end
  return table.concat(lines)
end

local function read(name)
  local file <close> = io.open(folder.path .. "/" .. name, "rb")
  return file and file:read "a"
end

describe("each script", function()
  for script, lists in pairs {
    http_get = {
      {}, {"-i"}, {"x"}, {"ftp://x/"}, {"http://"}, {"http://user@x/"}, {"http://x y/"},
      {"http://x/\r\nX: y"}, {"http://x:y:1/"}, {"http://x/", "http://x/"},
    },
    download = {{}, {"x"}, {"http://x y/"}, {"http://x/", "a", "b"}},
    http_proxy = {{"x"}, {"tcp://127.0.0.1:0", "y"}},
    webhook = {{"x"}, {"-d"}, {"tcp://127.0.0.1:0", "y"}},
    http_server = {{}, {"/nowhere"}, {"/", "x"}, {"/", "tcp://127.0.0.1:0", "x"}},
    load = {{}, {"x"}, {"-r", "0", "http://x/"}, {"-c", "1.5", "http://x/"}, {"http://x/", "y"}},
  } do
    it(script .. ".lua tells its usage when called wrongly", function()
      for _, arguments in ipairs(lists) do
        local result = run(script, table.unpack(arguments))
        assert.equal(2, result.code, table.concat(arguments, " ") .. result.stderr)
        assert.equal("", result.stdout)
        assert.matches("\nusage: [^\n]*" .. script .. ".lua", "\n" .. result.stderr)
      end
    end)
  end
end)

describe("http_get.lua", function()
  describe("from python3's server", function()
    local server, url

    before_each(function()
      folder.write("file", pattern(1 << 20))
      server = process.spawn {
        "python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder.path,
        stdout = "pipe", stderr = "null",
      }
      url = server and (server.stdout:read "l" or ""):match "%((http://.-)/?%)"
    end)

    after_each(function()
      if server then
        server:close()
        server:wait()
      end
    end)

    it("gets what was put there", function()
      if not url then
        pending "python3 is not installed"
      end
      assert.same({stdout = pattern(1 << 20), stderr = "", code = 0}, run("http_get", url .. "/file"))
      assert.matches('<a href="file">', run("http_get", url).stdout)
    end)

    it("shows what curl shows", function()
      if not url or not is_there "curl" then
        pending "python3 or curl is not installed"
      end
      local function lines(text) -- but for the date of the answer
        return (text:gsub("\r\n", "\n"):gsub("\nDate: [^\n]+", ""))
      end
      for _, path in ipairs {"/file", "", "/none"} do
        local theirs = process.run {"curl", "-s", "-i", url .. path}
        local ours = run("http_get", "-i", url .. path).stdout
        assert.is_true(lines(theirs.stdout) == lines(ours), path)
      end
    end)
  end)

  local ok = "HTTP/1.1 200 OK\r\n"
  local chunked = ok .. "Transfer-Encoding: chunked\r\n\r\n"

  for what, row in pairs {
    ["a body of a known length"] = {ok .. "Content-Length: 5\r\n\r\nhello", "hello"},
    ["a body up to the end"] = {"HTTP/1.0 200 OK\r\nServer:x\r\n\r\nhello", "hello"},
    ["a body in chunks"] = {
      chunked .. "5;a=b\r\nhello\r\n00A\r\n, hello ag\r\n3\r\nain\r\n0\r\nTrailer: x\r\n\r\n",
      "hello, hello again",
    },
    ["no body"] = {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""},
    ["an answer after another"] = {"HTTP/1.1 100 Continue\r\n\r\n" .. ok .. "Content-Length: 2\r\n\r\nok", "ok"},
    ["an error, with its body"] = {
      "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", "none", "HTTP/1.1 404 Not Found",
    },
    ["a redirect, as it is"] = {
      "HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "", "HTTP/1.1 301 Moved",
    },
    ["too short a body"] = {ok .. "Content-Length: 50\r\n\r\nhello", "hello", "ENODATA"},
    ["a chunk of no size"] = {chunked .. "x\r\n", "", "EBADMSG"},
    ["another protocol"] = {"SSH-2.0-x\r\n", "", "EBADMSG"},
    ["nothing"] = {"", "", "ECONNRESET"},
  } do
    it("answers to " .. what, function()
      local asked
      local host = serve(function(stream)
        asked = stream:readuntil "\r\n\r\n"
        stream:write(row[1])
      end)
      local result = run("http_get", ("http://%s/a?b=c#d"):format(host))
      assert.equal("GET /a?b=c HTTP/1.1\r\nhost: " .. host, asked:match "^.-\r\n.-%f[\r]")
      assert.equal(row[2], result.stdout)
      assert.matches(row[3] or "^$", result.stderr)
      assert.equal(row[3] and 1 or 0, result.code)
    end)
  end

  it("tells why it cannot connect", function()
    assert.same({
      stdout = "", code = 1,
      stderr = "http_get: connect tcp://127.0.0.1:1: connection refused (ECONNREFUSED)\n",
    }, run("http_get", "http://127.0.0.1:1/"))
  end)
end)

describe("download.lua", function()
  local text = pattern(300000)

  --- A server that cuts its first answer, and knows ranges of what has that tag.
  local function serve_part(tag)
    local asked, tags = {}, {tag, tag}
    local host = serve(function(stream)
      local head = stream:readuntil "\r\n\r\n"
      asked[#asked + 1] = head
      local from = head:match "range: bytes=(%d+)%-"
      local own = tags[#asked]
      if from and head:match "if%-range: ([^\r]+)" == own then
        stream:write(("HTTP/1.1 206 Partial\r\nETag: %s\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n")
          :format(own, from, #text - 1, #text, #text - from), text:sub(from + 1))
      else
        stream:write(("HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: %d\r\n\r\n"):format(own, #text),
          #asked == 1 and text:sub(1, 100000) or text)
      end
    end)
    return "http://" .. host .. "/a%20file", asked, tags
  end

  it("takes all, under the URL's name or another", function()
    local url = serve_http(function()
      return text
    end)
    assert.same({stdout = "", stderr = "", code = 0}, run("download", url .. "/x/a%20file?b"))
    assert.is_true(read "a file" == text)
    assert.equal(0, run("download", url, "other").code)
    assert.is_true(read "other" == text)
    assert.is_nil(read "other.part")
  end)

  it("goes on where it was cut", function()
    local url, asked = serve_part '"1"'
    local result = run("download", url)
    assert.equal(1, result.code)
    assert.is_nil(read "a file")
    local there = #read "a file.part"
    assert.is_true(there > 0)
    assert.equal(0, run("download", url).code)
    assert.matches(("range: bytes=%d-"):format(there), asked[2], nil, true)
    assert.is_true(read "a file" == text)
    assert.is_nil(read "a file.part.etag")
  end)

  it("begins anew where the file is another by now", function()
    local url, _, tags = serve_part '"1"'
    assert.equal(1, run("download", url).code)
    tags[2] = '"2"'
    assert.equal(0, run("download", url).code)
    assert.is_true(read "a file" == text)
  end)

  it("tells what the server does not give", function()
    local url = serve_http(function()
      return http.response(404, {}, "no")
    end)
    assert.same({stdout = "", stderr = "download: 404 Not Found\n", code = 1}, run("download", url .. "/x"))
    assert.is_nil(read "x")
  end)
end)

describe("http_proxy.lua", function()
  local proxy, at

  before_each(function()
    proxy = assert(process.spawn {folder.neap, "scripts/http_proxy.lua", "tcp://127.0.0.1:0", stdout = "pipe"})
    at = proxy.stdout:read "l":match "tcp://(%S+)"
  end)

  after_each(function()
    proxy:close()
    proxy:wait()
  end)

  local function echo(request)
    return ("%s %s %s %s %s"):format(request.method, request.target, request:header "via", request:header "x-hop",
      request:read "a")
  end

  it("asks in its clients' place, with curl", function()
    if not is_there "curl" then
      pending "curl is not installed"
    end
    local far = serve_http(echo)
    local function curl(...)
      return assert(process.run {"curl", "-s", "-S", "-x", "http://" .. at, ...}).stdout
    end
    assert.equal("GET /a?b 1.1 neap nil ", curl(far .. "/a?b", "-H", "Connection: x-hop", "-H", "x-hop: 1"))
    assert.equal("POST / 1.1 neap nil hello", curl(far, "-d", "hello"))
    assert.equal("PUT /x 1.1 neap nil " .. ("z"):rep(100000),
      curl(far .. "/x", "-T", folder.write("body", ("z"):rep(100000)), "-H", "Transfer-Encoding: chunked"))
    assert.matches("content%-length: 20", curl("-I", far))
    assert.equal("GET /t nil nil ", curl("-p", far .. "/t"))
    local code = {"-o", "/dev/null", "-w", "%{http_code}%{http_connect}", "http://127.0.0.1:1/"}
    assert.equal("502000", curl(table.unpack(code)))
    assert.equal("000502", curl("-p", table.unpack(code)))
  end)

  it("hands on a request with a body as one, whatever is in it (P9)", function()
    local asked = {}
    local far = serve_http(function(request)
      asked[#asked + 1] = request.method .. " " .. request.target
      return "x"
    end)
    local client <close> = assert(net.connect("tcp://" .. at))
    local inner = "GET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
    client:write(("HEAD %s/outer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(far, #inner, inner),
      ("GET %s/next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):format(far))
    local answers = select(2, client:read "a":gsub("HTTP/1.1 200", ""))
    assert.equal(2, answers)
    assert.same({"HEAD /outer", "GET /next"}, asked)
  end)
end)

describe("load.lua", function()
  it("asks as often as it is told", function()
    local count = 0
    local url = serve_http(function()
      count = count + 1
      return http.response(count % 2 == 0 and 200 or 503, {}, "x")
    end)
    local result = run("load", "-r", "100", "-d", "0.2", "-c", "3", url)
    assert.equal("", result.stderr)
    assert.equal(20, count)
    assert.matches("^20 requests in ", result.stdout)
    assert.matches("\n200: 10, 503: 10\n", result.stdout)
    assert.matches("99.0 %%  +%d+%.%d+ ms", result.stdout)
  end)

  it("counts what fails", function()
    assert.matches("\nECONNREFUSED: 2\n", run("load", "-r", "100", "-d", "0.02", "http://127.0.0.1:1/").stdout)
  end)
end)

describe("webhook.lua", function()
  local hook, at

  local function start(...)
    hook = assert(process.spawn {folder.neap, "scripts/webhook.lua", stdout = "pipe", ...})
    at = "http://" .. hook.stdout:read "l":match "tcp://(%S+)"
  end

  after_each(function()
    hook:close()
    hook:wait()
  end)

  --- The lines that it prints of one request, but for the first.
  local function shown(opts)
    opts.url, opts.headers = at .. "/hook?x=1", {["x-note"] = "a\xc2\x9bb"}
    local client = http.client {}
    assert.equal("thanks\n", assert(client:request(opts)):read "a")
    client:close()
    local lines, body = {}, false
    assert.matches("^%d%d:%d%d:%d%d from 127.0.0.1:%d+$", (hook.stdout:read "l"))
    repeat
      local line = assert(hook.stdout:read "l")
      lines[#lines + 1] = line
      local was = body
      body = body or line == ""
    until was
    hook.stdout:read "l"
    return table.concat(lines, "\n")
  end

  it("shows what arrives, harmlessly", function()
    start "tcp://127.0.0.1:0"
    local text = shown {method = "DELETE", body = '{"a": "\27[2J\xc3\xbc"}'}
    assert.matches("^DELETE /hook%?x=1\n.*x%-note: a%?b\n.*\n\n{\"a\": \"\\x1b%[2J\xc3\xbc\"}$", text)
    assert.matches("\n\n70000 bytes$", (shown {method = "PUT", body = ("\0"):rep(70000)}))
  end)

  it("keeps bodies in a folder", function()
    start("-d", folder.path, "tcp://127.0.0.1:0")
    local path = shown({body = "kept"}):match "\n\n(%S+)$"
    assert.equal(folder.path, path:match "^(.*)/hook%-%x+$")
    assert.equal("kept", read(path:match "[^/]+$"))
  end)
end)

describe("http_server.lua", function()
  local server, url, client

  local function ask(method, path, opts)
    opts = opts or {}
    opts.method, opts.url = method, url .. path
    return assert(client:request(opts))
  end

  before_each(function()
    folder.write("hello.txt", "hello\n")
    server = assert(process.spawn {folder.neap, here .. "/scripts/http_server.lua", folder.path, "tcp://127.0.0.1:0",
      stdout = "pipe", stderr = "pipe"})
    client = http.client()
    url = "http" .. assert(server.stdout:read "l"):match "^listening at tcp(.*)"
  end)

  after_each(function()
    client:close()
    server:kill "SIGTERM"
    assert.equal("", server.stderr:read "a")
    server:wait()
    server:close()
  end)

  it("serves files and the names of them, and takes others", function()
    assert.equal("hello\n", ask("GET", "/hello.txt"):read "a")
    assert.matches('<a href="./hello.txt">', ask("GET", "/"):read "a")
    local big = pattern(1 << 20)
    local put = ask("PUT", "/upload/a%20b.txt", {body = big})
    assert.same({201, "/a%20b.txt"}, {put.status, put.headers.location})
    assert.is_true(big == ask("GET", "/a%20b.txt"):read "a")
    assert.is_true(big == read "a b.txt")
    for _, name in ipairs {".x", "..", "a%2Fb", "..%2F..%2Fx", "a%0Ab"} do
      assert.equal(400, ask("PUT", "/upload/" .. name, {body = "x"}).status, name)
    end
  end)

  it("lets curl put a file there, and leaves nothing of half a one", function()
    if not is_there "curl" then
      pending "curl is not installed"
    end
    folder.write("song", pattern(100000))
    assert.equal(0, process.run({"curl", "-sS", "-f", "-T", folder.path .. "/song", url .. "/upload/"}).code)
    assert.equal(100000, #read "song")
    local stream = assert(net.connect("tcp" .. url:sub(5)))
    stream:write "PUT /upload/half HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n12345"
    stream:shutdown()
    stream:read "a"
    stream:close()
    server:kill "SIGTERM"
    server.stdout:read "a"
    local names = process.run({"ls", "-A", folder.path}).stdout
    assert.is_nil(names:find("half", 1, true), names)
  end)

  it("has a clock, notes and metrics", function()
    local stream <close> = assert(net.connect("tcp" .. url:sub(5)))
    stream:write "GET /clock HTTP/1.0\r\n\r\n"
    stream:readuntil "\r\n\r\n"
    assert.equal("event: time", stream:read "l")
    assert.matches("^data: %d%d:%d%d:%d%d$", stream:read "l")
    local added = ask("POST", "/notes", {json = {text = "milk"}})
    assert.same({201, "/notes/1", {id = 1, text = "milk"}}, {added.status, added.headers.location, added:json()})
    assert.equal(400, ask("POST", "/notes", {json = {}}).status)
    assert.equal(400, ask("POST", "/notes", {body = "{"}).status)
    assert.same({notes = {{id = 1, text = "milk"}}}, ask("GET", "/notes"):json())
    assert.equal(204, ask("DELETE", "/notes/1").status)
    assert.equal(404, ask("DELETE", "/notes/1").status)
    assert.equal(404, ask("DELETE", "/notes/x").status)
    local text = ask("GET", "/metrics"):read "a"
    assert.matches('http_requests_total{method="DELETE",status="4xx"} 2\n', text, 1, true)
  end)
end)
