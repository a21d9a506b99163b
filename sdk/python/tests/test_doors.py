"""One hub, one door for everything, on as many addresses as it is told."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import unittest
import venv
from pathlib import Path

import aiohttp

from hub import Hub, binary, free_port, within
from nexus_integration_client import NexusIntegrationClient
from test_seed_blocks import PORT, port_is_free

#: What the printed examples ask for, with a body where one is needed and the status that it gets.
ASKED = [
    ("GET", "/health", None, 200),
    ("GET", "/services", None, 200),
    ("POST", "/services/nobody/invoke", {}, 404),
    ("PUT", "/state/app_config", {"value": {"theme": "dark"}}, 200),
    ("GET", "/state/app_config", None, 200),
    ("POST", "/events/test.event", {"payload": {"data": "test"}}, 200),
    ("POST", "/graphql", {"query": "{services{id}}"}, 200),
    ("GET", "/api/v1/health", None, 200),
    ("GET", "/api/v1/tokens", None, 200),
    ("POST", "/api/v1/commands", {"type": "no.such", "payload": {}, "correlationId": "c-1"}, 400),
]


def listening() -> set[str]:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {line[1] for line in lines if line[3] == "0A"}


class DoorsTest(unittest.IsolatedAsyncioTestCase):
    async def every_route_answers(self, client: NexusIntegrationClient) -> None:
        for method, path, body, status in ASKED:
            async with client.session().request(method, client.base_url + path, json=body) as answer:
                self.assertEqual(answer.status, status, f"{method} {path}: {await answer.text()}")
        for path in ("/ws", "/api/v1/events/ws"):
            async with client.session().ws_connect(client.base_url + path) as socket:
                self.assertFalse(socket.closed)

    async def test_everything_is_behind_one_port(self) -> None:
        """C-077"""
        hub = Hub()
        await hub.start()
        try:
            async with hub.client() as client:
                await self.every_route_answers(client)
        finally:
            await hub.stop()

    async def test_every_address_serves_every_route_and_a_bare_start_only_this_machine(self) -> None:
        """X-003"""
        second = free_port()
        hub = Hub()
        await hub.start("--listen", f"127.0.0.1:{second}")
        try:
            for url in (hub.url, f"http://127.0.0.1:{second}"):
                async with NexusIntegrationClient(url, hub.token) as client:
                    await self.every_route_answers(client)
        finally:
            await hub.stop()
        if not port_is_free():
            self.skipTest(f"port {PORT}, on which a bare start listens, is taken")
        with tempfile.TemporaryDirectory(prefix="nexus-test-") as folder:
            process = await asyncio.create_subprocess_exec(
                binary(), "serve", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=folder
            )
            try:
                assert process.stdout is not None
                while b"listening on" not in (line := await within(process.stdout.readline())):
                    self.assertTrue(line, "the hub ended at its start")
                own = {address for address in listening() if address.endswith(f":{PORT:04X}")}
                self.assertEqual(own, {f"0100007F:{PORT:04X}"})
                async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{PORT}/health") as answer:
                    self.assertEqual(answer.status, 200)
            finally:
                process.terminate()
                await within(process.wait())


class InstallTest(unittest.TestCase):
    def test_the_file_of_requirements_installs_what_the_client_needs(self) -> None:
        """C-125"""
        sdk = Path(__file__).resolve().parents[1]
        with tempfile.TemporaryDirectory(prefix="nexus-test-") as folder:
            venv.create(folder, with_pip=True)
            python = str(Path(folder, "bin/python"))
            install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            requirements = str(sdk / "nexus_integration_requirements.txt")
            subprocess.run([*install, "-r", requirements], check=True, timeout=120)
            use = "import nexus_integration_client as c; print(c.NexusIntegrationClient.__name__)"
            ran = subprocess.run([python, "-c", use], cwd=sdk, capture_output=True, text=True, timeout=60, check=True)
            self.assertEqual(ran.stdout.strip(), "NexusIntegrationClient")


if __name__ == "__main__":
    unittest.main()
