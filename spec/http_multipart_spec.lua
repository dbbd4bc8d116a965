-- Bodies of several parts: what is written, and what is read of others, wherever it is cut.

local fs = require "neap.fs"
local multipart = require "neap.http.multipart"
local folder = require "spec.support.folder"

--- All that an encoded form gives, its boundary written as `#`; the length that was told; and
--- how many pieces there were.
local function written(form)
  local pull, kind, length = multipart.encode(form)
  local boundary = kind:match "^multipart/form%-data; boundary=(neap%-%x+)$"
  assert.equal(37, #boundary)
  local pieces = {}
  for piece, err in pull do
    assert(piece, err)
    pieces[#pieces + 1] = piece
  end
  local text = table.concat(pieces)
  assert.equal(length or #text, #text)
  return text:gsub("neap%-%x+", "#"), length, #pieces
end

local function field(name, value)
  return ('--#\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'):format(name, value)
end

local function file(name, filename, kind, content)
  return ('--#\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: %s\r\n\r\n%s\r\n')
    :format(name, filename, kind, content)
end

local function pieces_of(list)
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

describe("a form that is written", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("has a part for each name of a table, in order of the alphabet", function()
    local text, length, pieces = written {title = "a b", count = 3, yes = true, empty = "",
      photo = {filename = "a.png", type = "image/png", body = "PNG"}}
    assert.equal(field("count", 3) .. field("empty", "") .. file("photo", "a.png", "image/png", "PNG") ..
      field("title", "a b") .. field("yes", true) .. "--#--\r\n", text)
    assert.is_true(length > #text)
    assert.equal(1, pieces)
  end)

  it("has the parts of a list in its order, also of one name", function()
    assert.equal(field("b", 1) .. field("a", 2) .. field("b", 3) .. "--#--\r\n",
      (written {{name = "b", value = 1}, {name = "a", value = "2"}, {name = "b", value = 3}}))
    assert.equal("--#--\r\n", (written {}))
  end)

  it("has other texts of other boundaries", function()
    local _, one = multipart.encode {}
    local _, other = multipart.encode {}
    assert.not_equal(one, other)
  end)

  it("writes quotes and line ends in names as HTML does", function()
    assert.equal(field("a%22b%0D%0A", "x") .. file("ü\\", "%22;.png", "application/octet-stream", "\r\n--#") ..
      "--#--\r\n",
      (written {{name = 'a"b\r\n', value = "x"}, {name = "ü\\", filename = '";.png', body = "\r\n--#"}}))
  end)

  it("takes content from files and functions, whose length may be told", function()
    folder.write("x", "0123456789")
    local x <close> = assert(fs.open(folder.path .. "/x"))
    assert.equal("01", x:read(2))
    local text, length = written {{name = "f", filename = "x", body = x}}
    assert.equal(file("f", "x", "application/octet-stream", "23456789") .. "--#--\r\n", text)
    assert.is_number(length)

    text, length = written {{name = "f", body = pieces_of {"a", "", "b"}}, {name = "g", value = 1}}
    assert.equal(field("f", "ab") .. field("g", 1) .. "--#--\r\n", text)
    assert.is_nil(length)
    text, length = written {{name = "f", body = pieces_of {"ab", "cd"}, length = 3}}
    assert.equal(field("f", "abc") .. "--#--\r\n", text)
    assert.is_number(length)
  end)

  it("fails where less comes than was told, and where nothing comes", function()
    local pull = multipart.encode {{name = "f", body = pieces_of {"ab"}, length = 3}}
    assert.is_string(pull())
    assert.equal("ab", pull())
    for _ = 1, 2 do
      local piece, err = pull()
      assert.is_nil(piece)
      assert.equal("ENODATA", err and err.code)
    end
  end)

  it("joins small texts, and copies no large ones", function()
    local large = ("x"):rep(100000)
    local _, _, pieces = written {{name = "a", value = large}, {name = "b", value = 1}, {name = "c", value = 2}}
    assert.equal(3, pieces)
  end)

  it("raises for what could be taken for a field of its own", function()
    for _, row in ipairs {
      {7, "a table of parts"}, {{1}, "a table for each part"}, {{[true] = "x"}, "a part's name"},
      {{a = {}}, "'a': a string"}, {{{value = "x"}}, "a name without"},
      {{{name = "a\0", value = "x"}}, "a name without"},
      {{{name = "a", filename = 7, body = ""}}, "a filename without"},
      {{{name = "a", filename = "x", type = "a\r\nb: c", body = ""}}, "a type without"},
      {{{name = "a", body = print, length = -1}}, "a length in bytes"},
    } do
      local ok, why = pcall(function()
        local pull = multipart.encode(row[1])
        return pull
      end)
      assert.is_false(ok)
      assert.truthy(tostring(why):find("^spec/http_multipart_spec.lua:%d+: multipart: "), why)
      assert.truthy(tostring(why):find(row[2], 1, true), why)
    end
  end)
end)
