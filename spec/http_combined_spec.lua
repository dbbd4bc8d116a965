-- http.combined: the lines of an access log.

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"

local listener, server, lines

local function serve(opts)
  lines = {}
  opts = opts or {}
  opts.log = http.combined(function(line)
    lines[#lines + 1] = line
  end)
  listener = assert(net.listen "tcp://127.0.0.1:0")
  server = task.spawn(http.serve, listener, function(request, response)
    if request.path == "/written" then
      response:write("a", "bc")
    elseif request.path == "/sent" then
      response:send(404, {}, "no such")
    elseif request.path == "/none" then
      return http.response(204)
    elseif request.path == "/broken" then
      error "on purpose"
    else
      return "hello"
    end
  end, opts)
end

--- The line of a request, the time left out.
local function line_of(text)
  local client <close> = assert(net.connect(listener.endpoint))
  client:write(text)
  client:shutdown()
  client:read "a"
  local line = table.remove(lines)
  return line and (line:gsub(" %[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d %+0000%] ", " [time] "))
end

describe("http.combined", function()
  after_each(function()
    listener:close()
    server:cancel()
    server:join()
  end)

  it("tells who has asked for what, and what came of it", function()
    serve {onerror = function() end}
    for path, outcome in pairs {
      ["/"] = "200 5", ["/written"] = "200 3", ["/sent"] = "404 7", ["/none"] = "204 -",
    } do
      assert.equal(('127.0.0.1 - - [time] "GET %s HTTP/1.1" %s "http://x/" "me/1 (a; b)"'):format(path, outcome),
        line_of("GET " .. path .. " HTTP/1.1\r\nHost: a\r\nReferer: http://x/\r\nUser-Agent: me/1 (a; b)\r\n\r\n"))
    end
    assert.equal('127.0.0.1 - - [time] "GET /broken HTTP/1.1" 500 - "-" "-"',
      line_of "GET /broken HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal('127.0.0.1 - - [time] "HEAD / HTTP/1.0" 200 - "-" "-"', line_of "HEAD / HTTP/1.0\r\n\r\n")
  end)

  it("lets no client end a line, or begin another", function()
    serve()
    local line = line_of("GET /\"\\ HTTP/1.1\r\nHost: a\r\n" ..
      "User-Agent: a\" 200 5\t\\\xc2\x85\xff\r\nReferer: x\" \"y\r\n\r\n")
    assert.equal('127.0.0.1 - - [time] "GET /\\"\\\\ HTTP/1.1" 200 5 "x\\" \\"y" "a\\" 200 5\\x09\\\\\\xc2\\x85\\xff"',
      line)
  end)

  it("says whom trusted proxies name", function()
    serve {trusted = {"127.0.0.0/8"}}
    assert.matches("^10%.1%.2%.3 ", line_of "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n")
  end)

  it("writes by a function", function()
    serve()
    local ok, err = pcall(function()
      return (http.combined "x")
    end)
    assert.is_false(ok)
    assert.matches("^spec/http_combined_spec.lua:%d+: bad argument #1 to 'combined'", err)
  end)
end)
