--- The server: a task for each connection, which answers its requests in order.

local check_self = require "neap.class.core".check_self
local core = require "neap.http.core"
local error_object = require "neap.error"
local message = require "neap.http.message"
local net = require "neap.net"
local options = require "neap.options"
local proxied = require "neap.net.proxied"
local requests = require "neap.http.request"
local responses = require "neap.http.response"
local serving = require "neap.net.serving"
local task = require "neap.task"

local error, getmetatable, next, pcall, require = error, getmetatable, next, pcall, require
local tostring, type, xpcall = tostring, type, xpcall
local format, match = string.format, string.match
local traceback = debug.traceback
local idle = task.idle
local check = require "neap.task.core".check
local speaks = require "neap.net.core".speaks
local answer, new_response, refuse = responses.answer, responses.new, responses.refuse
local finish, new_request = requests.finish, requests.new

--- Bytes of a body that nobody has read, which are passed over so that the connection can
--- go on.
local PASSED = 256 * 1024

local server = {}


-- Connections

local function note(err)
  if error_object.is(err) then
    return { err }
  end
  return { err, traceback(tostring(err), 2) }
end

--- What the handler has returned becomes the answer.
local function give(response, result)
  if result == nil and response.websocket then
    response.websocket:close()
  end
  return answer(response, result)
end

local function run(handler, request, response)
  return give(response, handler(request, response))
end

--- The handler failed: the client is told, as far as that can be, and who serves. Of a lack of memory
--- nothing is noted: Lua calls no function for it.
local function failed(plan, request, response, noted)
  if type(noted) ~= "table" then
    noted = { noted }
  end
  local err = noted[1]
  response.closes = true
  if response.websocket then
    response.broken = response.websocket.failed
    getmetatable(response.websocket).__close(response.websocket, err)
  end
  local refusal = request.refusal
  if not response.status then
    local status = request.failed or 500
    refuse(request.stream, status, refusal and refusal.message or message.reasons[status])
    response.status = status
    response.done = true
  end
  if request.failed and (err == refusal or not error_object.is(err)) then -- it has come of that
    return
  elseif plan.onerror then
    plan.onerror(err, request, noted[2])
  elseif not (error_object.is(err) and response.broken) then
    serving.tell(format("%s %s: %s", request.method, request.target, noted[2] or tostring(err)))
  end
end

--- The handler was cancelled, by its client's end, or by who cancels all; or it failed.
local function unsettled(plan, request, response, noted)
  if response.gone then
    response.closes = true
    return
  elseif response.watcher then
    responses.leave(response)
  end
  check "serve"
  failed(plan, request, response, noted)
end

--- Pass over what the handler did not read; is the connection of use behind it?
local function pass_rest(request)
  local parser, stream, count = request.parser, request.stream, 0
  while not parser.whole do
    local bytes = parser:piece(stream)
    if not bytes then
      return parser.whole
    end
    count = count + #bytes
    if count > PASSED then
      return false
    end
  end
  return true
end

--- In the place of the parser, once a request is answered: what comes then is of the next one.
local over = { whole = true, piece = function()
  return nil, error_object.new { code = "EBADF", op = "read", message = "the request is answered already" }
end }

--- The handler has ended, and has failed where not ok; does the connection go on?
local function conclude(plan, request, response, ok, noted)
  finish(request)
  if not ok then
    unsettled(plan, request, response, noted)
  end
  if not response.done then
    response.closes = true
    if response.coder then
      response.coder:close()
    end
  end
  if plan.log then
    plan.log(request, response)
  end
  local on = not response.closes and not response.broken and not request.failed and pass_rest(request)
  request.parser = over
  return on
end

--- Answer one request; does the connection go on?
local function respond(plan, stream, parser, head)
  local request = new_request(plan, stream, parser, head)
  local response = new_response(request)
  request.response = response
  if head.length and head.length > plan.most then
    refuse(stream, 413, format("a body of at most %d bytes", plan.most))
    response.status, response.closes, response.done = 413, true, true
    return conclude(plan, request, response, true)
  end
  return conclude(plan, request, response, xpcall(run, note, plan.handler, request, response))
end

--- Answer requests without a body, by the head of the first, as they have come together: see
--- runtime/http/flight.c.
local flight = core.flight(requests.meta, responses.meta, over)

local function respond_together(plan, stream, parser, first)
  local head, request, response, ok, result = flight(parser, stream, plan, plan.handler, note, first)
  if request then
    if ok then
      ok, result = xpcall(give, note, response, result)
    end
    return conclude(plan, request, response, ok, result)
  end
  return not head or respond(plan, stream, parser, head)
end

