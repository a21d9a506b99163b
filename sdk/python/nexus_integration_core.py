"""A Nexus hub inside a Python program: the binary as a child process, with faces for services, messages and state.

    core = NexusIntegrationCore({"api_port": 8080, "state_file": "nexus_state.json"})
    await core.start()
    core.message_bus.subscribe("user.*", handler)
    await core.message_bus.publish("user.created", {"id": 7})
    await core.stop()

The child ends with :meth:`NexusIntegrationCore.stop`, and with the interpreter, however that ends. Its data, the log of
every event among it, stays in ``data_dir``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections import deque
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Union

from nexus_integration_client import (
    TOKEN_FILE,
    Handler,
    Message,
    MessagePriority,
    NexusError,
    NexusIntegrationClient,
    ServiceInfo,
    Watcher,
)

__all__ = [
    "Message",
    "MessageBus",
    "MessagePriority",
    "NexusError",
    "NexusIntegrationCore",
    "ServiceInfo",
    "ServiceRegistry",
    "StateStore",
]

#: Options and what holds when they are absent. Others are refused by name.
DEFAULTS: Mapping[str, Any] = {
    "api_host": "0.0.0.0",
    "api_port": 8080,
    "redis_url": None,
    "state_file": "nexus_state.json",
    "plugin_dir": "nexus_plugins",
    # Ours: where the hub keeps its data, its program, and how long it may take to start and to stop, in seconds.
    "data_dir": "nexus-data",
    "binary": None,
    "start_timeout": 60.0,
    "stop_timeout": 20.0,
}
#: Lines of the child's log that are kept, to say why it ended.
LOG_LINES = 200


class ServiceRegistry:
    """Services: who is there and how they are."""

    def __init__(self, client: NexusIntegrationClient) -> None:
        self._client = client

    async def register(self, service: ServiceInfo) -> ServiceInfo:
        """Registers a service, or brings it up to date."""
        return ServiceInfo.from_dict(await self._client.register_service(service))

    async def deregister(self, service_id: str) -> None:
        """Removes a service."""
        await self._client.deregister_service(service_id)

    async def heartbeat(self, service_id: str, load: Optional[float] = None) -> None:
        """Says that a service lives."""
        await self._client.heartbeat(service_id, load)

    async def get(self, name_or_id: str) -> Optional[ServiceInfo]:
        """One service; ``None`` when there is none."""
        found = await self._client.get_service(name_or_id)
        return None if found is None else ServiceInfo.from_dict(found)

    async def discover(
        self, name: Optional[str] = None, capability: Optional[str] = None, status: Optional[str] = None
    ) -> list[ServiceInfo]:
        """The services that fit."""
        found = await self._client.list_services(name=name, capability=capability, status=status)
        return [ServiceInfo.from_dict(service) for service in found]

    async def invoke(self, name: str, data: Any = None) -> Any:
        """Calls the least loaded healthy instance."""
        return await self._client.invoke_service(name, data)


class _Deferred:
    """Lets a plain call begin what takes a while, and the next awaited one wait for it."""

    def __init__(self) -> None:
        self._pending: list[asyncio.Task[None]] = []

    def begin(self, work: Any) -> None:
        self._pending.append(asyncio.ensure_future(work))

    async def settle(self) -> None:
        pending, self._pending = self._pending, []
        await asyncio.gather(*pending)


class MessageBus:
    """Events of the hub. ``subscribe`` is a plain call; an event published after it is delivered."""

    def __init__(self, client: NexusIntegrationClient, deferred: _Deferred) -> None:
        self._client = client
        self._deferred = deferred

    def subscribe(self, topic: str, handler: Handler) -> None:
        """Calls ``handler(message)`` with each event of a topic, or of a filter such as ``user.*``."""
        self._deferred.begin(self._client.subscribe_to_events(topic, handler))

    def unsubscribe(self, topic: str, handler: Optional[Handler] = None) -> None:
        """Ends a subscription."""
        self._deferred.begin(self._client.unsubscribe_from_events(topic, handler))

    async def publish(
        self, topic: str, payload: Any, priority: Union[MessagePriority, int, str] = MessagePriority.NORMAL
    ) -> str:
        """Stores an event and gives its id. When this returns it is on disk."""
        await self._deferred.settle()
        published = await self._client.publish_event(topic, payload, priority)
        return str(published["message_id"])


class StateStore:
    """Versioned keys. ``watch`` is a plain call; a change made after it is seen."""

    def __init__(self, client: NexusIntegrationClient, deferred: _Deferred) -> None:
        self._client = client
        self._deferred = deferred

    async def get(self, key: str) -> Any:
        """The value; ``None`` when there is none."""
        return await self._client.get_state(key)

    async def set(self, key: str, value: Any, expected_version: Optional[int] = None) -> int:
        """Writes a key and gives its new version."""
        await self._deferred.settle()
        written = await self._client.set_state(key, value, expected_version=expected_version)
        return int(written["version"])

    async def delete(self, key: str) -> None:
        """Deletes a key; its history stays."""
        await self._deferred.settle()
        await self._client.delete_state(key)

    async def history(self, key: str) -> list[dict[str, Any]]:
        """All kept versions."""
        return await self._client.state_history(key)

    def watch(self, key: str, callback: Watcher) -> None:
        """Calls ``callback(key, old, new)`` once per change."""
        self._deferred.begin(self._client.watch(key, callback))


class NexusIntegrationCore:
    """A hub of this program. ``await start()``, then ``service_registry``, ``message_bus`` and ``state_store``."""

    def __init__(self, config: Optional[Mapping[str, Any]] = None) -> None:
        given = dict(config or {})
        unknown = sorted(set(given) - set(DEFAULTS))
        if unknown:
            raise ValueError(f"unknown options {', '.join(unknown)}; known are {', '.join(DEFAULTS)}")
        self.config: dict[str, Any] = {**DEFAULTS, **given}
        self._process: Optional[asyncio.subprocess.Process] = None
        self._reader: Optional[asyncio.Task[None]] = None
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._client: Optional[NexusIntegrationClient] = None
        self._deferred = _Deferred()
        self._registry: Optional[ServiceRegistry] = None
        self._bus: Optional[MessageBus] = None
        self._state: Optional[StateStore] = None

    @property
    def client(self) -> NexusIntegrationClient:
        """The client of this hub, for all that has no face here."""
        return _started(self._client)

    @property
    def service_registry(self) -> ServiceRegistry:
        """Services."""
        return _started(self._registry)

    @property
    def message_bus(self) -> MessageBus:
        """Events."""
        return _started(self._bus)

    @property
    def state_store(self) -> StateStore:
        """State."""
        return _started(self._state)

    @property
    def url(self) -> str:
        """Where the hub is reached from this machine."""
        host = str(self.config["api_host"])
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        return f"http://{host}:{self.config['api_port']}"

    async def start(self) -> None:
        """Starts the hub, and returns when it answers."""
        if self._process is not None:
            raise RuntimeError("this core is started already")
        if self.config["redis_url"]:
            text = "redis_url is not used: the hub keeps its own durable log and needs no Redis"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        data = Path(self.config["data_dir"]).absolute()
        try:
            with tempfile.TemporaryDirectory(prefix="nexus-") as folder:
                settings = Path(folder, "nexus.toml")
                settings.write_text(self._settings(data), encoding="utf-8")
                await self._spawn(settings)
                await asyncio.wait_for(self._ready(), self.config["start_timeout"])
        except BaseException:
            await self.stop()
            raise
        token = Path(data, TOKEN_FILE).read_text(encoding="utf-8").strip()
        client = NexusIntegrationClient(self.url, token)
        self._client = client
        self._registry = ServiceRegistry(client)
        self._bus = MessageBus(client, self._deferred)
        self._state = StateStore(client, self._deferred)

    async def stop(self) -> None:
        """Ends the hub: what was accepted is on disk, what was being delivered is delivered again next time."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), self.config["stop_timeout"])
            except asyncio.TimeoutError:
                process.kill()
                await process.wait()
        if self._reader is not None:
            await self._reader

    async def __aenter__(self) -> "NexusIntegrationCore":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _settings(self, data: Path) -> str:
        state_file = Path(self.config["state_file"]).absolute()
        lines = [
            f"api_host = {_quoted(self.config['api_host'])}",
            f"api_port = {int(self.config['api_port'])}",
            f"state_file = {_quoted(state_file)}",
            "[data]",
            f"dir = {_quoted(data)}",
            "[server]",
            # Whoever names an address beyond this machine here has said so; a proxy in front speaks TLS.
            "plain_http = true",
        ]
        return "\n".join(lines) + "\n"

    async def _spawn(self, settings: Path) -> None:
        arguments = [self._binary(), "serve", "--config", str(settings)]
        # PORT is a platform's word to a server it starts itself; this one is told where to listen.
        environment = {name: value for name, value in os.environ.items() if name != "PORT"}
        self._process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )

    def _binary(self) -> str:
        named = self.config["binary"] or os.environ.get("NEXUS_BINARY")
        found = shutil.which(str(named or "nexus"))
        if found is None:
            raise FileNotFoundError(
                f"{named or 'nexus'} is not found; put the nexus binary on the PATH, or name it in NEXUS_BINARY"
            )
        return found

    async def _ready(self) -> None:
        process = self._process
        assert process is not None and process.stdout is not None
        while True:
            raw = await process.stdout.readline()
            if not raw:
                code = await process.wait()
                raise RuntimeError(f"the hub ended with {code} before it was ready:\n" + "\n".join(self._log))
            line = raw.decode(errors="replace").rstrip()
            self._log.append(line)
            if "listening on" in line:
                break
        self._reader = asyncio.ensure_future(self._drain(process.stdout))

    async def _drain(self, stream: asyncio.StreamReader) -> None:
        """Reads on, as a full pipe would stop the child."""
        with contextlib.suppress(ValueError, asyncio.LimitOverrunError):
            while raw := await stream.readline():
                self._log.append(raw.decode(errors="replace").rstrip())


def _started(part: Any) -> Any:
    if part is None:
        raise RuntimeError("the core is not started: await core.start() first")
    return part


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _loader() -> Optional[Callable[..., int]]:
    try:
        prctl: Callable[..., int] = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    return prctl


_prctl = _loader() if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """In the child, before it becomes the hub: the kernel ends it with SIGTERM when this program is gone."""
    if _prctl is not None:
        _prctl(1, signal.SIGTERM)
