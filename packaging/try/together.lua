-- JSON, TLS and, where it stands beside, a module in C: in one file. With an argument, that is a
-- chat to take part in.

local json = require "neap.json"
local net = require "neap.net"
local task = require "neap.task"
local tls = require "neap.tls"

local cert, key = tls.selfsigned {names = {"localhost"}}
local listener = assert(net.listen("tls://127.0.0.1:0", {cert = cert, key = key}))
task.background(function()
  listener:serve(function(stream)
    stream:write(json.encode {said = stream:read "l"}, "\n")
  end)
end)
local stream = assert(net.connect("tls://127.0.0.1:" .. listener.port, {tls = {ca = cert, server_name = "localhost"}}))
stream:write "high tide\n"
print("TLS and JSON: " .. json.decode(stream:read "l").said)

if pcall(require, "cjson") then
  print("cjson: " .. package.searchpath("cjson", package.cpath or "") .. require "cjson".encode {1, 2})
end

if arg[1] then
  local function join(name)
    local one
    repeat
      task.sleep(0.01)
      one = net.connect(arg[1])
    until one
    one:write(name, "\n")
    return one
  end
  local ann, bob = join "ann", join "bob"
  task.sleep(0.2)
  bob:write "low tide\n"
  for line in ann:lines() do
    if line:find "low tide" then
      print("chat: " .. line)
      break
    end
  end
end
os.exit(0, true)
