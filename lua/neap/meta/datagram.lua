---@meta _

--- Options of `net.bind`, and of `net.connect` to a message socket's endpoint;
--- those of the socket are set before it is bound.
---@class neap.net.BindOptions: neap.Options
---@field localaddr (string|neap.Address)?  `net.connect`: where to send from
---@field public_only boolean?  `net.connect`: as of streams
---@field mode integer?  the permissions of a unix socket's file, 0 to 511 (0777)
---@field unlink_stale boolean?  replace a unix socket's file that no process holds, as
--- `net.listen` does
---@field filter integer[][]?  a classic BPF program, a list of {code, jt, jf, k}, as
--- `packet.filter` makes it and `tcpdump -dd` prints it; attached before anything is received (socket(7))
---@field resolver "system"|"dns"|nil  who is asked for a name: see `net.resolve`
---@field cache boolean?  of a name: false asks anew

--- What is known of a message besides its bytes; only what was asked for is there.
---@class (exact) neap.Datagram.Info
---@field truncated true?  it was longer than what was given
---@field size integer?  of the whole, in bytes, when it was truncated
---@field to neap.Address?  option `pktinfo`: the address of ours that it was sent to; its
--- port is 0
---@field localaddr neap.Address?  option `pktinfo`: the address of ours that an answer is to
--- leave by: `to`, but where that is a group or broadcast the interface's, if it is known
---@field interface string?  option `pktinfo`, and of `packet://`: where it came in
---@field ttl integer?  option `recvttl`: hops that were left
---@field tos integer?  option `recvtos`
---@field time number?  option `timestamp`: when the kernel received it, seconds since 1970
---@field pid integer?  option `passcred`, of unix sockets: of the sender (unix(7))
---@field uid integer?
---@field gid integer?
---@field ethertype integer?  of `packet://`: 2048 is IPv4, 33024 a VLAN tag (IEEE 802.1Q)
---@field kind "host"|"broadcast"|"multicast"|"other"|"outgoing"|nil  of `packet://`
---@field hwaddr string?  of `packet://`: the sender's, `00:16:3e:00:00:01`
---@field lost true?  descriptors came with it that this process may not have
--- (RLIMIT_NOFILE)

