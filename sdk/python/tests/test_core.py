"""A hub that a Python program starts and ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest
import warnings
from pathlib import Path

from hub import PATIENCE, binary, free_port, until, within
from nexus_integration_core import Message, MessagePriority, NexusIntegrationCore, ServiceInfo


class CoreTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nexus-test-")
        self.addCleanup(self._folder.cleanup)
        self.folder = Path(self._folder.name)

    def core(self, **more: object) -> NexusIntegrationCore:
        config = {
            "api_host": "127.0.0.1",
            "api_port": free_port(),
            "data_dir": str(self.folder / "data"),
            "state_file": str(self.folder / "state.json"),
            "binary": binary(),
        }
        return NexusIntegrationCore({**config, **more})

    async def test_what_is_subscribed_by_a_plain_call_gets_what_is_published_after_it(self) -> None:
        got: asyncio.Queue[Message] = asyncio.Queue()
        changes: asyncio.Queue[tuple[str, object, object]] = asyncio.Queue()
        async with self.core() as core:
            core.message_bus.subscribe("user.*", got.put)
            core.state_store.watch("app_config", lambda *change: changes.put_nowait(change))
            await core.message_bus.publish("user.created", {"id": 7}, priority=MessagePriority.HIGH)
            self.assertEqual((await within(got.get())).payload, {"id": 7})
            self.assertEqual(await core.state_store.set("app_config", 1), 1)
            self.assertEqual(await within(changes.get()), ("app_config", None, 1))
            self.assertEqual(await core.state_store.get("app_config"), 1)
            self.assertIsNone(await core.state_store.get("nothing"))
            info = ServiceInfo("s-1", "s", "1.0.0", "127.0.0.1", free_port(), capabilities=["x"])
            await core.service_registry.register(info)
            self.assertEqual([s.id for s in await core.service_registry.discover(capability="x")], ["s-1"])

    async def test_a_state_file_is_written_and_taken_over_by_an_empty_hub(self) -> None:
        """C-133"""
        file = self.folder / "state.json"
        async with self.core() as core:
            await core.state_store.set("app_config", {"theme": "dark"})
        self.assertIn("app_config", file.read_text())
        async with self.core(data_dir=str(self.folder / "other")) as core:
            self.assertEqual(await core.state_store.get("app_config"), {"theme": "dark"})

    async def test_a_redis_url_is_accepted_with_one_warning(self) -> None:
        """C-132"""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            async with self.core(redis_url="redis://localhost:6379") as core:
                self.assertEqual((await core.client.health_check())["status"], "healthy")
        self.assertEqual([str(w.message).split()[0] for w in caught if w.category is RuntimeWarning], ["redis_url"])

    async def test_wrong_use_is_refused_by_name(self) -> None:
        with self.assertRaisesRegex(ValueError, "api_prot"):
            NexusIntegrationCore({"api_prot": 8080})
        with self.assertRaisesRegex(RuntimeError, "await core.start"):
            self.core().message_bus
        with self.assertRaisesRegex(FileNotFoundError, "NEXUS_BINARY"):
            await self.core(binary="no-such-program").start()
        self.assertEqual(NexusIntegrationCore({}).config["api_host"], "0.0.0.0")
        self.assertEqual(NexusIntegrationCore().config["api_port"], 8080)

    async def test_a_hub_that_can_not_start_says_why(self) -> None:
        first = self.core()
        await first.start()
        try:
            second = self.core(api_port=first.config["api_port"], data_dir=str(self.folder / "second"))
            with self.assertRaisesRegex(RuntimeError, "before it was ready"):
                await second.start()
        finally:
            await first.stop()

    async def test_the_hub_ends_with_the_interpreter_even_when_that_is_killed(self) -> None:
        core = self.core()
        program = textwrap.dedent(
            """
            import asyncio, json, sys
            from nexus_integration_core import NexusIntegrationCore
            async def main():
                core = NexusIntegrationCore(json.loads(sys.argv[1]))
                await core.start()
                print(core._process.pid, flush=True)
                await asyncio.sleep(600)
            asyncio.run(main())
            """
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        child = subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(core.config)], stdout=subprocess.PIPE, env=environment
        )
        try:
            assert child.stdout is not None
            pid = int(await within(asyncio.to_thread(child.stdout.readline)))
            child.send_signal(signal.SIGKILL)
            child.wait(PATIENCE)

            async def gone() -> bool:
                try:
                    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                except FileNotFoundError:
                    return True
                return state == "Z"

            await until(gone, "the hub to end with its parent")
        finally:
            child.kill()
            child.wait(PATIENCE)


if __name__ == "__main__":
    unittest.main()
