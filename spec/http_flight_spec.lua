local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"

--- What several requests that come together are answered, by a server with this handler: the
--- whole text, without dates.
local function answers(handler, requests, opts)
  local listener <close> = assert(net.listen "mem:flight")
  local server = task.spawn(http.serve, listener, handler, opts or {})
  local client <close> = assert(net.connect "mem:flight")
  local writer = task.spawn(function()
    client:write(requests)
    client:shutdown()
  end)
  local text = assert(client:read "a")
  writer:join()
  server:cancel()
  server:join()
  return (text:gsub("date: [^\r]*\r\n", ""))
end

local function get(target, fields)
  return ("GET %s HTTP/1.1\r\nHost: here\r\n%s\r\n"):format(target, fields or "")
end

local function text(body)
  local head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n\r\n"
  return head:format(#body) .. body
end

describe("requests that come together", function()
  it("are answered in their order, whatever each is, and is answered with", function()
    local kept
    local handlers = {
      ["/text"] = function() return "a text" end,
      ["/nothing"] = function() return "" end,
      ["/long"] = function() return ("x"):rep(20000) end,
      ["/late"] = function() task.sleep(0.001) return "late" end,
      ["/post"] = function(request) return request:read "a" end,
      ["/json"] = function() return http.json {1} end,
      ["/sent"] = function(_, response) response:send(202, {}, "sent") end,
      ["/pieces"] = function(_, response) response:write("a", "b") end,
      ["/cookie"] = function(_, response) response:setcookie("a", "b", {path = "/"}) return "set" end,
      ["/keep"] = function(request, response) kept = {request, response} return "kept" end,
      ["/kept"] = function() -- of a request that is answered nothing can be read or written
        local bytes, err = kept[1]:read "a"
        local _, again = pcall(kept[2].write, kept[2], "more")
        return ("%s %s %s %s"):format(bytes, err.code, kept[2].status, again)
      end,
    }
    local usual = {
      "/text", "/keep", "/kept", "/nothing", "/late", "/long", "/json", "/sent", "/pieces", "/cookie", "/text",
    }
    local requests = {}
    for _, target in ipairs(usual) do
      requests[#requests + 1] = get(target)
    end
    table.insert(requests, 3, "POST /post HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nbytes")
    table.insert(requests, 6, "HEAD /text HTTP/1.1\r\nHost: here\r\n\r\n")
    requests[#requests + 1] = get("/text", "Connection: close\r\n") .. get "/text"
    local expected = {
      text "a text", text "kept", text "bytes",
      text "nil EBADF 200 this answer is finished already", text "",
      (text "a text":gsub("\n\r\n.*", "\n\r\n")), text "late", text(("x"):rep(20000)),
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n[1]\n",
      "HTTP/1.1 202 Accepted\r\ncontent-length: 4\r\n\r\nsent",
      (text "2\r\nab\r\n0\r\n\r\n":gsub("content%-length: %d+", "transfer-encoding: chunked")),
      (text "set":gsub("content%-length", "set-cookie: a=b; Path=/; HttpOnly; SameSite=Lax\r\n%0")),
      text "a text", (text "a text":gsub("\r\n\r\n", "\r\nconnection: close\r\n\r\n")),
    }
    local function handler(request, response)
      return handlers[request.path](request, response)
    end
    assert.equal(table.concat(expected), answers(handler, table.concat(requests)))
  end)

  it("are told to a log one by one", function()
    local told = {}
    answers(function(request)
      return request.target == "/2" and http.response(404, {}, "none") or "text"
    end, get "/1" .. get "/2" .. get "/3", {log = function(request, response)
      told[#told + 1] = ("%s %d %d"):format(request.target, response.status, response.done)
    end})
    assert.same({"/1 200 4", "/2 404 4", "/3 200 4"}, told)
  end)

  it("end with the one whose handler fails", function()
    local failed = {}
    local got = answers(function(request)
      if request.target == "/2" then
        error {"no string"}
      end
      return request.target
    end, get "/1" .. get "/2" .. get "/3", {onerror = function(err, request)
      failed[#failed + 1] = err[1] .. " " .. request.target
    end})
    assert.same({"no string /2"}, failed)
    assert.equal(text "/1", (got:match "^(.*)HTTP/1.1 500 Internal Server Error\r\n.*connection: close\r\n"))
    assert.is_nil(got:find("/3", 1, true))
  end)

  it("end where a handler closes their connection", function()
    local seen = {}
    assert.equal(text "/1", answers(function(request)
      seen[#seen + 1] = request.target
      if request.target == "/2" then
        request.stream:flush()
        request.stream:close()
      end
      return request.target
    end, get "/1" .. get "/2" .. get "/3"))
    assert.same({"/1", "/2"}, seen)
  end)

  it("end where what comes next is none", function()
    local got = answers(function(request)
      return request.target
    end, get "/1" .. get "/2" .. "NONSENSE\r\n\r\n" .. get "/3")
    assert.equal(1, (select(2, got:gsub("HTTP/1.1 400 ", ""))))
    assert.equal(text "/1" .. text "/2", (got:match "^(.*)HTTP/1.1 400 "))
  end)

  it("let others run between them", function()
    local turns, done = 0, false
    local other = task.spawn(function()
      while not done do
        turns = turns + 1
        task.yield()
      end
    end)
    local count = 0
    answers(function()
      count = count + 1
      return "x"
    end, get "/":rep(4000))
    done = true
    other:join()
    assert.equal(4000, count)
    assert.is_true(turns > 4)
  end)

  it("are left where their task is cancelled, and its handler lets that pass", function()
    local count = 0
    assert.equal(text "1" .. text "2" .. text "3", answers(function()
      count = count + 1
      if count == 3 then
        task.current():cancel()
      end
      return tostring(count)
    end, get "/":rep(10)))
    assert.equal(3, count)
  end)
end)
