"""asyncio_server.py MODE ENDPOINT [UPSTREAM], over uvloop when LOOP=uvloop.

Streams where a script would use them (lines); a Protocol for echo and tls,
asyncio's fastest."""

import asyncio
import os
import resource
import ssl
import sys

mode, endpoint, *upstream = sys.argv[1:]


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def lines(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
    except ConnectionError:
        pass
    writer.close()


async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def relay(reader, writer):
    port = int(upstream[0].split(":")[-1])
    try:
        r, w = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, w), pipe(r, writer))
    except ConnectionError:
        pass


async def main():
    loop = asyncio.get_running_loop()
    path = endpoint[5:] if endpoint.startswith("unix:") else None
    if mode == "tls":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(os.environ["TLS_CERT"], os.environ["TLS_KEY"])
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096, ssl=context)
    elif mode == "echo":
        server = await (
            loop.create_unix_server(Echo, path, backlog=4096)
            if path
            else loop.create_server(Echo, "127.0.0.1", 0, backlog=4096)
        )
    else:
        handler = {"lines": lines, "relay": relay}[mode]
        server = await asyncio.start_server(handler, "127.0.0.1", 0, backlog=4096)
    where = endpoint if path else "tcp://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    print(where, flush=True)
    await server.serve_forever()


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
if os.environ.get("LOOP") == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(main())
