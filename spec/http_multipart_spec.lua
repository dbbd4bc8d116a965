-- Bodies of several parts: what is written, and what is read of others, wherever it is cut.

local errors = require "neap.error"
local fs = require "neap.fs"
local http = require "neap.http"
local multipart = require "neap.http.multipart"
local reader_of = require "neap.http.parts".reader
local time = require "neap.time"
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


-- What is read

--- All that a reader gives of a body in these pieces: a text for each part, and the error's
--- code and the status, if there was one.
local function read_parts(pieces, kind, opts)
  local status
  local reader, err = reader_of(http.body(pieces), {kind or "multipart/form-data; boundary=b"}, opts or {},
    function(of_it)
      status = of_it
    end)
  local parts = {}
  local function take(part, failure)
    err = failure
    if part then
      local text, why = part:read "a"
      parts[#parts + 1] = ("%s|%s|%s|%s"):format(part.name, part.filename, part.type, text or why.code)
    end
    return part
  end
  while reader and take(reader:next()) do
  end
  return parts, err and err.code, status
end

--- The same for a text that is cut in two at each place, and into single bytes.
local function everywhere(text, kind, opts)
  local expected = {read_parts({text}, kind, opts)}
  for cut = 1, #text - 1 do
    assert.same(expected, {read_parts({text:sub(1, cut), text:sub(cut + 1)}, kind, opts)}, cut)
  end
  local bytes = {}
  for i = 1, #text do
    bytes[i] = text:sub(i, i)
  end
  assert.same(expected, {read_parts(bytes, kind, opts)})
  return table.unpack(expected, 1, 3)
end

local function disposition(rest)
  return "Content-Disposition: form-data; " .. rest .. "\r\n"
end

local function one(head, content)
  return "--b\r\n" .. head .. "\r\n" .. (content or "") .. "\r\n"
end

local NAMED = disposition 'name="a"'

describe("a body of parts (P22)", function()
  it("is read wherever it is cut, with what begins as a boundary does", function()
    local text = "preamble\r\n-b\r\n" .. one(NAMED, "\r\n--\r\n-b\r\r\n--\r\n--a\r\n\r") ..
      one(NAMED .. "Content-Type: text/x\r\n", "") .. one("", "\r\n") .. "--b--\r\nepilogue\r\n--b\r\n"
    assert.same({{"a|nil|nil|\r\n--\r\n-b\r\r\n--\r\n--a\r\n\r", "a|nil|text/x|", "nil|nil|nil|\r\n"}},
      {everywhere(text)})
    assert.same({{"a|nil|nil|x"}}, {everywhere("--b \t \r\n" .. NAMED .. "\r\nx\r\n--b--")})
    assert.same({{}}, {everywhere "--b--"})
  end)

  it("is no other one inside of a part, which is read as it is", function()
    local inner = "--bb\r\n\r\nx\r\n--bb--\r\n"
    local kind = 'multipart/mixed; boundary="c b:?=/()+_,.\'-"'
    local mark = "--c b:?=/()+_,.'-"
    local text = mark .. "\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n" .. inner .. "\r\n" .. mark .. "--"
    assert.same({{"nil|nil|multipart/mixed; boundary=bb|" .. inner}}, {everywhere(text, kind)})
  end)

  it("has a boundary of 1 to 70 characters, once", function()
    local long = ("x"):rep(70)
    assert.same({{"a|nil|nil|"}}, {read_parts({(one(NAMED) .. "--b--"):gsub("%-%-b", "--" .. long), nil},
      "Multipart/Form-Data;boundary=" .. long)})
    for _, kind in ipairs {
      "multipart/form-data", "multipart/form-data; boundary", "multipart/form-data; boundary=",
      'multipart/form-data; boundary=""', "multipart/form-data; boundary=x" .. long,
      'multipart/form-data; boundary="x "', 'multipart/form-data; boundary="x', 'multipart/form-data; boundary="x\\""',
      "multipart/form-data; boundary=b; boundary=c", "multipart/form-data; boundary=<b>", "multipart/form-data; b",
    } do
      local parts, code, status = read_parts({"--b--"}, kind)
      assert.same({{}, "EBADMSG"}, {parts, code}, kind)
      assert.truthy(status == 400 or status == 415, kind)
    end
    for _, kind in ipairs {"", "text/plain; boundary=b", "multipart/; boundary=b", "xmultipart/a; boundary=b"} do
      assert.same({{}, "EBADMSG", 415}, {read_parts({"--b--"}, kind)}, kind)
    end
    local _, err = reader_of(http.body {}, {"multipart/a; boundary=b", "multipart/a; boundary=c"}, {})
    assert.equal("EBADMSG", err.code)
  end)

  it("fails where it ends too early, and where a boundary is in the middle of a line", function()
    for text, parts in pairs {[""] = {}, ["x"] = {}, ["--b"] = {}, ["--b-"] = {}, ["--b\r\n" .. NAMED] = {},
      [one(NAMED, "x")] = {"a|nil|nil|ENODATA"}, [one(NAMED, "x") .. "--"] = {"a|nil|nil|ENODATA"},
      [one(NAMED, "x") .. "--b"] = {"a|nil|nil|x"}, ["--b\n" .. NAMED] = {}} do
      local found, code, status = everywhere(text)
      assert.same({parts, text:find "\n" == 4 and "EBADMSG" or "ENODATA", 400}, {found, code, status}, text)
    end
    for _, text in ipairs {"--bb\r\n", "--b \t-", "--b-x", "--b" .. (" "):rep(200), "--b\r\r\n"} do
      assert.same({{}, "EBADMSG", 400}, {everywhere(text .. NAMED)}, text)
      assert.same({{"a|nil|nil|x"}, "EBADMSG", 400}, {everywhere(one(NAMED, "x") .. text .. NAMED)}, text)
    end
  end)

  it("has at most so many parts, with heads of so many bytes", function()
    local text = one(NAMED, "x"):rep(3) .. "--b--"
    assert.same({{"a|nil|nil|x", "a|nil|nil|x"}, "EMSGSIZE", 413}, {everywhere(text, nil, {parts = 2})})
    assert.equal(3, #everywhere(text, nil, {parts = 3}))
    local fits = one("a: " .. ("x"):rep(7) .. "\r\n")
    assert.equal(1, #everywhere(fits .. "--b--", nil, {header = 12}))
    assert.same({{}, "EMSGSIZE", 413}, {everywhere(fits .. "--b--", nil, {header = 11})})
    assert.same({{}, "EMSGSIZE", 413}, {read_parts {"--b\r\n", ("x"):rep(9000)}})
    local parts, code = read_parts {one("", ""):rep(1000), one("", ""):rep(99000)}
    assert.same({1000, "EMSGSIZE"}, {#parts, code})
  end)

  it("fails for heads that are none", function()
    for _, head in ipairs {
      "x\r\n", ": x\r\n", "a : x\r\n", "a: x\r\n b\r\n", "a: \0\r\n", "a: x\ny\r\n", "a: x\ry\r\n",
      NAMED .. NAMED, disposition 'name="a', disposition 'name="a"; name=b', disposition 'name="a"b',
      disposition "name=", disposition "a b=c", disposition 'name="a" filename="b"', "content-disposition:\r\n",
    } do
      assert.same({{}, "EBADMSG", 400}, {everywhere(one(head) .. "--b--")}, head)
    end
  end)

  it("takes names as HTML, curl and old browsers write them", function()
    for value, expected in pairs {
      ['name="a"'] = "a|nil", ["NAME=a"] = "a|nil", ['name="a";'] = "a|nil", ['name=""'] = "|nil",
      ['name="%22%0D%0A%41ü;\\"\\\\\\x"'] = '"\r\n%41ü;"\\\\x|nil',
      ['name=a; filename="b;c.txt" ; x=y'] = "a|b;c.txt", ["filename=\"x\"; filename*=utf-8''y"] = "nil|x",
    } do
      local parts = everywhere(one(disposition(value)) .. "--b--")
      assert.same({expected .. "|nil|"}, parts, value)
    end
    assert.same({"nil|nil|nil|"}, (everywhere(one 'Content-Disposition: attachment; name="a"\r\n' .. "--b--")))
  end)

  it("gives of a file's name what is safe in a folder", function()
    for value, expected in pairs {
      ["a.txt"] = "a.txt", ["/etc/passwd"] = "passwd", ["../../x"] = "x", ["C:\\dir\\x.txt"] = "x.txt",
      ["a/..\\b"] = "b", [".."] = "nil", ["."] = "nil", [""] = "nil", ["a/"] = "nil", ["..\\\\"] = "nil",
      [".%0A."] = "nil", ["a%0D%0Ab%22"] = 'ab"', ["x\xc2\x85y"] = "xy", ["..."] = "...", [".profile"] = ".profile",
      ["\xff\xfe"] = "\xff\xfe", ["a\tb"] = "ab",
    } do
      local parts = read_parts {one(disposition(('name=a; filename="%s"'):format(value))) .. "--b--"}
      assert.same({("a|%s|nil|"):format(expected)}, parts, value)
    end
  end)

  it("is passed over part by part, and a part that was passed over is told so", function()
    local text = one(NAMED, "one\ntwo\n") .. one(NAMED, "three\nfour") .. one(NAMED, "five") .. "--b--"
    local reader = assert(reader_of(http.body {text:sub(1, 60), text:sub(61)},
      {"multipart/form-data; boundary=b"}, {}))
    local first = assert(reader:next())
    assert.equal("one", first:read "l")
    local second = assert(reader:next())
    local line, err = first:read "l"
    assert.same({nil, "ECANCELED"}, {line, err.code})
    assert.same({"three", "four", nil}, {second:read("l", "l", "l")})
    local third = assert(reader:next())
    assert.same({"five"}, {third:recv()})
    assert.is_nil(third:recv())
    assert.is_nil((reader:next()))
    assert.is_nil((reader:next()))
    assert.is_nil((second:recv()))
  end)

  it("goes on behind a wait that was too long, and gives each further error again", function()
    local pieces = {one(NAMED, "x"), false, one(NAMED, "y"), true}
    local reader = assert(reader_of(http.body(function()
      local piece = table.remove(pieces, 1)
      if piece == false or piece == nil then
        return nil, errors.new {code = piece == nil and "ECONNRESET" or "ETIMEDOUT", message = "x"}
      end
      return piece ~= true and piece or "--b\r\n\r\nlast"
    end), {"multipart/form-data; boundary=b"}, {}))
    local first = assert(reader:next())
    assert.equal("x", first:recv())
    assert.equal("ETIMEDOUT", select(2, first:recv()).code)
    local second = assert(reader:next())
    assert.equal("y", second:read "a")
    local third = assert(reader:next())
    assert.equal("ECONNRESET", select(2, third:read "a").code)
    assert.equal("ECONNRESET", select(2, reader:next()).code)
  end)

  it("is read in a time that grows as it does", function()
    local function seconds(text)
      local began = time.now()
      read_parts {text}
      return time.now() - began
    end
    for _, text in ipairs {
      "--b\r\na: " .. (" "):rep(8000) .. "x\r\n\r\n", one(NAMED, ("\r\n--"):rep(200000)),
      one(disposition("name=\"" .. ("\\"):rep(8000) .. '"')), one(disposition('filename="' .. ("a"):rep(8000) .. '/"')),
      one(disposition(("a=b;"):rep(1900))), ("-"):rep(1000000), one("", ""):rep(1000),
    } do
      assert.is_true(seconds(text) < 2, text:sub(1, 30))
    end
  end)
end)
