-- Bodies of HTTP messages, read piece by piece: nothing is lost between two calls.

local http = require "neap.http"
local linear = require "spec.support.linear"
local task = require "neap.task"

describe("http's body", function()
  --- Pieces that come once each, and between them a wait until `go` is set.
  local function halting(go, ...)
    local pieces, i = {...}, 0
    return http.body(function()
      if i == 1 then
        go:wait()
      end
      i = i + 1
      return pieces[i]
    end)
  end

  for name, read in pairs {
    ["read 'a'"] = function(body) return body:read "a" end,
    ["read 'l'"] = function(body) return body:read "l" end,
    ["read of a count"] = function(body) return body:read(10) end,
    ["readexactly"] = function(body) return body:readexactly(10) end,
    ["readuntil"] = function(body) return body:readuntil ";" end,
  } do
    it("keeps what a cancelled " .. name .. " has taken", function()
      local go = task.event()
      local body = halting(go, "01234", "56789")
      local reader = task.spawn(read, body)
      task.yield()
      reader:cancel()
      reader:join()
      go:set()
      assert.equal("0123456789", read(body))
    end)
  end

  it("keeps what was taken when its source raises", function()
    local n = 0
    local body = http.body(function()
      n = n + 1
      if n == 2 then
        error("not now", 0)
      end
      return n < 4 and tostring(n) or nil
    end)
    assert.same({false, "not now"}, {pcall(body.read, body, "a")})
    assert.equal("13", body:read "a")
  end)

  for name, read in pairs {
    ["lines"] = function(body) return body:read "l" end,
    ["counts"] = function(body) return body:read(1) end,
    ["pieces"] = function(body) return body:recv(1) end,
    ["numbers"] = function(body) return body:read "n" end,
  } do
    it("reads many short " .. name .. " of a long piece in a time that grows as they do", function()
      linear(function(n)
        local body, count = http.body {("1\n"):rep(n)}, 0
        while read(body) do
          count = count + 1
        end
        assert.is_true(count >= n)
      end, 8192)
    end)
  end

  it("goes on where a format has ended, whatever comes next", function()
    local body = http.body {"ab\n12 c", "de;f", "g\nhij", "kl"}
    assert.same({"ab", 12, " c"}, {body:read("l", "n", 2)})
    assert.equal("de", body:readuntil ";")
    assert.equal("f", body:recv(5))
    assert.same({"g\n", "h"}, {body:read("L", 1)})
    assert.same({"ENODATA", "ijkl"}, {select(2, body:readexactly(5)).code, select(2, body:readexactly(5)).partial})
    assert.equal("EMSGSIZE", select(2, body:readuntil("l", 1)).code)
    assert.equal("ij", body:readuntil("k", 2))
    assert.same({"l", nil}, {body:read("a", "l")})
  end)
end)
