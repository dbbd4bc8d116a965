-- Answers that are sent in gzip, and requests that come so.

local coding = require "neap.http.coding"
local http = require "neap.http"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local zlib = require "neap.zlib"

local TEXT = ("a line of text\n"):rep(1000)

local listener, server, client

local function stop()
  if server then
    server:cancel()
    server:join()
    listener:close()
    client:close()
  end
  server = nil
end

local function serve(handler, opts, endpoint)
  stop()
  listener = assert(net.listen(endpoint or "mem:http_compress"))
  server = task.spawn(http.serve, listener, handler, opts)
  client = http.client()
end

--- As the plain assert: what it raises is the error itself.
local function sure(value, err)
  return value or error(err, 0)
end

after_each(stop)

--- The answer to a request with these fields, its body as it came: status, headers, body.
local function ask(fields, method, path)
  local response <close> = assert(client:request {
    url = "http://here" .. (path or "/"), method = method, headers = fields or {["accept-encoding"] = "gzip"},
    endpoint = "mem:http_compress", decode = false,
  })
  return response.status, response.headers, assert(response:read "a")
end

local function text(fields)
  return function()
    fields = fields or {}
    fields["content-type"] = fields["content-type"] or "text/plain"
    return http.response(200, fields, TEXT)
  end
end

