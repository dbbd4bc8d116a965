-- usage: neap ws_chat.lua [ENDPOINT]
--
-- A chat room for browsers: it serves its own page, which talks to it by WebSocket.
-- By default at tcp://127.0.0.1:8080.
--
-- Nobody waits for a slow client: what it has not read yet is queued for it alone, QUEUE
-- messages at most. At that bound it is disconnected.

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"

local QUEUE = 100 -- messages that may wait for one client
local LONGEST = 1024 -- bytes of one message

local PAGE = [[
<!doctype html>
<meta charset="utf-8">
<title>chat</title>
<style>
  body { font: 16px sans-serif; margin: 2em auto; max-width: 40em; }
  #said { white-space: pre-wrap; }
  input { font: inherit; width: 100%; }
</style>
<div id="said"></div>
<form><input autofocus placeholder="say something" maxlength="200"></form>
<script>
  const name = prompt("your name?") || "nobody";
  const said = document.getElementById("said");
  const ws = new WebSocket(location.href.replace(/^http/, "ws") + "room?name=" + encodeURIComponent(name));
  const show = (text) => { said.textContent += text + "\n"; };
  ws.onmessage = (event) => show(event.data);
  ws.onclose = (event) => show("* closed: " + event.code + " " + event.reason);
  document.forms[0].onsubmit = (event) => {
    const input = event.target.elements[0];
    if (input.value) ws.send(input.value);
    input.value = "";
    event.preventDefault();
  };
</script>
]]

local members = {} -- websocket -> its queue

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

-- `send` would wait only if the queue were full; a queue that is closed ends its client.
local function broadcast(text)
  for _, queue in pairs(members) do
    if #queue < QUEUE then
      queue:send(text)
    else
      queue:close()
    end
  end
end

local function hand_out(ws, queue)
  for text in queue:each() do
    ws:send(text)
  end
  ws:close(1008, "too slow")
end

local function talk(ws, name)
  task.scope(function(scope)
    scope:spawn(hand_out, ws, members[ws])
    for text in ws.recv, ws do
      broadcast(name .. ": " .. text)
      task.yield()
    end
    scope:cancel()
  end)
end

local function room(request)
  local ws = assert(request:websocket {max = LONGEST, ping = 30, close_timeout = 2})
  local name = (request.query.name or "nobody"):gsub("%c", ""):sub(1, 40)
  members[ws] = task.channel(QUEUE)
  broadcast("* " .. name .. " is here")
  talk(ws, name)
  members[ws] = nil
  broadcast("* " .. name .. " has gone")
end

local app = http.router()
app:get("/room", room)
app:get("/", function()
  return http.response(200, {["content-type"] = "text/html; charset=utf-8"}, PAGE)
end)

local ok, listener, err = pcall(net.listen, arg[1] or "tcp://127.0.0.1:8080")
if not ok or #arg > 1 then
  usage(ok and "one endpoint, please" or listener)
end
print("listening at " .. assert(listener, err).endpoint)
http.serve(listener, app)
