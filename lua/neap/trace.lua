--- What the sockets of this program do, as it happens: each open, read, write,
--- end, error and close, as text, as a capture for tshark, or as events for a
--- script.
---
--- ```
--- neap --trace script.lua                  text on stderr
--- neap --trace=run.pcapng script.lua       a capture, for tshark and Wireshark
--- neap --trace --trace-filter=udp://*:53 script.lua
--- ```
---
--- ```lua
--- local net = require "neap.net"
--- local trace = require "neap.trace"
---
--- local tracer = assert(trace.events {filter = "mem"})
--- local a, b = net.socketpair "mem"
--- a:write "hello"
--- b:read(5)
--- tracer:stop()
--- for event in tracer do
---   print(event.kind, event.data)
--- end
--- --> open nil
--- --> open nil
--- --> write hello
--- --> read hello
--- ```
---
--- The text form, here of one who connects (`tcp 5` is `stream 5` of `tostring`):
---
--- ```
--- 0.001342  tcp 5         connects 127.0.0.1:40112 -> 127.0.0.1:7000
--- 0.001398  tcp 5         connected
--- 0.001501  tcp 5         -> 5 bytes
---   00000000  68 65 6c 6c 6f                                    |hello|
--- 0.001877  tcp 5         closed, 0 bytes in, 5 out
--- ```
---
--- A capture has headers that are made up: IPv4 or IPv6, and TCP with the sequence
--- numbers that the bytes have, or UDP. What has no IP addresses (unix, `mem:`,
--- pipes) gets 127.1.x.y for this end and 127.2.x.y for the other, with ports from
--- 61000 on, and a comment at its first packet that tells its path. Bytes and
--- datagrams between two sockets of this program are in it once, as they are sent; but
--- nothing tells which two ends of a `unix:` listener's connections belong together:
--- there, each end has its own. Listeners, and errors that are no packet, are not in it.
---
--- Without a trace all this costs nothing. It sees what a socket carries: passwords
--- and keys as well.

local core = require "neap.trace.core"

---@class neap.trace
local trace = {}

-- Options.

local forms = {text = true, pcapng = true}

--- Bytes of an event that are shown.
local SHOWN = 256
local MOST = 1 << 20

local filters_of -- below

---@class neap.trace.Options
---@field to (string|fun(what: neap.trace.Event|string))?  a path, overwritten (a new file is
--- for its owner only); or a function, which a
--- task of its own calls with each event, or with a `format` with the bytes of some; default: stderr
---@field format ("text"|"pcapng")?  default: pcapng when the path ends in .pcapng or .pcap, else text;
--- of a function: neither, but events
---@field filter (string|string[])?  only what happens at such a socket; several in a list, or
--- between commas: any of them. See `trace.start`
---@field bytes integer?  bytes of each event that are shown, default 256, at most 1,048,576; 0: none.
--- Of a capture, bytes of each packet behind its headers, default all
---@field colour boolean?  of text; default: when stderr is a terminal and NO_COLOR is not set

local known = {to = true, format = true, filter = true, bytes = true, colour = true}

local function check(name, opts)
  if opts ~= nil and type(opts) ~= "table" then
    error(string.format("%s: options expected, a table, got %s", name, type(opts)), 3)
  end
  for option, value in pairs(opts or {}) do
    if not known[option] then
      error(string.format("%s: unknown option '%s'", name, tostring(option)), 3)
    elseif option == "format" and not forms[value] then
      error(string.format("%s: option 'format': \"text\" or \"pcapng\" expected", name), 3)
    elseif option == "to" and type(value) ~= "string" and type(value) ~= "function" then
      error(string.format("%s: option 'to': a path or a function expected, got %s", name, type(value)), 3)
    elseif option == "bytes" and (math.type(value) ~= "integer" or value < 0 or value > MOST) then
      error(string.format("%s: option 'bytes': a whole number from 0 to %d expected", name, MOST), 3)
    elseif option == "colour" and type(value) ~= "boolean" then
      error(string.format("%s: option 'colour': true or false expected", name), 3)
    end
  end
  return opts or {}
end

local function form_of(opts)
  if opts.format then
    return opts.format
  elseif type(opts.to) == "function" then
    return "events"
  end
  return opts.to and string.find(opts.to, "%.pcapn?g?$") and "pcapng" or "text"
end

local function start(opts, form, queue)
  local bytes = opts.bytes or form == "pcapng" and math.maxinteger or SHOWN
  return core.start {
    form = form,
    path = not queue and opts.to or nil,
    queue = queue,
    bytes = bytes,
    coloured = opts.colour,
    filters = opts.filter ~= nil and filters_of(opts.filter) or nil,
  }
end

