-- How neap.http's client gets to a server: by TLS, unix sockets and proxies.

local authority = require "neap.http.authority"
local http = require "neap.http"
local net = require "neap.net"
local proxies = require "neap.http.proxies"
local closing = require "spec.support.tasks".closing
local folder = require "spec.support.folder"
local task = require "neap.task"
local tls = require "neap.tls"
local url = require "neap.url"

local servers

local function serve(listener, handler, opts)
  opts = opts or {}
  opts.onerror = opts.onerror or function() end
  servers[#servers + 1] = task.spawn(http.serve, listener, handler, opts)
  return listener
end

local function listen(endpoint, opts)
  local listener = assert(net.listen(endpoint or "tcp://127.0.0.1:0", opts))
  servers[#servers + 1] = listener
  return listener
end

--- The server that everybody asks: says how it was asked.
local function says(request)
  return request.method .. " " .. request.target .. " " .. (request:header "host") .. " "
    .. (request:header "proxy-authorization" or "-") .. " " .. (request:header "authorization" or "-")
end

describe("http's client", function()
  before_each(function()
    servers = {}
  end)

  after_each(function()
    for i = #servers, 1, -1 do
      local one = servers[i]
      if getmetatable(one).__name == "neap.Task" then
        one:cancel()
        one:join()
      else
        one:close()
      end
    end
  end)

  describe("by TLS", function()
    local listener, own

    before_each(function()
      own = {}
      own.cert, own.key = tls.selfsigned {names = {"localhost", "127.0.0.1"}}
      listener = serve(listen(nil, {tls = {cert = own.cert, key = own.key, alpn = {"http/1.1"}}}), function(request)
        return says(request) .. " " .. request.stream.tls.alpn
      end)
    end)

    local function base(host)
      return ("https://%s:%d/"):format(host, listener.port)
    end

    it("knows whom it asks, and speaks HTTP", function()
      local client <close> = http.client {tls = {ca = own.cert}}
      for _ = 1, 2 do
        local response = assert(client:get(base "127.0.0.1" .. "a"))
        assert.equal("GET /a 127.0.0.1:" .. listener.port .. " - - http/1.1", response:read "a")
      end
    end)

    it("asks nobody whom it does not know", function()
      local client <close> = http.client()
      local response, err = client:get(base "localhost")
      assert.is_nil(response)
      assert.matches("certificate", err.message)
    end)

    it("asks nobody where the file of those whom it knows is not there", function()
      local client <close> = http.client {tls = {ca = "/no/such/file"}}
      local response, err = client:get(base "localhost")
      assert.is_nil(response)
      assert.equal("ENOENT", err.code)
    end)

    it("through a proxy, which sees nothing of it", function()
      local asked = {}
      local proxy = serve(listen(), function(request, response)
        asked[#asked + 1] = request.method .. " " .. request.target .. " "
          .. (request:header "proxy-authorization" or "-")
        if request:header "proxy-authorization" ~= "Basic bWU6cA==" then
          return http.response(407, {}, "who?")
        end
        local far = assert(net.connect("tcp://" .. request.target))
        local stream = assert(response:upgrade())
        net.relay(stream, far)
        far:close()
      end)
      local client <close> = http.client {
        proxy = ("http://me:p@127.0.0.1:%d"):format(proxy.port), tls = {ca = own.cert},
      }
      for _ = 1, 2 do
        local response = assert(client:get(base "localhost" .. "a", {auth = "Bearer t"}))
        assert.equal(("GET /a localhost:%d - Bearer t http/1.1"):format(listener.port), response:read "a")
      end
      assert.same({("CONNECT localhost:%d Basic bWU6cA=="):format(listener.port)}, asked)

      local other <close> = http.client {proxy = "127.0.0.1:" .. proxy.port, tls = {ca = own.cert}}
      local response, err = other:get(base "localhost")
      assert.is_nil(response)
      assert.equal("request: the proxy does not connect: 407 Proxy Authentication Required (ECONNREFUSED)",
        tostring(err))
    end)

    it("not through a proxy that has never answered enough", function()
      local proxy, written = listen(), 0
      servers[#servers + 1] = task.spawn(proxy.serve, proxy, function(stream)
        stream:readuntil "\r\n\r\n"
        while stream:write "HTTP/1.1 103 Early Hints\r\n\r\n" do
          written = written + 1
          task.yield()
        end
      end)
      local client <close> = http.client {proxy = "http://127.0.0.1:" .. proxy.port}
      local response, err = client:get(base "localhost")
      assert.same({nil, "ECONNREFUSED"}, {response, err.code})
      assert.is_true(written > 20)
    end)

    it("to the proxy as well", function()
      local context = tls.context {ca = own.cert, alpn = {"http/1.1"}}
      local proxy = serve(listen(nil, {tls = {cert = own.cert, key = own.key}}), function(request, response)
        local far <close> = assert(net.connect("tcp://" .. request.target))
        net.relay(assert(response:upgrade()), far)
      end)
      local client <close> = http.client {proxy = "https://localhost:" .. proxy.port, tls = context}
      assert.matches("^GET / localhost", assert(client:get(base "localhost")):read "a")
    end)
  end)

  it("has the whole URL for a proxy where nothing is encrypted", function()
    local proxy = serve(listen(), says)
    local client <close> = http.client {proxy = "http://me:p@127.0.0.1:" .. proxy.port}
    for _, host in ipairs {"a", "b"} do
      assert.equal(("GET http://%s/x?y %s Basic bWU6cA== -"):format(host, host),
        assert(client:get(("http://%s/x?y#z"):format(host))):read "a")
    end
  end)

  it("goes to unix sockets", function()
    folder.make()
    local path = folder.path .. "/http.sock"
    local _ <close> = closing(folder.remove)
    serve(listen("unix:" .. path), says)
    local client <close> = http.client()
    assert.equal("GET /info?a=b localhost - -", assert(client:get("http://unix:" .. path .. ":/info?a=b")):read "a")
    assert.equal("GET / localhost - -", assert(client:get("http://unix:" .. path)):read "a")
    assert.equal("GET /x web - -", assert(client:get("http://web/x", {endpoint = "unix:" .. path})):read "a")
  end)

  it("keeps what unix sockets set from whose name is as theirs", function()
    folder.make()
    local path = folder.path .. "/http.sock"
    local _ <close> = closing(folder.remove)
    local function handler(request)
      return http.response(200, {["set-cookie"] = "a=1"}, request:header "cookie" or "none")
    end
    serve(listen("unix:" .. path), handler)
    serve(listen "mem:named", handler)
    local client <close> = http.client {cookies = true}
    for _ = 1, 2 do
      assert.equal("none", client:get("http://unix:" .. path .. ":/"):read "a")
    end
    assert.equal("none", client:get("http://localhost/", {endpoint = "mem:named"}):read "a")
    assert.equal("a=1", client:get("http://localhost/", {endpoint = "mem:named"}):read "a")
    assert.equal("none", client:get("http://unix:" .. path .. ":/"):read "a")
  end)

  it("says Host as the URL does", function()
    for text, expected in pairs {
      ["http://a/"] = "a", ["http://a:80/"] = "a", ["http://a:81/"] = "a:81", ["https://a:443"] = "a",
      ["http://[::1]:80/"] = "[::1]", ["http://[fe80::1%25eth0]:8/"] = "[fe80::1]:8",
    } do
      assert.equal(expected, authority.host(assert(url.parse(text))))
    end
  end)

  it("passes by the proxy for who is on the list", function()
    for _, row in ipairs {
      {"a", "a", true}, {"a", "b", false}, {"a", "x.a", true}, {".a", "x.a", true}, {".a", "xa", false},
      {"*.a", "x.a", true}, {"*", "anything", true}, {"b, a", "a", true}, {"A", "a", true}, {"a:80", "a", true},
      {"a:81", "a", false}, {"10.0.0.0/8", "10.1.2.3", true}, {"10.0.0.0/8", "11.0.0.1", false},
      {"10.0.0.1", "10.0.0.1", true}, {"10.0.0.0/8", "a", false}, {"::1", "::1", true}, {"[::1]:80", "::1", true},
      {"", "a", false}, {",", "a", false}, {"10.0.0.0/99", "10.0.0.1", false},
    } do
      assert.equal(row[3], not not proxies.passes(row[1], row[2], 80), row[1] .. " " .. row[2])
    end
  end)

  it("takes the proxy of the environment", function()
    local environment = {}
    local function of(where)
      local found = proxies.of_environment(assert(url.parse(where)), function(name)
        return environment[name]
      end)
      return found and tostring(found)
    end
    assert.is_nil(of "http://a/")
    environment = {http_proxy = "p:3128", https_proxy = "http://q:1", no_proxy = "b"}
    assert.equal("http://p:3128", of "http://a/")
    assert.equal("http://q:1", of "https://a/")
    assert.is_nil(of "http://b/")
    environment = {HTTP_PROXY = "evil:1", ALL_PROXY = "http://r:1", HTTPS_PROXY = "s:1"}
    assert.equal("http://r:1", of "http://a/")
    assert.equal("http://s:1", of "https://a/")
    environment = {HTTP_PROXY = "evil:1", http_proxy = "", all_proxy = "socks5://x"}
    local none, why = proxies.of_environment(assert(url.parse "http://a/"), function(name)
      return environment[name]
    end)
    assert.is_nil(none)
    assert.matches("none of http", why) -- and not a connection that passes it by
  end)

  it("refuses what is no proxy", function()
    for _, text in ipairs {"socks5://a", "a b", "http://"} do
      assert.has_error.matches(function()
        http.client {proxy = text}
      end, "option 'proxy'", nil, true)
    end
  end)
end)
