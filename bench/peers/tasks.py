"""tasks.py [COUNT]: asyncio's tasks, over uvloop when LOOP=uvloop."""

import asyncio
import os
import sys
import time

count = int(sys.argv[1]) if len(sys.argv) > 1 else 200000


async def nothing():
    pass


async def yielding(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def main():
    start = time.perf_counter()
    for _ in range(count // 1000):
        await asyncio.gather(*[asyncio.create_task(nothing()) for _ in range(1000)])
    spawn = (time.perf_counter() - start) / count
    start = time.perf_counter()
    await asyncio.gather(yielding(count), yielding(count))
    print("%.1f %.1f" % (spawn * 1e9, (time.perf_counter() - start) / count / 2 * 1e9))


if os.environ.get("LOOP") == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(main())