--- Trace, from now on, until the tracer is stopped or the program ends. Up to 8
--- traces may run at once.
---
--- A filter is a kind, an address, or both, and either end may be it. Without one,
--- all is seen but terminals and files, which are no sockets: `tty` and `file`.
---
--- | filter | lets through |
--- | --- | --- |
--- | `tcp`, `udp`, `unix`, `mem`, `pipe`, ... | what is of this kind, or over it, as `tls` is over `tcp` |
--- | `http`, `websocket` | what speaks that, once it does |
--- | `tcp://127.0.0.1:80`, `udp://[::1]:53` | this kind, address and port |
--- | `tcp://10.0.0.0/8`, `tcp6://[fe80::/10]:22` | addresses that begin so |
--- | `tcp://*:80`, `tcp://:http` | a port, by number or name |
--- | `127.0.0.1`, `10.0.0.0/8:80`, `:443` | the same of every kind |
--- | `tcp://localhost` | 127.0.0.0/8 and ::1; other names are not looked up |
--- | `unix:/run/x.sock`, `unix:@name`, `mem:name` | a path or name; `unix:/run/*`: what begins so |
---
--- A file is written every 100 ms, and at the end. When it can be written no more
--- (a full disk), that is told on stderr, the program goes on, and `stop` returns
--- the error. Bytes for a function wait in a queue of 4,096 events or a mebibyte:
--- what finds it full is dropped, and counted in `tracer.dropped` and in the next
--- event's `dropped`. The program does not wait for its task, an error in it is told
--- and ends the trace's calls only, and what it writes to sockets is traced, too:
--- `trace.hide` them.
---
--- ```lua
--- local net = require "neap.net"
--- local trace = require "neap.trace"
---
--- local path = os.tmpname()
--- local tracer = assert(trace.start {to = path, filter = {"unix", "tcp://*:80"}})
--- local a, b = net.socketpair()
--- a:write("GET / HTTP/1.1\r\n")
--- b:read "l"
--- print(tracer:stop())  --> true
--- for line in io.lines(path) do
---   print(line:match "^%d.-%l %d+ +(.*)" or line:match "|(.*)|")
--- end
--- --> open
--- --> open
--- --> -> 16 bytes
--- --> GET / HTTP/1.1..
--- --> <- 16 bytes
--- --> GET / HTTP/1.1..
--- os.remove(path)
--- ```
---@param opts? neap.trace.Options  raises for unknown names and wrong values
---@return neap.Tracer? tracer
---@return neap.Error? err  of opening the file; EBUSY: 8 are running
function trace.start(opts)
  opts = check("trace.start", opts)
  if type(opts.to) ~= "function" then
    local tracer, err = start(opts, form_of(opts), false) -- no tail call: filters_of counts levels
    return tracer, err
  end
  local tracer, err = start(opts, form_of(opts), true)
  if tracer then
    require "neap.prompt.core".daemon(function()
      for what in tracer do
        opts.to(what)
      end
    end).name = "trace"
  end
  return tracer, err
end

--- Trace into a queue, from which `for event in tracer do` takes. The loop waits
--- for events, and ends when the tracer is stopped, or when all other tasks have
--- ended or wait for each other.
---
--- ```lua
--- local net = require "neap.net"
--- local trace = require "neap.trace"
---
--- local tracer <close> = assert(trace.events())
--- print(net.connect "tcp://127.0.0.1:1")
--- --> nil connect tcp://127.0.0.1:1: connection refused (ECONNREFUSED)
--- for event in tracer do
---   print(event.kind, event.remoteaddr, event.code)
---   if event.kind == "error" then
---     break
---   end
--- end
--- --> connect 127.0.0.1:1 nil
--- --> error 127.0.0.1:1 ECONNREFUSED
--- ```
---@param opts? neap.trace.Options  `filter`, `bytes`, and `format` for bytes instead of events
---@return neap.Tracer? tracer
---@return neap.Error? err  EBUSY: 8 are running
function trace.events(opts)
  opts = check("trace.events", opts)
  if opts.to ~= nil then
    error("trace.events: option 'to' is trace.start's", 2)
  end
  local tracer, err = start(opts, opts.format or "events", true)
  return tracer, err
end

--- Keep a socket out of all traces, from now on: the one that a trace is sent
--- over, or one that carries a secret. What a hidden listener accepts is hidden, too.
---
--- ```lua
--- local net = require "neap.net"
--- local trace = require "neap.trace"
---
--- local a, b = net.socketpair "mem"
--- trace.hide(a)
--- local tracer = assert(trace.events())
--- a:write "secret"
--- a:flush()
--- b:read(6)
--- tracer:stop()
--- for event in tracer do
---   print(event.kind)
--- end
--- --> read
--- ```
---@param socket neap.Stream|neap.Datagram|neap.Listener
function trace.hide(socket)
  local ok, err = pcall(core.hide, socket)
  if not ok then
    error(string.gsub(err, "'%?'", "'hide'"), 2)
  end
end

-- Filters.

