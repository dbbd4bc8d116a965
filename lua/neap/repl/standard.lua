--- Lua's own functions, a line each: how they are called, and what they do.

---@class neap.repl.standard
local standard = {}

local text = [[
assert(v, message?, ...)  all its arguments; raises message when v is false or nil
collectgarbage(opt?, arg?)  control the collector: "collect", "count" (KiB), "step", "stop", "restart", ...
dofile(path?)  run a file, and return what it returns
error(message, level?)  raise; the position is added at that level (1: here, 2: the caller, 0: none)
getmetatable(object)  its metatable, or the metatable's __metatable
ipairs(t)  iterate over t[1], t[2], ... up to the first nil
load(chunk, chunkname?, mode?, env?)  compile text, or what a function gives in pieces; nil and a message on failure
loadfile(path?, mode?, env?)  compile a file; nil and a message on failure
next(t, key?)  the key and value behind key; nil at the end
pairs(t)  iterate over all keys and values
pcall(f, ...)  call f: true and its results, or false and the error
print(...)  write the values and a newline to the standard output
rawequal(a, b)  equality without metamethods
rawget(t, key)  t[key] without metamethods
rawlen(v)  the length of a table or string without metamethods
rawset(t, key, value)  t[key] = value without metamethods; t
require(name)  load a module once, and return its value
select(n, ...)  the arguments from the n-th on; with "#" how many there are
setmetatable(t, metatable)  set a table's metatable (nil: none); t
tonumber(v, base?)  a number from a string, nil if it is none
tostring(v)  a string from any value
type(v)  the type's name: "nil", "number", "string", "boolean", "table", "function", "thread", "userdata"
warn(message, ...)  emit a warning
xpcall(f, handler, ...)  as pcall; the error goes through handler
coroutine.close(co)  close a suspended or dead coroutine and its to-be-closed variables
coroutine.create(f)  a new coroutine that will run f
coroutine.isyieldable(co?)  can it yield?
coroutine.resume(co, ...)  start or go on: true and what it yields or returns, or false and the error
coroutine.running()  the running coroutine, and whether it is the main one
coroutine.status(co)  "running", "suspended", "normal" or "dead"
coroutine.wrap(f)  a function that resumes a new coroutine each time, and raises its errors
coroutine.yield(...)  suspend; the results are the arguments of the next resume
debug.debug()  read and run lines from stdin
debug.gethook(thread?)  the hook function, its mask and count
debug.getinfo(thread?, f, what?)  a table of what is known of a function or a stack level
debug.getlocal(thread?, f, index)  name and value of a local variable, or the name of a parameter
debug.getmetatable(v)  the metatable, whatever its __metatable says
debug.getregistry()  the registry
debug.getupvalue(f, index)  name and value of an upvalue
debug.getuservalue(u, n?)  the n-th user value of a userdata
debug.sethook(thread?, hook?, mask?, count?)  call hook at calls, returns, lines, or every count instructions
debug.setlocal(thread?, level, index, value)  set a local variable; its name
debug.setmetatable(v, metatable)  set the metatable of any value; v
debug.setupvalue(f, index, value)  set an upvalue; its name
debug.setuservalue(u, value, n?)  set the n-th user value; u
debug.traceback(thread?, message?, level?)  the message with a traceback of the stack
debug.upvalueid(f, index)  an identifier of an upvalue, to see which are shared
debug.upvaluejoin(f1, n1, f2, n2)  make f1's upvalue refer to f2's
io.close(file?)  close a file, or the default output
io.flush()  write what the default output holds
io.input(file?)  the default input; set it, or open a file as it
io.lines(path?, ...)  iterate over a file's lines, or by formats; close it at the end
io.open(path, mode?)  a file, or nil and a message; mode "r", "w", "a", "r+", ..., with "b"
io.output(file?)  the default output; set it, or open a file as it
io.popen(command, mode?)  a file from or to a command's stdio
io.read(...)  read from the default input: "l", "L", "n", "a", or a count
io.tmpfile()  a temporary file, removed when it is closed
io.type(v)  "file", "closed file", or nil
io.write(...)  write strings and numbers to the default output
file:close()  close it
file:flush()  write what was buffered
file:lines(...)  iterate over lines, or by formats
file:read(...)  read by formats: "l", "L", "n", "a", or a count; "l" without
file:seek(whence?, offset?)  move to and return a position; whence "set", "cur" or "end"
file:setvbuf(mode, size?)  buffer as "no", "full" or "line"
file:write(...)  write strings and numbers; the file
math.abs(x)  without its sign
math.acos(x)  arc cosine, in radians
math.asin(x)  arc sine, in radians
math.atan(y, x?)  arc tangent of y/x, in radians, in the right quadrant
math.ceil(x)  the smallest integer that is not below x
math.cos(x)  cosine of radians
math.deg(x)  radians to degrees
math.exp(x)  e to the power x
math.floor(x)  the largest integer that is not above x
math.fmod(x, y)  the rest of the division that rounds towards zero
math.log(x, base?)  logarithm, natural without a base
math.max(x, ...)  the largest
math.min(x, ...)  the smallest
math.modf(x)  the integral and the fractional part
math.rad(x)  degrees to radians
math.random(m?, n?)  a float in [0, 1); an integer in 1..m or m..n; any integer for 0
math.randomseed(x?, y?)  begin another sequence
math.sin(x)  sine of radians
math.sqrt(x)  square root
math.tan(x)  tangent of radians
math.tointeger(x)  x as an integer, or nil
math.type(x)  "integer", "float", or nil
math.ult(m, n)  m < n, as unsigned integers
os.clock()  seconds of processor time used
os.date(format?, time?)  a time as text, or as a table for "*t"; "!" before for UTC
os.difftime(t2, t1?)  seconds from t1 to t2
os.execute(command?)  run a command by the shell: true or nil, "exit" or "signal", and the number
os.exit(code?, close?)  end the process; close: when all tasks have closed what they have open
os.getenv(name)  an environment variable, or nil
os.remove(path)  remove a file or an empty folder; nil and a message on failure
os.rename(from, to)  rename a file; nil and a message on failure
os.setlocale(locale?, category?)  set or ask the locale
os.time(t?)  seconds since 1970: now, or of a table as os.date "*t" gives
os.tmpname()  a name for a temporary file
package.loadlib(path, name)  a C function from a library
package.searchpath(name, path, sep?, rep?)  the file that a module would be loaded from, or nil and a message
string.byte(s, i?, j?)  the codes of the bytes from i to j
string.char(...)  a string of bytes with these codes
string.dump(f, strip?)  a function as bytecode
string.find(s, pattern, init?, plain?)  where the pattern is first: its start, end, and captures
string.format(format, ...)  formatted text: %d %s %q %g %x ...
string.gmatch(s, pattern, init?)  iterate over the matches' captures
string.gsub(s, pattern, replacement, n?)  replace matches by a string, table or function; how many
string.len(s)  its length in bytes
string.lower(s)  with small letters
string.match(s, pattern, init?)  the captures of the first match, or the match
string.pack(format, ...)  values as bytes
string.packsize(format)  how many bytes the format takes
string.rep(s, n, sep?)  n copies of s, with sep between
string.reverse(s)  the bytes in reverse order
string.sub(s, i, j?)  the bytes from i to j; negative: from the end
string.unpack(format, s, pos?)  values from bytes, and the position behind them
string.upper(s)  with capital letters
table.concat(list, sep?, i?, j?)  the strings of a list joined
table.insert(list, pos?, value)  put value at pos, or at the end
table.move(a, from, to, at, b?)  copy a[from..to] to b[at...] (b: a); b
table.pack(...)  a table of all arguments, with their number as n
table.remove(list, pos?)  take out and return the element at pos, or the last
table.sort(list, less?)  sort in place
table.unpack(list, i?, j?)  the elements from i to j
utf8.char(...)  the characters with these code points
utf8.codepoint(s, i?, j?, lax?)  the code points of the characters between byte positions
utf8.codes(s, lax?)  iterate over positions and code points
utf8.len(s, i?, j?, lax?)  how many characters; nil and a position where it is not UTF-8
utf8.offset(s, n, i?)  the byte position of the n-th character
]]

local lines

--- What is known of a function.
---@param owner string  "string", "file", "_G"
---@param name string
---@return string? signature
---@return string? summary
function standard.find(owner, name)
  if not lines then
    lines = {}
    for signature, summary in string.gmatch(text, "(%S[^\n]-%))  ([^\n]*)") do
      lines[string.gsub(string.match(signature, "^[%w_.:]+"), ":", ".")] = {signature, summary}
    end
  end
  local line = lines[owner == "_G" and name or owner .. "." .. name]
  if line then
    return line[1], line[2]
  end
end

return standard
