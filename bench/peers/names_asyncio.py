"""usage: names_asyncio.py LOOKUPS AT-ONCE"""
import asyncio
import socket
import sys
import time

LOOKUPS, AT_ONCE = int(sys.argv[1]), int(sys.argv[2])


async def main():
    loop = asyncio.get_running_loop()
    names = iter(range(LOOKUPS))

    async def work():
        for n in names:
            found = await loop.getaddrinfo(f"n{n}.test", None, type=socket.SOCK_STREAM)
            assert len(found) == 2

    began, computed = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    print(LOOKUPS / (time.perf_counter() - began),
          (time.process_time() - computed) / LOOKUPS * 1e6)


asyncio.run(main())