local kinds = {
  tcp = true, tls = true, unix = true, mem = true, pipe = true, tty = true, file = true,
  udp = true, unixgram = true, seqpacket = true, icmp = true, raw = true, packet = true,
  sctp = true, vsock = true, http = true, websocket = true,
}

local function fail(text, why)
  error(string.format("filter '%s': %s", text, why), 0)
end

--- The kind and the family of `tcp6`.
local function kind_of(text, name)
  local kind, digit = string.match(name, "^(%a+)([46]?)$")
  if name == "" or name == "*" then
    return nil
  elseif not kinds[kind] then
    fail(text, string.format("'%s' is no kind of socket", name))
  end
  return kind, digit == "4" and "inet" or digit == "6" and "inet6" or nil
end

local function port_of(text, digits)
  if digits == "" or digits == "*" then
    return nil
  end
  local port = math.tointeger(tonumber(string.match(digits, "^%d+$")))
  if not port and string.find(digits, "^%a") then
    port = require "neap.net.core".service(digits) or require "neap.net.core".service(digits, "udp")
  end
  if not port or port > 65535 then
    fail(text, string.format("'%s' is no port", digits))
  end
  return port
end

--- Split host and port; brackets hold an IPv6 address or prefix.
local function split(text, rest)
  local host, port = string.match(rest, "^%[([^%]]*)%](.*)$")
  if not host and select(2, string.gsub(rest, ":", "")) > 1 then
    host, port = rest, "" -- an IPv6 address alone
  end
  if not host then
    host, port = string.match(rest, "^([^:]*)(.*)$")
  end
  if port ~= "" and string.sub(port, 1, 1) ~= ":" then
    fail(text, "host:port expected")
  end
  return host, string.sub(port, 2)
end

local function add(found, filter, prefix)
  if prefix then
    local bytes_of = require "neap.packet.address"
    filter.family = prefix.family
    filter.bits = prefix.length
    filter.ip = prefix.family == "inet" and bytes_of.to_ipv4(prefix.ip) or bytes_of.to_ipv6(prefix.ip)
  end
  found[#found + 1] = filter
end

local function add_host(found, text, host, filter)
  if host == "" or host == "*" then
    return add(found, filter)
  end
  local parse = require "neap.prefix".parse
  if host == "localhost" then
    add(found, {kind = filter.kind, port = filter.port}, parse "127.0.0.0/8")
    return add(found, {kind = filter.kind, port = filter.port}, parse "::1")
  end
  local good, prefix = pcall(parse, host)
  if not good and not string.find(host, "^[%x.:]+/?%d*$") then
    fail(text, string.format("'%s' is no address (names are not looked up here)", host))
  elseif not good then
    fail(text, (string.gsub(string.gsub(prefix, "^.-: ", "", 1), "^'.-': ", "", 1)))
  elseif filter.family and filter.family ~= prefix.family then
    fail(text, "an address of the other family")
  end
  add(found, filter, prefix)
end

local named = {unix = true, unixgram = true, seqpacket = true, mem = true}

local function add_path(found, text, kind, path)
  local beginning = string.sub(path, -1) == "*"
  path = beginning and string.sub(path, 1, -2) or path
  if #path > 107 then
    fail(text, "a path of 107 bytes at most expected")
  end
  add(found, {kind = kind, path = path ~= "" and path or nil, beginning = beginning})
end

local function add_filter(found, text)
  local scheme, rest = string.match(text, "^([%w*]*)://(.*)$")
  if not scheme then
    local name, path = string.match(text, "^(%a+):(.*)$")
    if named[name] then
      return add_path(found, text, name, path)
    elseif string.find(text, "^%a[%w]*$") and text ~= "localhost" and not string.find(text, "^%x+$") then
      local kind, family = kind_of(text, text)
      return add(found, {kind = kind, family = family})
    end
    scheme, rest = "", text
  end
  if text == "" then
    fail(text, "a kind, an address or an endpoint expected")
  end
  local kind, family = kind_of(text, scheme)
  if named[kind] then
    fail(text, string.format("%s:path expected", kind))
  end
  local host, port = split(text, rest)
  add_host(found, text, host, {kind = kind, family = family, port = port_of(text, port)})
end

--- What a filter says, for core.start.
function filters_of(filter)
  local list = type(filter) == "table" and filter or {filter}
  local found = {}
  local good, why = pcall(function()
    for _, text in ipairs(list) do
      if type(text) ~= "string" then
        error(string.format("filter: a string or a list of them expected, got %s", type(text)), 0)
      end
      for part in string.gmatch(text .. ",", "%s*(.-)%s*,") do
        add_filter(found, part)
      end
    end
    if #found == 0 or #found > 16 then
      error("filter: 1 to 16 of them expected", 0)
    end
  end)
  if not good then
    error(type(why) == "string" and "trace: " .. why or why, 4)
  end
  return found
end

return trace
