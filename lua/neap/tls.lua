--- TLS: contexts, which say with which certificates and by which rules streams are made
--- safe; and certificates for trying things out.
---
--- A stream speaks TLS by its endpoint, `tls://host:port`, by the option `tls` of
--- `net.connect` and `net.listen`, or from `stream:starttls()` on. Each takes the options
--- of a context, or one that was made before (`context`), which is faster for many
--- connections, and knows their sessions: a client that comes again resumes its last one.
---
--- Who connects verifies: the chain of the server's certificate, by the system's store
--- or `ca`, and that it names the host, or its address, among its alternative names.
---
--- Errors have codes of their own:
---
--- | code | what happened |
--- | --- | --- |
--- | `ETLSVERIFY` | the peer's certificate is refused: the message has its subject, and why |
--- | `ETLSALERT` | the peer refuses, and says why |
--- | `ETLSPROTO` | the peer breaks the protocol, or speaks another one |
--- | `ETLSCUT` | the connection ended, and TLS did not say so: what came may not be all |
--- | `ETLSPLAIN` | bytes came in the clear before TLS began: they may be anybody's |
--- | `ETLSCERT` | a certificate, key or list of one's own is of no use; `endpoint` is its file |
---
--- A handshake that takes more than 10 s (`handshake_timeout`) fails with `ETIMEDOUT`.

-- The mechanism is in C, neap.tls.core. Here options are looked at, and files are read.

local core = require "neap.tls.core"

local error, getmetatable, ipairs, next = error, getmetatable, ipairs, next
local pcall, rawget, select, type = pcall, rawget, select, type
local find, format, gsub, lower = string.find, string.format, string.gsub, string.lower
local gmatch, match, pack, sub = string.gmatch, string.match, string.pack, string.sub
local concat, sort = table.concat, table.sort

---@class neap.tls
local tls = {}

--- Certificates and rules, for many streams. `net.connect`, `net.listen` and
--- `stream:starttls` take it as their option `context`.
---@class neap.tls.Context
local Context = core.Context

--- What a script did wrong, at its line: `told` of neap.net passes it on.
local function mistake(what, ...)
  error(format(what, ...), 0)
end

local function of_type(name, value, wanted)
  if type(value) ~= wanted then
    mistake("option '%s': a %s expected, got %s", name, wanted, type(value))
  end
end

local function is_context(value)
  local meta = type(value) == "userdata" and getmetatable(value) -- a light one has none
  return type(meta) == "table" and rawget(meta, "__name") == "neap.tls.Context"
end

local function is_pem(text)
  return find(text, "-----BEGIN", 1, true) ~= nil
end

local checks = {}

function checks.password(value)
  of_type("password", value, "string")
end

function checks.ciphers(value)
  of_type("ciphers", value, "string")
  if find(value, "\0", 1, true) then
    mistake "option 'ciphers': names without zero bytes expected"
  end
end

for _, name in ipairs {"cert", "key", "ca", "crl"} do
  checks[name] = function(value)
    of_type(name, value, "string")
    if not is_pem(value) and find(value, "\0", 1, true) then
      mistake("option '%s': PEM, or a file's name without zero bytes expected", name)
    end
  end
end

function checks.verify(value)
  if value ~= true and value ~= false and value ~= "optional" and value ~= "required" then
    mistake "option 'verify': true, false, \"optional\" or \"required\" expected"
  end
end

local function protocols(list)
  local parts = {}
  for i, name in ipairs(list or {}) do
    parts[i] = pack("s1", name)
  end
  return list and concat(parts)
end

function checks.alpn(value)
  of_type("alpn", value, "table")
  for _, name in ipairs(value) do
    if type(name) ~= "string" or #name < 1 or #name > 255 then
      mistake "option 'alpn': a list of names of 1 to 255 bytes expected"
    end
  end
  if #value == 0 then
    mistake "option 'alpn': one name at least expected"
  elseif #protocols(value) > 16384 then
    mistake "option 'alpn': names of 16384 bytes at most expected, in all"
  end
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and rawget(meta, "__call") ~= nil
end

local split

function checks.names(value)
  if is_callable(value) then
    return
  end
  of_type("names", value, "table")
  for name, context in next, value do
    if type(name) ~= "string" or not (is_context(context) or type(context) == "table") then
      mistake "option 'names': a function expected, or a table of contexts by name"
    elseif name == "" or #name > 255 or find(name, "\0", 1, true) then
      mistake "option 'names': names of 1 to 255 bytes, without zero bytes, expected"
    elseif not is_context(context) and rawget(context, "names") ~= nil then
      mistake("option 'names': a context for '%s' without names of its own expected", name)
    elseif not is_context(context) then
      split(context, {}, false)
    end
  end
end

function checks.min_version(value)
  if value ~= "1.2" and value ~= "1.3" then
    mistake "option 'min_version': \"1.2\" or \"1.3\" expected"
  end
end

function checks.tickets(value)
  of_type("tickets", value, "boolean")
end

function checks.handshake_timeout(value)
  if type(value) ~= "number" or not (value > 0 and value < 1e9) then
    mistake "option 'handshake_timeout': seconds above 0 expected"
  end
