---@meta _

---@class neap.net
---@field prefix neap.prefix|table  prefixes of addresses, see `neap.prefix`
local net = {}

--- The address that a text names, as `tostring` of an Address prints it. Nothing
--- is looked up. Raises for what is no address.
---
--- ```lua
--- local net = require "neap.net"
---
--- local address = net.address "[::1]:80"
--- print(address.family, address.ip, address.port)  --> inet6 ::1 80
--- print(net.address "127.0.0.1" == net.address "127.0.0.1:0")  --> true
--- ```
---@param text string|neap.Address  `127.0.0.1:80`, `[::1]:80`, `/run/x.sock`, `@name`,
--- `vsock:2:80`
---@return neap.Address address
function net.address(text) end

--- The port of a service, or the service of a port (services(5), IANA). What sort
--- of port it is, `net.portclass` tells.
---
--- ```lua
--- local net = require "neap.net"
---
--- print(net.service "https")  --> 443
--- print(net.service(53, "udp"))  --> domain
--- print(select(2, net.service "no-such").code)  --> EAI_SERVICE
--- ```
---@param which string|integer  a service's name, or a port
---@param proto? string  `"tcp"` (the default) or `"udp"`
---@return integer|string? port  or the name
---@return neap.Error? err  EAI_SERVICE
function net.service(which, proto) end

--- An address of an interface.
---@class (exact) neap.net.InterfaceAddress
---@field address neap.Address  its port is 0
---@field prefix_length integer  bits that are the network's: 0 to 32, to 128 for IPv6
---@field scope "host"|"link"|"site"|"global"  how far it reaches
---@field broadcast neap.Address?
---@field peer neap.Address?  the other end, of a point-to-point interface

--- A network interface.
---@class (exact) neap.net.Interface
---@field name string  `lo`, `eth0`
---@field index integer  by which the system knows it
---@field mtu integer  bytes of the largest packet
---@field hwtype integer  of its hardware address, as ARP numbers it (ARPHRD_ of
--- netdevice(7)): 1 is Ethernet's, 772 loopback
---@field hwaddr string?  `02:00:00:00:00:01`
---@field flags table<string, true>  `up`, `running`, `lower_up`, `loopback`, `broadcast`,
--- `multicast`, `pointopoint`, `noarp`, `promisc`, `allmulti`, `master`, `slave`
--- (netdevice(7))
---@field addresses neap.net.InterfaceAddress[]  IPv4 and IPv6

--- The network interfaces of this system, or of its network namespace, in the order
--- of their index.
---
--- ```lua
--- local net = require "neap.net"
---
--- for _, interface in ipairs(assert(net.interfaces())) do
---   if interface.flags.loopback then
---     print(interface.name, interface.index, interface.mtu > 0)  --> lo 1 true
---   end
--- end
--- ```
---@return neap.net.Interface[]? interfaces
---@return neap.Error? err  EMFILE, ...
function net.interfaces() end

--- Options of `net.connect`; those of the socket are set before it connects.
---@class neap.net.ConnectOptions: neap.Options
---@field timeout number?  seconds, above 0, for all of it: lookup and every attempt
---@field localaddr (string|neap.Address)?  where to connect from
---@field mptcp boolean?  of tcp: use several paths where the peer does, too (see `Stream`)

--- Options of `net.listen`; those of the socket are set before it is bound, and
--- accepted streams inherit most of them.
---@class neap.net.ListenOptions: neap.Options
---@field backlog integer?  connections that wait for accept; default 511, and the
--- system has a limit of its own (listen(2))
---@field mptcp boolean?  of tcp: let those who want to use several paths
---@field mode integer?  the permissions of a unix socket's file, 0 to 511 (0777):
--- `tonumber("600", 8)`
---@field unlink_stale boolean?  replace a unix socket's file that no process holds; of
--- several that try at once one has it. Meanwhile there is a file PATH.takeover, a lock

