---@meta _

--- What a file is.
---@class neap.fs.Stat
---@field type "file"|"directory"|"link"|"fifo"|"socket"|"character device"|"block device"|"unknown"
---@field size integer  bytes
---@field mode integer  permission bits: `string.format("%o", mode)` is "644"
---@field uid integer
---@field gid integer
---@field links integer  names that it has
---@field device integer
---@field inode integer
---@field allocated integer  bytes that it takes on the disk
---@field modified number  its bytes, seconds since 1970, as `time.wall`
---@field accessed number
---@field changed number  its bytes or what is said here

---@class neap.fs.OpenOptions
---@field mode integer?  permission bits of a new file, but for umask's; default 0666
---@field new boolean?  fail (EEXIST) if it is there
---@field speed integer?  it is a serial line: bits in a second
---@field bits (5|6|7|8)?  of a character; default 8
---@field parity ("none"|"even"|"odd")?  default `"none"`
---@field stop (1|2)?  stop bits; default 1
---@field flow ("none"|"hardware"|"software")?  control: RTS and CTS, or XON and XOFF;
--- default `"none"`

--- A file that is locked (`fs.lock`). One that is collected is let go of.
---@class neap.fs.Lock
local Lock = {}

--- Let go of it.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local path = os.tmpname()
--- local lock = assert(fs.lock(path))
--- lock:close()
--- print(fs.lock(path, {wait = false}))  --> file lock (held)
--- os.remove(path)
--- ```
---@return true ok
function Lock:close() end

--- A folder beneath which paths are kept (`fs.root`). Its methods are the functions of
--- neap.fs, and close.
---@class neap.fs.Root
---@field read fun(self, path: string, opts?: table): string?, neap.Error?
---@field write fun(self, path: string, bytes: string, opts?: table): true?, neap.Error?
---@field append fun(self, path: string, bytes: string, opts?: table): true?, neap.Error?
---@field open fun(self, path: string, mode?: string, opts?: table): neap.Stream?, neap.Error?
---@field lock fun(self, path: string, opts?: table): neap.fs.Lock?, neap.Error?
---@field watch fun(self, path?: string, opts?: table): neap.fs.Watch?, neap.Error?
---@field stat fun(self, path: string): neap.fs.Stat?, neap.Error?
---@field lstat fun(self, path: string): neap.fs.Stat?, neap.Error?
---@field list fun(self, path?: string): string[]?, table?
---@field walk fun(self, path?: string, opts?: table): function?, neap.Error?
---@field mkdir fun(self, path: string, opts?: table): true?, neap.Error?
---@field remove fun(self, path: string, opts?: table): true?, neap.Error?
---@field rename fun(self, from: string, to: string, opts?: table): true?, neap.Error?
---@field root fun(self, path: string): neap.fs.Root?, neap.Error?
---@field close fun(self): true  what is under way ends; one that is collected is closed
