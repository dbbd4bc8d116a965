-- Mistakes in calling neap.http are raised at the line that makes them.

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"

local bad = {["a b"] = "x"}

--- Calls, each in one line, and what is said of it.
local mistakes = {
  ["a header's name expected"] = {
    function() return (http.response(200, bad)) end,
    function() return (http.json({}, 200, bad)) end,
    function() return (http.headers(bad)) end,
    function() return (http.get("http://web/", {headers = bad})) end,
  },
  ["a status from 200 to 599 expected"] = {
    function() return (http.response(7)) end,
    function() return (http.json({}, 7)) end,
  },
  ["http.json: cannot encode a function"] = {
    function() return (http.json(print)) end,
  },
  ["option 'json': cannot encode a function at [1]"] = {
    function() return (http.post("http://web/", {json = {print}})) end,
    function() return (http.request {url = "http://web/", json = {print}}) end,
  },
  ["option 'form': 'a': a string, number or boolean expected"] = {
    function() return (http.post("http://web/", {form = {a = print}})) end,
  },
  ["option 'query': 'a': a string, number or boolean expected"] = {
    function() return (http.get("http://web/", {query = {a = print}})) end,
  },
  ["client: option 'tls': unknown option 'cart'"] = {
    function() return (http.client {tls = {cart = ""}}) end,
  },
  ["bad argument #1 to 'body' (a function or a table of strings expected)"] = {
    function() return (http.body(3)) end,
  },
  ["serve: an endpoint or a listener expected, got nil"] = {
    function() return (http.serve(nil, print)) end,
  },
  ["serve: unknown option 'rat'"] = {
    function() return (http.serve("mem:misuse", print, {rat = 1})) end,
  },
  ["serve: option 'max': a count of 1 or more expected"] = {
    function() return (http.serve("mem:misuse", print, {max = 0})) end,
  },
}

local function is_raised_there(call, words, ...)
  local line = debug.getinfo(call, "S").linedefined
  local good, err = pcall(call, ...)
  assert.is_false(good)
  assert.matches(("http_misuse_spec.lua:%d: "):format(line), err, nil, true)
  assert.matches(words, err, nil, true)
end

describe("a mistake in HTTP", function()
  for words, calls in pairs(mistakes) do
    it("is raised where it is made: " .. words, function()
      for _, call in ipairs(calls) do
        is_raised_there(call, words)
      end
    end)
  end

  it("is raised where it is made in a handler", function()
    local listener <close> = assert(net.listen "mem:misuse")
    local tried = false
    local server = task.spawn(http.serve, listener, function(_, response)
      is_raised_there(function() return (response:events {headers = bad}) end, "a header's name expected")
      for i, words in ipairs {
        "bad argument #1 to 'write' (string expected, got table)",
        "bad argument #2 to 'write' (string expected, got nil)",
      } do
        is_raised_there(function(...) return (response:write(...)) end, words, table.unpack({{}, "a", nil}, i, i + 1))
      end
      assert.is_nil(response.status) -- so it can still be answered
      tried = true
      return "well"
    end, {onerror = function(err)
      tried = err
    end})
    local client <close> = http.client {endpoint = "mem:misuse"}
    assert.equal("well", client:get "http://web/":read "a", tried)
    assert.is_true(tried)
    server:cancel()
    server:join()
  end)

  it("leaves nothing open that was to be served", function()
    for _, opts in ipairs {{max = 0}, {rat = 1}, {tls = {}, rate = "x"}} do
      assert.is_false((pcall(http.serve, "mem:misuse", print, opts)))
      assert(net.listen "mem:misuse"):close()
    end
    local server = task.spawn(http.serve, "mem:misuse", print)
    task.yield()
    assert.equal("EADDRINUSE", select(2, net.listen "mem:misuse").code)
    server:cancel()
    server:join()
    assert(net.listen "mem:misuse"):close()
  end)
end)
