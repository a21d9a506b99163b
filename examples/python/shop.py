"""A small shop: two services find each other through the hub, share a stock, and a worker takes each order once.

Needs a hub (`nexus serve --dev`) and aiohttp; the client is one file:

    PYTHONPATH=../../sdk/python python shop.py

It plays once and ends. Start it again: the stock is what the last run left.
"""

import asyncio

from aiohttp import web

from nexus_integration_client import NexusError, NexusIntegrationClient, ServiceInfo

ORDERS = 3


async def serve_prices() -> tuple[web.AppRunner, int]:
    """A service as any other: the hub asks `/health`, and passes calls on to `/invoke`."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "healthy"})

    async def invoke(request: web.Request) -> web.Response:
        order = await request.json()
        return web.json_response({"price": 5 * order["count"]})

    app = web.Application()
    app.add_routes([web.get("/health", health), web.post("/invoke", invoke)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


async def until_healthy(client: NexusIntegrationClient, service: str) -> None:
    """The hub calls nobody whom it has not seen well; its first look comes within moments."""
    while not any(s["id"] == service and s["status"] == "healthy" for s in await client.list_services()):
        await asyncio.sleep(0.05)


async def take_from_stock(client: NexusIntegrationClient, count: int) -> int:
    """Whoever was quicker makes this one look again: no lock, no lost update."""
    while True:
        entry = await client.get_state_entry("shop/stock")
        stock, version = (entry["value"], entry["version"]) if entry else (100, 0)
        try:
            await client.set_state("shop/stock", stock - count, expected_version=version)
            return stock - count
        except NexusError as error:
            if error.status != 409:
                raise


async def main() -> None:
    runner, port = await serve_prices()
    try:
        async with NexusIntegrationClient() as client:
            await client.register_service(
                ServiceInfo(id="prices-1", name="prices", version="1.0", host="127.0.0.1", port=port)
            )
            await until_healthy(client, "prices-1")
            done: asyncio.Queue[str] = asyncio.Queue()

            async def work(event) -> None:
                order = event.payload
                answer = await client.invoke_service("prices", order)
                left = await take_from_stock(client, order["count"])
                # The id makes a second attempt at the same order the same event.
                await client.publish_event(
                    "order.priced", {**order, **answer}, idempotency_key=f"priced-{event.id}"
                )
                await done.put(f"order {order['id']}: {order['count']} for {answer['price']}, {left} left")

            # Made before the first order: a subscription is given what comes after it.
            shop = {"filters": ["order.placed"], "target": {"kind": "consumer"}}
            await client.request("PUT", "/api/v1/subscriptions/shop", shop)
            worker = asyncio.create_task(client.consume("shop", work))
            for number in range(1, ORDERS + 1):
                await client.publish_event("order.placed", {"id": number, "count": number})
            for _ in range(ORDERS):
                print(await done.get())
            # Waited for, so that what was done is acknowledged before the connection ends.
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            await client.deregister_service("prices-1")
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
