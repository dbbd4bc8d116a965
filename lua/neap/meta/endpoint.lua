---@meta neap.endpoint

--- Endpoints: strings that name where to listen or connect.
---
--- | scheme | what follows | it is |
--- | --- | --- | --- |
--- | `tcp` `tcp4` `tcp6` | `://host:port` | a stream over TCP, IPv4 or IPv6 |
--- | `udp` `udp4` `udp6` | `://host:port` | messages over UDP |
--- | `sctp` `sctp4` `sctp6` | `://host:port` | a stream over SCTP, one-to-one |
--- | `tls` `tls4` `tls6` | `://host:port` | TLS over TCP (see neap.tls) |
--- | `vsock` | `://cid:port` | a stream between a virtual machine and its host |
--- | `unix` | `:/path` or `:@abstract` | a stream within this machine |
--- | `unixgram` `seqpacket` | `:/path` or `:@abstract` | messages within this machine; of `seqpacket` with connections |
--- | `icmp` `icmp4` `icmp6` | `://host` | the unprivileged ping socket |
--- | `raw` `raw4` `raw6` | `://host/protocol` | IP packets of a protocol: its name or number, 0 to 255 |
--- | `packet` | `://interface` | frames of an interface; `*`: of every one |
--- | `mem` | `:name` | a stream within this process |
--- | `fd` | `:N` | a descriptor; EBUSY where a socket of this program has it |
---
--- The host is a name, an IPv4 address, or an IPv6 address in brackets, with its
--- interface where it is link-local: `[fe80::1%eth0]`. `*` is every address, v4
--- and v6; an empty host is loopback, `127.0.0.1` (`::1` for tcp6, udp6, sctp6).
--- Short forms such as `127.1` or `0x7f000001` are neither names nor addresses,
--- and raise. The port is a whole number, 0 (ephemeral) to 65535, or the name of
--- a service.
---
--- A cid (vsock(7)) is a number below 4294967295, or `host` (2), `local` (1, this
--- very machine, which an empty one means, too), or `*` or `any` (every one of
--- this machine's); it prints as its number or `*`. Ports of vsock go to
--- 4294967294, and 0 is ephemeral as elsewhere.
---
--- A path has at most 107 bytes; an abstract name too, in which
--- `\xNN` is a byte. `unix:@` alone lets a listener get an abstract name from
--- the kernel.

---@class neap.endpoint
local endpoint = {}

--- An endpoint in parts.
---@class (exact) neap.Endpoint
---@field scheme string
---@field numeric boolean  the address is complete, nothing has to be looked up
---@field host string?  a name; the ip, with its interface; the cid; or `*`
---@field port integer?
---@field protocol integer?  of raw sockets
---@field interface string?  of packet sockets
---@field path string?  `/path` or `@abstract`
---@field name string?  of mem
---@field fd integer?
---@field address neap.Address?  where numeric

--- Take an endpoint apart. Raises for a malformed one.
---
--- ```lua
--- local endpoint = require "neap.endpoint"
---
--- local parts = assert(endpoint.parse "tcp://localhost:http")
--- print(parts.scheme, parts.host, parts.port, parts.numeric)  --> tcp localhost 80 false
--- ```
---@param text string
---@return neap.Endpoint? parts
---@return neap.Error? err  ENAMETOOLONG for a path, ENODEV for an interface that
--- there is not, EAI_SERVICE for a service that there is not
function endpoint.parse(text) end

--- The one form of an endpoint, given as text or in parts: what `parse` reads
--- as the same. Raises for a malformed one.
---
--- ```lua
--- local endpoint = require "neap.endpoint"
---
--- print(endpoint.print "tcp6://[0:0::1]:http")  --> tcp6://[::1]:80
--- print(endpoint.print {scheme = "unix", path = "/run/x.sock"})  --> unix:/run/x.sock
--- ```
---@param from string|neap.Endpoint
---@return string? text
---@return neap.Error? err  as of `parse`
function endpoint.print(from) end

return endpoint
