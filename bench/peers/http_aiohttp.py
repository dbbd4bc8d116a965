"""http_aiohttp.py http ENDPOINT"""
import asyncio
import json
import socket

from aiohttp import web

try:
    import uvloop
    uvloop.install()
except ImportError:
    pass

TEXT = {"text": "x" * 1012}
FILE = b"x" * 100 * 1024


async def hello(_):
    return web.Response(text="hello\n")


async def as_json(_):
    return web.Response(text=json.dumps(TEXT, separators=(",", ":")) + "\n", content_type="application/json")


async def file(_):
    return web.Response(body=FILE)


async def post(request):
    count = 0
    async for chunk in request.content.iter_any():
        count += len(chunk)
    return web.Response(text="%d\n" % count)


async def websocket(request):
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    async for message in ws:
        await ws.send_bytes(message.data)
    return ws


async def main():
    app = web.Application()
    app.add_routes([web.get("/", hello), web.get("/json", as_json), web.get("/file", file), web.post("/post", post)])
    app.add_routes([web.get("/ws", websocket)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    await web.SockSite(runner, listener, backlog=4096).start()
    print("tcp://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
