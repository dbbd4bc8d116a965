-- usage: neap http_proxy.lua [ENDPOINT]
--
-- A proxy for browsers and others, by default at tcp://127.0.0.1:3128: what is asked for by
-- http:// is asked for in its place, and CONNECT leads to whom it names. Try it by
-- curl -x http://127.0.0.1:3128 http://example.org/

local endpoints = require "neap.endpoint"
local http = require "neap.http"
local net = require "neap.net"
local url = require "neap.url"

local endpoint = arg[1] or "tcp://127.0.0.1:3128"
if #arg > 1 or not pcall(endpoints.parse, endpoint) then
  io.stderr:write("an endpoint to listen at, please\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local client <close> = http.client {proxy = false, redirects = 0, decode = false}

-- Fields that are of one connection, and not of the message (RFC 9110 §7.6.1).
local hops = {
  connection = true, host = true, ["keep-alive"] = true, ["proxy-authenticate"] = true, ["proxy-authorization"] = true,
  ["proxy-connection"] = true, te = true, trailer = true, ["transfer-encoding"] = true, upgrade = true,
}

local function passed_on(headers)
  local list, named = http.headers(), {}
  for name in table.concat(headers:all "connection", ","):lower():gmatch "[^%s,]+" do
    named[name] = true
  end
  for name, value in pairs(headers) do
    if not hops[name:lower()] and not named[name:lower()] then
      list:add(name, value)
    end
  end
  return list
end

local function connect(request, response)
  local far, err = net.connect("tcp://" .. request.target, {timeout = 10})
  if not far then
    return http.response(502, {}, tostring(err) .. "\n")
  end
  local near = response:upgrade()
  if near then
    net.relay(near, far)
  end
  far:close()
end

local function forward(request)
  local target = url.parse(request.target)
  if not target or target.scheme ~= "http" then
    return http.response(400, {}, "this is a proxy: GET http://host/path\n")
  end
  local headers = passed_on(request.headers):add("via", "1.1 neap")
  local body = (request.length or request:header "transfer-encoding") and request or nil
  local answer, err = client:request {method = request.method, url = target, headers = headers, body = body}
  if not answer then
    return http.response(err.code == "ETIMEDOUT" and 504 or 502, {}, tostring(err) .. "\n")
  end
  return http.response(answer.status, passed_on(answer.headers):add("via", "1.1 neap"), answer)
end

local listener = assert(net.listen(endpoint))
print("listening at " .. listener.endpoint)
http.serve(listener, function(request, response)
  if request.method == "CONNECT" then
    return connect(request, response)
  end
  return forward(request)
end, {limits = {body = math.huge}, log = function(request, response)
  print(request.remoteaddr, request.method, request.target, response.status)
end})
