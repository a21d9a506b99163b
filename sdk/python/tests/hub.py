"""A real hub for a test: the binary in a child process, on a free port, with a folder of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any, Awaitable, Callable, Optional, TypeVar

from aiohttp import web

from nexus_integration_client import TOKEN_FILE, NexusIntegrationClient

ROOT = Path(__file__).resolve().parents[3]
#: Longest wait for anything.
PATIENCE = 30.0

T = TypeVar("T")


def binary() -> str:
    return os.environ.get("NEXUS_BINARY") or str(ROOT / "target/debug/nexus")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def within(work: Awaitable[T]) -> T:
    return await asyncio.wait_for(work, PATIENCE)


async def until(look: Callable[[], Awaitable[Optional[T]]], what: str) -> T:
    """Looks again until there is something to see."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < deadline:
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE} s in vain for {what}")


class Hub:
    """Starts, is killed, starts again over the same folder and port."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nexus-test-")
        self.data = Path(self._folder.name, "data")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(self._folder.name)
        self._process: Optional[asyncio.subprocess.Process] = None

    async def start(self, *more: str) -> None:
        arguments = ["serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.data), *more]
        self._process = await asyncio.create_subprocess_exec(
            binary(),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._folder.name,
        )
        assert self._process.stdout is not None
        stream = self._process.stdout
        lines = []
        while True:
            line = (await within(stream.readline())).decode()
            lines.append(line)
            assert line, "the hub ended at its start:\n" + "".join(lines)
            if "listening on" in line:
                break
        self._reader = asyncio.ensure_future(stream.read())

    async def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await within(self._process.wait())
        await self._reader

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await within(self._process.wait())
            await self._reader
        self._folder.cleanup()

    @property
    def token(self) -> str:
        return Path(self.data, TOKEN_FILE).read_text().strip()

    def client(self) -> NexusIntegrationClient:
        return NexusIntegrationClient(self.url, self.token)


class Service:
    """A small service: healthy, and its `/invoke` answers what it got."""

    def __init__(self) -> None:
        self.port = free_port()
        self.got: list[Any] = []
        self.status = 200
        self._runner: Optional[web.AppRunner] = None

    async def start(self) -> None:
        async def health(_: web.Request) -> web.Response:
            return web.json_response({"status": "healthy"})

        async def invoke(request: web.Request) -> web.Response:
            body = await request.json()
            self.got.append(body)
            return web.json_response({"echo": body}, status=self.status)

        app = web.Application()
        app.add_routes([web.get("/health", health), web.post("/invoke", invoke)])
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