--- A connection-oriented byte stream: TCP, MPTCP, SCTP, a unix socket, vsock,
--- `mem:`, a pipe, a terminal, a file.
---
--- What the methods share:
---
--- - A method that has to wait suspends the calling task only.
--- - One task reads at a time: a second reader's call raises. Writers queue, and
---   their writes never interleave.
--- - Nothing is lost when a call is cancelled or its time is up: what was
---   received stays for the next call, what was accepted goes out.
--- - Failures are returned. Besides those listed: ETIMEDOUT after `settimeout`,
---   ECANCELED when another task closes the stream meanwhile, EBADF when it was
---   closed before, ECONNRESET, EPIPE, ... What was received before a failure is
---   read first.
--- - At most 64 KiB are read ahead, so a slow reader slows its peer.
---
--- It is closed by `close`, by `local s <close>`, and by the collector.
--- The fields of a closed stream are nil.
---
--- **MPTCP** (RFC 8684) is asked for by the option `mptcp` of tcp endpoints, and
--- used when both ends want it; with a peer or a path that does not, the
--- connection is plain TCP, and nothing else changes. `protocol` says what socket
--- it is: `"mptcp"` where it was asked for, and of what a listener accepts only
--- where the client has it, too. `stream:get "mptcp"` says whether it is in use.
--- A kernel without it fails with EPROTONOSUPPORT, one where it is switched off
--- (sysctl net.mptcp.enabled) with ENOPROTOOPT.
---
--- ```lua
--- local net = require "neap.net"
---
--- local listener <close> = assert(net.listen("tcp://127.0.0.1:0", {mptcp = true}))
--- local stream <close> = assert(net.connect(listener.endpoint))
--- print(stream.protocol, stream:get "mptcp")  --> tcp false
--- ```
---
--- **SCTP** (`sctp://host:port`, RFC 9260) is the kernel's, one-to-one (sctp(7)):
--- an association with one stream of bytes each way, whose messages' bounds are
--- not told. `nodelay` is on, as of TCP, and idle peers are probed without
--- `keepalive`. It has no half close: `shutdown` ends the association, once all
--- that was written has arrived. What the peer had written until then still
--- comes; what it writes after it has read the end fails with EPIPE. So
--- `net.relay` ends the answers, too, when it passes an end to an SCTP stream.
--- `reset` aborts the association, and the peer gets ECONNRESET. The window that
--- the peer may fill follows from `rcvbuf` as it is when the association is made.
--- A kernel without SCTP fails with EPROTONOSUPPORT (`modprobe sctp`).
---
--- **vsock** (`vsock://cid:port`, vsock(7)) joins a machine and its virtual
--- machines, which cids number; a guest reaches its host as `vsock://host:port`.
--- Nobody listens there: ECONNRESET. No transport leads there: ENODEV, which
--- names the kernel's modules. `reset` tells the peer an end, as `close` does.
---
--- ```lua
--- local net = require "neap.net"
---
--- local function echo_once(endpoint)
---   local listener <close>, err = net.listen(endpoint)
---   if not listener then
---     return err.code -- EPROTONOSUPPORT, EAFNOSUPPORT: not in this kernel
---   end
---   local stream <close> = assert(net.connect(listener.endpoint))
---   local server <close> = assert(listener:accept())
---   server:write(stream.protocol, "\n")
---   return stream:read()
--- end
---
--- print(echo_once "tcp://127.0.0.1:0", echo_once "sctp://127.0.0.1:0")  --> tcp ...
--- ```
---@class neap.Stream
---@field localaddr neap.Address?  where it is bound; nil for `mem:` and pipes
---@field remoteaddr neap.Address?  of the peer
---@field family "inet"|"inet6"|"unix"|"vsock"|nil
---@field type "stream"
---@field protocol string  `"tcp"`, `"mptcp"`, `"sctp"`, `"unix"`, `"vsock"`, `"mem"`, `"pipe"`,
--- `"tty"`, `"file"`
---@field fd integer?  its descriptor, which stays the stream's; nil for `mem:`
---@field peercred { pid: integer, uid: integer, gid: integer }?  of a unix socket: who
--- connected, or listened (SO_PEERCRED, unix(7)); the pid is 0 in another pid namespace
local Stream = {}

