"""Client of a Nexus hub. One file, one dependency (aiohttp), Python 3.10 or newer.

    async with NexusIntegrationClient() as client:
        await client.publish_event("order.created", {"id": 7})

Where the hub is: the argument, else ``configure_integration``, else ``INTEGRATION_HUB_URL``, else ``NEXUS_URL``, else
``http://localhost:8080``. Which token is shown: the argument, else ``configure_integration``, else ``NEXUS_TOKEN``, else
``INTEGRATION_HUB_TOKEN``, else, for a hub on this machine, the file ``admin.token`` in ``$NEXUS_DATA``, ``./nexus-data``
or ``.``. A hub in development mode needs none. Whom TLS trusts: the authorities of the system (``SSL_CERT_FILE`` names
others), and those in the argument ``ca``, else in the file that ``NEXUS_CA`` names.

Every refusal is a :class:`NexusError` with the hub's ``code``, ``message``, ``details`` and ``retryable``.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import inspect
import json
import os
import random
import ssl
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, AsyncIterator, Awaitable, Callable, Mapping, Optional, Sequence, Union
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

__all__ = [
    "ConsumedEvent",
    "Message",
    "MessagePriority",
    "NexusCertificateError",
    "NexusConnectionError",
    "NexusError",
    "NexusIntegrationClient",
    "ServiceInfo",
    "close_integration_client",
    "configure_integration",
    "get_integration_client",
]

DEFAULT_URL = "http://localhost:8080"
#: The file with the first admin token, in the data folder of a hub.
TOKEN_FILE = "admin.token"
#: Tries of a request that the hub says may be repeated.
ATTEMPTS = 4
#: Longest pause between two tries, seconds.
LONGEST_PAUSE = 30.0
#: Events that wait for their handlers; beyond it the socket is not read on, and the hub keeps what follows.
BACKLOG = 10_000
#: How long a consumer that ends waits for what its handlers answered to reach the hub.
SETTLE_SECONDS = 5.0
#: Events whose redelivery after a reconnect is recognised.
REMEMBERED = 4_096

Handler = Callable[["Message"], Union[None, Awaitable[None]]]
Watcher = Callable[[str, Any, Any], Union[None, Awaitable[None]]]
#: A PEM file of certificates to trust beside the system's, or all of TLS as the caller wants it.
Authorities = Union[str, "os.PathLike[str]", ssl.SSLContext, None]


class MessagePriority(enum.IntEnum):
    """How urgent a message is. CRITICAL overtakes; LOW is never starved."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    CRITICAL = 3


class NexusError(Exception):
    """The hub refused. ``retryable`` says whether the same request may succeed later."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        details: Optional[Mapping[str, Any]] = None,
        retryable: bool = False,
        retry_after: Optional[float] = None,
        request_id: Optional[str] = None,
        body: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.details = dict(details or {})
        self.retryable = retryable
        self.retry_after = retry_after
        self.request_id = request_id
        self.body = body


class NexusConnectionError(NexusError):
    """The hub could not be reached, or the connection broke before it answered."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="CONNECTION", retryable=True)


