-- neap http ENDPOINT

local http = require "neap.http"
local net = require "neap.net"

local _, endpoint = ...

local text = {["content-type"] = "application/json"}
local bytes = {["content-type"] = "application/octet-stream"}
local file = ("x"):rep(100 * 1024)
local value = {text = ("x"):rep(1012)}

local files = assert(http.files(os.getenv "BUILD"))

local listener = assert(net.listen(endpoint, {backlog = 4096}))
print(listener.endpoint)
io.stdout:flush()
http.serve(listener, function(request, response)
  local path = request.target
  if path == "/" then
    return "hello\n"
  elseif path == "/json" then
    return http.json(value, 200, text)
  elseif path == "/file" then
    return http.response(200, bytes, file)
  elseif path == "/large" then
    return files(request, response)
  elseif path == "/ws" then
    local ws = assert(request:websocket())
    for message, kind in ws:messages() do
      ws:send(message, kind)
    end
    return
  end
  local count = 0
  for chunk in request:chunks() do
    count = count + #chunk
  end
  response:send(200, {["content-type"] = "text/plain; charset=utf-8"}, count .. "\n")
end)
