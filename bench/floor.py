"""The floor: the same server and the same client with no governance at all. ``python bench/floor.py PORT UPSTREAM``."""

import asyncio
import sys

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from pyreqwest.client import ClientBuilder

UPSTREAM = sys.argv[2]
client = ClientBuilder().no_proxy().follow_redirects(False).pool_max_idle_per_host(256).build()


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    sending = client.post(UPSTREAM + scope["path"]).headers([("content-type", "application/json")])
    sending = sending.body_bytes(body).streamed_read_buffer_limit(0).build_streamed()
    response = await sending.__aenter__()
    headers = [
        (k.encode(), v.encode())
        for k, v in response.headers.items()
        if k.lower() in {"content-type", "content-length"}
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    reader = response.body_reader
    while (chunk := await reader.read_chunk()) is not None:
        await send({"type": "http.response.body", "body": bytes(chunk), "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    await sending.__aexit__(None, None, None)


async def main():
    server = Server(
        app, port=int(sys.argv[1]), interface=Interfaces.ASGINL, http=HTTPModes.http1, log_enabled=False
    )
    task = asyncio.ensure_future(server.serve())
    await asyncio.sleep(0.3)
    print("ready", flush=True)
    await task


uvloop.run(main())
