"""The client against a real hub."""

from __future__ import annotations

import asyncio
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import nexus_integration_client
from hub import Hub, Service, free_port, until, within
from nexus_integration_client import (
    ConsumedEvent,
    Message,
    MessagePriority,
    NexusConnectionError,
    NexusError,
    NexusIntegrationClient,
    ServiceInfo,
    close_integration_client,
    configure_integration,
    get_integration_client,
)


class ClientTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.hub = Hub()
        await self.hub.start()
        self.client = self.hub.client()

    async def asyncTearDown(self) -> None:
        await self.client.close()
        await self.hub.stop()

    async def test_it_connects_and_closes(self) -> None:
        """C-120, C-121"""
        async with NexusIntegrationClient(self.hub.url, self.hub.token) as client:
            health = await client.health_check()
            self.assertEqual(health["status"], "healthy")
        self.assertTrue(client.closed)
        with self.assertRaises(RuntimeError):
            await client.health_check()

    async def test_it_lists_and_invokes_services(self) -> None:
        """C-122"""
        self.assertEqual(await self.client.list_services(), [])
        service = Service()
        await service.start()
        try:
            info = ServiceInfo("echo-1", "echo", "1.0.0", "127.0.0.1", service.port, capabilities=["echo"])
            await self.client.register_service(info)

            async def healthy() -> bool:
                return len(await self.client.list_services(name="echo", status="healthy")) == 1

            await until(healthy, "the service to be healthy")
            found = await self.client.list_services(capability="echo")
            self.assertEqual([s["id"] for s in found], ["echo-1"])
            self.assertEqual(ServiceInfo.from_dict(found[0]).port, service.port)
            self.assertEqual(await self.client.invoke_service("echo", {"n": 1}), {"echo": {"n": 1}})
            service.status = 418
            with self.assertRaises(NexusError) as refused:
                await self.client.invoke_service("echo", {"n": 2})
            self.assertEqual(refused.exception.status, 418)
            await self.client.deregister_service("echo-1")
            self.assertIsNone(await self.client.get_service("echo-1"))
        finally:
            await service.stop()

    async def test_state_has_versions_and_a_stale_write_is_refused(self) -> None:
        """C-049"""
        self.assertIsNone(await self.client.get_state("app/config é"))
        with self.assertRaises(NexusError) as no_key:
            await self.client.get_state("")
        self.assertEqual(no_key.exception.status, 422)
        self.assertIn("a key has 1 to 256 bytes", str(no_key.exception))
        written = await self.client.set_state("app/config é", {"theme": "dark"})
        self.assertEqual((written["success"], written["version"]), (True, 1))
        self.assertEqual(await self.client.get_state("app/config é"), {"theme": "dark"})
        await self.client.set_state("app/config é", {"theme": "light"}, expected_version=1)
        with self.assertRaises(NexusError) as stale:
            await self.client.set_state("app/config é", {"theme": "red"}, expected_version=1)
        self.assertEqual((stale.exception.status, stale.exception.body["version"]), (409, 2))
        self.assertEqual([h["version"] for h in await self.client.state_history("app/config é")], [1, 2])
        items = (await self.client.list_state("app/"))["items"]
        self.assertEqual([item["key"] for item in items], ["app/config é"])

    async def test_a_watcher_sees_each_change_once(self) -> None:
        """C-045"""
        seen: asyncio.Queue[tuple[str, object, object]] = asyncio.Queue()
        await self.client.watch("app_config", lambda key, old, new: seen.put_nowait((key, old, new)))
        await self.client.set_state("other", 1)
        await self.client.set_state("app_config", {"theme": "dark"})
        await self.client.set_state("app_config", {"theme": "light"})
        self.assertEqual(await within(seen.get()), ("app_config", None, {"theme": "dark"}))
        self.assertEqual(await within(seen.get()), ("app_config", {"theme": "dark"}, {"theme": "light"}))
        self.assertTrue(seen.empty())

    async def test_a_published_event_is_delivered_once_to_each_handler(self) -> None:
        """C-123, C-029, C-031"""
        exact: list[Message] = []
        wide: asyncio.Queue[Message] = asyncio.Queue()

        async def handler(message: Message) -> None:
            exact.append(message)

        def failing(message: Message) -> None:
            raise ValueError("on purpose")

        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await self.client.subscribe_to_events("test.event", failing)
        await self.client.subscribe_to_events("test.event", handler)
        await self.client.subscribe_to_events("test.*", wide.put)
        sent = await self.client.publish_event("test.event", {"data": "test"}, MessagePriority.CRITICAL)
        await self.client.publish_event("test.other", 2)
        first, second = await within(wide.get()), await within(wide.get())
        self.assertEqual((first.topic, first.payload, first.id), ("test.event", {"data": "test"}, sent["message_id"]))
        self.assertEqual((second.topic, second.payload), ("test.other", 2))
        self.assertEqual([m.id for m in exact], [first.id])
        stored = await self.client.request("GET", f"/api/v1/events/{first.id}")
        self.assertEqual(stored["data"]["priority"], "CRITICAL")
        await self.client.unsubscribe_from_events("test.event", handler)
        await self.client.publish_event("test.event", 3)
        await within(wide.get())
        self.assertEqual(len(exact), 1)

    async def test_a_subscription_survives_a_restart_of_the_hub(self) -> None:
        """C-124"""
        await self.client.connect_websocket()
        await self.client.subscribe_to_events("system.*")
        events = self.client.events()
        await self.client.publish_event("system.before", 1)
        self.assertEqual((await within(anext(events))).topic, "system.before")
        await self.hub.kill()
        await self.hub.start()
        # By another client, as this one's socket may still be on its way back: what it misses meanwhile must come.
        async with self.hub.client() as other:
            await other.publish_event("system.meanwhile", 2)
        self.assertEqual((await within(anext(events))).topic, "system.meanwhile")
        await self.client.publish_event("system.after", 3)
        self.assertEqual((await within(anext(events))).topic, "system.after")

    async def test_a_consumer_gets_again_what_its_handler_did_not_take(self) -> None:
        attempts: list[tuple[object, int]] = []
        done = asyncio.Event()

        async def handler(event: ConsumedEvent) -> None:
            attempts.append((event.payload, event.attempt))
            if event.payload == "bad" and event.attempt == 1:
                raise RuntimeError("not now")
            if {payload for payload, _ in attempts} == {"good", "bad"} and ("bad", 2) in attempts:
                done.set()

        work = asyncio.ensure_future(self.client.consume("work", handler, filter="job.*"))

        async def made() -> bool:
            found = await self.client.request("GET", "/api/v1/subscriptions")
            return any(s["name"] == "work" for s in found["data"])

        await until(made, "the subscription")
        await self.client.publish_event("job.new", "bad")
        await self.client.publish_event("job.new", "good")
        await within(done.wait())
        work.cancel()
        self.assertIn(("good", 1), attempts)
        self.assertEqual([a for a in attempts if a[0] == "bad"], [("bad", 1), ("bad", 2)])

    async def test_graphql_answers(self) -> None:
        answer = await self.client.graphql_query("query($t:String!){__type(name:$t){name}}", {"t": "Query"})
        self.assertEqual(answer, {"data": {"__type": {"name": "Query"}}})

    async def test_a_refusal_is_an_error_that_says_what_would_be_right(self) -> None:
        """K-129"""
        with self.assertRaises(NexusError) as refused:
            await self.client.publish_event("not..a.topic", 1)
        self.assertEqual((refused.exception.status, refused.exception.retryable), (400, False))
        self.assertTrue(refused.exception.code and refused.exception.request_id)
        async with NexusIntegrationClient(self.hub.url, "nxs_wrong") as stranger:
            with self.assertRaises(NexusError) as unknown:
                await stranger.list_services()
            self.assertEqual((unknown.exception.status, unknown.exception.code), (401, "UNAUTHENTICATED"))
            with self.assertRaises(NexusError) as socket:
                await within(stranger.connect_websocket())
            self.assertEqual((socket.exception.status, socket.exception.code), (401, "UNAUTHENTICATED"))
            self.assertIn(unknown.exception.message, str(socket.exception))
            self.assertIn("token", str(socket.exception))

    async def test_a_hub_that_is_not_there_is_said_so(self) -> None:
        async with NexusIntegrationClient(f"http://127.0.0.1:{free_port()}", "nxs_any") as client:
            with self.assertRaises(NexusConnectionError):
                await client.publish_event("a", 1)
            with self.assertRaises(NexusConnectionError):
                await within(client.connect_websocket())


