-- Bodies that are coded by gzip and deflate.

local coding = require "neap.http.coding"
local http = require "neap.http"
local task = require "neap.task"
local zlib = require "neap.zlib"

local child = require "spec.support.child"

--- The bytes in pieces of n.
local function pieces(bytes, n)
  local list = {}
  for i = 1, #bytes, n do
    list[#list + 1] = bytes:sub(i, i + n - 1)
  end
  return list
end

local function decode(bytes, name, max, n)
  return coding.decode(http.body(pieces(bytes, n or 7)), name, max)
end

local TEXT = ("a line of text\n"):rep(20000)

describe("a coded body", function()
  it("reads as what it was", function()
    for _, name in ipairs {"gzip", "x-gzip", "deflate"} do
      for _, n in ipairs {1, 2, 1000, 1000000} do
        local bytes = zlib.compress(TEXT, {format = name == "deflate" and name or "gzip"})
        assert.equal(TEXT, decode(bytes, name, nil, n):read "a")
        local body = decode(bytes, name, #TEXT, n)
        assert.equal("a line of text", body:read "l")
        assert.equal("a l", body:recv(3))
        assert.equal("ine of text\n", body:read "L")
        assert.equal(TEXT:sub(31), body:read "a")
        assert.is_nil(body:recv())
        assert.is_nil(body:recv())
      end
    end
  end)

  it("may be deflate without its wrapper", function()
    for _, text in ipairs {"", "x", TEXT} do
      for n = 1, 3 do
        assert.equal(text, decode(zlib.compress(text, {format = "deflate-raw"}), "deflate", nil, n):read "a")
        assert.equal(text, decode(zlib.compress(text, {format = "deflate"}), "deflate", nil, n):read "a")
      end
    end
  end)

  it("is empty without a byte", function()
    for _, name in ipairs {"gzip", "deflate"} do
      assert.equal("", decode("", name):read "a")
      assert.is_nil(decode("", name):recv())
    end
  end)

  it("fails, after what was well, where it is cut, damaged, longer than it should be, or junk (P17)", function()
    local bytes = zlib.compress(TEXT)
    local function fails(code, what, name, max)
      local body = decode(what, name or "gzip", max)
      local size = 0
      local piece, err = body:recv()
      while piece do
        size = size + #piece
        piece, err = body:recv()
      end
      assert.equal(code, err and err.code)
      assert.equal("read", err.op)
      assert.equal(code, select(2, body:recv()).code)
      return size
    end
    assert.equal(#TEXT, fails("EBADMSG", bytes:sub(1, -2)))
    assert.equal(#TEXT, fails("EBADMSG", bytes .. "junk"))
    assert.equal(#TEXT, fails("EBADMSG", bytes .. "\x1f"))
    assert.equal(#TEXT, fails("EBADMSG", bytes:sub(1, -2) .. "\1"))
    assert.equal(0, fails("EBADMSG", "\x1f"))
    assert.equal(0, fails("EBADMSG", "junk"))
    assert.equal(0, fails("EBADMSG", "\x78", "deflate"))
    assert.equal(1000, fails("EMSGSIZE", bytes, "gzip", 1000))
    assert.equal(TEXT, decode(bytes, "gzip", math.huge):read "a")
  end)

  it("gives the errors of what it is made of, and goes on behind a late one", function()
    local errors = require "neap.error"
    local bytes = zlib.compress "text"
    local list = {bytes:sub(1, 5), errors.new {code = "ETIMEDOUT", message = "late"}, bytes:sub(6)}
    local i = 0
    local body = coding.decode(http.body(function()
      i = i + 1
      if type(list[i]) == "string" then
        return list[i]
      end
      return nil, list[i]
    end), "gzip")
    assert.equal("ETIMEDOUT", select(2, body:recv()).code)
    assert.equal("text", body:recv())
    assert.is_nil(body:recv())
  end)

  it("of a little that stands for much comes in pieces, between which others have their turns (P17)", function()
    local c <close> = zlib.compressor {level = 1}
    local list, piece = {}, ("\0"):rep(2 ^ 20 // 1 | 0)
    local many = child.sanitized and 8 or 64
    for k = 1, many do
      list[k] = c:update(piece)
    end
    list[#list + 1] = c:finish()
    local body = coding.decode(http.body {table.concat(list)}, "gzip")
    local turns, size = 0, 0
    local other = task.spawn(function()
      while true do
        turns = turns + 1
        task.yield()
      end
    end)
    for text in body:chunks() do
      assert.is_true(#text <= 65536)
      size = size + #text
    end
    other:cancel()
    assert.equal(many * 2 ^ 20, size)
    assert.is_true(turns >= many * 8, turns)
  end)
end)
