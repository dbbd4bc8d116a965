-- usage: neap http_server.lua FOLDER [ENDPOINT]
--
-- Serves a folder over HTTP, by default at tcp://127.0.0.1:8080, and what else a server may have:
--
--   curl http://127.0.0.1:8080/                              its files, and the names in it
--   curl -T song.ogg http://127.0.0.1:8080/upload/           put a file there
--   curl -N http://127.0.0.1:8080/clock                      events, one a second
--   curl -d '{"text":"milk"}' http://127.0.0.1:8080/notes    a note; GET lists them all
--   curl http://127.0.0.1:8080/metrics                       for Prometheus
--
-- Who may connect may put files there: it asks nobody for a password.

local fs = require "neap.fs"
local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"

local LARGEST = 1 << 30 -- bytes of a file that is put there
local MOST = 1000 -- notes

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

if #arg < 1 or #arg > 2 then
  usage "a folder, and an endpoint or none, please"
end
local root, err = fs.root(arg[1])
if not root then
  usage(tostring(err))
end

-- A file has its name once it is whole. Until then it has one that nobody is shown.
local uploads = 0

local function upload(request)
  local name = request.params.name
  if name:find "^%." or name:find "[/%c]" or #name > 200 then
    return http.response(400, {}, "a plain name, please\n")
  end
  uploads = uploads + 1
  local part = (".%s.%d.part"):format(name, uploads)
  local _ <close> = setmetatable({}, {__close = function()
    root:remove(part)
  end})
  local file <close> = assert(root:open(part, "w"))
  for bytes in request:chunks() do
    assert(file:write(bytes))
  end
  assert(file:flush())
  assert(root:rename(part, name))
  return http.response(201, {location = "/" .. request.target:match "[^/?]*$"})
end

local function clock(_, response)
  local events = assert(response:events())
  while events:send {event = "time", data = os.date "%H:%M:%S"} do
    task.sleep(1)
  end
end

local notes, last = {}, 0

local function add_note(request)
  local note, wrong = request:json()
  if type(note) ~= "table" or type(note.text) ~= "string" or last == MOST then
    return http.json({error = wrong and wrong.message or "no text, or no room"}, 400)
  end
  last = last + 1
  notes[last] = {id = last, text = note.text}
  return http.json(notes[last], 201, {location = "/notes/" .. last})
end

local function list_notes()
  local all = {}
  for id = 1, last do
    all[#all + 1] = notes[id]
  end
  return http.json {notes = all}
end

local function delete_note(request)
  local id = math.tointeger(tonumber(request.params.id))
  local there = notes[id or 0] ~= nil
  notes[id or 0] = nil
  return http.response(there and 204 or 404)
end

local count, tell = http.metrics()
local app = http.router():use(count):get("/metrics", tell):get("/clock", clock)
app:put("/upload/:name", upload):post("/notes", add_note):get("/notes", list_notes)
app:delete("/notes/:id", delete_note):mount("/", assert(http.files(arg[1], {list = true})))

local ok, listener, wrong = pcall(net.listen, arg[2] or "tcp://127.0.0.1:8080")
if not ok then
  usage(listener)
end
print("listening at " .. assert(listener, wrong).endpoint)
http.serve(listener, app, {limits = {body = LARGEST}})
