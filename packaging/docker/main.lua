-- What compose.yaml runs.

local http = require "neap.http"

http.serve("tcp://0.0.0.0:7000", function(request)
  return "hello " .. request.path .. "\n"
end)
