-- usage: NEAP_BUILD=build build/neap docs/pictures.lua    the pictures of the README, of real runs; needs tmux
--
-- The screens are what tmux shows of a terminal, drawn by this; the flame graph is
-- neap's own.

local lfs = require "lfs"
local process = require "neap.process"
local screen = require "spec.support.screen"
local task = require "neap.task"

local neap = require "spec.support.child".neap
local folder = arg[1] or "docs"

--- What is looked at: a server, and its clients.
local program = [[
local json, net, task = require "neap.json", require "neap.net", require "neap.task"

local listener = net.listen "tcp://127.0.0.1:0"

local function parse(line)
  local request = json.decode(line)
  table.sort(request.values)
  return request
end

local function answer(request)
  local sum = 0
  for i, value in ipairs(request.values) do
    sum = sum + value * i
  end
  return json.encode {sum = sum, values = request.values}
end

local function handle(stream)
  for line in stream:lines() do
    stream:write(answer(parse(line)), "\n")
  end
end

local function ask(n)
  local stream = net.connect(listener.endpoint)
  local values = {}
  for i = 1, 200 * n do
    values[i] = i * 7919 % 1009
  end
  while true do
    stream:write(json.encode {values = values}, "\n")
    stream:read "l"
    task.sleep(0.004)
  end
end

task.spawn(listener.serve, listener, handle).name = "server"
for n = 1, 3 do
  task.spawn(ask, n).name = "client " .. n
end
print "up"
io.stdout:flush()
task.sleep(1000)
]]

local ESCAPES = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;"}

--- A screen's text as a picture of a terminal.
local function draw(text, columns)
  local out, rows = {}, 0
  for line in (text .. "\n"):gmatch "(.-)\n" do
    rows = rows + 1
    out[rows] = ('<text x="14" y="%d" xml:space="preserve">%s</text>'):format(
      26 + 17 * (rows - 1), (line:gsub("[&<>]", ESCAPES)))
  end
  local width, height = 28 + columns * 783 // 100, 24 + 17 * rows
  return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
    .. 'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13" fill="#e5e7eb">\n'
    .. '<rect width="100%%" height="100%%" rx="8" fill="#111827"/>\n%s\n</svg>\n'):format(
    width, height, width, height, table.concat(out, "\n"))
end

local function write(name, text)
  local file <close> = assert(io.open(folder .. "/" .. name, "w"))
  file:write(text)
end

local function save(script)
  local made = os.tmpname()
  os.remove(made)
  assert(lfs.mkdir(made))
  local path = made .. "/server.lua"
  local file <close> = assert(io.open(path, "w"))
  file:write(script)
  return made, setmetatable({}, {__close = function()
    os.remove(path)
    os.remove(made)
  end})
end

local function picture_of_prompt()
  local s <close> = screen.open({}, {columns = 90})
  s:expect "neap>"
  s:run 'listener = net.listen "tcp://127.0.0.1:0"'
  s:run "server = task.spawn(listener.serve, listener, function(s) s:write(s:read 'L':upper()) end)"
  s:run "client = net.connect(listener.endpoint)"
  s:run 'client:write "high water\\n" return client:read()'
  s:run ":ps"
  s:run "client:nothing()"
  write("prompt.svg", draw(s:text(), 90))
end

local place, _ <close> = save(program) -- luacheck: ignore
local server <close> = assert(process.spawn {neap, "server.lua", stdout = "pipe", cwd = place})
assert(server.stdout:read "l")
picture_of_prompt()
do
  local s <close> = screen.open({"top", tostring(server.pid)}, {columns = 100})
  s:find "q quits"
  task.sleep(2.5)
  write("top.svg", draw(s:text(), 100))
end
local made = assert(process.run {neap, "profile", tostring(server.pid), "5", "-o", folder .. "/flame.svg"})
assert(made.code == 0, made.stderr)
server:kill "SIGTERM"
