# usage: python3 bench/peers/udp_asyncio.py [uvloop]    a UDP echo server

import asyncio
import sys


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.send = transport.sendto

    def datagram_received(self, data, address):
        self.send(data, address)


async def serve():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    print("127.0.0.1:%d" % transport.get_extra_info("sockname")[1], flush=True)
    await loop.create_future()


if "uvloop" in sys.argv:
    import uvloop

    uvloop.install()
asyncio.run(serve())