--- What has arrived: at least one byte, waits for it if need be.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write "abc"
--- a:close()
--- print(b:recv(2))  --> ab
--- print(b:recv())  --> c
--- print(b:recv())  --> nil
--- ```
---@async
---@param max? integer  bytes, 1 to 2^31-1; default: all there is
---@return string? bytes  nil at the end of the stream
---@return neap.Error? err
function Stream:recv(max) end

--- Read as `file:read` does, by formats: `"l"` a line, `"L"` a line with its
--- newline, `"n"` a number, `"a"` all up to the end, and a count: so many bytes,
--- or fewer at the end of the stream. 0 tells whether there is more: `""` or nil.
--- Without formats, a line.
---
--- A line ends at `\n`; the last one may lack it. Nothing is taken before all
--- formats can be answered.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write "GET 42\nrest"
--- a:close()
--- print(b:read(3, "n", "l"))  --> GET 42
--- print(b:read "l")  --> rest
--- print(b:read "l")  --> nil
--- print(b:read "a" == "")  --> true
--- ```
---@async
---@param ... "l"|"L"|"n"|"a"|integer
---@return string|number|nil ...  one for each format, up to the first nil: the end, or
--- what is no number
---@return neap.Error? err  behind a single nil. EMSGSIZE for a line, or space before a
--- number, of more than 64 KiB, which stays there
function Stream:read(...) end

--- Iterate over `read` with these formats. A failure raises.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write "one\ntwo\n"
--- a:close()
--- for line in b:lines() do
---   print(line)
--- end
--- --> one
--- --> two
--- ```
---@async
---@param ... "l"|"L"|"n"|"a"|integer  as of `read`
---@return fun(): (string|number)?
function Stream:lines(...) end

--- Iterate over `recv`. A failure raises.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write(("x"):rep(100000))
--- a:close()
--- local size = 0
--- for chunk in b:chunks() do
---   size = size + #chunk
--- end
--- print(size)  --> 100000
--- ```
---@async
---@return fun(): string?
function Stream:chunks() end

--- The bytes up to a delimiter, which is taken and left out; at the end of the
--- stream, what is left.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write "name: value\r\n"
--- print(b:readuntil ": ", (b:readuntil "\r\n"))  --> name value
--- ```
---@async
---@param delimiter string  at least a byte
---@param max? integer  bytes before the delimiter; default 64 KiB
---@return string? bytes  nil at the end of the stream
---@return neap.Error? err  EMSGSIZE, and nothing is taken
function Stream:readuntil(delimiter, max) end

--- The next bytes, which stay there; fewer at the end of the stream.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write "\x16\x03\x01 hello"
--- print(b:peek(1) == "\x16", #b:recv())  --> true 9
--- ```
---@async
---@param n integer  1 to 65536
---@return string? bytes  nil at the end of the stream
---@return neap.Error? err
function Stream:peek(n) end

--- `string.unpack` from the stream: waits for as many bytes as the format needs
--- and takes them. Raises for a malformed format.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:pack(">I2 s4", 7, "body")
--- print(b:unpack ">I2 s4")  --> 7 body
--- ```
---@async
---@param fmt string  of `string.pack`
---@param max? integer  bytes that it may need; default 64 KiB
---@return any ...  the values, without the position behind them; nil at the end of the
--- stream
---@return neap.Error? err  behind a single nil. ENODATA: the stream ended in the middle;
--- EMSGSIZE: above max, as soon as that is known; EBADMSG: an integer that does not fit Lua's. Nothing is taken
function Stream:unpack(fmt, max) end

--- Write all of it, in order. Small writes gather until the task waits, and a few
--- others that are ready have had their turn, and go out in one system call; larger
--- ones go at once. What the kernel does not take is kept, and the task waits while
--- that is 64 KiB or more. Where another task may block the process for long, as
--- os.execute does, flush() sends it before.
---
--- A failure may be of an earlier write: nothing goes out after it.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- assert(a:write("answer: ", 42, "\n"))
--- print(b:read())  --> answer: 42
---
--- b:close()
--- local ok, err = a:write(("x"):rep(100000))
--- print(ok, err.code, err.accepted)  --> nil EPIPE 100000
--- ```
---@async
---@param ... string|number
---@return neap.Stream? stream  itself
---@return neap.Error? err  EPIPE, ECONNRESET, ...; `err.accepted` is how many bytes of
--- this call were accepted, 0 or all
function Stream:write(...) end