describe("http.serve with compress", function()
  it("sends what is text in gzip to who accepts it", function()
    serve(function(request)
      return request.path == "/plain" and TEXT or request.path == "/json" and http.json {TEXT}
        or http.response(200, {["content-type"] = request.query.type}, TEXT)
    end, {compress = true})
    for _, path in ipairs {"/plain", "/json", "/?type=text/html;+charset%3dutf-8", "/?type=TEXT/css",
      "/?type=application/javascript", "/?type=image/svg%2bxml", "/?type=application/problem%2Bjson"} do
      local status, headers, body = ask(nil, nil, path)
      assert.same({200, "gzip", "Accept-Encoding", tostring(#body)},
        {status, headers["content-encoding"], headers.vary, headers["content-length"]}, path)
      assert.matches("line of text", zlib.decompress(body, {format = "gzip"}), 1, true)
      assert.is_true(#body < 1000)
    end
    for _, path in ipairs {"/?type=image/png", "/?type=application/octet-stream", "/?type=texts/plain",
      "/?type=application/xjson", "/?type=junk", "/?type=video/mp4%2bjsons"} do
      local _, headers, body = ask(nil, nil, path)
      assert.same({TEXT}, {body, headers["content-encoding"], headers.vary}, path)
    end
  end)

  it("sends it as it is to others, and tells caches that it may be otherwise", function()
    serve(text(), {compress = true})
    for _, wish in ipairs {"", "identity", "br, deflate", "gzip;q=0", "gzip;q=0.0, *", "*;q=0", "identity, gzip;q=0.5",
      "gzip;q=x"} do
      local _, headers, body = ask {["accept-encoding"] = wish}
      assert.same({TEXT, "Accept-Encoding", tostring(#TEXT)},
        {body, headers.vary, headers["content-length"], headers["content-encoding"]}, wish)
    end
    local _, headers, body = ask {}
    assert.same({TEXT, "Accept-Encoding"}, {body, headers.vary, headers["content-encoding"]})
    for _, wish in ipairs {"gzip", "GZIP", "x-gzip", "*", "br;q=1.0, gzip;q=0.8, *;q=0.1", "deflate , gzip ; q=0.001",
      "identity;q=0.5, gzip"} do
      _, headers, body = ask {["accept-encoding"] = wish}
      assert.same({"gzip", TEXT}, {headers["content-encoding"], zlib.decompress(body)}, wish)
    end
  end)

  it("leaves alone what is short, coded already, a part, or not to be changed", function()
    local status, fields, body = 200, {}, TEXT
    serve(function()
      return http.response(status, fields, body)
    end, {compress = true})
    local function check_plain()
      local _, headers, got = ask()
      assert.same({body}, {got, headers.vary})
      return headers
    end
    fields = {["content-type"] = "text/plain"}
    body = ("x"):rep(1023)
    check_plain()
    body = ("x"):rep(1024)
    assert.equal(body, zlib.decompress((select(3, ask()))))
    body = TEXT
    fields["content-encoding"] = "br"
    assert.equal("br", check_plain()["content-encoding"])
    fields["content-encoding"] = nil
    fields["cache-control"] = "private, No-Transform"
    check_plain()
    fields["cache-control"] = "private"
    status = 206
    check_plain()
    for _, bare in ipairs {204, 304} do
      status, body = bare, ""
      check_plain()
    end
    status, body = 404, TEXT
    assert.equal(TEXT, zlib.decompress((select(3, ask()))))
    body = require "neap.crypto".random(2000)
    local _, headers, got = ask()
    assert.same({body, "Accept-Encoding"}, {got, headers.vary, headers["content-encoding"]})
  end)

  it("answers a HEAD as it would without", function()
    serve(text(), {compress = true})
    local _, headers, body = ask(nil, "HEAD")
    assert.same({"", "Accept-Encoding", tostring(#TEXT)},
      {body, headers.vary, headers["content-length"], headers["content-encoding"]})
  end)

  it("makes a strong tag a weak one, adds to Vary, and does not change the fields that it was given", function()
    local given = http.headers {["content-type"] = "text/plain", ETag = '"1"', Vary = "Cookie"}
    serve(function()
      return http.response(200, given, TEXT)
    end, {compress = true})
    for _ = 1, 2 do
      local _, headers = ask()
      assert.same({'W/"1"', "Cookie, Accept-Encoding"}, {headers.etag, headers.vary})
      _, headers = ask {["accept-encoding"] = "identity"}
      assert.same({'"1"', "Cookie, Accept-Encoding"}, {headers.etag, headers.vary})
    end
    assert.same({'"1"', "Cookie"}, {given.etag, given.vary, given["content-encoding"]})
    for _, vary in ipairs {"*", "accept-encoding", "Cookie, Accept-Encoding"} do
      given:set("vary", vary)
      given:set("etag", 'W/"2"')
      local _, headers = ask()
      assert.same({'W/"2"', vary}, {headers.etag, headers.vary})
    end
  end)

  it("sends what a handler writes at once, piece by piece", function()
    local go = task.channel(1)
    serve(function(_, response)
      response:start(200, {["content-type"] = "text/event-stream"})
      for line in go:each() do
        response:write(line)
      end
    end, {compress = true})
    local response <close> = assert(client:get("http://here/", {endpoint = "mem:http_compress",
      headers = {["accept-encoding"] = "gzip"}}))
    assert.equal("gzip", response.headers["content-encoding"])
    local d <close> = zlib.decompressor()
    for i = 1, 10 do
      go:send(("data: %d\n\n"):format(i))
      local got = ""
      while not got:find "\n\n" do
        got = got .. assert(d:update(assert(response:recv())))
      end
      assert.equal(("data: %d\n\n"):format(i), got)
    end
    go:close()
    d:update(response:read "a")
    assert.is_true(d:finish())
  end)

  it("codes any body that comes in pieces, in chunks or to the end of the connection", function()
    serve(function(request, response)
      local fields = {["content-type"] = "text/plain"}
      if request.path == "/length" then
        fields["content-length"] = #TEXT
        response:start(200, fields)
        response:write(TEXT:sub(1, 100))
        response:write(TEXT:sub(101))
      elseif request.path == "/write" then
        response:write(TEXT)
      elseif request.path == "/body" then
        return http.response(200, fields, http.body {TEXT, "", "x"})
      elseif request.path == "/nothing" then
        response:start(200, fields)
      elseif request.path == "/trailers" then
        response:start(200, fields)
        response:write(TEXT)
        response:finish {["x-sum"] = "1"}
      end
    end, {compress = true})
    local want = {["/length"] = TEXT, ["/write"] = TEXT, ["/body"] = TEXT .. "x", ["/nothing"] = "",
      ["/trailers"] = TEXT}
    for path, whole in pairs(want) do
      local response <close> = assert(client:get("http://here" .. path, {endpoint = "mem:http_compress"}))
      assert.same({"gzip", "chunked"}, {response.headers["content-encoding"], response.headers["transfer-encoding"]})
      assert.equal(whole, response:read "a")
      assert.equal(path == "/trailers" and "1" or nil, response.trailers and response.trailers["x-sum"])
      local raw <close> = assert(net.connect "mem:http_compress")
      raw:write(("GET %s HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n"):format(path))
      local head, body = assert(raw:read "a"):match "^(.-\r\n\r\n)(.*)$"
      assert.is_nil(head:lower():match "content%-length" or head:lower():match "chunked")
      assert.equal(whole, zlib.decompress(body))
    end
  end)

  it("still counts what a handler writes against the length that it said", function()
    local failures = {}
    serve(function(request, response)
      response:start(200, {["content-type"] = "text/plain", ["content-length"] = 2000})
      response:write(("x"):rep(request.path == "/more" and 2001 or 1999))
    end, {compress = true, onerror = function(err)
      failures[#failures + 1] = tostring(err)
    end})
    for _, path in ipairs {"/more", "/less"} do
      local response <close> = assert(client:get("http://here" .. path, {endpoint = "mem:http_compress"}))
      assert.is_nil((response:read "a"))
    end
    assert.equal(2, #failures)
    assert.matches("more is written than 'content%-length' says", failures[1])
    assert.matches("less was written than 'content%-length' says", failures[2])
  end)

  it("takes what is to be coded, how small, and from which size on", function()
    serve(function(request)
      return http.response(200, {["content-type"] = request.query.type}, TEXT)
    end, {compress = {types = {"Application/X", "image/*", "*+cbor"}, level = 1, least = #TEXT}})
    for type, coded in pairs {["application/x"] = true, ["image/png"] = true, ["a/b%2bcbor"] = true,
      ["text/plain"] = false, ["application/y"] = false} do
      local _, headers = ask(nil, nil, "/?type=" .. type)
      assert.equal(coded and "gzip" or nil, headers["content-encoding"], type)
    end
    serve(text(), {compress = {least = #TEXT + 1}})
    assert.is_nil(select(2, ask())["content-encoding"])
  end)

  it("raises for wrong options", function()
    local function refused(why, opts)
      local ok, err = pcall(http.serve, "mem:http_compress_wrong", print, opts)
      assert.is_false(ok)
      assert.matches(why, err, 1, true)
    end
    refused("option 'compress': a boolean or a table of options expected", {compress = 1})
    refused("option 'compress.level': a level from 1 to 9 expected", {compress = {level = 0}})
    refused("option 'compress.types': a list of strings expected", {compress = {types = {1}}})
    refused("option 'compress.types': a list of strings expected", {compress = {types = "text/*"}})
    refused("option 'compress.least': a count of 1 or more expected", {compress = {least = "1"}})
    refused("unknown option 'compress.lebel'", {compress = {lebel = 1}})
    refused("option 'decompress': a boolean expected", {decompress = 1})
  end)

  it("lets others have their turns while a large body is coded", function()
    local turns = 0
    local other = task.spawn(function()
      while true do
        turns = turns + 1
        task.yield()
      end
    end)
    local plan, large = coding.plan {}, ("0123456789abcdef"):rep(65536)
    local bytes = coding.encode(plan, large)
    other:cancel()
    assert.is_true(turns >= 16, turns)
    assert.equal(large, zlib.decompress(bytes))
  end)

  it("is understood by curl, which sends so, too", function()
    serve(function(request)
      local body = request:read "a"
      return http.response(200, {["content-type"] = "text/plain"}, body ~= "" and body or TEXT)
    end, {compress = true, decompress = true}, "tcp://127.0.0.1:0")
    local url = listener.endpoint:gsub("^tcp", "http") .. "/"
    local got = assert(process.run {"curl", "-sS", "--compressed", "-D", "-", url})
    assert.equal("", got.stderr)
    assert.matches("content-encoding: gzip", got.stdout, 1, true)
    assert.equal(TEXT, got.stdout:match "\r\n\r\n(.*)$")
    got = assert(process.run {"curl", "-sS", "--data-binary", "@-", "-H", "Content-Encoding: gzip", url,
      input = zlib.compress("sent so")})
    assert.same({"", "sent so"}, {got.stderr, got.stdout})
  end)
end)

describe("a request in gzip or deflate", function()
  --- Its status, and what the server says.
  local function send(body, fields, path)
    local response <close> = assert(client:request {
      url = "http://here" .. (path or "/"), method = "POST", body = body, headers = fields,
      endpoint = "mem:http_compress",
    })
    return response.status, response:read "a"
  end

  local function handler(request)
    if request.path == "/json" then
      return http.json(sure(request:json()))
    elseif request.path == "/form" then
      return sure(request:form()).a
    end
    return sure(request:read "a")
  end

  local bytes = zlib.compress '{"a":1}'

  it("is read as it came, and its JSON refused, by default", function()
    serve(handler)
    local status, body = send(bytes, {["content-encoding"] = "gzip"})
    assert.same({200, bytes}, {status, body})
    for _, path in ipairs {"/json", "/form"} do
      status, body = send(bytes, {["content-encoding"] = "br"}, path)
      assert.equal(415, status)
      assert.matches("the body is coded", body)
    end
    status, body = send('{"a":1}', {["content-encoding"] = "identity"}, "/json")
    assert.same({200, '{"a":1}\n'}, {status, body})
    status, body = send("a=1", {["content-encoding"] = "identity"}, "/form")
    assert.same({200, "1"}, {status, body})
  end)

  it("is decoded with decompress", function()
    serve(handler, {decompress = true})
    for _, name in ipairs {"gzip", "deflate", "X-GZIP"} do
      local fields = {["content-encoding"] = name}
      local format = name == "deflate" and name or "gzip"
      assert.same({200, '{"a":1}\n'}, {send(zlib.compress('{"a":1}', {format = format}), fields, "/json")})
      assert.same({200, "x"}, {send(zlib.compress("a=x", {format = format}), fields, "/form")})
      assert.same({200, TEXT}, {send(zlib.compress(TEXT, {format = format}), fields)})
    end
    assert.same({200, TEXT}, {send(TEXT, {})})
    assert.same({200, ""}, {send("", {["content-encoding"] = "gzip"})})
    assert.equal(415, (send(bytes, {["content-encoding"] = "br"}, "/json")))
    assert.same({200, "x"}, {send("x", {["content-encoding"] = "br"})})
  end)

  it("has its limit, and its answer where it is none (P17)", function()
    serve(handler, {decompress = true, limits = {body = 1000}})
    local fields = {["content-encoding"] = "gzip"}
    assert.equal(200, (send(zlib.compress(("x"):rep(1000)), fields)))
    assert.equal(413, (send(zlib.compress(("x"):rep(1001)), fields)))
    assert.equal(400, (send("junk", fields)))
    assert.equal(400, (send(bytes:sub(1, -3), fields, "/json")))
    assert.equal(400, (send(bytes .. "x", fields)))
  end)
end)