--- The next request of a client that keeps its connection. When the program drains, one
--- that has begun to come is taken all the same.
local function await(parser, stream)
  if parser:pending(stream) then
    return parser:head(stream)
  end
  local head, status, words = idle(parser.head, parser, stream)
  if not head and not words and status and status.code == "ECANCELED" then
    if not parser:pending(stream) then
      return nil
    end
    return parser:head(stream)
  end
  return head, status, words
end

--- How clients end a connection before a request is whole, and handlers (EBADF): nothing to tell of.
local ends = { ENODATA = true, ECONNRESET = true, EBADF = true }

local function connection(plan, stream)
  local parser = core.parser("request", plan.parser)
  stream:settimeout(plan.write)
  speaks(stream, "http")
  local head, plain, words = parser:head(stream)
  while head do
    local answered = plain and not plan.compress and respond_together or respond
    if not answered(plan, stream, parser, head) then
      return
    end
    head, plain, words = await(parser, stream)
  end
  local status = plain
  if words then
    refuse(stream, status, words)
  elseif status and status.code == "ETIMEDOUT" then
    if parser:pending(stream) then
      refuse(stream, 408, "the request did not come in time")
    end
  elseif status and not ends[status.code] then
    error(status, 0)
  end
end


-- Serving

local timeouts = {
  first = options.seconds, header = options.seconds, body = options.seconds, idle = options.seconds,
  write = options.seconds,
}

local limits = {
  line = options.count, headers = options.count, fields = options.count, body = options.count,
}

--- Whom to believe about whose requests theirs are, and by which field.
local trusted = { function(value)
  return type(value) == "table" and proxied.peers(value) ~= nil
    and (value.by == nil or value.by == "forwarded" or value.by == "x-forwarded-for")
end, "a list of addresses and prefixes, and 'by' one of 'x-forwarded-for' and 'forwarded'," }

local own = {
  trusted = trusted, onerror = options.callable, log = options.callable,
  timeout = timeouts, limits = limits,
  compress = options.flag_or_table, decompress = options.flag,
  cancel = { function(value)
    return value == "reset" or value == "end"
  end, "'reset' or 'end'" },
}

local compressing = { types = options.texts, level = options.level, least = options.count }

--- The options of ours, and the others, which are the listener's and `Listener:serve`'s.
local function plan_of(handler, opts, level)
  if type(handler) ~= "function" then
    local meta = getmetatable(handler)
    if type(meta) ~= "table" or not meta.__call then
      error("http.serve: a function expected, got " .. type(handler), level + 1)
    end
  end
  if type(opts) ~= "table" then
    error("http.serve: a table of options expected, got " .. type(opts), level + 1)
  end
  local ours, rest = {}, {}
  for name, value in next, opts do
    (own[name] and ours or rest)[name] = value
  end
  local plan = options.check("http.serve", ours, own, level + 1)
  local timeout, bounds = plan.timeout or {}, plan.limits or {}
  if plan.compress then
    local how = plan.compress ~= true and plan.compress or {}
    how = options.check("http.serve", how, compressing, level + 1, "compress")
    plan.compress = require "neap.http.coding".plan(how)
  end
  plan.handler = plan.cancel and require "neap.http.gone".around(handler, plan.cancel == "end") or handler
  plan.trusted = plan.trusted and { is = proxied.peers(plan.trusted), by = plan.trusted.by }
  plan.most = bounds.body or 16 * 1024 * 1024
  plan.idle, plan.write = timeout.idle or 60, timeout.write or 60
  plan.parser = {
    line = bounds.line, head = bounds.headers, fields = bounds.fields,
    first = timeout.first or 30, idle = plan.idle, header = timeout.header or 30,
    body = timeout.body or 30,
  }
  return plan, rest
end

--- Called by a tail call, which leaves no level.
function server.serve(endpoint, handler, opts)
  if type(endpoint) ~= "string" and type(endpoint) ~= "userdata" then
    error("serve: an endpoint or a listener expected, got " .. type(endpoint), 2)
  elseif type(endpoint) == "userdata" then
    check_self(endpoint, "neap.Listener", "serve")
  end
  local plan, rest = plan_of(handler, opts or {}, 2)
  local function serve(stream)
    return connection(plan, stream)
  end
  if type(endpoint) ~= "string" then
    return endpoint:serve(serve, rest)
  end
  local how = { tls = rest.tls, backlog = rest.backlog }
  rest.tls, rest.backlog = nil, nil
  serving.check(serve, rest, 2)
  local ok, listener, err = pcall(net.listen, endpoint, how)
  if not ok and type(listener) == "string" then
    error("serve: " .. (match(listener, "^bad argument #%d+ to 'listen' %((.*)%)$") or listener), 2)
  elseif not ok then
    error(listener, 0)
  elseif not listener then
    error(err, 0)
  end
  local _ <close> = listener
  listener:serve(serve, rest)
end

return server
