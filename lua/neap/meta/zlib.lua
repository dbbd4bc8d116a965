---@meta neap.zlib

--- Texts made smaller, and whole again, by zlib (RFC 1950 to 1952): at once, or piece by
--- piece.
---
--- A format is named as browsers do: `"gzip"`, which has a CRC; `"deflate"`, which is the
--- wrapper of zlib with an Adler-32, and what HTTP calls deflate; `"deflate-raw"`, which has
--- nothing around it. Whoever reads can also say `"auto"`: either of the first two.
---
--- All of it computes on the spot, some thirty to a hundred megabytes a second of what is
--- made smaller, some two hundred of what is made whole: what is long goes piece by piece
--- (`compressor`, `decompressor`), so that other tasks have their turns in between. The
--- memory of a compressor is some 270 KiB, of a decompressor 40; the collector knows of it,
--- and `close` gives it back at once.
---
--- A little can stand for much: ten megabytes for ten gigabytes. So what is made whole has a
--- limit, `max`. What is no such text, was cut, or has another sum than it says, is an
--- EBADMSG. A lack of memory is raised, as Lua does.

---@class neap.zlib
local zlib = {}

---@class neap.zlib.CompressOptions
---@field format "gzip"|"deflate"|"deflate-raw"|nil  default `"gzip"`
---@field level integer?  from 0 (as it is) by 1 (fast) to 9 (small); default 6
---@field windowbits integer?  how far back what repeats is looked for, as a power of two: 9
--- to 15; default 15. Less takes less memory, here and where it is read

---@class neap.zlib.DecompressOptions
---@field format "gzip"|"deflate"|"deflate-raw"|"auto"|nil  default `"auto"`
---@field max integer?  bytes that come out, at most (EMSGSIZE); default 64 MiB of
--- `decompress`, of a decompressor any
---@field windowbits integer?  that of who has written it, or more; default 15, which reads
--- all

--- Make a text smaller.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local text = ("neap "):rep(1000)
--- local bytes = zlib.compress(text)
--- print(#text, #bytes < 60, zlib.decompress(bytes) == text)  --> 5000 true true
--- ```
---@param text string
---@param options? neap.zlib.CompressOptions
---@return string bytes
function zlib.compress(text, options) end

--- Make it whole again. In gzip there may be several texts, one behind the other, which are
--- one then; anything else behind the end is an EBADMSG.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local bytes = zlib.compress "one, " .. zlib.compress "two"
--- print(zlib.decompress(bytes))  --> one, two
--- print(zlib.decompress(bytes, {max = 5}))
--- --> nil decompress: the text is longer than max (EMSGSIZE)
--- print(zlib.decompress(bytes:sub(1, -2)))
--- --> nil decompress: the text ends too early (EBADMSG)
--- ```
---@param bytes string
---@param options? neap.zlib.DecompressOptions
---@return string? text
---@return neap.Error? err
function zlib.decompress(bytes, options) end

--- Make a text smaller that comes piece by piece.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local c <close> = zlib.compressor {format = "deflate", level = 9}
--- local bytes = c:update "one, " .. c:update "two" .. c:finish()
--- print(zlib.decompress(bytes))  --> one, two
--- ```
---@param options? neap.zlib.CompressOptions
---@return neap.zlib.Compressor compressor
function zlib.compressor(options) end

--- Make a text whole that comes piece by piece, a bounded part of it at a time.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local bytes = zlib.compress(("x"):rep(1000000))
--- local d <close> = zlib.decompressor()
--- local count = 0
--- local text = assert(d:update(bytes))
--- while true do
---   count = count + #text
---   if not d.more then
---     break
---   end
---   text = assert(d:update "")
--- end
--- print(count, d:finish())  --> 1000000 true
--- ```
---@param options? neap.zlib.DecompressOptions
---@return neap.zlib.Decompressor decompressor
function zlib.decompressor(options) end

---@class neap.zlib.Compressor
local Compressor = {}

--- Put bytes in, and get what comes out so far, which is often nothing.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local c <close> = zlib.compressor {format = "deflate"}
--- print(#c:update "one", #c:update "two")  --> 2 0
--- ```
---@param bytes string
---@return string bytes
function Compressor:update(bytes) end

--- What is missing for all that was put in to be read at the other side. It costs some bytes,
--- and ends in 00 00 FF FF; where nothing was put in since the last time it is empty.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local c <close> = zlib.compressor()
--- local d <close> = zlib.decompressor()
--- print(d:update(c:update "hello" .. c:flush()))  --> hello
--- print(d:update(c:update ", you" .. c:flush()))  --> , you
--- ```
---@return string bytes
function Compressor:flush() end

--- The rest, with the end. What is put in behind it is raised, before a `reset`.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local c <close> = zlib.compressor()
--- print(zlib.decompress(c:update "text" .. c:finish()))  --> text
--- ```
---@return string bytes
function Compressor:finish() end

--- Begin a new text, with what is allocated already. What has not come out is lost.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local c <close> = zlib.compressor()
--- for _, text in ipairs {"one", "two"} do
---   print(zlib.decompress(c:reset():update(text) .. c:finish()))
--- end
--- --> one
--- --> two
--- ```
---@return neap.zlib.Compressor self
function Compressor:reset() end

--- Give its memory back. Also by `<close>`; what is used behind that is raised.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local c = zlib.compressor()
--- c:close()
--- print(c)  --> compressor (gzip, closed)
--- ```
function Compressor:close() end

---@class neap.zlib.Decompressor
---@field more boolean  there may be more of the text without more bytes: ask by `update ""`
---@field done boolean  the text may end here. In gzip bytes behind that may begin another
--- part of it
---@field rest string  the bytes behind its end; before that `""`
local Decompressor = {}

--- Put bytes in, behind those which are inside, and get what comes out, at most `max` bytes.
--- What could not come out stays inside: while there is `more`, `update ""` goes on, and
--- more bytes can wait. An error comes behind all that was well, and stays.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local d <close> = zlib.decompressor()
--- print(d:update(zlib.compress "hello" .. "behind", 4), d.more)  --> hell true
--- print(d:update "", d.more, d.done, d.rest)  --> o false true behind
--- print(d:reset():update "junk")
--- --> nil decompress: incorrect header check (EBADMSG)
--- ```
---@param bytes string
---@param max? integer  default 64 KiB
---@return string? text  possibly `""`
---@return neap.Error? err
function Decompressor:update(bytes, max) end

--- There are no more bytes: has the text ended, with nothing behind it? While there is `more`,
--- it raises.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local d <close> = zlib.decompressor()
--- d:update(zlib.compress("hello"):sub(1, 20))
--- print(d:finish())  --> nil decompress: the text ends too early (EBADMSG)
--- ```
---@return true? ok
---@return neap.Error? err
function Decompressor:finish() end

--- Begin a new text, with what is allocated already, also behind an error. What was inside is
--- lost.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local d <close> = zlib.decompressor()
--- for _, text in ipairs {"one", "two"} do
---   print(d:reset():update(zlib.compress(text)))
--- end
--- --> one
--- --> two
--- ```
---@return neap.zlib.Decompressor self
function Decompressor:reset() end

--- Give its memory back. Also by `<close>`; what is used behind that is raised.
---
--- ```lua
--- local zlib = require "neap.zlib"
---
--- local d = zlib.decompressor()
--- d:close()
--- print(d)  --> decompressor (auto, closed)
--- ```
function Decompressor:close() end

return zlib
