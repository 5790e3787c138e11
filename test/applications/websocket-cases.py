#!/usr/bin/env python3
"""Cases of Autobahn's list by the client of Python's `websockets`, against an echo server: direct, or through the gateway. Prints one line per case.

    test/applications/websocket-cases.py ws://127.0.0.1:ORIGIN/ > direct; test/applications/websocket-cases.py ws://HOST:GATEWAY/ > through; diff direct through
"""
import asyncio
import sys

import websockets
from websockets.exceptions import ConnectionClosed

URL = sys.argv[1]
SIZES = [0, 1, 125, 126, 127, 128, 65535, 65536, 1_000_000]


async def case(name, use, **options):
    try:
        async with websockets.connect(URL, max_size=None, open_timeout=30, **options) as socket:
            result = await asyncio.wait_for(use(socket), 60)
    except ConnectionClosed as closed:
        result = f"closed {closed.rcvd.code if closed.rcvd else 'without a frame'}"
    print(f"{name}: {result}", flush=True)


def echo(*parts):
    async def use(socket):
        await socket.send(parts[0] if len(parts) == 1 else list(parts))
        whole = parts[0][:0].join(parts)
        return "same" if await socket.recv() == whole else "DIFFERENT"

    return use


def raw(*frames):
    """Frames that the library would not send; the answer is an echo, or a close with its code."""

    async def use(socket):
        for one in frames:
            socket.transport.write(one)
        got = await socket.recv()
        return f"{type(got).__name__} {len(got)}"

    return use


async def ping(socket):
    await asyncio.wait_for(await socket.ping(b"x" * 125), 30)
    return "pong"


def close(code, reason=""):
    async def use(socket):
        await socket.close(code, reason)
        return f"{socket.close_code} {socket.close_reason}"

    return use


def frame(first, payload=b""):
    """Masked with zeros; `first` has FIN, the reserved bits and the opcode."""
    return bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload


async def main():
    for size in SIZES:
        await case(f"1.1 text of {size}", echo("*" * size), compression=None)
        await case(f"1.2 binary of {size}", echo(b"\xfe" * size), compression=None)
        await case(f"12 compressed text of {size}", echo("ab" * (size // 2)))
    await case("2 ping", ping)
    for bit in (0x40, 0x20, 0x10):
        await case(f"3 reserved bit {bit:#x}", raw(frame(0x81 | bit, b"x")), compression=None)
    for opcode in (3, 7, 11, 15):
        await case(f"4 opcode {opcode}", raw(frame(0x80 | opcode)), compression=None)
    await case("5 fragments", echo("a" * 100, "b" * 70_000, "", "c"), compression=None)
    await case("5 fragments of binary", echo(*[b"x"] * 200), compression=None)
    await case("5 continuation of nothing", raw(frame(0x80, b"x")), compression=None)
    await case("5 text within fragments", raw(frame(0x1, b"a"), frame(0x81, b"b")), compression=None)
    await case("5 fragmented ping", raw(frame(0x9, b"a")), compression=None)
    await case("2 ping of 126 bytes", raw(bytes([0x89, 0xFE, 0, 126, 0, 0, 0, 0]) + b"x" * 126), compression=None)
    await case("6 valid UTF-8", echo("κόσμε \U0001f600 \ufffd"), compression=None)
    await case("6 UTF-8 that is none", raw(frame(0x81, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80")), compression=None)
    await case("6 UTF-8 cut within a character, in two fragments", raw(frame(0x1, b"\xce"), frame(0x80, b"\xba")), compression=None)
    await case("7 unmasked frame", raw(b"\x81\x01x"), compression=None)
    for code in (1000, 1001, 1003, 1007, 1009, 1011, 3000, 4999):
        await case(f"7 close {code}", close(code, "bye"))
    await case("7 close of one byte", raw(frame(0x88, b"\x03")), compression=None)
    await case("7 close 1005", raw(frame(0x88, (1005).to_bytes(2, "big"))), compression=None)
    await case("9 message of 8 MiB", echo(b"x" * (8 << 20)), compression=None)


asyncio.run(main())
