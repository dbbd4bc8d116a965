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
    ["/users/a%2Fb"] = "one a%2Fb", ["/files/"] = "rest ", ["/files/a/b"] = "rest a/b",
  } do
    it("finds " .. path, function()
      local status, text = ask(app, "GET", path)
      assert.same({200, expected}, {status, text})
    end)
  end

  it("has no handler for other paths", function()
    for _, path in ipairs {"/users", "/users/", "/users/7/", "/users/7/posts", "/files", "/x", "//"} do
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
