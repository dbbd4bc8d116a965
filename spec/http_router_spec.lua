-- http.router: which handler a request comes to.

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"

--- What a router answers: its status, and all behind that, the date left out.
local function ask(app, method, path)
  local listener <close> = assert(net.listen "mem:router")
  local server = task.spawn(http.serve, listener, app)
  local client <close> = assert(net.connect(listener.endpoint))
  client:write(method, " ", path, " HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
  local all = client:read "a"
  server:cancel()
  server:join()
  return tonumber(all:match "^HTTP/1.1 (%d+)"), all:match "\r\n\r\n(.*)$", all:match "allow: ([^\r]*)"
end

--- A handler that tells its name, and what the names in its path stand for.
local function says(name, ...)
  local names = {...}
  return function(request)
    local values = {name}
    for _, key in ipairs(names) do
      values[#values + 1] = request.params[key]
    end
    return table.concat(values, " ")
  end
end

describe("a router", function()
  local app = http.router()
  app:get("/files/*all", says("rest", "all"))
  app:get("/users/:id", says("one", "id"))
  app:get("/users/new", says "fixed")
  app:get("/users/new/deep", says "deep")
  app:get("/users/:id/posts/:post", says("two", "id", "post"))
  app:post("/users/:name", says("post", "name"))
  app:get("/", says "root")

  for path, expected in pairs {
    ["/"] = "root", ["/?a=b"] = "root", ["/users/7"] = "one 7", ["/users/new"] = "fixed",
    ["/users/new/deep"] = "deep", ["/users/new/posts/2"] = "two new 2", ["/users/a%20b"] = "one a b",
    ["/users/a%2Fb"] = "one a/b", ["/users/a%252Fb"] = "one a%2Fb", ["/users/%"] = "one %",
    ["/%75sers/new"] = "fixed", ["/users%2Fnew/x"] = nil, ["http://here/users/7"] = "one 7",
    ["/files/a%2Fb/%2e"] = "rest a/b/.", ["/files/"] = "rest ", ["/files/a/b"] = "rest a/b",
  } do
    it("finds " .. path, function()
      local status, text = ask(app, "GET", path)
      assert.same({200, expected}, {status, text})
    end)
  end

  it("has no handler for other paths", function()
    for _, path in ipairs {"/users", "/users/", "/users/7/", "/users/7/posts", "/files", "/x", "//", "/users%2F7",
      "/users/%00", "/files/a%00b"} do
      assert.equal(404, (ask(app, "GET", path)), path)
    end
  end)

  it("tells the methods of a path that has not this one", function()
    local status, _, allow = ask(app, "PUT", "/users/7")
    assert.same({405, "GET, HEAD, OPTIONS, POST"}, {status, allow})
    status, _, allow = ask(app, "OPTIONS", "/users/7")
    assert.same({204, "GET, HEAD, OPTIONS, POST"}, {status, allow})
  end)

  it("gives each method its names, and HEAD to GET's handler", function()
    local status, text = ask(app, "POST", "/users/x")
    assert.same({200, "post x"}, {status, text})
    status, text = ask(app, "HEAD", "/users/x")
    assert.same({200, ""}, {status, text})
  end)

  it("says what is wrong with a path, a method or a handler", function()
    local other = http.router()
    for words, given in pairs {
      ["begins with '/'"] = {"GET", "x", print}, ["a name of its own"] = {"GET", "/:a/:a", print},
      ["is not its end"] = {"GET", "/*a/b", print}, ["a method expected"] = {"G T", "/", print},
      ["a function expected"] = {"GET", "/", {}},
    } do
      local ok, err = pcall(other.route, other, table.unpack(given))
      assert.is_false(ok)
      assert.truthy(tostring(err):find(words, 1, true), err)
    end
    other:get("/twice", print)
    local ok, err = pcall(other.get, other, "/twice", print)
    assert.is_false(ok)
    assert.truthy(err:find("has a handler already", 1, true), err)
  end)
end)

describe("a router's methods", function()
  it("add handlers of their kind", function()
    local app = http.router()
    for _, verb in ipairs {"get", "post", "put", "patch", "delete", "head", "options"} do
      assert.equal(app, app[verb](app, "/" .. verb, says(verb)))
      assert.equal(200, (ask(app, verb:upper(), "/" .. verb)))
      assert.equal(405, (ask(app, verb == "put" and "GET" or "PUT", "/" .. verb)))
    end
    app:any("/get", says "any"):any("/x/:id", says("any", "id"))
    assert.same({200, "any"}, {ask(app, "PURGE", "/get")})
    assert.same({200, "get"}, {ask(app, "GET", "/get")})
    assert.same({200, "any 7"}, {ask(app, "OPTIONS", "/x/7")})
  end)

  it("say at the caller's line what is wrong", function()
    local app = http.router():any("/x", print):mount("/m", print)
    local call = assert(load("local f, self, a, b = ...\nlocal result = f(self, a, b)\nreturn result", "=caller"))
    for _, row in ipairs {
      {"put", "x", print, "begins with '/'"}, {"any", "/x", print, "any /x has a handler already"},
      {"mount", "x", print, "begins with '/'"}, {"mount", "/x/", print, "without '/'"},
      {"mount", "/x/*y", print, "without '/'"}, {"mount", "/m", print, "mounted at /m already"},
      {"mount", "/y", {}, "a function expected"}, {"mount", nil, print, "begins with '/'"},
      {"use", http.router(), nil, "a function expected"}, {"delete", "/:1", print, "a name of its own"},
      {"route", "G T", "/x", "a method expected"},
    } do
      local ok, err = pcall(call, app[row[1]], app, row[2], row[3])
      assert.is_false(ok)
      assert.matches("^caller:2: ", err)
      assert.matches(row[4], err, 1, true)
    end
    assert.equal(404, (ask(app, "GET", "/x/y")))
  end)
end)

describe("what is mounted", function()
  local function tells(request)
    return ("%s %s"):format(request.path, request.subpath)
  end

  it("gets what follows its prefix", function()
    local app = http.router():mount("/a", tells):get("/a/fixed", says "fixed"):mount("/b/:id", tells)
    for path, expected in pairs {
      ["/a"] = "/a ", ["/a/"] = "/a/ /", ["/a/b%2Fc"] = "/a/b%2Fc /b%2Fc", ["/a//x?q=/y"] = "/a//x //x",
      ["/a/fixed"] = "fixed", ["/a/fixed/x"] = "/a/fixed/x /fixed/x", ["/b/1"] = "/b/1 ", ["/b/1/c"] = "/b/1/c /c",
    } do
      assert.same({200, expected}, {ask(app, "GET", path)}, path)
    end
    for _, path in ipairs {"/", "/ab", "/b", "/b//c"} do
      assert.equal(404, (ask(app, "GET", path)), path)
    end
    app:mount("/", tells)
    assert.same({200, "/ab /ab"}, {ask(app, "GET", "/ab")})
    assert.same({200, "/ /"}, {ask(app, "GET", "/")})
    assert.same({200, "fixed"}, {ask(app, "GET", "/a/fixed")})
    assert.equal(405, (ask(app, "POST", "/a/fixed")))
  end)

  it("is a router, whose / is the prefix", function()
    local inner = http.router():get("/", says("root", "tenant")):get("/users/:id", says("user", "tenant", "id"))
    local app = http.router():mount("/:tenant/api", http.router():mount("/v1", inner))
    assert.same({200, "root x"}, {ask(app, "GET", "/x/api/v1")})
    assert.same({200, "root x"}, {ask(app, "GET", "/x/api/v1/")})
    assert.same({200, "user a/b 7"}, {ask(app, "GET", "/a%2Fb/api/v1/users/7")})
    assert.equal(404, (ask(app, "GET", "/x/api/v1/users")))
    assert.same({405, "no such method here\n", "GET, HEAD, OPTIONS"}, {ask(app, "PUT", "/x/api/v1/users/7")})
  end)
end)

describe("middleware", function()
  --- Puts its name around what comes from behind it.
  local function around(name)
    return function(_, _, next)
      return name .. "(" .. next() .. ")"
    end
  end

  it("goes around the handler, in its order, of each router", function()
    local inner = http.router():use(around "c"):get("/x", says "x")
    local app = http.router():get("/y", says "y"):use(around "a"):mount("/in", inner):use(around "b")
    assert.same({200, "a(b(y))"}, {ask(app, "GET", "/y")})
    assert.same({200, "a(b(c(x)))"}, {ask(app, "GET", "/in/x")})
  end)

  it("answers itself, or alters the answer, also that nothing is there", function()
    local app = http.router():use(function(request, response, next)
      if request.path == "/secret" then
        return http.response(401, {}, "who?\n")
      elseif request.path == "/written" then
        assert.is_nil(next())
        assert.equal(200, response.status)
        return
      end
      local reply = next()
      if type(reply) == "table" then
        reply.headers:set("allow", "all")
        return reply
      end
      return reply:upper()
    end)
    app:get("/secret", says "secret"):get("/x", says "x"):get("/written", function(_, response)
      response:write "written"
    end)
    assert.same({401, "who?\n"}, {ask(app, "GET", "/secret")})
    assert.same({200, "X"}, {ask(app, "GET", "/x")})
    assert.same({404, "no such page\n", "all"}, {ask(app, "GET", "/none")})
    assert.equal(200, (ask(app, "GET", "/written")))
  end)

  it("fails as a handler does", function()
    local failed
    local app = http.router():use(function(_, _, next)
      local ok, err = pcall(next)
      failed = not ok and err
      error(err, 0)
    end):get("/x", function()
      error("broken", 0)
    end)
    local listener <close> = assert(net.listen "mem:router")
    local told
    local server = task.spawn(http.serve, listener, app, {onerror = function(err)
      told = err
    end})
    local client <close> = assert(net.connect(listener.endpoint))
    client:write "GET /x HTTP/1.0\r\n\r\n"
    assert.matches("^HTTP/1.1 500", client:read "a")
    assert.same({"broken", "broken"}, {failed, told})
    server:cancel()
    server:join()
  end)
end)