class NexusCertificateError(NexusConnectionError):
    """The hub's certificate is not trusted. Nothing was sent, and trying again does not help."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code, self.retryable = "CERTIFICATE", False


@dataclass
class ServiceInfo:
    """A service as it is registered, and as it is listed (then with the fields below ``metadata``)."""

    id: str
    name: str
    version: str
    host: str
    port: int
    protocol: str = "http"
    capabilities: Sequence[str] = ()
    health_check_url: Optional[str] = "/health"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    status: Optional[str] = None
    load: Optional[float] = None
    last_heartbeat: Any = None
    status_reason: Optional[str] = None

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "ServiceInfo":
        """From what the hub lists; fields that this version does not know are left out."""
        return cls(**{name: found[name] for name in cls.__dataclass_fields__ if name in found})

    def registration(self) -> dict[str, Any]:
        """What is sent to register it."""
        shown = {"status", "load", "last_heartbeat", "status_reason"}
        body = {name: value for name, value in asdict(self).items() if name not in shown and value is not None}
        body["capabilities"] = list(self.capabilities)
        return body


@dataclass(frozen=True)
class Message:
    """An event as a handler gets it."""

    topic: str
    payload: Any
    id: str
    #: Seconds since the epoch at which the hub stored it.
    timestamp: float
    #: Its place in the hub's log; ascends.
    seq: int


@dataclass(frozen=True)
class ConsumedEvent(Message):
    """An event of a durable consumer: it comes again until it was acknowledged."""

    lease: str
    attempt: int


@dataclass
class _Settings:
    url: Optional[str] = None
    token: Optional[str] = None


_settings = _Settings()
_shared: Optional["NexusIntegrationClient"] = None


def configure_integration(hub_url: Optional[str] = None, token: Optional[str] = None) -> None:
    """Sets where the client of :func:`get_integration_client`, and every client made without arguments, finds the hub."""
    global _shared
    _settings.url, _settings.token = hub_url, token
    _shared = None


def get_integration_client() -> "NexusIntegrationClient":
    """The client that this program shares. It connects at its first request."""
    global _shared
    if _shared is None or _shared.closed:
        _shared = NexusIntegrationClient()
    return _shared


async def close_integration_client() -> None:
    """Closes the shared client; the next :func:`get_integration_client` makes a new one."""
    global _shared
    client, _shared = _shared, None
    if client is not None:
        await client.close()


def _find_url(given: Optional[str]) -> str:
    found = given or _settings.url or os.environ.get("INTEGRATION_HUB_URL") or os.environ.get("NEXUS_URL")
    url = (found or DEFAULT_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"{url!r} is no URL of a hub; write for example http://localhost:8080")
    return url


def _find_token(given: Optional[str], url: str) -> Optional[str]:
    for token in (given, _settings.token, os.environ.get("NEXUS_TOKEN"), os.environ.get("INTEGRATION_HUB_TOKEN")):
        if token and token.strip():
            return token.strip()
    # The token of a hub that happens to lie in the working directory is no business of a remote one.
    host = urlsplit(url).hostname or ""
    local = host in ("localhost", "::1") or host.startswith("127.")
    folders = [os.environ.get("NEXUS_DATA"), *(("nexus-data", ".") if local else ())]
    for folder in filter(None, folders):
        with contextlib.suppress(OSError):
            token = Path(str(folder), TOKEN_FILE).read_text(encoding="utf-8").strip()
            if token:
                return token
    return None


def _find_trust(given: Authorities, url: str) -> Optional[ssl.SSLContext]:
    """Whom to trust beside the system's authorities; ``None`` where nobody is named."""
    if isinstance(given, ssl.SSLContext):
        return given
    file = given or os.environ.get("NEXUS_CA", "").strip()
    # A file that only TLS needs may be missing as long as nobody speaks it.
    if not file or urlsplit(url).scheme != "https":
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{os.fspath(file)!r} can't be used as a PEM file of certificates to trust: {error}") from error
    return context


def _unreachable(url: str, error: BaseException) -> NexusConnectionError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        reason = getattr(cause, "verify_message", "") or str(cause)
        return NexusCertificateError(
            f"the certificate of the hub at {url} is not trusted: {reason}; if an authority of your own has signed it, "
            "give that one's certificate with ca= or NEXUS_CA"
        )
    return NexusConnectionError(f"{url} can't be reached: {error}")


def _pause(attempt: int) -> float:
    """Full jitter over an exponential: a thousand clients of one hub that restarts do not come back as one."""
    return random.uniform(0.05, min(LONGEST_PAUSE, 0.25 * 2**attempt))


async def _call(function: Callable[..., Any], *arguments: Any) -> None:
    result = function(*arguments)
    if inspect.isawaitable(result):
        await result