--- Send what small writes have gathered, and wait until the kernel has taken
--- everything. That says nothing of the peer.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write "now"
--- print(a:flush() == a)  --> true
--- ```
---@async
---@return neap.Stream? stream  itself
---@return neap.Error? err
function Stream:flush() end

--- Write bytes with copies of descriptors, over a unix socket (SCM_RIGHTS,
--- unix(7)). What was written before goes out before, which may have to be waited
--- for; others who write wait meanwhile. The peer gets the descriptors no later
--- than the first of these bytes.
---
--- A copy shares the socket with its original: a connection ends when both are
--- closed. Bytes that were read ahead of the script stay here.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- local near, far = net.socketpair()
--- a:sendfd("take this", {far})
--- far:close()
--- local data, fds = b:recvfd()
--- local stream <close> = assert(net.connect("fd:" .. fds[1]:take()))
--- stream:write "hello\n"
--- print(data, near:read())  --> take this hello
--- ```
---@async
---@param data string  at least a byte, for descriptors go with bytes
---@param descriptors (integer|neap.Descriptor|neap.Stream|neap.Listener|neap.Datagram)[]  1
--- to 253
---@return neap.Stream? stream  itself
---@return neap.Error? err  EBADF: one of them is closed or has none; EOPNOTSUPP: no unix
--- socket; ETOOMANYREFS: too many are under way; or as of `write`
function Stream:sendfd(data, descriptors) end

