-- Forms that a server gets: their texts and files, from clients of every kind.

local fs = require "neap.fs"
local http = require "neap.http"
local multipart = require "neap.http.multipart"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local folder = require "spec.support.folder"

local FORM = "multipart/form-data; boundary=b"

local listener, server, failures

local function serve(handler, opts, endpoint)
  listener = assert(net.listen(endpoint or "mem:forms"))
  failures = {}
  opts = opts or {}
  opts.onerror = function(err)
    failures[#failures + 1] = tostring(err)
  end
  server = task.spawn(http.serve, listener, handler, opts)
end

--- The status and the body of the answer to a form.
local function post(body, kind)
  local client <close> = assert(net.connect(listener.endpoint))
  client:write(("POST / HTTP/1.1\r\nHost: here\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"):format(
    kind or FORM, #body), body)
  client:shutdown()
  local all = assert(client:read "a")
  return tonumber(all:match "^HTTP/1.1 (%d+) "), all:match "\r\n\r\n(.*)$"
end

local function part(rest, content)
  return ("--b\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"):format(rest, content)
end

--- A form as a text that can be compared.
local function shown(fields, files)
  local lines = {}
  for name, value in pairs(fields) do
    lines[#lines + 1] = name .. "=" .. value
  end
  table.sort(lines)
  for _, file in ipairs(files or {}) do
    lines[#lines + 1] = ("%s:%s %s %d %s"):format(file.name, file.filename, file.type, file.size,
      assert(fs.read(file.path)))
  end
  return table.concat(lines, "\n")
end

describe("a form", function()
  before_each(folder.make)
  after_each(function()
    listener:close()
    server:cancel()
    server:join()
    folder.remove()
  end)

  it("of either type is a table, the first of each name in it", function()
    serve(function(request)
      local fields, files = assert(request:form())
      assert.is_nil(files)
      return shown(fields)
    end)
    assert.same({200, "a=1\nb=x y"}, {post("a=1&b=x+y&a=2", "application/x-www-form-urlencoded")})
    assert.same({200, "a=1\nb=x\r\ny"}, {post(part("name=a", "1") .. part("name=b", "x\r\ny") ..
      part('name=f; filename="f"', "passed over") .. part("name=a", "2") .. "--b--")})
    assert.same({200, ""}, {post "--b--"})
    assert.same({}, failures)
  end)

  it("has its files in a folder, until the handler ends", function()
    local modes, kept = {}, folder.path .. "/kept"
    serve(function(request)
      local fields, files = assert(request:form {files = folder.path})
      for i, file in ipairs(files) do
        modes[i] = fs.stat(file.path).mode & 511
        assert(file.path:find(folder.path .. "/", 1, true) == 1)
      end
      if files.keep then
        assert(fs.rename(files.keep.path, kept))
      end
      return shown(fields, files.keep and {} or files)
    end)
    local text = part('name=f; filename="../a.txt"', "A") .. part("name=t", "text") ..
      part('name=f; filename=".."', ("B"):rep(100000)) .. part('name=none; filename=""', "") .. "--b--"
    assert.same({200, "t=text\nf:a.txt nil 1 A\nf:nil nil 100000 " .. ("B"):rep(100000)}, {post(text)})
    assert.same({384, 384}, modes)
    assert.same({}, fs.list(folder.path))
    assert.same({200, ""}, {post(part("name=keep; filename=x", "kept") .. part("name=o; filename=x", "") .. "--b--")})
    assert.same({"kept"}, fs.list(folder.path))
    assert.equal("kept", fs.read(kept))
    assert.same({200, "a=1"}, {post("a=1", "application/x-www-form-urlencoded")})
    assert.same({}, failures)
  end)

  it("leaves no file where it is cut, the handler fails or is cancelled", function()
    local wrote = task.channel()
    serve(function(request)
      local fields, files = request:form {files = folder.path}
      if not fields then
        error(files)
      end
      wrote:send(#fs.list(folder.path))
      task.sleep(fields.wait and 60 or 0)
      error "fails"
    end)
    local file = part("name=f; filename=x", "content")
    assert.equal(400, (post(file)))
    assert.same({}, fs.list(folder.path))
    local answered = task.spawn(post, file .. "--b--")
    assert.equal(1, wrote:recv())
    assert.equal(500, (answered:join()))
    assert.same({}, fs.list(folder.path))
    task.spawn(post, part("name=wait", "x") .. file .. "--b--")
    assert.equal(1, wrote:recv())
    server:cancel()
    server:join()
    assert.same({}, fs.list(folder.path))
    assert.equal(1, #failures)
  end)

  it("gives its files to a function, which need not read them", function()
    local got = {}
    serve(function(request)
      local fields, files = assert(request:form {files = function(one)
        got[#got + 1] = one.name .. ":" .. tostring(one.filename) .. ":" .. (one.name == "a" and one:read "a" or "")
      end})
      return shown(fields, files)
    end)
    assert.same({200, "t=x"}, {post(part('name=a; filename="/f"', "one\n") .. part('name=b; filename="f"', "two") ..
      part('name=none; filename=""', "") .. part('name=a; filename=""', "three") .. part("name=t", "x") .. "--b--")})
    assert.same({"a:f:one\n", "b:f:", "a:nil:three"}, got)
  end)

  it("that is none is answered by the server, when the handler does not", function()
    local handler
    serve(function(request)
      return handler(request)
    end, {limits = {body = 4 * 1024 * 1024}})
    local function by_form(request)
      return shown(assert(request:form()))
    end
    local function by_parts(request)
      for one in request:multipart {parts = 2, header = 100} do
        one:read "a"
      end
      return "fine"
    end
    local rows = {
      {400, 400, ""}, {400, 400, part("name=a", "x")}, {400, 400, "--bb"},
      {400, 400, "--b--", "multipart/form-data"}, {415, 200, "--b--", "multipart/mixed; boundary=b"},
      {200, 415, "a=b", "application/x-www-form-urlencoded"}, {400, 200, "--b\r\n\r\n\r\n--b--"},
      {413, 200, part("name=a", ("x"):rep(600000)) .. part("name=b", ("x"):rep(600000)) .. "--b--"},
      {200, 413, part("name=a", ""):rep(3) .. "--b--"}, {200, 413, part("name=a; x=" .. ("x"):rep(100), "") .. "--b--"},
    }
    for i, row in ipairs(rows) do
      handler = by_form
      assert.equal(row[1], (post(row[3], row[4])), i)
      handler = by_parts
      assert.equal(row[2], (post(row[3], row[4])), i)
    end
    handler = function(request)
      local _, err = request:form()
      return http.response(418, {}, err.code)
    end
    assert.same({418, "ENODATA"}, {post ""})
    assert.same({}, failures)
  end)

  it("is asked for by options that there are", function()
    local caught = {}
    serve(function(request)
      for _, opts in ipairs {7, {file = "x"}, {files = 7}, {files = ""}, {parts = 0}, {header = 1.5}} do
        local _, why = pcall(function()
          request:form(opts)
        end)
        caught[#caught + 1] = why
      end
      local _, why = pcall(function()
        for _ in request:multipart {files = "x"} do
        end
      end)
      caught[#caught + 1] = why
      return ""
    end)
    post "--b--"
    assert.equal(7, #caught)
    for i, why in ipairs(caught) do
      assert.truthy(tostring(why):find "^spec/http_forms_spec.lua:%d+: ", i)
    end
    assert.matches("unknown option 'files'", caught[7])
  end)

  it("is understood as others write it: curl, node, ourselves", function()
    serve(function(request)
      return shown(assert(request:form {files = folder.path}))
    end, nil, "tcp://127.0.0.1:0")
    local url = "http://" .. listener.endpoint:match "^tcp://(.*)$" .. "/"
    local large = folder.write("large", ("0123456789"):rep(30000))
    local expected = 't=a "b" ü\r\n--b\nq:x"y.bin application/octet-stream 300000 ' .. fs.read(large)
    local found = {}
    for name, command in pairs {
      curl = {"curl", "-sS", "-F", "t=a \"b\" ü\r\n--b", "-F", ('q=@%s;filename="x\\"y.bin"'):format(large), url},
      node = {"node", "-e", [[
        const form = new FormData();
        form.append("t", "a \"b\" ü\r\n--b");
        form.append("q", new Blob([require("fs").readFileSync(process.argv[1])]), 'x"y.bin');
        fetch(process.argv[2], {method: "POST", body: form}).then((r) => r.text()).then((t) => process.stdout.write(t));
      ]], large, url},
    } do
      local result = process.run(command)
      found[name] = result and result.stdout .. result.stderr
    end
    assert.equal(expected, found.curl or "no curl")
    assert.equal(expected, found.node or "no node")

    local file <close> = assert(fs.open(large))
    local pull, kind = multipart.encode {t = "a \"b\" ü\r\n--b", q = {filename = 'x"y.bin', body = file}}
    local pieces = {}
    for piece in pull do
      pieces[#pieces + 1] = piece
    end
    assert.same({200, expected}, {post(table.concat(pieces), kind)})
    assert.same({}, failures)
  end)
end)
