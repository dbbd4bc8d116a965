---@meta neap.json

--- JSON (RFC 8259), both ways and strictly.
---
--- | JSON | Lua |
--- | --- | --- |
--- | an integer, as far as Lua's reach (64 bits) | an integer, exactly |
--- | any other number, also `1.0` and `-0` | the float that is nearest; beyond all floats it is refused |
--- | a string | a string, UTF-8 |
--- | `true` `false` | the same |
--- | `null` | `json.null`, which counts as true and is the light userdata NULL, as `cjson.null` is |
--- | an array | a table with the metatable that `json.array` sets, so that an empty one goes out as one |
--- | an object | a table; its keys are strings |
---
--- Text that is no JSON is returned as an error object (EBADMSG) with the `line` and the
--- `column` of what is wrong, counted in characters. What encode is given and JSON does not
--- have raises, and says where it was: `cannot encode a function at .a[3]`.
---
--- Both compute on the spot, at some hundred megabytes a second: of what strangers send
--- bound the size (`max`). A table takes up to thirty times the memory of its text. What was
--- decoded can be sent to workers.

---@class neap.json
---@field null lightuserdata  what null is
local json = {}

---@class neap.json.DecodeOptions
---@field depth integer?  arrays and objects in each other, at most: default 128, up to 10000
---@field max integer?  bytes of the text, at most (EMSGSIZE); default: any
---@field replace boolean?  bytes that are no UTF-8, and halves of surrogate pairs, become
--- U+FFFD; default: they are refused
---@field unique boolean?  equal keys in an object are refused; default: the last one's value
--- stays, as in most languages

---@class neap.json.EncodeOptions
---@field depth integer?  arrays and objects in each other, at most: default 128, up to 10000
---@field indent integer|string?  of each level, on lines of their own: how many blanks, 0 to
--- 16, or blanks and tabs; default: all in one line
---@field max integer?  bytes of the text, at most; default: any
---@field replace boolean?  bytes that are no UTF-8 become U+FFFD; default: they are refused
---@field sort boolean?  keys in the order of their bytes, so that equal values have equal
--- texts; default: in any order

---@class neap.json.LinesOptions
---@field depth integer?  as of `decode`
---@field max integer?  bytes of a line with its newline, at most (EMSGSIZE); default 1 MiB
---@field replace boolean?  as of `decode`
---@field unique boolean?  as of `decode`

--- The value of a text. All of the text is it, but for space around.
---
--- ```lua
--- local json = require "neap.json"
---
--- local value = assert(json.decode '{"id": 9007199254740993, "tags": [], "next": null}')
--- print(value.id, #value.tags, value.next == json.null)  --> 9007199254740993 0 true
--- print(json.decode "[1,\n 2 3]")
--- --> nil decode: line 2, column 4: ',' or ']' expected (EBADMSG)
--- ```
---@param text string
---@param options? neap.json.DecodeOptions
---@return any value
---@return neap.Error? err  EBADMSG, with `line` and `column`; EMSGSIZE
function json.decode(text, options) end

--- The text of a value. A table is an array if `json.array` made it or decode did, or if
--- its first key is an integer: then its keys are 1 to n, without holes. Any other is an
--- object, and its keys are strings; `{}` is one.
---
--- A float has a point or an exponent (`160 / 2` is `80.0`), so that it is read as one;
--- `nan` and infinity raise. Metatables do not count, and no metamethod is called; a table
--- with `__pairs` raises.
---
--- ```lua
--- local json = require "neap.json"
---
--- print(json.encode({name = "neap", ports = {80, 443}, tls = json.null}, {sort = true}))
--- --> {"name":"neap","ports":[80,443],"tls":null}
--- print(json.encode {json.array(), {}})  --> [[],{}]
--- print(pcall(json.encode, {a = {1, 2, print}}))
--- --> false encode: cannot encode a function at .a[3]
--- print(json.encode({a = {1}}, {indent = 2}))
--- --> {
--- -->   "a": [
--- -->     1
--- -->   ]
--- --> }
--- ```
---@param value any
---@param options? neap.json.EncodeOptions
---@return string text
function json.encode(value, options) end

--- Make a table an array, also while it is empty. Raises if it has another metatable.
---
--- ```lua
--- local json = require "neap.json"
---
--- local found = json.array()
--- print(json.encode {found = found})  --> {"found":[]}
--- found[1] = "x"
--- print(json.encode {found = found})  --> {"found":["x"]}
--- ```
---@param table? table  default: a new one
---@return table table  the same
function json.array(table) end

--- Is it a table that `json.array` or `json.decode` made an array?
---
--- ```lua
--- local json = require "neap.json"
---
--- print(json.isarray(json.decode "[]"), json.isarray(json.decode "{}"))  --> true false
--- ```
---@param value any
---@return boolean
function json.isarray(value) end

return json