--- A message socket: `udp://`, `unixgram:`, `seqpacket:`, `icmp://`, `raw://`,
--- `packet://`.
---
--- - A method that has to wait suspends the calling task only. Any number of tasks
---   may send and receive at once; each message goes to one task, and messages
---   never mix.
--- - All queues are bounded. What is received waits in the kernel's buffer
---   (`rcvbuf`), but for what one system call has brought, up to 64 messages (of
---   UDP up to 64 times those that the kernel has joined, 4 MiB at most), which
---   the socket holds until they are taken. What comes when the buffer is full is
---   dropped, as UDP does; `get "drops"` counts them. A unix peer waits instead.
--- - Small messages (8 KiB) leave together, when the task waits and a few others that
---   are ready have had their turn, up to 64 or 64 KiB by one system call, and those
---   of one size to one destination
---   as one packet where the kernel and the path allow that (UDP_SEGMENT); the
---   receiver gets each as it was sent. The first one to a destination goes at
---   once, so that its own call tells of a missing route or permission. An error
---   of a later one is returned by the next call that sends (`err.earlier` is true
---   then, and that call's own message was accepted).
--- - Where the kernel has no room to send, or no memory, the sender waits, with
---   one such batch behind it at most. Each unix receiver has a queue of its own:
---   who sends to one that is full waits, and what goes to others goes on, as long
---   as what nobody has read yet fits the sender's own buffer (`sndbuf`).
--- - ICMP errors are told to a socket from `net.connect` (and with `recverr` to any):
---   once, by `recv` or `send`; the socket is of use afterwards. `err.to` is whom
---   the message was sent to, `err.by` who refused it, `err.icmp_type` and
---   `err.icmp_code` what he said, `err.mtu` what would fit (ip(7), IP_RECVERR).
---
--- - `packet://` gives and takes whole frames. The outermost VLAN tag, which the kernel
---   takes out of a frame, is put back; a `filter` sees the frame without it, but for its `vlan`.
---
--- It is closed by `close`, by `local d <close>`, and by the collector; the file of
--- a unix socket is removed then. The fields of a closed socket are nil.
---@class neap.Datagram
---@field localaddr neap.Address?  of a ping socket, the port is its identifier
---@field remoteaddr neap.Address?  that it is connected to
---@field family "inet"|"inet6"|"unix"|"packet"|nil
---@field type "datagram"|"seqpacket"|"raw"
---@field protocol string  `"udp"`, `"icmp"`, `"ipv6-icmp"`, `"unixgram"`, `"seqpacket"`,
--- `"packet"`, or the number of another
---@field endpoint string?  where to connect to, or whom it was connected to
---@field header boolean  what it receives begins with the IP header (raw IPv4); what it
--- sends does so with the option `hdrincl`
---@field fd integer?  its descriptor, which stays the socket's
---@field peercred { pid: integer, uid: integer, gid: integer }?  of a unix socket that is
--- connected: who made the other end
local Datagram = {}

--- The next message; waits for it.
---
--- ```lua
--- local net = require "neap.net"
---
--- local server <close> = assert(net.bind "udp://127.0.0.1:0")
--- local client <close> = assert(net.connect(server.endpoint))
--- client:send "question"
--- local data, from = server:recv()
--- print(data, from == client.localaddr)  --> question true
--- server:send("answer", from)
--- print((client:recv()))  --> answer
--- ```
---@async
---@param max? integer  bytes; what is beyond is dropped, and `info.truncated` says so.
--- Default: no limit; messages of unix sockets beyond 256 KiB are cut
---@return string? data  may be empty; nil alone: the peer of a seqpacket ended
---@return neap.Address|neap.Error|nil from  the same object for the same peer; nil for
--- seqpacket and packet; or why it failed: ETIMEDOUT, ECANCELED, ECONNREFUSED, ...
---@return neap.Datagram.Info? info  nil when there is nothing to tell
function Datagram:recv(max) end

--- As many messages as are there; waits for one.
---
--- ```lua
--- local net = require "neap.net"
---
--- local server <close> = assert(net.bind "udp://127.0.0.1:0")
--- local client <close> = assert(net.connect(server.endpoint))
--- client:sendmany {"one", "two", "three"}
--- local data = server:recvmany()
--- print(#data >= 1, data[1])  --> true one
--- ```
---@async
---@param max? integer  messages; default 64
---@return string[]? data  nil alone: the peer of a seqpacket ended
---@return (neap.Address|false)[]|neap.Error|nil from
---@return table<integer, neap.Datagram.Info>? infos  of those of which there is something to
--- tell; nil when there is nothing
function Datagram:recvmany(max) end

--- Iterate over `recv`, until the socket is closed or the peer of a seqpacket ends.
--- A failure raises.
---
--- ```lua
--- local net = require "neap.net"
---
--- local server <close> = assert(net.bind "udp://127.0.0.1:0")
--- local client <close> = assert(net.connect(server.endpoint))
--- client:send "one"
--- client:send "two"
--- for data, from in server:messages() do
---   print(data, from == client.localaddr)  --> one true
---   break
--- end
--- ```
---@async
---@return fun(): string?, neap.Address?, neap.Datagram.Info?
function Datagram:messages() end

--- Send a message.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp://127.0.0.1:0")
--- print(socket:send("to myself", socket.localaddr) == socket)  --> true
--- print((socket:recv()))  --> to myself
--- print(select(2, socket:send(("x"):rep(65508), socket.localaddr)).code)  --> EMSGSIZE
--- ```
---
--- A host has several addresses, and who asked one of them waits for its answer. What
--- is bound to all answers by the one that was asked if it is given what `recv` told,
--- with the option `pktinfo`:
---
--- ```lua
--- local net = require "neap.net"
---
--- local server <close> = assert(net.bind("udp://*:0", {pktinfo = true}))
--- local client <close> = assert(net.connect("udp://127.0.0.2:" .. server.localaddr.port))
--- client:send "question"
--- local data, from, info = server:recv()
--- server:send("answer to a " .. data, from, info)
--- print((client:recv()))  --> answer to a question
--- ```
---@async
---@param data string|number  may be empty
---@param to? string|neap.Address  default: whom it is connected to. An endpoint of the socket's
--- own scheme stands for its address: `"udp://127.0.0.1:53"`; names are not looked up
---@param source? string|neap.Address|neap.Datagram.Info  an address of this host that it is to
--- leave by; or of a message that is answered what `recv` told: its `localaddr`. Default: the
--- system's choice. Of IP sockets
---@return neap.Datagram? socket  itself
---@return neap.Error? err  EMSGSIZE, EDESTADDRREQ, EACCES, ENETUNREACH, ...; EINVAL or
--- ENETUNREACH, too, for a source that is not this host's
function Datagram:send(data, to, source) end

--- Send a list of messages to one destination.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp://127.0.0.1:0")
--- socket:sendmany({"a", "b", "c"}, socket.localaddr)
--- print((socket:recv()))  --> a
--- ```
---@async
---@param list string[]
---@param to? string|neap.Address
---@param source? string|neap.Address|neap.Datagram.Info  as of `send`
---@return neap.Datagram? socket  itself
---@return neap.Error? err  `err.sent` is how many were accepted before
function Datagram:sendmany(list, to, source) end

--- Send what has gathered, and wait until the kernel has taken it.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp://127.0.0.1:0")
--- socket:send("gone", socket.localaddr)
--- print(socket:flush() == socket)  --> true
--- ```
---@async
---@return neap.Datagram? socket  itself
---@return neap.Error? err
function Datagram:flush() end

--- Send a message with copies of descriptors, over a unix socket.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair "seqpacket"
--- local near, far = net.socketpair()
--- a:sendfd("take this", {far})
--- local data, fds = b:recvfd()
--- local stream <close> = assert(net.connect("fd:" .. fds[1]:take()))
--- stream:write "hello\n"
--- stream:flush()
--- print(data, near:read())  --> take this hello
--- a:close() b:close() near:close() far:close()
--- ```
---@async
---@param data string
---@param descriptors (integer|neap.Descriptor|neap.Stream|neap.Listener|neap.Datagram)[]  1
--- to 253
---@param to? string|neap.Address
---@return neap.Datagram? socket  itself
---@return neap.Error? err  EBADF, ETOOMANYREFS, EOPNOTSUPP where it is no unix socket, ...
function Datagram:sendfd(data, descriptors, to) end

--- `recv`, with the descriptors that came with the message. `recv` closes them.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair "unixgram"
--- a:sendfd("a copy of myself", {a})
--- local data, descriptors = b:recvfd()
--- print(data, #descriptors)  --> a copy of myself 1
--- descriptors[1]:close()
--- a:close() b:close()
--- ```
---@async
---@return string? data
---@return neap.Descriptor[]|neap.Error|nil descriptors
---@return neap.Address? from
---@return neap.Datagram.Info? info
function Datagram:recvfd() end

--- Connect: send there by default, and receive from there only, also of what
--- came before. May be called again; without an address it is connected to nobody,
--- and has the port that it had. What was sent before is on its way first, and
--- what ICMP told of it is forgotten.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp://127.0.0.1:0")
--- local other <close> = assert(net.bind "udp://127.0.0.1:0")
--- socket:connect(other.localaddr)
--- socket:send "hello"
--- print((other:recv()), socket.remoteaddr == other.localaddr)  --> hello true
--- ```
---@async
---@param to? string|neap.Address  or an endpoint, as of `send`
---@return neap.Datagram? socket  itself
---@return neap.Error? err  EADDRINUSE: to nobody, and the port, which the system had
--- chosen, is another socket's by now; EOPNOTSUPP: a raw socket stays connected
function Datagram:connect(to) end

--- Receive what is sent to a group; with a source, by that source only (RFC 3678).
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp4://*:0")
--- print(socket:join("239.7.7.7", {interface = "lo"}) == socket)  --> true
--- print(select(2, socket:join "127.0.0.1").code)  --> EINVAL
--- ```
---@param group string|neap.Address
---@param opts? { interface?: string, source?: string|neap.Address }  interface: default,
--- the system's choice
---@return neap.Datagram? socket  itself
---@return neap.Error? err  EADDRINUSE: it is a member already; EINVAL: no group; ENODEV
function Datagram:join(group, opts) end

--- Leave a group, with the arguments of `join`.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp4://*:0")
--- print(select(2, socket:leave "239.7.7.7").code)  --> EADDRNOTAVAIL
--- ```
---@param group string|neap.Address
---@param opts? { interface?: string, source?: string|neap.Address }
---@return neap.Datagram? socket  itself
---@return neap.Error? err  EADDRNOTAVAIL: it was no member
function Datagram:leave(group, opts) end

--- Set options, as `Stream:set`. What was sent before goes out as it was then.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp://127.0.0.1:0")
--- print(socket:set {ttl = 3} == socket, socket:get "ttl")  --> true 3
--- ```
---@param options neap.Options  by their names
---@return neap.Datagram? socket  itself
---@return neap.Error? err
function Datagram:set(options) end

--- Ask for an option, as `Stream:get`.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp://127.0.0.1:0")
--- print(socket:get "broadcast", socket:get "drops")  --> false 0
--- ```
---@param name neap.OptionName  as in `neap.Options`
---@return any value
---@return neap.Error? err
function Datagram:get(name) end

--- Let every later wait of this socket's methods last so long at most; with 0 each
--- looks at the socket once.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp://127.0.0.1:0")
--- socket:settimeout(0.01)
--- print(select(2, socket:recv()).code)  --> ETIMEDOUT
--- ```
---@param seconds? number  from 0; nil: no limit
---@return neap.Datagram? socket  itself
---@return neap.Error? err  EBADF
function Datagram:settimeout(seconds) end

--- Wait until `recv`, or `send`, would not wait, and take nothing. An error that `recv`
--- would tell, and the end of a seqpacket, are something to be received. Another task
--- may take the message first. Where each receiver has a queue of its own (unixgram),
--- there is room to send as long as the one that the socket is connected to has some.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair "seqpacket"
--- print(select(2, a:wait("r", 0.01)).code)  --> ETIMEDOUT
--- b:send "hello"
--- print(a:wait(), a:wait "rw", a:recv())  --> r rw hello nil nil
--- ```
---@async
---@param what? "r"|"w"|"rw"  to receive (the default), to send, either
---@param timeout? number  seconds from 0, which looks once; nil: `settimeout`'s
---@return "r"|"w"|"rw"|nil ready  what would not wait, of what was asked
---@return neap.Error? err  ETIMEDOUT, ECANCELED, EBADF
function Datagram:wait(what, timeout) end

--- Half close, of a seqpacket: the peer's messages end behind what was sent.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair "seqpacket"
--- a:send "last"
--- a:shutdown()
--- print((b:recv()), (b:recv()))  --> last nil
--- a:close() b:close()
--- ```
---@return neap.Datagram? socket  itself
---@return neap.Error? err
function Datagram:shutdown() end

--- Close, at once. Who waits gets ECANCELED. May be called again.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp://127.0.0.1:0")
--- socket:close()
--- print(select(2, socket:recv()).code)  --> EBADF
--- ```
---@return true? ok
---@return neap.Error? err  of a message that was accepted and not sent: ECANCELED when
--- there was no room for it until now; it is closed all the same
function Datagram:close() end

--- A descriptor that was passed. It is closed by `close`, by `<close>` and by the
--- collector, unless it was taken.
---@class neap.Descriptor
---@field fd integer?  nil when it is closed or taken
local Descriptor = {}

--- The number, which is the caller's from now on: for `net.connect("fd:" .. n)`,
--- `net.listen`, `net.bind`.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair "unixgram"
--- a:sendfd("a copy of b", {b})
--- local _, descriptors = b:recvfd()
--- local copy <close> = assert(net.bind("fd:" .. descriptors[1]:take()))
--- b:close()
--- a:send "for the copy"
--- print((copy:recv()), descriptors[1].fd)  --> for the copy nil
--- a:close()
--- ```
---@return integer? fd
---@return neap.Error? err  EBADF
function Descriptor:take() end

--- Close it, unless it was taken. May be called again.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair "unixgram"
--- a:sendfd("", {a})
--- local _, descriptors = b:recvfd()
--- print(descriptors[1]:close(), descriptors[1].fd)  --> true nil
--- a:close() b:close()
--- ```
---@return true ok
function Descriptor:close() end