--- What has arrived, and the descriptors that came with it: the bytes up to the
--- first that wait, which end within the data that they were sent with. A list
--- without any, where there are none yet; `""` with some whose bytes were read.
---
--- Descriptors are kept from the first call on. What came before that was closed
--- by the kernel, and so is what comes with bytes that were read ahead: so ask
--- before the peer sends any. `recvfd(0)` asks without waiting or taking a byte,
--- and later gives those whose bytes other methods have read.
---
--- Where 253 or more wait to be taken, nothing more is read. What nobody takes is
--- closed with the stream.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- b:recvfd(0)
--- a:write "a line\n"
--- a:sendfd("a copy of myself", {a})
--- print(b:read())  --> a line
--- local data, fds = b:recvfd()
--- print(data, #fds)  --> a copy of myself 1
--- fds[1]:close()
--- ```
---@async
---@param max? integer  bytes, 0 to 2^31-1; default: all there is
---@return string? bytes  nil at the end of the stream
---@return neap.Descriptor[]|neap.Error|nil descriptors  close-on-exec; or the error.
--- EOPNOTSUPP: no unix socket. Other methods fail with ETOOMANYREFS where the bytes that
--- they wait for are behind descriptors that nobody takes
---@return { lost: true }? info  descriptors were lost, for this process may not have more
--- (RLIMIT_NOFILE)
function Stream:recvfd(max) end

--- Half close: the peer reads the end of the stream behind what was written.
--- Writing is over; reading goes on. (SCTP has no halves: see above.)
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write "question"
--- a:shutdown()
--- print(b:read "a")  --> question
--- b:write "answer\n"
--- print(a:read())  --> answer
--- print(select(2, a:write "more").code)  --> EPIPE
--- ```
---@return true? ok
---@return neap.Error? err
function Stream:shutdown() end

--- Close in order. For the script it is closed at once, and this never waits;
--- what was accepted still goes out, for 10 seconds at most, and the end of the
--- program waits for that up to 5 seconds. Tasks that wait for the stream get
--- ECANCELED. May be called again.
---
--- A TCP connection on which something was sent is half closed then, and what its
--- peer goes on to send is read and forgotten until its end, or those 10 seconds:
--- to close it at once could take back what the peer has not read yet (RFC 9112,
--- 9.6). `linger = 0` asks for that. Where another process got the descriptor,
--- ours alone is closed; and one that came as `fd:N`, which others may have, is
--- half closed only if something was left unread.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write "last words"
--- print(a:close(), a:close())  --> true true
--- print(b:read "a")  --> last words
--- print(select(2, a:read()).code)  --> EBADF
--- ```
---@return true? ok
---@return neap.Error? err  of a write that has failed since the last one that told; it is
--- closed all the same
function Stream:close() end

--- Close abortively: what was not sent is dropped, and a TCP peer gets a reset
--- (RFC 9293, 3.10.5), an SCTP one an abort (RFC 9260, 9.1).
---
--- ```lua
--- local net = require "neap.net"
---
--- local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
--- local a <close> = assert(net.connect(listener.endpoint))
--- local b = assert(listener:accept())
--- b:reset()
--- print(select(2, a:read()).code)  --> ECONNRESET
--- ```
---@return true ok
function Stream:reset() end

--- Set options, in a fixed order. Raises for unknown names, for values of a wrong
--- type or range, and for options that only make sense before a socket is bound.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- print(a:set {sndbuf = 20000} == a)  --> true
--- print(select(2, a:set {nodelay = true}).code)  --> EOPNOTSUPP
--- ```
---@param options neap.Options
---@return neap.Stream? stream  itself
---@return neap.Error? err  of the first option that the kernel refuses: EPERM, EOPNOTSUPP, ...
function Stream:set(options) end

--- Ask for an option.
---
--- ```lua
--- local net = require "neap.net"
---
--- local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
--- local stream <close> = assert(net.connect(listener.endpoint, {keepalive = 60}))
--- print(stream:get "keepalive", stream:get "keepalive_idle")  --> true 60
--- print(stream:get "error")  --> false
--- ```
---@param name neap.OptionName  raises for unknown ones
---@return boolean|number|string|nil value
---@return neap.Error? err
function Stream:get(name) end

--- Let every later wait of this stream's methods last so long at most; then they
--- fail with ETIMEDOUT. A call may wait more than once, a line comes in pieces:
--- `task.timeout` bounds the whole. With 0 each wait looks at the socket once, so a
--- call gets what has arrived.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- print(a:settimeout(0.01):read())  --> nil read unix:unnamed: connection timed out (ETIMEDOUT)
--- ```
---@param seconds? number  from 0; nil: no limit
---@return neap.Stream? stream  itself
---@return neap.Error? err  EBADF
function Stream:settimeout(seconds) end

--- A socket that queues connection requests and hands out streams.
---
--- It is closed by `close`, by `local l <close>`, and by the collector; the file
--- of a unix socket is removed then. The fields of a closed listener are nil.
---@class neap.Listener
---@field address neap.Address?  that it is bound to; nil for `mem:`
---@field port integer?  the one that was chosen for port 0; nil for unix and `mem:`
---@field endpoint string?  where to connect to: `tcp://127.0.0.1:40195`
---@field fd integer?  its descriptor, which stays the listener's; nil for `mem:`
local Listener = {}

--- The next connection; waits for it. Any number of tasks may accept, and take
--- their turns. Connections that were aborted in the queue are passed over.
---
--- ```lua
--- local net = require "neap.net"
---
--- local listener <close> = assert(net.listen "unix:@")
--- local client <close> = assert(net.connect(listener.endpoint))
--- local stream <close> = assert(listener:accept())
--- client:write "hello\n"
--- print(stream:read())  --> hello
--- ```
---@async
---@return neap.Stream? stream
---@return neap.Error? err  ECANCELED when it is closed meanwhile; EMFILE, ENFILE, ENOBUFS,
--- ENOMEM: a lack, which the next call waits out (10 ms, doubling to 1 s)
function Listener:accept() end

--- Stop listening: who waits for a connection gets ECANCELED, those in the queue
--- are refused, accepted streams go on. May be called again.
---
--- ```lua
--- local net = require "neap.net"
---
--- local listener = assert(net.listen "mem:closing")
--- print(listener:close(), listener:close())  --> true true
--- print(select(2, net.connect "mem:closing").code)  --> ECONNREFUSED
--- ```
---@return true ok
function Listener:close() end

--- Set options, as `Stream:set`.
---
--- ```lua
--- local net = require "neap.net"
---
--- local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
--- print(listener:set {defer_accept = 1} == listener)  --> true
--- ```
---@param options neap.Options
---@return neap.Listener? listener  itself
---@return neap.Error? err
function Listener:set(options) end

--- Ask for an option, as `Stream:get`.
---
--- ```lua
--- local net = require "neap.net"
---
--- local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
--- print(listener:get "acceptconn")  --> true
--- ```
---@param name neap.OptionName
---@return boolean|number|string|nil value
---@return neap.Error? err
function Listener:get(name) end