end

--- The names of a context's options, in order.
local names = {}
for name in next, checks do
  names[#names + 1] = name
end
sort(names)

--- Those of a context in a table, and of the rest those that `others` has.
---@param opts table
---@param others table<string, boolean>
---@param sockets boolean  may it have options of sockets, too?
---@param before table?  what the context had, which those take the place of
---@return table own
---@return table rest
function split(opts, others, sockets, before)
  local own, rest = {}, {}
  for name, value in next, before or {} do
    own[name] = value
  end
  for name, value in next, opts do
    if type(name) ~= "string" then
      mistake("an option's name is a string, got a %s", type(name))
    elseif checks[name] then
      checks[name](value)
      own[name] = value
    elseif others[name] or sockets and core.is_option(name) then
      rest[name] = value
    else
      mistake("%s", core.unknown(name, names, others, sockets))
    end
  end
  if type(own.verify) == "string" and own.ca == nil then -- not whom all the world trusts
    mistake("option 'ca' expected, with 'verify' = \"%s\": who signs the clients' certificates",
      own.verify)
  end
  return own, rest
end

--- The text of an option that is PEM, or names a file of it; and the file.
local function read(value)
  if value == nil or is_pem(value) then
    return value
  end
  local text, err = core.file(value)
  if not text then
    return nil, err
  end
  return text, value
end

--- The option's PEM goes into what C gets. False and the error, where it can't be read.
local function take(into, name, value)
  local text, from = read(value)
  if value ~= nil and text == nil then
    return false, from
  end
  into[name], into[name .. "_from"] = text, from
  return true
end

--- Those of TLS 1.3 have names of their own (TLS_...), and a list of their own.
local function ciphers(into, text)
  local old, new = {}, {}
  for name in gmatch(text or "", "[^:,%s]+") do
    local list = find(name, "^TLS_") and new or old
    list[#list + 1] = name
  end
  into.ciphers = old[1] and concat(old, ":")
  into.suites = new[1] and concat(new, ":")
end

--- A host's name as certificates and peers have it.
function core.without_dot(name)
  return #name > 1 and sub(name, -1) == "." and sub(name, 1, -2) or name
end

local make

--- A list of names and contexts in turn.
local function named(table)
  local list = {}
  for name, context in next, table do
    if not is_context(context) then
      local err
      context, err = make(split(context, {}, false))
      if not context then
        return nil, err
      end
    end
    list[#list + 1] = core.without_dot(lower(name))
    list[#list + 1] = context
  end
  return list
end

local function authorities(into, value)
  local ok, err = take(into, "ca", value)
  if not ok and err.code == "EISDIR" then
    into.ca_folder = value
    return true
  end
  return ok, err
end

function make(given)
  local into = {given = given}
  local ok, err = take(into, "cert", given.cert)
  if ok then
    ok, err = take(into, "key", given.key or given.cert)
  end
  if ok then
    ok, err = authorities(into, given.ca)
  end
  if ok then
    ok, err = take(into, "crl", given.crl)
  end
  if ok and given.names and not is_callable(given.names) then
    into.names, err = named(given.names)
    ok = into.names
  end
  if not ok then
    return nil, err
  end
  local verify = given.verify
  into.password = given.password
  into.verify = verify ~= false
  into.clients = type(verify) == "string" and verify or nil
  into.chooses = given.names ~= nil and not into.names
  into.tickets = given.tickets ~= false
  into.alpn = protocols(given.alpn)
  into.min_version = given.min_version
  into.timeout = given.handshake_timeout or 10
  ciphers(into, given.ciphers)
  return core.context(into)
end

--- Of what pcall has called: a mistake is that argument's. What C raises has a place before
--- it, and may have another reason (a stream that somebody else reads): that is told where
--- this is called.
function core.blamed(arg, ok, ...)
  local what = ...
  if ok or type(what) ~= "string" then
    return ok, ...
  end
  local said, places = gsub(what, find(what, "%(EBUSY%)$") and "^.-:%d+: " or "^neap[%w_.]*:%d+: ", "")
  local why = match(said, "^bad argument #%d+ to .- %((.*)%)$")
  if places > 0 and not why then
    return false, said
  end
  return false, format("bad argument #%d to '?' (%s)", arg, why or said)
end

--- What a script did wrong is told at its line; not as a tail call.
local function told(name, ...)
  local ok, err = core.blamed(1, ...)
  if ok then
    return select(2, ...)
  elseif type(err) ~= "string" then
    error(err, 0)
  end
  error(gsub(err, "'%?'", "'" .. name .. "'", 1), 3)
end

local function checked(opts)
  if type(opts) ~= "table" then
    mistake("a table of options expected, got %s", type(opts))
  end
  return (split(opts, {}, false))
end

local function checked_for(context, opts)
  local before = core.given(context)
  if type(opts) ~= "table" then
    mistake("a table of options expected, got %s", type(opts))
  end
  return (split(opts, {}, false, before))
end

--- A context. What is text of certificates, keys and lists begins with `-----BEGIN` (PEM),
--- and anything else is a file's name; `ca` may name a folder, too (c_rehash(1)).
---
--- ```lua
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local tls = require "neap.tls"
---
--- local cert, key = tls.selfsigned {names = {"localhost"}}
--- local ours = assert(tls.context {cert = cert, key = key})
--- local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
--- task.spawn(function()
---   local stream <close> = listener:accept()
---   stream:write("hello over ", stream:handshake().tls.version)
--- end)
---
--- local theirs = assert(tls.context {ca = cert})
--- local stream <close> = assert(net.connect("tls://localhost:" .. listener.port, {
---   context = theirs,
--- }))
--- print(stream:read "a")  --> hello over TLSv1.3
--- ```
---@param opts neap.tls.ContextOptions
---@return neap.tls.Context? context
---@return neap.Error? err  ETLSCERT; ENOENT, EACCES, ... of a file
function tls.context(opts)
  return make(told("context", pcall(checked, opts)))
end

--- Give it other options: those that are named take the place of what it had. Streams
--- that begin from now on have them. A server's tickets stay good, unless it looks at its
--- clients; a client's sessions are forgotten. When it fails it stays as it was.
---
--- ```lua
--- local tls = require "neap.tls"
---
--- local cert, key = tls.selfsigned {names = {"old.example"}}
--- local context = assert(tls.context {cert = cert, key = key})
--- cert, key = tls.selfsigned {names = {"new.example"}}
--- print(context:set {cert = cert, key = key} == context)  --> true
--- ```
---@param opts neap.tls.ContextOptions
---@return neap.tls.Context? context  itself
---@return neap.Error? err
function Context:set(opts)
  local other, err = make(told("set", pcall(checked_for, self, opts)))
  if not other then
    return nil, err
  end
  core.swap(self, other)
  return self
end

--- Read its files again, as behind a renewal of the certificate. As `set` otherwise.
---
--- ```lua
--- local tls = require "neap.tls"
---
--- local cert, key = tls.selfsigned {names = {"localhost"}}
--- local path = os.tmpname()
--- local file = assert(io.open(path, "w"))
--- file:write(cert, key)
--- file:close()
---
--- local context = assert(tls.context {cert = path})
--- print(context:reload() == context)  --> true
--- os.remove(path)
--- print(select(2, context:reload()).code)  --> ENOENT
--- ```
---@return neap.tls.Context? context  itself
---@return neap.Error? err
function Context:reload()
  told("reload", pcall(core.given, self))
  return Context.set(self, {})
end

local function copied(list)
  local copy = {}
  for i, value in ipairs(list or {}) do
    copy[i] = value
  end
  return list and copy
end

--- The options that name files, and which.
local function files_of(given)
  local files = {}
  for _, name in ipairs {"cert", "key", "ca", "crl"} do
    local value = given[name]
    if value and not is_pem(value) then
      files[name] = value
    end
  end
  return files
end

local function names_of(given)
  local list = {}
  if not given.names or is_callable(given.names) then
    return nil
  end
  for name in next, given.names do
    list[#list + 1] = name
  end
  sort(list)
  return list
end

--- What it has: the certificate, and by which rules it goes. Not the key, nor its password.
---
--- ```lua
--- local tls = require "neap.tls"
---
--- local cert, key = tls.selfsigned {names = {"localhost"}, days = 30}
--- local about = assert(tls.context {cert = cert, key = key}):about()
--- print(about.cert.subject, about.cert.names[1])  --> CN=localhost localhost
--- print((about.cert.not_after - os.time()) // 86400 >= 29)  --> true
--- print(about.min_version, about.verify)  --> 1.2 true
--- ```
---@return neap.tls.ContextInfo about
function Context:about()
  local given = told("about", pcall(core.given, self))
  local chain, all = core.about(self)
  local min, suites = given.min_version or "1.2", {}
  for _, name in ipairs(all) do
    if min == "1.2" or find(name, "^TLS_") then
      suites[#suites + 1] = name
    end
  end
  return {
    cert = chain[1],
    chain = chain[1] and chain,
    files = files_of(given),
    verify = given.verify == nil and true or given.verify,
    alpn = copied(given.alpn),
    names = names_of(given),
    min_version = min,
    ciphers = suites,
    tickets = given.tickets ~= false,
    handshake_timeout = given.handshake_timeout or 10,
  }
end

--- A certificate that signs itself, and its key, for trying things out: PEM texts. Who
--- trusts it by `ca` is safe; nobody else does.
---
--- ```lua
--- local tls = require "neap.tls"
---
--- local cert, key = tls.selfsigned {names = {"localhost", "127.0.0.1"}, days = 1}
--- print(cert:match "^[^\n]+", key:match "^[^\n]+")
--- --> -----BEGIN CERTIFICATE----- -----BEGIN PRIVATE KEY-----
--- ```
---@param opts { names: string[], days?: integer }  hosts' names and addresses; days that
--- it is valid, 365
---@return string cert
---@return string key
function tls.selfsigned(opts)
  local cert, key = told("selfsigned", pcall(require "neap.crypto.core".selfsigned, opts))
  return cert, key
end

core.split, core.make, core.is_context = split, make, is_context

return tls
