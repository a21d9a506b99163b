"""A hub whose certificate no public authority has signed."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import unittest
from pathlib import Path
from unittest import mock

from hub import Hub, within
from nexus_integration_client import Message, NexusCertificateError, NexusIntegrationClient


def certificate(folder: Path, name: str) -> str:
    """A certificate for localhost that has signed itself, and its key."""
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
    holds = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    holds += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*made, *files, *holds], check=True, capture_output=True)
    return str(folder / f"{name}.pem")


class TlsTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.hub = Hub()
        self.own, self.other = (certificate(self.hub.folder, name) for name in ("own", "other"))
        await self.hub.start("--tls-cert", self.own, "--tls-key", str(self.hub.folder / "own.key"))
        self.url = f"https://localhost:{self.hub.port}"

    async def asyncTearDown(self) -> None:
        await self.hub.stop()

    async def test_its_certificate_is_trusted_where_it_is_named(self) -> None:
        async with NexusIntegrationClient(self.url, self.hub.token, ca=self.own) as client:
            heard: asyncio.Queue[Message] = asyncio.Queue()
            await within(client.subscribe_to_events("order.*", heard.put))
            await client.publish_event("order.created", {"id": 7})
            self.assertEqual((await within(heard.get())).payload, {"id": 7})
        with mock.patch.dict(os.environ, {"NEXUS_CA": self.own}):
            async with NexusIntegrationClient(self.url, self.hub.token) as client:
                self.assertEqual((await client.health_check())["status"], "healthy")
        context = ssl.create_default_context(cafile=self.own)
        async with NexusIntegrationClient(self.url, self.hub.token, ca=context) as client:
            self.assertEqual((await client.health_check())["status"], "healthy")

    async def test_elsewhere_it_is_refused_with_the_reason(self) -> None:
        for ca in (None, self.other):
            async with NexusIntegrationClient(self.url, self.hub.token, ca=ca) as client:
                with self.assertRaisesRegex(NexusCertificateError, "self.signed certificate.*ca=") as refused:
                    await client.list_services()
                self.assertEqual((refused.exception.code, refused.exception.retryable), ("CERTIFICATE", False))
                with self.assertRaisesRegex(NexusCertificateError, "self.signed certificate.*ca="):
                    await within(client.subscribe_to_events("order.*", print))
        address = self.url.replace("localhost", "127.0.0.1")
        async with NexusIntegrationClient(address, self.hub.token, ca=self.own) as client:
            with self.assertRaisesRegex(NexusCertificateError, "not valid for '127.0.0.1'"):
                await client.list_services()

    async def test_a_file_that_holds_no_certificate_is_named(self) -> None:
        for file in (str(self.hub.folder / "own.key"), str(self.hub.folder / "absent.pem")):
            with self.assertRaisesRegex(ValueError, file):
                NexusIntegrationClient(self.url, ca=file)
        # Nobody speaks TLS: nobody needs it.
        await NexusIntegrationClient("http://localhost:1", ca="absent.pem").close()