class NexusIntegrationClient:
    """One connection pool to one hub, and at most one WebSocket. Use it as ``async with``, or ``close()`` it."""

    def __init__(
        self,
        base_url: Optional[str] = None,
        token: Optional[str] = None,
        *,
        timeout: float = 30.0,
        ca: Authorities = None,
    ) -> None:
        self.base_url = _find_url(base_url)
        self._trust = _find_trust(ca, self.base_url)
        self._token = _find_token(token, self.base_url)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: Optional[aiohttp.ClientSession] = None
        self._socket = _EventSocket(self)
        self.closed = False

    async def __aenter__(self) -> "NexusIntegrationClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the WebSocket and the connections. Closing twice is fine."""
        self.closed = True
        await self._socket.close()
        if self._session is not None:
            await self._session.close()

    # Requests

    def session(self) -> aiohttp.ClientSession:
        """The pool; made at the first request, within the running loop."""
        if self.closed:
            raise RuntimeError("this client is closed")
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            connector = aiohttp.TCPConnector(ssl=self._trust) if self._trust is not None else None
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers=headers, connector=connector)
        return self._session

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        repeat: Optional[bool] = None,
        timeout: Optional[float] = None,
    ) -> Any:
        """Any request of the hub's API: the JSON it answers, or a :class:`NexusError`.

        A read, and a write that the caller says may be repeated, is tried again while the hub says that it may
        succeed later, or can't be reached.
        """
        repeat = method in ("GET", "HEAD") if repeat is None else repeat
        attempt = 0
        while True:
            try:
                return await self._request_once(method, path, body, query, headers, timeout)
            except NexusError as error:
                attempt += 1
                if not (repeat and error.retryable and attempt < ATTEMPTS):
                    raise
                pause = _pause(attempt)
                if error.retry_after is not None:
                    pause = min(max(pause, error.retry_after), LONGEST_PAUSE)
                await asyncio.sleep(pause)

    async def _request_once(
        self,
        method: str,
        path: str,
        body: Any,
        query: Optional[Mapping[str, Any]],
        headers: Optional[Mapping[str, str]],
        timeout: Optional[float],
    ) -> Any:
        params = {name: str(value) for name, value in (query or {}).items() if value is not None}
        sent: dict[str, Any] = {"params": params, "headers": dict(headers or {})}
        if body is not None:
            sent["data"] = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
            sent["headers"].setdefault("Content-Type", "application/json")
        if timeout is not None:
            sent["timeout"] = aiohttp.ClientTimeout(total=timeout)
        # `encoded`: a slash within a key stays %2F.
        url = URL(self.base_url + path, encoded=True)
        try:
            async with self.session().request(method, url, **sent) as answer:
                text = await answer.text()
                return _read(answer.status, text, answer.headers)
        except asyncio.TimeoutError as error:
            raise NexusConnectionError(f"{self.base_url} did not answer in time") from error
        except aiohttp.ClientError as error:
            raise _unreachable(self.base_url, error) from error

    # Health, services

    async def health_check(self) -> dict[str, Any]:
        """How the hub is: ``status`` is healthy, degraded or unhealthy."""
        try:
            return await self.request("GET", "/health", repeat=False)
        except NexusError as error:
            # An unhealthy hub answers 503 with the same body.
            if isinstance(error.body, dict) and "status" in error.body and "checks" in error.body:
                return error.body
            raise

    async def list_services(
        self, *, name: Optional[str] = None, capability: Optional[str] = None, status: Optional[str] = None
    ) -> list[dict[str, Any]]:
        """The registered services that fit."""
        found = await self.request("GET", "/services", query={"name": name, "capability": capability, "status": status})
        return found["services"]

    async def get_service(self, name_or_id: str) -> Optional[dict[str, Any]]:
        """One service; ``None`` when there is none."""
        return await self._or_none(self.request("GET", f"/services/{_segment(name_or_id)}"))

    async def register_service(self, service: Union[ServiceInfo, Mapping[str, Any]]) -> dict[str, Any]:
        """Registers a service, or brings it up to date. May be repeated."""
        body = service.registration() if isinstance(service, ServiceInfo) else dict(service)
        return await self.request("POST", "/services", body, repeat=True)

    async def heartbeat(self, service_id: str, load: Optional[float] = None) -> dict[str, Any]:
        """Says that a service lives, and how loaded it is."""
        body = {} if load is None else {"load": load}
        return await self.request("POST", f"/services/{_segment(service_id)}/heartbeat", body, repeat=True)

    async def deregister_service(self, service_id: str) -> dict[str, Any]:
        """Removes a service."""
        return await self.request("DELETE", f"/services/{_segment(service_id)}")

    async def invoke_service(
        self, name: str, data: Any = None, *, timeout: Optional[float] = None, idempotency_key: Optional[str] = None
    ) -> Any:
        """Calls the least loaded healthy instance with this JSON and gives back its JSON. A status of 400 or more is a
        :class:`NexusError`. With an idempotency key, another instance is tried when one fails."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        body = {} if data is None else data
        path = f"/services/{_segment(name)}/invoke"
        return await self.request("POST", path, body, headers=headers, timeout=timeout)

    # State

    async def get_state(self, key: str) -> Any:
        """The value of a key; ``None`` when there is none."""
        found = await self.get_state_entry(key)
        return None if found is None else found["value"]

    async def get_state_entry(self, key: str) -> Optional[dict[str, Any]]:
        """``{key, value, version, updated_at}``; ``None`` when there is none."""
        return await self._or_none(self.request("GET", f"/state/{_segment(key)}"))

    async def set_state(self, key: str, value: Any, *, expected_version: Optional[int] = None) -> dict[str, Any]:
        """Writes a key: ``{success, key, version}``. With ``expected_version`` only if that is the present one (0: there
        is none); otherwise a :class:`NexusError` of status 409, with the present version in its body."""
        body: dict[str, Any] = {"value": value}
        if expected_version is not None:
            body["expected_version"] = expected_version
        return await self.request("PUT", f"/state/{_segment(key)}", body)

    async def delete_state(self, key: str) -> dict[str, Any]:
        """Deletes a key; its history stays."""
        return await self.request("DELETE", f"/state/{_segment(key)}")

    async def state_history(self, key: str) -> list[dict[str, Any]]:
        """All kept versions of a key, with author and time."""
        found = await self.request("GET", f"/state/{_segment(key)}/history")
        return found["history"]

    async def list_state(self, prefix: str = "", *, cursor: Optional[str] = None) -> dict[str, Any]:
        """One page of the keys that begin with ``prefix``: ``{items, next_cursor}``."""
        return await self.request("GET", "/state", query={"prefix": prefix or None, "cursor": cursor})

    async def watch(self, key: str, callback: Watcher) -> None:
        """Calls ``callback(key, old, new)`` once per change of a key, over the WebSocket."""
        await self._socket.watch(key, callback)

    # Events

    async def publish_event(
        self,
        topic: str,
        payload: Any,
        priority: Union[MessagePriority, int, str] = MessagePriority.NORMAL,
        *,
        idempotency_key: Optional[str] = None,
    ) -> dict[str, Any]:
        """Stores an event: ``{message_id, topic, seq}``. When this returns, it is on the hub's disk. With an idempotency
        key it is tried again where that may help, and stored once."""
        level = priority.upper() if isinstance(priority, str) else int(priority)
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        body = {"payload": payload, "priority": level}
        path = f"/events/{_segment(topic)}"
        return await self.request("POST", path, body, headers=headers, repeat=idempotency_key is not None)

    async def connect_websocket(self) -> None:
        """Opens the WebSocket and keeps it open: after a break it comes back, with growing pauses, and goes on where it
        stopped."""
        await self._socket.connect()

    async def subscribe_to_events(
        self, topic: str, handler: Optional[Handler] = None, *, since: Optional[Union[int, str]] = None
    ) -> None:
        """Events of a topic, or of a filter such as ``system.*``, from now on or after a place in the log (a ``seq``, or
        ``epoch:seq``). Without a handler they are read with :meth:`events`. Connects where that was not done."""
        await self._socket.subscribe(topic, handler, since)

    async def unsubscribe_from_events(self, topic: str, handler: Optional[Handler] = None) -> None:
        """Ends a subscription; with a handler only that one's."""
        await self._socket.unsubscribe(topic, handler)

    async def events(self) -> AsyncIterator[Message]:
        """The events of subscriptions without a handler, in the order of the log. Whoever subscribes so, reads them: at
        10,000 unread ones the handlers of others wait too."""
        while True:
            yield await self._socket.unhandled.get()

    async def consume(
        self,
        subscription: str,
        handler: Callable[[ConsumedEvent], Union[None, Awaitable[None]]],
        *,
        filter: Optional[str] = None,
        max_in_flight: int = 16,
    ) -> None:
        """Works off a durable consumer until it is cancelled: an event is acknowledged when its handler returns, and
        comes again when it raises, or when this program ends in between. Several programs with the same
        ``subscription`` share the work. With ``filter`` the subscription is made where there is none."""
        if filter is not None:
            definition = {"filters": [filter], "target": {"kind": "consumer"}}
            await self.request("PUT", f"/api/v1/subscriptions/{_segment(subscription)}", definition, repeat=True)
        path = f"/api/v1/consumers/{_segment(subscription)}"
        working: set[asyncio.Task[None]] = set()
        settling: set[Optional[asyncio.Task[Any]]] = set()
        attempt = 0
        try:
            while True:
                if len(working) >= max_in_flight:
                    await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                    continue
                pull = {"max": max_in_flight - len(working), "wait_ms": 20_000}
                try:
                    found = await self.request("POST", f"{path}/pull", pull, timeout=60.0)
                except NexusError as error:
                    if not error.retryable:
                        raise
                    attempt += 1
                    await asyncio.sleep(max(_pause(attempt), error.retry_after or 0.0))
                    continue
                attempt = 0
                for delivery in found["data"]:
                    task = asyncio.ensure_future(self._work(path, _consumed(delivery), handler, settling))
                    working.add(task)
                    task.add_done_callback(working.discard)
                    task.add_done_callback(settling.discard)
        finally:
            # What a handler has answered is told to the hub also when this ends; the others' events come again.
            answered = working & settling
            for task in working - answered:
                task.cancel()
            if answered:
                await asyncio.wait(answered, timeout=SETTLE_SECONDS)

    async def _work(
        self,
        path: str,
        event: ConsumedEvent,
        handler: Callable[[ConsumedEvent], Any],
        settling: set[Optional[asyncio.Task[Any]]],
    ) -> None:
        how: str = "ack"
        body: dict[str, Any] = {"leases": [event.lease]}
        try:
            await _call(handler, event)
        except Exception as error:  # whatever a handler raises is its answer
            how, body = "nack", {"lease": event.lease, "reason": f"{type(error).__name__}: {error}"[:500]}
        settling.add(asyncio.current_task())
        await self._settle(f"{path}/{how}", body)

    async def _settle(self, path: str, body: Mapping[str, Any]) -> None:
        # One that can't be settled comes again when its lease ends: at least once, as promised.
        with contextlib.suppress(NexusError):
            await self.request("POST", path, body, repeat=True)

    async def graphql_query(self, query: str, variables: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """``{data, errors?}`` of a GraphQL query or mutation."""
        return await self.request("POST", "/graphql", {"query": query, "variables": dict(variables or {})})

    async def _or_none(self, request: Awaitable[Any]) -> Any:
        try:
            return await request
        except NexusError as error:
            if error.status == 404:
                return None
            raise


def _segment(text: str) -> str:
    return quote(text, safe="")


def _consumed(found: Mapping[str, Any]) -> ConsumedEvent:
    return ConsumedEvent(
        topic=found["topic"],
        payload=found["payload"],
        id=found["id"],
        timestamp=datetime.fromisoformat(found["timestamp"].replace("Z", "+00:00")).timestamp(),
        seq=found["seq"],
        lease=found["lease"],
        attempt=found["attempt"],
    )


def _read(status: int, text: str, headers: Mapping[str, str]) -> Any:
    try:
        body = json.loads(text) if text else None
    except ValueError:
        body = text
    if status < 400:
        return body
    shown = body if isinstance(body, dict) else {}
    after = headers.get("Retry-After", "")
    raise NexusError(
        str(shown.get("message") or shown.get("detail") or f"the hub answered {status}"),
        status=status,
        code=str(shown.get("code") or ""),
        details=shown.get("details") if isinstance(shown.get("details"), dict) else None,
        retryable=bool(shown.get("retryable", status in (429, 502, 503, 504))),
        retry_after=float(after) if after.replace(".", "", 1).isdigit() else None,
        request_id=headers.get("X-Request-ID"),
        body=body,
    )


class _Once:
    """Recognises what came before: a reconnect may bring an event again."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, None] = OrderedDict()

    def is_new(self, seq: int) -> bool:
        if seq in self._seen:
            return False
        self._seen[seq] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True


class _Subscription(_Once):
    """One handler of one filter."""

    def __init__(self, topic: str, handler: Optional[Handler]) -> None:
        super().__init__()
        self.topic = topic
        self.handler = handler
        self._segments = topic.replace("**", ">").split(".")

    def matches(self, topic: str) -> bool:
        segments = topic.split(".")
        for n, wanted in enumerate(self._segments):
            if wanted == ">":
                return len(segments) > n
            if n >= len(segments) or wanted not in ("*", segments[n]):
                return False
        return len(segments) == len(self._segments)


class _Watch(_Once):
    """One callback of one key."""

    def __init__(self, key: str, callback: Watcher) -> None:
        super().__init__()
        self.key = key
        self.callback = callback


class _EventSocket:
    """The WebSocket: subscriptions and watches over one connection that comes back by itself.

    One task reads, another calls the handlers one after the other, so that a handler may itself subscribe, and a slow
    one only holds up the handlers.
    """

    def __init__(self, client: NexusIntegrationClient) -> None:
        self._client = client
        self._subscriptions: list[_Subscription] = []
        self._watches: list[_Watch] = []
        # The place in the log after which each is to go on: "" for all subscriptions, "key" for a watch.
        self._places: dict[str, Union[int, str]] = {}
        self._asked: list[tuple[str, asyncio.Future[None]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._open = asyncio.Event()
        self._socket: Optional[aiohttp.ClientWebSocketResponse] = None
        self._failure: Optional[NexusError] = None
        self._messages: asyncio.Queue[Message] = asyncio.Queue(BACKLOG)
        self.unhandled: asyncio.Queue[Message] = asyncio.Queue(BACKLOG)
        #: Breaks so far; for tests and for those who watch.
        self.reconnects = 0

    async def connect(self) -> None:
        if not self._tasks:
            self._tasks = [asyncio.ensure_future(self._run()), asyncio.ensure_future(self._dispatch())]
        opened = asyncio.ensure_future(self._open.wait())
        await asyncio.wait({opened, self._tasks[0]}, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            opened.cancel()
            await self.close()
            raise self._failure or NexusConnectionError("the WebSocket was closed")

    async def close(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._open.clear()

    async def subscribe(
        self, topic: str, handler: Optional[Handler], since: Optional[Union[int, str]] = None
    ) -> None:
        await self.connect()
        known = since is None and any(s.topic == topic for s in self._subscriptions)
        subscription = _Subscription(topic, handler)
        self._subscriptions.append(subscription)
        if known:
            return
        try:
            await self._ask({"type": "subscribe", "topic": topic, "since": since}, "subscribed")
        except NexusError:
            self._subscriptions.remove(subscription)
            raise

    async def unsubscribe(self, topic: str, handler: Optional[Handler]) -> None:
        gone = [s for s in self._subscriptions if s.topic == topic and (handler is None or s.handler is handler)]
        self._subscriptions = [s for s in self._subscriptions if s not in gone]
        if gone and not any(s.topic == topic for s in self._subscriptions):
            await self._ask({"type": "unsubscribe", "topic": topic}, "unsubscribed")

    async def watch(self, key: str, callback: Watcher) -> None:
        await self.connect()
        known = any(w.key == key for w in self._watches)
        watch = _Watch(key, callback)
        self._watches.append(watch)
        if known:
            return
        try:
            await self._ask({"type": "watch", "key": key}, "watching")
        except NexusError:
            self._watches.remove(watch)
            raise

    async def _ask(self, frame: Mapping[str, Any], answer: str) -> None:
        """Sends a frame and waits for its answer. A break in between counts as one: all is asked again then."""
        socket = self._socket
        if socket is None or socket.closed:
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append((answer, waiting))
        sent = {name: value for name, value in frame.items() if value is not None}
        try:
            await socket.send_str(json.dumps(sent))
            await asyncio.wait_for(waiting, 15.0)
        except (ConnectionError, aiohttp.ClientError):
            return
        except asyncio.TimeoutError as error:
            raise NexusConnectionError(f"the hub did not answer {frame['type']} in time") from error
        finally:
            self._asked = [(kind, future) for kind, future in self._asked if future is not waiting]

    async def _run(self) -> None:
        attempt = 0
        ever_open = False
        while True:
            try:
                await self._session()
            except aiohttp.WSServerHandshakeError as error:
                self._failure = await self._refusal(error)
                if error.status in (401, 403, 404):
                    return
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
                self._failure = _unreachable(self._client.base_url, error)
            if self._open.is_set():
                attempt, ever_open = 0, True
                self.reconnects += 1
            elif not ever_open:
                # Never was there: whoever connects is told, instead of waiting for ever.
                return
            self._open.clear()
            self._socket = None
            for _, waiting in self._asked:
                if not waiting.done():
                    waiting.set_result(None)
            attempt += 1
            await asyncio.sleep(_pause(attempt))

    async def _refusal(self, error: aiohttp.WSServerHandshakeError) -> NexusError:
        """Why the hub refused the WebSocket. The library throws away what it said, so it is asked once more, plainly: who
        asks is looked at before what for."""
        text = f"the hub refused the WebSocket with status {error.status}"
        try:
            await self._client.request("GET", "/ws", repeat=False)
        except NexusError as told:
            if told.status == error.status:
                return NexusError(
                    f"the hub refused the WebSocket: {told.message}",
                    status=told.status,
                    code=told.code,
                    details=told.details,
                    retryable=told.retryable,
                    retry_after=told.retry_after,
                    request_id=told.request_id,
                    body=told.body,
                )
        return NexusError(text, status=error.status)

    async def _session(self) -> None:
        address = "ws" + self._client.base_url[len("http") :] + "/ws"
        async with self._client.session().ws_connect(address, heartbeat=25.0, max_msg_size=8 << 20) as socket:
            topics = list(dict.fromkeys(s.topic for s in self._subscriptions))
            if topics:
                # All in one frame, so that they go on at one place and nothing falls between them.
                await socket.send_str(_frame({"type": "subscribe", "topics": topics, "since": self._places.get("")}))
            for key in dict.fromkeys(w.key for w in self._watches):
                await socket.send_str(_frame({"type": "watch", "key": key, "since": self._places.get(key)}))
            self._socket = socket
            self._failure = None
            self._open.set()
            async for raw in socket:
                if raw.type is aiohttp.WSMsgType.TEXT:
                    await self._take(json.loads(raw.data))

    async def _take(self, frame: Mapping[str, Any]) -> None:
        kind = frame.get("type")
        if kind == "event":
            await self._arrived(frame)
        elif kind == "subscribed":
            # Where nothing has come yet, the place at which it began is where it goes on; one that began in the past
            # brings that first, so all go on from there.
            position = frame.get("position", 0)
            if _seq(position) < _seq(self._places.get("", position)) or "" not in self._places:
                self._places[""] = position
            self._answered(kind, None)
        elif kind == "watching":
            self._places.setdefault(str(frame.get("key")), frame.get("position", 0))
            self._answered(kind, None)
        elif kind == "unsubscribed":
            self._answered(kind, None)
        elif kind == "gap":
            # What was lost is not to be asked for again.
            for name in self._places:
                self._places[name] = frame.get("to", 0)
        elif kind == "error":
            self._answered(None, NexusError(str(frame.get("message")), code=str(frame.get("code") or "")))

    def _answered(self, kind: Optional[str], error: Optional[NexusError]) -> None:
        """Answers come in the order of the questions; an error answers the first one that is open."""
        for wanted, waiting in self._asked:
            if not waiting.done() and kind in (None, wanted):
                if error is None:
                    waiting.set_result(None)
                else:
                    waiting.set_exception(error)
                return

    async def _arrived(self, frame: Mapping[str, Any]) -> None:
        message = Message(
            topic=frame["topic"],
            payload=frame.get("payload"),
            id=frame.get("id", ""),
            timestamp=frame.get("timestamp", 0.0),
            seq=frame.get("seq", 0),
        )
        await self._messages.put(message)
        if any(s.matches(message.topic) for s in self._subscriptions):
            self._places[""] = message.seq
        if message.topic == "state.changed" and isinstance(message.payload, dict):
            key = message.payload.get("key")
            if key in self._places:
                self._places[key] = message.seq

    async def _dispatch(self) -> None:
        while True:
            message = await self._messages.get()
            for subscription in list(self._subscriptions):
                if subscription.matches(message.topic) and subscription.is_new(message.seq):
                    if subscription.handler is None:
                        await self.unhandled.put(message)
                    else:
                        await _guarded(subscription.handler, message)
            if message.topic == "state.changed" and isinstance(message.payload, dict):
                change = message.payload
                for watch in list(self._watches):
                    if watch.key == change.get("key") and watch.is_new(message.seq):
                        await _guarded(watch.callback, watch.key, change.get("old"), change.get("new"))


def _seq(place: Union[int, str]) -> int:
    return int(str(place).rpartition(":")[2])


def _frame(fields: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in fields.items() if value is not None})


async def _guarded(function: Callable[..., Any], *arguments: Any) -> None:
    """A handler that raises keeps nobody else from the event; the loop's exception handler hears of it."""
    try:
        await _call(function, *arguments)
    except Exception as error:  # the handler's own
        context = {"message": "a handler of an event raised", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
