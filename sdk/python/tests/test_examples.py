"""The programs of `examples/python`, run as they stand, judged by what they did to the hub."""

from __future__ import annotations

import asyncio
import os
import sys
import unittest

from hub import ROOT, Hub, within


class ExamplesTest(unittest.IsolatedAsyncioTestCase):
    async def run_example(self, hub: Hub, name: str) -> str:
        environment = {
            **os.environ,
            "INTEGRATION_HUB_URL": hub.url,
            "NEXUS_TOKEN": hub.token,
            "PYTHONPATH": str(ROOT / "sdk/python"),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "examples/python" / name),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await within(process.communicate())
        self.assertEqual(process.returncode, 0, stderr.decode())
        return stdout.decode()

    async def test_the_shop_sells_each_order_once_also_when_it_runs_again(self) -> None:
        hub = Hub()
        self.addAsyncCleanup(hub.stop)
        await hub.start()
        async with hub.client() as client:
            for run, left in ((1, 94), (2, 88)):
                lines = (await self.run_example(hub, "shop.py")).splitlines()
                self.assertEqual(len(lines), 3, lines)
                self.assertEqual(await client.get_state("shop/stock"), left)
                found = await client.request("GET", "/api/v1/events?type=order.priced")
                told = sorted((event["payload"]["id"], event["payload"]["price"]) for event in found["data"])
                self.assertEqual(told, sorted([(1, 5), (2, 10), (3, 15)] * run))
                self.assertEqual(await client.list_services(), [])
                status = await client.request("GET", "/api/v1/subscriptions/shop/status")
                self.assertEqual((status["data"]["in_flight"], status["data"]["retrying"]), (0, 0))


if __name__ == "__main__":
    unittest.main()