class SettingsTest(unittest.IsolatedAsyncioTestCase):
    async def test_the_hub_and_the_token_are_found_in_the_stated_order(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "admin.token").write_text("nxs_file\n")
            bare = {"NEXUS_DATA": folder}
            with mock.patch.dict(os.environ, bare, clear=True):
                client = NexusIntegrationClient()
                self.assertEqual((client.base_url, client._token), ("http://localhost:8080", "nxs_file"))
            full = {**bare, "INTEGRATION_HUB_URL": "http://hub:1/", "INTEGRATION_HUB_TOKEN": "nxs_env"}
            with mock.patch.dict(os.environ, full, clear=True):
                client = NexusIntegrationClient()
                self.assertEqual((client.base_url, client._token), ("http://hub:1", "nxs_env"))
                configure_integration(hub_url="http://configured:2", token="nxs_configured")
                shared = get_integration_client()
                self.assertIs(shared, get_integration_client())
                self.assertEqual((shared.base_url, shared._token), ("http://configured:2", "nxs_configured"))
                await close_integration_client()
                self.assertTrue(shared.closed)
                client = NexusIntegrationClient("http://given:3", "nxs_given")
                self.assertEqual((client.base_url, client._token), ("http://given:3", "nxs_given"))
                configure_integration()

    def test_a_filter_matches_as_the_hub_does(self) -> None:
        matches = lambda f, t: nexus_integration_client._Subscription(f, None).matches(t)  # noqa: E731
        self.assertTrue(matches("user.*", "user.created"))
        self.assertFalse(matches("user.*", "user.a.b"))
        self.assertFalse(matches("user.*", "user"))
        self.assertTrue(matches("user.>", "user.a.b") and matches("**", "a.b.c"))
        self.assertFalse(matches("user.>", "user"))


if __name__ == "__main__":
    unittest.main()
