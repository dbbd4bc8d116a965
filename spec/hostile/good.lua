--- Arguments that are as they should be, by what the annotations say of them.

local objects = require "spec.hostile.objects"

local good = {}

--- Of strings, by the parameter's name.
local texts = {
  endpoint = "mem:nobody", where = "http://127.0.0.1:1/", address = "127.0.0.1", host = "127.0.0.1",
  path = "file", from = "file", to = "file2", fmt = "s2", delimiter = "\n", name = "name", type = "A",
  level = "info", text = "http://a/", which = "http", proto = "tcp", help = "help", pem = objects.context and "x",
  method = "GET", subject = "a.b", key = "key", status = "200", stream = "stream", prefix = "/x", url = "http://a/",
  bytes = "bytes", data = "data", reference = "b", base = "http://a/", verb = "INFO", a = "a", b = "b",
}

local by_function = {
  ["neap.net.address.text"] = "127.0.0.1:1", ["neap.prefix.parse.text"] = "10.0.0.0/8",
  ["neap.Prefix.contains.address"] = "10.0.0.1", ["neap.packet.filter.text"] = "udp",
  ["neap.crypto.fromhex.text"] = "00ff", ["neap.crypto.frombase64.text"] = "AAAA",
  ["neap.json.decode.text"] = "{\"a\": [1, null]}", ["neap.endpoint.parse.text"] = "tcp://127.0.0.1:1",
  ["neap.fs.open.mode"] = "w+", ["neap.crypto.digest.name"] = "sha256", ["neap.crypto.hmac.name"] = "sha256",
  ["neap.crypto.hasher.name"] = "sha256", ["neap.net.resolve.host"] = "localhost",
  ["neap.http.files.path"] = ".", ["neap.fs.watch.path"] = ".", ["neap.fs.list.path"] = ".",
  ["neap.fs.mkdir.path"] = "new", ["neap.fs.walk.path"] = ".", ["neap.fs.root.path"] = ".",
  ["neap.bus.open.endpoint"] = "mem:hostile", ["neap.websocket.connect.address"] = "ws://127.0.0.1:1/",
  ["neap.net.listen.endpoint"] = "mem:other", ["neap.net.bind.endpoint"] = "udp://127.0.0.1:0",
  ["neap.process.spawn.options"] = {"true"}, ["neap.process.run.options"] = {"true"},
  ["neap.metrics.counter.name"] = "good_total", ["neap.metrics.gauge.name"] = "good",
  ["neap.metrics.histogram.name"] = "good_seconds", ["neap.crypto.generate.type"] = "ed25519",
  ["neap.Stream.get.name"] = "sndbuf", ["neap.Datagram.get.name"] = "sndbuf", ["neap.Listener.get.name"] = "sndbuf",
  ["neap.http.Router.route.path"] = "/x", ["neap.http.combined.write"] = function() end,
  ["neap.sim.run.program"] = function() end, ["neap.worker.run.program"] = function() end,
  ["neap.tls.selfsigned.opts"] = {names = {"localhost"}}, ["neap.pcap.reader.file"] = io.stderr,
  ["neap.Stream.seek.whence"] = "cur", ["neap.Stream.wait.what"] = "r",
  ["neap.crypto.hkdf.options"] = {hash = "sha256", key = "x", length = 8},
  ["neap.crypto.pbkdf2.options"] = {hash = "sha256", password = "x", salt = "12345678", iterations = 1, length = 8},
  ["neap.Semaphore.release.n"] = 1, ["neap.task.all.functions"] = {function() end},
  ["neap.Datagram.send.to"] = "127.0.0.1:9", ["neap.Datagram.connect.to"] = "127.0.0.1:9",
  ["neap.Datagram.join.group"] = "224.0.0.251", ["neap.Datagram.leave.group"] = "224.0.0.251",
  ["neap.bus.Bus.publish.to"] = "a.b",
}

for _, verb in ipairs {"get", "post", "put", "patch", "delete", "head", "options", "any"} do
  by_function["neap.http.Router." .. verb .. ".path"] = "/x"
end

--- One for a parameter: owner is the class.
---@param class string
---@param item table  the function, as annotations have it
---@param param table
function good.value(class, item, param)
  local name = param.name:gsub("%?$", "")
  local own = by_function[("%s.%s.%s"):format(class, item.name, name)]
  if own ~= nil then
    return own
  end
  local type = param.type:gsub("^%(", "")
  local literal = type:match '^"([^"]*)"'
  local first = type:match "^[%w_.]+" or ""
  if literal then
    return literal
  elseif type:find "^string%[%]" then
    return {"a"}
  elseif type:find "^fun" or first == "function" or first == "neap.http.Handler" then
    return function() end
  elseif first == "string" or first == "bash" then
    return texts[name] or "text"
  elseif first == "integer" or first == "number" or first == "any" then
    return 1
  elseif first == "boolean" then
    return true
  elseif first == "neap.signal.Name" then
    return "SIGUSR2"
  elseif first == "neap.OptionName" then
    return "sndbuf"
  elseif first == "neap.crypto.Digest" then
    return "sha256"
  elseif objects.makers[first] then
    return objects.make(first)
  end
  return {}
end

--- The names of the options in a parameter that is a table of them, sorted.
---@param param table
---@param classes table<string, table>  those of the annotations
function good.options(param, classes)
  local names = {}
  local function add(class)
    for _, field in ipairs(class.fields) do
      if not field.private and field.name:find "^[%l_]" then
        names[field.name:gsub("%?$", "")] = true
      end
    end
    local parent = class.parent and classes[class.parent]
    if parent then
      add(parent)
    end
  end
  for word in param.type:gmatch "neap[%w_.]+" do
    local class = classes[word]
    if class and #class.functions == 0 and #class.fields > 0 then
      add(class)
    end
  end
  for name in (param.type:match "^{.*" or ""):gmatch "([%l_]+)%??:" do
    names[name] = true
  end
  local list = {}
  for name in pairs(names) do
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end

return good
