"""The floor: the same server and the same client with no governance at all. ``python bench/floor.py PORT UPSTREAM``."""

import asyncio
import sys

import aiohttp
import uvloop

from magistrate.adapters.serving import Server

UPSTREAM = sys.argv[2]
HEADERS = {"content-type": "application/json", "accept-encoding": "identity"}
session: aiohttp.ClientSession


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    async with session.post(UPSTREAM + scope["path"], data=body, headers=HEADERS) as response:
        headers = [
            (k.encode(), v.encode())
            for k, v in response.headers.items()
            if k.lower() in {"content-type", "content-length"}
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for chunk in response.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def main():
    global session
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    server = Server(app, address="127.0.0.1", port=int(sys.argv[1]))
    task = asyncio.ensure_future(server.serve())
    await asyncio.sleep(0.3)
    print("ready", flush=True)
    await task


uvloop.run(main())
