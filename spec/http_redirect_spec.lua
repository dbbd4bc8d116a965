-- neap.http's client follows redirects, and tells no secrets on the way (P13).

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"

describe("http's client, redirected,", function()
  local listener, server, client, seen

  --- Each request is noted; where there is a rule for its host and path, it is sent on.
  local function serve(rules)
    server = task.spawn(http.serve, listener, function(request)
      local at = request:header "host" .. request.path
      seen[#seen + 1] = {
        at = at, method = request.method, auth = request:header "authorization", cookie = request:header "cookie",
        type = request:header "content-type", body = request:read "a", own = request:header "x-own",
      }
      local rule = rules[at]
      if rule then
        return http.response(rule[1], {location = rule[2]}, "over there")
      end
      return at
    end, {onerror = function() end})
  end

  before_each(function()
    seen = {}
    listener = assert(net.listen "mem:redirect")
    client = http.client {endpoint = "mem:redirect"}
  end)

  after_each(function()
    client:close()
    server:cancel()
    server:join()
    listener:close()
  end)

  it("arrives, and tells how", function()
    serve {["a/1"] = {301, "/2"}, ["a/2"] = {307, "3?x=1"}, ["a/3"] = {308, "//b:81/4"}}
    local response = assert(client:get "http://a/1#top")
    assert.equal("b:81/4", response:read "a")
    assert.equal("http://b:81/4", response.url:match "^[^#]*")
    assert.same({"http://a/1", "http://a/2", "http://a/3?x=1"}, response.history)
  end)

  it("changes the method as the status says, and leaves the body behind", function()
    serve {
      ["a/301"] = {301, "/x"}, ["a/302"] = {302, "/x"}, ["a/303"] = {303, "/x"}, ["a/307"] = {307, "/x"},
      ["a/308"] = {308, "/x"},
    }
    local becomes = {
      POST = {[301] = "GET", [302] = "GET", [303] = "GET", [307] = "POST", [308] = "POST"},
      PUT = {[301] = "PUT", [302] = "PUT", [303] = "GET", [307] = "PUT", [308] = "PUT"},
    }
    for method, statuses in pairs(becomes) do
      for status, expected in pairs(statuses) do
        local response = assert(client:request {method = method, url = "http://a/" .. status, json = {1}})
        response:read "a"
        local last = seen[#seen]
        assert.equal(expected, last.method, method .. status)
        assert.equal(expected == "GET" and "" or "[1]", last.body)
        assert.equal(expected ~= "GET" and "application/json" or nil, last.type)
      end
    end
    local response = assert(client:request {method = "HEAD", url = "http://a/303"})
    assert.equal("HEAD", seen[#seen].method)
    assert.equal(200, response.status)
  end)

  it("tells secrets to no other origin, nor later", function()
    serve {["a/1"] = {302, "http://a:8080/2"}, ["a:8080/2"] = {302, "http://a/3"}}
    local opts = {auth = {"me", "p"}, headers = {cookie = "a=1", ["x-own"] = "1"}}
    assert(client:get("http://a/1", opts))
    assert.same({{"Basic bWU6cA==", "a=1", "1"}, {nil, nil, "1"}, {nil, nil, "1"}}, {
      {seen[1].auth, seen[1].cookie, seen[1].own}, {seen[2].auth, seen[2].cookie, seen[2].own},
      {seen[3].auth, seen[3].cookie, seen[3].own},
    })
    seen = {}
    assert(client:get("http://me:p@a/4", {}))
    assert.equal("Basic bWU6cA==", seen[1].auth)
  end)

  it("says a Host of the script's to no other origin", function()
    serve {["mine/1"] = {302, "/2"}, ["mine/2"] = {302, "http://b/3"}}
    assert(client:get("http://a/1", {headers = {host = "mine"}}))
    assert.same({"mine/1", "mine/2", "b/3"}, {seen[1].at, seen[2].at, seen[3].at})
  end)

  it("keeps them for the same origin", function()
    serve {["a/1"] = {302, "http://A:80/2"}}
    assert(client:get("http://a/1", {auth = "Bearer t"}))
    assert.equal("Bearer t", seen[2].auth)
  end)

  it("does not wait for the body of who sent it on", function()
    local go = task.event()
    server = task.spawn(http.serve, listener, function(request)
      return request.path == "/2" and "here" or http.response(302, {location = "/2"}, function()
        go:wait()
      end)
    end)
    assert.equal("here", assert(client:get("http://a/1", {timeout = {idle = 1000}})):read "a")
    go:set()
  end)

  it("goes round ten times at most, or as often as it may", function()
    serve {["a/1"] = {302, "/1"}}
    local response, err = client:get "http://a/1"
    assert.is_nil(response)
    assert.equal("ELOOP", err.code)
    assert.equal(11, #seen)
    seen = {}
    assert.equal("ELOOP", select(2, client:get("http://a/1", {redirects = 2})).code)
    assert.equal(3, #seen)
    for _, none in ipairs {0, false} do
      response = assert(client:get("http://a/1", {redirects = none}))
      assert.same({302, "/1", "over there"}, {response.status, response.headers.location, response:read "a"})
    end
  end)

  for name, where in pairs {
    ["a file"] = "file:///etc/passwd", ["a unix socket"] = "unix:/run/docker.sock", ["FTP"] = "ftp://a/",
    ["a script"] = "javascript:alert(1)",
  } do
    it("does not go to " .. name, function()
      serve {["a/1"] = {302, where}}
      local response, err = client:get "http://a/1"
      assert.is_nil(response)
      assert.equal("EPERM", err.code)
      assert.equal(1, #seen)
    end)
  end

  it("does not go to what is no URL", function()
    serve {["a/1"] = {302, "http://a b/"}, ["a/2"] = {302, "http://unix:/run/x.sock:/"}}
    assert.equal("EBADMSG", select(2, client:get "http://a/1").code)
    assert.equal("unix/run/x.sock:/", client:get "http://a/2":read "a") -- a host of that name
  end)

  it("sends no body again that was read", function()
    serve {["a/1"] = {307, "/2"}}
    local given
    local response, err = client:post("http://a/1", {body = function()
      local piece = not given and "x" or nil
      given = true
      return piece
    end})
    assert.is_nil(response)
    assert.equal("EINVAL", err.code)
    assert.equal(1, #seen)
  end)

  it("stays where a redirect says no place", function()
    serve {}
    server:cancel()
    server:join()
    server = task.spawn(http.serve, listener, function()
      return http.response(302, {}, "nowhere")
    end)
    local response = assert(client:get "http://a/")
    assert.same({302, "nowhere"}, {response.status, response:read "a"})
  end)
end)
