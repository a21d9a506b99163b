"""The printed examples of the integration core, run as they stand, each judged by what it did to the hub.

The text is read from the folder in ``NEXUS_SEEDS``, or ``../shared/seeds`` beside the project; where there is none, as
on a user's machine, these tests say so and are skipped. No line is changed: a block is only given the names that it
leaves undefined, and may await.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

import nexus_integration_core
from hub import PATIENCE, ROOT, binary, until
from nexus_integration_client import NexusIntegrationClient

SEEDS = Path(os.environ.get("NEXUS_SEEDS") or ROOT.parent / "shared/seeds")
SEED = SEEDS / "001-integration-core.md"
PORT = 8080


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", SEED.read_text(encoding="utf-8"), re.M | re.S)


def block(language: str, mark: str) -> str:
    found = [text for text in blocks(language) if mark in text]
    assert len(found) == 1, f"{len(found)} {language} blocks hold {mark!r}"
    return found[0]


async def run(text: str, names: dict[str, Any]) -> str:
    """Runs a block and gives back what it printed."""
    code = compile(text, SEED.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = eval(code, names)  # the point of this test
        if result is not None:
            await result
    return printed.getvalue()


def port_is_free() -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", PORT))
        except OSError:
            return False
    return True


@unittest.skipUnless(SEED.exists(), f"the seeds are not at {SEEDS}; set NEXUS_SEEDS to run their examples")
class SeedBlocksTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        # The examples name port 8080 and files of the working directory.
        if not port_is_free():
            self.skipTest(f"port {PORT}, which the examples name, is taken")
        folder = tempfile.TemporaryDirectory(prefix="nexus-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        before = os.getcwd()
        os.chdir(folder.name)
        self.addCleanup(os.chdir, before)
        os.environ["NEXUS_BINARY"] = binary()
        self.names: dict[str, Any] = {"MessagePriority": nexus_integration_core.MessagePriority}
        await run(block("python", "core = NexusIntegrationCore(config)"), self.names)
        self.core = self.names["core"]
        self.addAsyncCleanup(self.core.stop)
        self.client: NexusIntegrationClient = self.core.client

    async def log(self, topic: str) -> list[dict[str, Any]]:
        found = await self.client.request("GET", "/api/v1/events", query={"type": topic})
        return list(found["data"])

    async def wait_for_print(self, printed: io.StringIO, text: str, times: int = 1) -> None:
        async def seen() -> bool:
            return printed.getvalue().count(text) >= times

        await until(seen, f"{text!r} to be printed {times} times; printed was {printed.getvalue()!r}")

    async def test_the_core_starts_as_printed(self) -> None:
        """C-126, C-130, C-131"""
        self.assertEqual((await self.client.health_check())["status"], "healthy")
        listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        self.assertIn(f"00000000:{PORT:04X}", [line[1] for line in listening if line[3] == "0A"])

    async def test_a_service_is_registered_as_printed(self) -> None:
        """C-001"""
        await run(block("python", "service_registry.register"), self.names)
        (found,) = await self.client.list_services()
        wanted = {
            "id": "my-service",
            "name": "my-service",
            "version": "1.0.0",
            "host": "localhost",
            "port": 8081,
            "capabilities": ["feature1", "feature2"],
            "health_check_url": "/health",
        }
        self.assertEqual({name: found[name] for name in wanted}, wanted)

    async def test_events_are_published_as_printed(self) -> None:
        await run(block("python", "# High priority event"), self.names)
        (user,) = await self.log("user.created")
        self.assertEqual((user["payload"]["user_id"], user["priority"]), (123, "NORMAL"))
        (alert,) = await self.log("system.alert")
        self.assertEqual((alert["payload"]["severity"], alert["priority"]), ("critical", "CRITICAL"))

    async def test_handlers_subscribe_as_printed(self) -> None:
        text = block("python", "core.message_bus.subscribe")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            await run(text, self.names)
            await self.core.message_bus.publish("user.created", {"n": 1})
            await self.core.message_bus.publish("user.deleted", {"n": 2})
            await self.core.message_bus.publish("order.created", {"n": 3})
            # Exact and wildcard: twice the one, once the other.
            await self.wait_for_print(printed, "User event: {'n': 1}", 2)
            await self.wait_for_print(printed, "User event: {'n': 2}", 1)
        self.assertEqual(printed.getvalue().count("User event:"), 3)

    async def test_state_is_written_read_and_watched_as_printed(self) -> None:
        """C-040"""
        printed = io.StringIO()
        await run(block("python", "core.state_store.watch"), self.names)
        self.assertEqual(self.names["config"], {"theme": "dark"})
        self.assertEqual(await self.client.get_state("app_config"), {"theme": "dark"})
        with contextlib.redirect_stdout(printed):
            await self.core.state_store.set("app_config", {"theme": "light"})
            await self.wait_for_print(printed, "Config changed: {'theme': 'dark'} -> {'theme': 'light'}")
        self.assertEqual(printed.getvalue().count("Config changed"), 1)

    async def test_the_client_is_used_as_printed(self) -> None:
        os.environ["NEXUS_TOKEN"] = (self.folder / "nexus-data/admin.token").read_text().strip()
        self.addCleanup(os.environ.pop, "NEXUS_TOKEN")
        await run(block("python", "async with NexusIntegrationClient() as client"), self.names)
        self.assertEqual(self.names["health"]["status"], "healthy")
        self.assertEqual(self.names["services"], [])
        (event,) = await self.log("test.event")
        self.assertEqual(event["payload"], {"data": "test"})

    async def test_the_graphql_examples_answer_as_printed(self) -> None:
        """C-068, C-069, C-070"""
        await run(block("python", "service_registry.register"), self.names)
        await self.core.state_store.set("app_config", {"theme": "dark"})
        (text,) = blocks("graphql")
        services, state, publish = re.findall(r"^(?:query|mutation) \{.*?^\}", text, re.M | re.S)
        answer = await self.client.graphql_query(services)
        self.assertEqual(answer["data"]["services"][0]["capabilities"], ["feature1", "feature2"])
        answer = await self.client.graphql_query(state)
        shown = answer["data"]["state"]
        self.assertEqual((shown["key"], json.loads(shown["value"]), shown["version"]), ("app_config", {"theme": "dark"}, 1))
        answer = await self.client.graphql_query(publish)
        self.assertTrue(answer["data"]["publishEvent"]["success"])
        (event,) = await self.log("test.event")
        self.assertEqual((event["payload"], event["id"]), ({"data": "test"}, answer["data"]["publishEvent"]["messageId"]))

    async def test_the_socket_is_used_as_printed(self) -> None:
        """C-072, C-073"""
        (text,) = blocks("javascript")
        token = (self.folder / "nexus-data/admin.token").read_text().strip()
        # Only `ws` is supplied; what the block sends is answered by the hub and shown.
        harness = """
            const ws = new WebSocket(`ws://localhost:8080/ws?token=${process.env.TOKEN}`);
            ws.onmessage = (m) => console.log(m.data);
            ws.onerror = (e) => { console.error(e.message); process.exit(1); };
            ws.onopen = () => { %s
              ws.send(JSON.stringify({type: "publish", topic: "system.seen", payload: 1}));
            };
            ws.addEventListener("message", (m) => { if (m.data.includes("system.seen") && JSON.parse(m.data).type === "event") process.exit(0); });
        """
        command = ["node", "--experimental-websocket", "--no-warnings", "-e", harness % text]
        ran = subprocess.run(
            command, env={**os.environ, "TOKEN": token}, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        self.assertEqual(ran.returncode, 0, ran.stderr + ran.stdout)
        frames = [json.loads(line) for line in ran.stdout.splitlines()]
        self.assertIn("system.*", [f.get("topic") for f in frames if f["type"] == "subscribed"])
        (event,) = await self.log("test.event")
        self.assertEqual(event["payload"], {"data": "test"})


if __name__ == "__main__":
    unittest.main()
