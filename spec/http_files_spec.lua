-- http.files: folders over HTTP. What clients get of a file, and that they get nothing else.

local crypto = require "neap.crypto"
local fs = require "neap.fs"
local http = require "neap.http"
local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"
local folder = require "spec.support.folder"

local DIGITS = "0123456789"
local listener, server

local function serve(handler)
  listener = assert(net.listen "mem:files")
  server = task.spawn(http.serve, listener, handler)
end

--- Serve the folder "in".
local function serve_files(opts)
  serve(assert(http.files(folder.path .. "/in", opts)))
end

--- An answer: its status, its fields by name, its body.
local function answer_of(client, method)
  local head = assert(client:readuntil "\r\n\r\n")
  local answer = {status = tonumber(head:match "^HTTP/1.1 (%d+)")}
  for name, value in head:gmatch "\r\n([^:\r]+): ([^\r]*)" do
    answer[name] = value
  end
  local length = tonumber(answer["content-length"] or 0)
  answer.body = method ~= "HEAD" and client:readexactly(length) or ""
  return answer
end

local function write_request(client, method, target, fields)
  local lines = {}
  for name, value in pairs(fields or {}) do
    lines[#lines + 1] = name .. ": " .. value .. "\r\n"
  end
  client:write(method, " ", target, " HTTP/1.1\r\nHost: here\r\n", table.concat(lines), "\r\n")
end

local function ask(method, target, fields)
  local client <close> = assert(net.connect(listener.endpoint))
  write_request(client, method, target, fields)
  return answer_of(client, method)
end

local function get(target, fields)
  return ask("GET", target, fields)
end

local function setup_folder()
  folder.make()
  assert(fs.mkdir(folder.path .. "/in/sub", {parents = true}))
  assert(fs.mkdir(folder.path .. "/out"))
  folder.write("out/f", "outside")
  folder.write("in/f.txt", DIGITS)
  folder.write("in/sub/index.html", "index")
  folder.write("in/.hidden", "hidden")
end

local function stop()
  listener:close()
  server:cancel()
  server:join()
  folder.remove()
end

describe("http.files", function()
  before_each(setup_folder)
  after_each(stop)

  it("answers GET and HEAD", function()
    serve_files {cache = 60}
    local answer = get "/f.txt"
    assert.equal(200, answer.status)
    assert.equal(DIGITS, answer.body)
    assert.equal("text/plain; charset=utf-8", answer["content-type"])
    assert.equal("max-age=60", answer["cache-control"])
    assert.equal("bytes", answer["accept-ranges"])
    assert.matches('^"a%-%x+%-%x+"$', answer.etag)
    assert.matches("^%a%a%a, %d%d .* GMT$", answer["last-modified"])
    answer.body, answer.date = "", nil
    local head = ask("HEAD", "/f.txt", {range = "bytes=0-1"})
    head.date = nil
    assert.same(answer, head)
    local other = ask("POST", "/f.txt", {["content-length"] = 0})
    assert.same({405, "GET, HEAD"}, {other.status, other.allow})
  end)

  it("answers one request behind the other", function()
    serve_files()
    local client <close> = assert(net.connect(listener.endpoint))
    for _ = 1, 3 do
      write_request(client, "GET", "/f.txt")
      write_request(client, "GET", "/f.txt", {range = "bytes=2-3"})
      write_request(client, "HEAD", "/f.txt")
      write_request(client, "GET", "/f.txt", {range = "bytes=0-1,5-6"})
      write_request(client, "GET", "/none")
    end
    for _ = 1, 3 do
      assert.equal(DIGITS, answer_of(client).body)
      assert.equal("23", answer_of(client).body)
      assert.equal("10", answer_of(client, "HEAD")["content-length"])
      assert.equal("multipart/byteranges", answer_of(client)["content-type"]:match "^[^;]*")
      assert.equal(404, answer_of(client).status)
    end
  end)

  it("knows types by the ending", function()
    serve_files {types = {wat = "text/wat", Html = "text/x-own"}}
    for name, kind in pairs {
      ["a.html"] = "text/x-own", ["a.CSS"] = "text/css; charset=utf-8", ["a.tar.gz"] = "application/gzip",
      ["a.wat"] = "text/wat", ["a"] = "application/octet-stream", ["a.unknown"] = "application/octet-stream",
      ["a.svg"] = "image/svg+xml", ["a b.json"] = "application/json",
    } do
      folder.write("in/" .. name, "")
      assert.equal(kind, get("/" .. name:gsub(" ", "%%20"))["content-type"], name)
    end
  end)

  it("answers for a folder by its index, or the names in it", function()
    serve_files()
    assert.equal("index", get "/sub/".body)
    assert.equal("text/html; charset=utf-8", get "/sub/"["content-type"])
    assert.equal(404, get "/".status)
    local answer = get "/sub?a=b"
    assert.same({301, "./sub/?a=b"}, {answer.status, answer.location})
    stop()
    setup_folder()
    serve_files {list = true, index = "f.txt"}
    assert.equal(DIGITS, get "/".body)
    folder.write('in/sub/<b> "&', "x")
    folder.write("in/sub/javascript:a", "x")
    local page = get "/sub/".body
    assert.matches('<a href="./%%3Cb%%3E%%20%%22%%26">&lt;b&gt; &quot;&amp;</a>', page)
    assert.matches('<a href="./javascript%%3Aa">', page)
    assert.equal("x", get "/sub/%3Cb%3E%20%22%26".body)
    assert.is_nil(get "/sub/".body:find("hidden", 1, true))
  end)

  it("never sends who asks for a folder to another host", function()
    serve(http.router():get("/*path", assert(http.files(folder.path .. "/in"))))
    for _, target in ipairs {"//sub", "//sub/..", "/%2Fsub", "/\\sub", "//"} do
      local answer = get(target)
      assert.equal(404, answer.status, target)
    end
    assert.equal("./sub/", get "/sub".location)
    assert.equal("./sub/", get "http://here/sub".location)
  end)

  it("shows no names that begin with a dot, unless told", function()
    serve_files()
    for _, target in ipairs {"/.hidden", "/%2ehidden", "/sub/../.hidden"} do
      assert.equal(404, get(target).status, target)
    end
    stop()
    setup_folder()
    serve_files {hidden = true}
    assert.equal("hidden", get "/.hidden".body)
    assert.equal(404, get "/../in/f.txt".status)
  end)

  it("is mounted", function()
    local files = assert(http.files(folder.path .. "/in"))
    serve(http.router():mount("/a/:b", files):get("/static/*path", files))
    assert.equal(DIGITS, get "/a/x/f.txt".body)
    assert.equal(DIGITS, get "/static/f.txt".body)
    assert.equal("index", get "/static/sub/".body)
    assert.equal("./x/", get "/a/x".location)
    assert.equal("./sub/", get "/a/x/sub".location)
    assert.equal(404, get "/a".status)
  end)

  it("says what is wrong with its arguments, and what with the folder", function()
    serve_files()
    for words, opts in pairs {
      ["unknown option 'x'"] = {x = 1}, ["option 'cache'"] = {cache = -1}, ["option 'index'"] = {index = "a/b"},
      ["an ending without dots"] = {types = {[".x"] = "text/x"}}, ["a type, expected"] = {types = {x = "a\r\n"}},
    } do
      local ok, err = pcall(http.files, folder.path, opts)
      assert.is_false(ok)
      assert.matches(words, tostring(err), 1, true)
    end
    local handler, err = http.files(folder.path .. "/none")
    assert.is_nil(handler)
    assert.equal("ENOENT", err.code)
    assert.equal("ENOTDIR", select(2, http.files(folder.path .. "/in/f.txt")).code)
  end)
end)

describe("a path that would leave its folder (U1)", function()
  before_each(setup_folder)
  after_each(stop)

  it("is nowhere", function()
    serve_files {list = true, hidden = true}
    for _, target in ipairs {
      "/../out/f", "/%2e%2e/out/f", "/..%2fout/f", "/%252e%252e/out/f", "/sub/../../out/f", "/sub/%2e%2e/f.txt",
      "/..", "/../", "/%2e%2e", "/.", "/sub/.", "//etc/passwd", "/etc/passwd", "/%2fetc/passwd", "/\\..\\..\\out\\f",
      "/..\\out\\f", "/%5c..%5cout%5cf", "/f.txt%00", "/%00/f.txt", "/%c0%ae%c0%ae/out/f", "/%c0%af..%c0%afout/f",
      "/%e0%80%ae%e0%80%ae/out/f", "/f.txt/", "/f.txt.", "/f.txt/.", "/f.txt%20", "/f.txt%2f", "/sub//index.html",
      "http://here/../out/f", "http://here/%2e%2e/out/f", "/" .. ("a/"):rep(2048), "/" .. ("../"):rep(2000) .. "etc",
      "/" .. ("x"):rep(5000), "/%", "/%zz", "/f.txt%", "*", "out/f", "/;/../out/f", "/..;/out/f", "/.../out/f",
      "/%u002e%u002e/out/f", "/..%c0%afout/f", "/..%255cout/f", "/" .. folder.path .. "/out/f",
    } do
      local answer = get(target)
      assert(answer.status == 404 or answer.status == 400, target:sub(1, 60) .. ": " .. answer.status)
      assert.is_nil(answer.body:find("outside", 1, true), target)
    end
    assert.equal(DIGITS, get "http://here/f.txt".body)
    assert.equal(DIGITS, get "http://here/%66%2etxt?../../out/f".body)
  end)

  it("is nowhere by links, and what is beneath is there", function()
    serve_files {list = true}
    lfs.link("../out", folder.path .. "/in/up", true)
    lfs.link(folder.path .. "/out/f", folder.path .. "/in/whole", true)
    lfs.link("/proc/self", folder.path .. "/in/proc", true)
    lfs.link("loop", folder.path .. "/in/loop", true)
    lfs.link("f.txt", folder.path .. "/in/same", true)
    for _, target in ipairs {"/up/f", "/up", "/up/", "/whole", "/proc/comm", "/proc/cwd/", "/loop", "/loop/x"} do
      assert.equal(404, get(target).status, target)
    end
    assert.equal(DIGITS, get "/same".body)
  end)

  it("is nowhere while links take the place of folders", function()
    serve_files()
    local function at(name)
      return folder.path .. "/in/" .. name
    end
    folder.write("in/sub/f", "inside")
    lfs.link("../out", at "link", true)
    local done
    local seen = {}
    task.all {
      function()
        while not done do
          assert(fs.rename(at "sub", at "aside"))
          assert(fs.rename(at "link", at "sub"))
          assert(fs.rename(at "sub", at "link"))
          assert(fs.rename(at "aside", at "sub"))
        end
      end,
      function()
        local client <close> = assert(net.connect(listener.endpoint))
        for _ = 1, child.stress and 30 or 100 do
          write_request(client, "GET", "/sub/f")
          local answer = answer_of(client)
          seen[answer.status .. answer.body] = true
        end
        done = true
      end,
    }
    seen["404no such page\n"], seen["200inside"] = nil, nil
    assert.same({}, seen)
  end)

  it("is not opened where it is no file", function()
    serve_files()
    assert(process.run({"mkfifo", folder.path .. "/in/fifo"}).code == 0)
    local socket <close> = assert(net.listen("unix:" .. folder.path .. "/in/socket"))
    assert.equal(404, get "/fifo".status)
    assert.equal(404, get "/socket".status)
    assert.truthy(socket)
  end)
end)

describe("a conditional request", function()
  local tag, date, path
  local before, after = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"

  before_each(function()
    setup_folder()
    serve_files()
    path = folder.path .. "/in/f.txt"
    lfs.touch(path, 1000000000)
    local answer = get "/f.txt"
    tag, date = answer.etag, answer["last-modified"]
  end)
  after_each(stop)

  it("is answered by 304, 412 or the file (RFC 9110 §13.2.2)", function()
    assert.equal("Sun, 09 Sep 2001 01:46:40 GMT", date)
    local weak = "W/" .. tag
    for _, row in ipairs {
      {304, {["if-none-match"] = tag}}, {304, {["if-none-match"] = weak}}, {304, {["if-none-match"] = "*"}},
      {304, {["if-none-match"] = '"a,b", ' .. tag}}, {200, {["if-none-match"] = '"x"'}},
      {200, {["if-none-match"] = ""}}, {200, {["if-none-match"] = tag:sub(2, -2)}},
      {304, {["if-modified-since"] = date}}, {304, {["if-modified-since"] = after}},
      {200, {["if-modified-since"] = before}}, {200, {["if-modified-since"] = "yesterday"}},
      {304, {["if-modified-since"] = "Sunday, 09-Sep-01 01:46:40 GMT"}},
      {304, {["if-modified-since"] = "Sun Sep  9 01:46:40 2001"}},
      {200, {["if-modified-since"] = "Sun Sep  9 01:46:39 2001"}},
      {200, {["if-modified-since"] = "Sun, 09 Sep 2001 25:46:40 GMT"}},
      {200, {["if-none-match"] = '"x"', ["if-modified-since"] = date}},
      {304, {["if-none-match"] = tag, ["if-modified-since"] = before}},
      {200, {["if-match"] = tag}}, {200, {["if-match"] = "*"}}, {200, {["if-match"] = '"x", ' .. tag}},
      {412, {["if-match"] = '"x"'}}, {412, {["if-match"] = weak}}, {412, {["if-match"] = ""}},
      {200, {["if-unmodified-since"] = date}}, {412, {["if-unmodified-since"] = before}},
      {200, {["if-unmodified-since"] = "soon"}},
      {200, {["if-match"] = tag, ["if-unmodified-since"] = before}},
      {304, {["if-match"] = tag, ["if-none-match"] = tag}},
      {412, {["if-match"] = '"x"', ["if-none-match"] = tag}},
      {412, {["if-unmodified-since"] = before, ["if-modified-since"] = date}},
      {304, {["if-none-match"] = tag, range = "bytes=0-1"}},
      {206, {["if-none-match"] = '"x"', range = "bytes=0-1"}},
      {206, {["if-range"] = tag, range = "bytes=0-1"}}, {200, {["if-range"] = weak, range = "bytes=0-1"}},
      {200, {["if-range"] = '"x"', range = "bytes=0-1"}}, {206, {["if-range"] = date, range = "bytes=0-1"}},
      {200, {["if-range"] = after, range = "bytes=0-1"}}, {200, {["if-range"] = tag}},
      {200, {["if-range"] = '"x"', range = "bytes=99-"}},
    } do
      local answer = get("/f.txt", row[2])
      local fields = {}
      for name, value in pairs(row[2]) do
        fields[#fields + 1] = name .. ": " .. value
      end
      assert.equal(row[1], answer.status, table.concat(fields, ", "))
      if row[1] == 304 then
        assert.equal(tag, answer.etag)
      end
      assert.equal(row[1] == 304 and "" or row[1] == 200 and DIGITS or answer.body, answer.body)
    end
  end)

  it("is given another tag for another file", function()
    assert(fs.write(path, "9876543210"))
    lfs.touch(path, 1000000000)
    local other = get "/f.txt"
    assert.equal(date, other["last-modified"])
    assert.are_not.equal(tag, other.etag)
    lfs.touch(path, 1000000001)
    assert.are_not.equal(other.etag, get "/f.txt".etag)
  end)

  it("is told no time to come", function()
    lfs.touch(path, 4000000000)
    assert.matches(" 20[23456]%d ", get "/f.txt"["last-modified"])
  end)
end)

describe("a range", function()
  before_each(function()
    setup_folder()
    serve_files()
  end)
  after_each(stop)

  it("is answered, or not (RFC 9110 §14)", function()
    for _, row in ipairs {
      {"bytes=0-0", 206, "0", "bytes 0-0/10"}, {"bytes=3-5", 206, "345", "bytes 3-5/10"},
      {"bytes=5-", 206, "56789", "bytes 5-9/10"}, {"bytes=-3", 206, "789", "bytes 7-9/10"},
      {"bytes=-99", 206, DIGITS, "bytes 0-9/10"}, {"bytes=0-99999999999999999999", 206, DIGITS, "bytes 0-9/10"},
      {"Bytes=9-9", 206, "9", "bytes 9-9/10"}, {"bytes= 1-2 ", 206, "12", "bytes 1-2/10"},
      {"bytes=50-60, 1-2", 206, "12", "bytes 1-2/10"}, {"bytes=000000000000000000000001-2", 206, "12", "bytes 1-2/10"},
      {"bytes=10-", 416, "it has 10 bytes\n", "bytes */10"}, {"bytes=-0", 416, "it has 10 bytes\n", "bytes */10"},
      {"bytes=99999999999999999999-", 416, "it has 10 bytes\n", "bytes */10"},
      {"bytes=5-3", 200, DIGITS}, {"bytes=x", 200, DIGITS}, {"bytes=-", 200, DIGITS}, {"bytes=", 200, DIGITS},
      {"bytes=1-2-3", 200, DIGITS}, {"lines=0-1", 200, DIGITS}, {"bytes 0-1", 200, DIGITS},
      {"bytes=0-1,x", 200, DIGITS}, {"bytes=0-8,0-8", 200, DIGITS}, {"bytes=-1" .. (",-1"):rep(16), 200, DIGITS},
      {"bytes=0-1" .. (","):rep(1000), 200, DIGITS}, {"bytes=0x1-2", 200, DIGITS}, {"bytes=1.0-2", 200, DIGITS},
    } do
      local answer = get("/f.txt", {range = row[1]})
      assert.same({row[2], row[3], row[4]}, {answer.status, answer.body, answer["content-range"]}, row[1])
    end
    folder.write("in/empty", "")
    assert.equal(416, get("/empty", {range = "bytes=0-"}).status)
    assert.equal(200, get "/empty".status)
  end)

  it("is one of several", function()
    local answer = get("/f.txt", {range = "bytes=0-1, 4-4,-2"})
    assert.equal(206, answer.status)
    local mark = answer["content-type"]:match "^multipart/byteranges; boundary=(%x+)$"
    local part = "\r\n--" .. mark .. "\r\ncontent-type: text/plain; charset=utf-8\r\n"
      .. "content-range: bytes %s/10\r\n\r\n%s"
    assert.equal(part:format("0-1", "01") .. part:format("4-4", "4") .. part:format("8-9", "89")
      .. "\r\n--" .. mark .. "--\r\n", answer.body)
    assert.is_nil(answer["content-range"])
  end)
end)

describe("a file beside it that is compressed", function()
  before_each(function()
    setup_folder()
    folder.write("in/f.txt.gz", "compressed")
    lfs.touch(folder.path .. "/in/f.txt", 1000000000)
    lfs.touch(folder.path .. "/in/f.txt.gz", 1000000000)
  end)
  after_each(stop)

  it("is sent to who takes it", function()
    serve_files {gzip = true}
    for accepted, is in pairs {
      gzip = true, ["br, GZIP;q=0.5"] = true, ["*"] = true, ["*;q=0, gzip"] = true, ["gzip;q=0"] = false,
      ["gzip;q=0.0, *"] = false, ["identity"] = false, [""] = false, ["*;q=0"] = false, ["xgzip"] = false,
    } do
      local answer = get("/f.txt", {["accept-encoding"] = accepted})
      assert.same({is and "compressed" or DIGITS, is and "gzip" or nil, "accept-encoding"},
        {answer.body, answer["content-encoding"], answer.vary}, accepted)
      assert.equal("text/plain; charset=utf-8", answer["content-type"])
    end
    local plain, gz = get "/f.txt", get("/f.txt", {["accept-encoding"] = "gzip"})
    assert.are_not.equal(plain.etag, gz.etag)
    assert.equal(304, get("/f.txt", {["accept-encoding"] = "gzip", ["if-none-match"] = gz.etag}).status)
    assert.equal("comp", get("/f.txt", {["accept-encoding"] = "gzip", range = "bytes=0-3"}).body)
    assert.is_nil(get("/sub/", {["accept-encoding"] = "gzip"})["content-encoding"])
  end)

  it("is not where it is an older one's, or nobody said so", function()
    serve_files {gzip = true}
    lfs.touch(folder.path .. "/in/f.txt", 1000000001)
    assert.equal(DIGITS, get("/f.txt", {["accept-encoding"] = "gzip"}).body)
    stop()
    setup_folder()
    folder.write("in/f.txt.gz", "compressed")
    serve_files()
    local answer = get("/f.txt", {["accept-encoding"] = "gzip"})
    assert.same({DIGITS, nil}, {answer.body, answer.vary})
    assert.equal("application/gzip", get "/f.txt.gz"["content-type"])
  end)
end)

describe("a file that is compressed on its way", function()
  local text = ("0123456789"):rep(30000)

  before_each(function()
    setup_folder()
    folder.write("in/big.txt", text)
    listener = assert(net.listen "mem:files")
    server = task.spawn(http.serve, listener, assert(http.files(folder.path .. "/in")), {compress = true})
  end)
  after_each(stop)

  it("comes whole, and a range of it as it is", function()
    local client <close> = http.client {endpoint = "mem:files"}
    local answer = assert(client:get "http://here/big.txt")
    assert.equal("gzip", answer.headers["content-encoding"])
    assert.is_true(text == answer:read "a")
    local tag = answer.headers.etag
    assert.matches('^W/"', tag)
    answer = assert(client:get("http://here/big.txt", {headers = {["if-none-match"] = tag}}))
    assert.equal(304, answer.status)
    answer = assert(client:get("http://here/big.txt", {headers = {range = "bytes=5-12"}}))
    assert.same({206, "56789012", nil}, {answer.status, answer:read "a", answer.headers["content-encoding"]})
  end)

  it("is cut where it is cut", function()
    folder.write("in/big.txt", crypto.tohex(crypto.random(800000))) -- more than is on its way at a time
    local client <close> = assert(net.connect "mem:files")
    write_request(client, "GET", "/big.txt", {["accept-encoding"] = "gzip"})
    assert(client:readexactly(1000))
    assert(fs.write(folder.path .. "/in/big.txt", "", {atomic = false, sync = false}))
    assert.is_nil(client:read "a":find("\r\n0\r\n\r\n", 1, true))
  end)
end)

describe("a file that is large", function()
  it("is one piece to the kernel, and not many", function()
    local result = child.strace({"-f", "-e", "trace=statx"}, [[
      local http, fs, net, task = require "neap.http", require "neap.fs", require "neap.net", require "neap.task"
      local dir = os.tmpname() .. ".d"
      assert(fs.mkdir(dir))
      assert(fs.write(dir .. "/large", ("x"):rep(1000000), {sync = false}))
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      local server = task.spawn(http.serve, listener, assert(http.files(dir)))
      local client <close> = assert(net.connect(listener.endpoint))
      client:write "GET /large HTTP/1.0\r\n\r\n"
      print(#client:read "a" > 1000000)
      server:cancel()
      fs.remove(dir, {recursive = true})
    ]])
    assert.equal("true\n", result.stdout)
    local asked = 0 -- for its size, once for each piece
    for _, line in ipairs(result.calls) do
      asked = asked + (line:find('statx%(%d+, "", .*SYNC') and 1 or 0)
    end
    assert.equal(1, asked)
  end)
end)

describe("a file that changes while it is sent", function()
  local SIZE = 4000000
  local text = ("%08x"):rep(SIZE // 8):gsub("%%08x", (function()
    local i = 0
    return function()
      i = i + 1
      return ("%08x"):format(i)
    end
  end)())

  before_each(function()
    setup_folder()
    folder.write("in/big", text)
    serve_files()
  end)
  after_each(stop)

  it("cuts the connection where it was cut", function()
    local client <close> = assert(net.connect(listener.endpoint))
    write_request(client, "GET", "/big")
    local head = assert(client:readuntil "\r\n\r\n")
    assert.equal(SIZE, tonumber(head:match "content%-length: (%d+)"))
    local first = assert(client:readexactly(100000))
    assert(fs.write(folder.path .. "/in/big", text:sub(1, 1000000), {atomic = false, sync = false}))
    local all = first .. client:read "a"
    assert(#all >= 100000 and #all < SIZE, #all)
    assert.is_true(all == text:sub(1, #all))
  end)

  it("is sent as it was when another takes its name", function()
    local client <close> = assert(net.connect(listener.endpoint))
    write_request(client, "GET", "/big")
    assert(client:readuntil "\r\n\r\n")
    assert(fs.write(folder.path .. "/in/big", "other"))
    assert.is_true(text == client:readexactly(SIZE))
    write_request(client, "GET", "/big")
    assert.equal("other", answer_of(client).body)
  end)

  it("is let go of when its client is gone", function()
    local host = require "neap.host"
    local count = host.stats().streams
    local client = assert(net.connect(listener.endpoint))
    write_request(client, "GET", "/big")
    assert(client:readexactly(1000))
    client:reset()
    for _ = 1, 1000 do
      if host.stats().streams == count then
        return
      end
      task.sleep(0.005)
    end
    error("a stream is left")
  end)
end)

describe("curl", function()
  local root

  before_each(function()
    setup_folder()
    listener = assert(net.listen "tcp://127.0.0.1:0")
    server = task.spawn(http.serve, listener, assert(http.files(folder.path .. "/in")))
    root = ("http://127.0.0.1:%d"):format(listener.port)
  end)
  after_each(stop)

  local function curl(...)
    if process.run({"sh", "-c", "command -v curl"}).code ~= 0 then
      pending "curl is not installed"
    end
    local result = assert(process.run {"curl", "-s", "-S", "--max-time", "20", cwd = folder.path, ...})
    assert.equal(0, result.code, result.stderr)
    return result.stdout
  end

  it("goes on with what it has, and gets parts (P25)", function()
    assert.equal("2345", curl("-r", "2-5", root .. "/f.txt"))
    assert.equal("789", curl("-r", "-3", root .. "/f.txt"))
    assert.matches("bytes 0%-0/10.*bytes 9%-9/10", curl("-r", "0-0,9-9", root .. "/f.txt"))
    folder.write("part", "01234")
    curl("-C", "-", "-o", "part", root .. "/f.txt")
    local file <close> = assert(io.open(folder.path .. "/part"))
    assert.equal(DIGITS, file:read "a")
  end)

  it("asks for what is new (P25)", function()
    local status = {"-o", "out.txt", "-w", "%{http_code} %{size_download}"}
    local function code(...)
      local args = {...}
      table.move(status, 1, #status, #args + 1, args)
      args[#args + 1] = root .. "/f.txt"
      return curl(table.unpack(args))
    end
    assert.equal("200 10", code("--etag-save", "tag"))
    assert.equal("304 0", code("--etag-compare", "tag"))
    assert.equal("304 0", code("-R", "-z", folder.path .. "/in/f.txt"))
    assert.equal("200 10", code("-z", "1 Jan 2001"))
    folder.write("in/f.txt", DIGITS .. "a")
    assert.equal("200 11", code("--etag-compare", "tag"))
  end)

  it("follows to folders, and asks for heads (P25)", function()
    assert.equal("index", curl("-L", root .. "/sub"))
    assert.matches("content%-length: 10\r\n", curl("-I", root .. "/f.txt"))
    assert.equal("404", curl("--path-as-is", "-o", "x", "-w", "%{http_code}", root .. "/../out/f"))
  end)
end)
