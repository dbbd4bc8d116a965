--- A line of an access log for each answer, in Apache's format "combined", which most that read
--- such logs know.

local message = require "neap.http.message"

local error, type = error, type
local byte, format, gsub = string.byte, string.format, string.gsub
local mathtype = math.type
local stdout = io.stdout

local combined = {}

local known = { ['"'] = '\\"', ["\\"] = "\\\\" }

--- What a client says, so that it ends neither its quotes nor its line.
local function quoted(text)
  return text and gsub(text, '[%c"\\\127-\255]', function(char)
    return known[char] or format("\\x%02x", byte(char))
  end) or "-"
end

--- "Sun, 06 Nov 1994 08:49:37 GMT" in the order that such logs have.
local function time()
  return (gsub(message.now(), "^%a+, (%d+) (%a+) (%d+) (%S+) GMT$", "%1/%2/%3:%4 +0000"))
end

local function line_of(request, response)
  local remote, done = request.remoteaddr, response.done
  local count = response.count or mathtype(done) == "integer" and done or 0
  return format('%s - - [%s] "%s %s HTTP/%s" %s %s "%s" "%s"', remote and remote.ip or "-", time(),
    quoted(request.method), quoted(request.target), request.version, response.status or "-",
    count > 0 and count or "-", quoted(request:header "referer"), quoted(request:header "user-agent"))
end

local function print_line(line)
  stdout:write(line, "\n")
end

--- Called by a tail call, which leaves no level.
function combined.new(write)
  if write ~= nil and type(write) ~= "function" then
    error("bad argument #1 to 'combined' (a function expected, got " .. type(write) .. ")", 2)
  end
  write = write or print_line
  return function(request, response)
    write(line_of(request, response))
  end
end

return combined
