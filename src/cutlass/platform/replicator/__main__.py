"""Replication and the network between the regions: `python -m cutlass.platform.replicator`.

`CUTLASS_REPLICATION_DELAY_MS` (300) and `CUTLASS_WAN_RTT_MS` (0) set the start; `PUT /wan` on the control
address changes them, and cuts and heals the network.
"""

import asyncio
import logging
import os
import sys
import threading
import time
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from cutlass.contracts import load_tables, load_topology
from cutlass.domain.errors import InvalidRequestError
from cutlass.platform.checkpoints import Checkpoint, stream_checkpoint_name
from cutlass.platform.child import follow_parent, inherited_socket, log_to_stdout
from cutlass.platform.home import Home
from cutlass.platform.layout import REPLICATOR, link_name, ways
from cutlass.platform.local import ENVIRONMENT
from cutlass.platform.replicator.pump import Pump
from cutlass.platform.replicator.rules import LatestWrites
from cutlass.platform.replicator.wan import Link, Wan
from cutlass.platform.serving import serve
from cutlass.platform.streams import Growth
from cutlass.platform.wire import Wire

_DRAIN_SECONDS = 10.0
_log = logging.getLogger(__name__)


def pumps(endpoint: str, home: Home, wan: Wan, growth: Growth) -> list[Pump]:
    """Return a pump for every table with a stream, in every region."""
    regions = load_topology().regions
    wires = {name: Wire(endpoint, region.aws_region) for name, region in regions.items()}
    found: list[Pump] = []
    for table in load_tables().values():
        if table.stream is None:
            continue
        latest = LatestWrites()
        found += [
            Pump(
                table=table.resource(ENVIRONMENT),
                region=name,
                own=wire,
                others={other: wires[other] for other in wires if other != name},
                wan=wan,
                growth=growth,
                latest=latest,
                checkpoint=Checkpoint(home.checkpoints, stream_checkpoint_name(REPLICATOR, table.name, name)),
            )
            for name, wire in wires.items()
        ]
    return found


def control(wan: Wan, links: list[Link], found: list[Pump], growth: Growth) -> Starlette:
    """Return the control application: `GET /state` and `PUT /wan`."""

    async def state(_: Request) -> JSONResponse:
        return JSONResponse(wan.as_dict() | {"tables": [pump.status() for pump in found]})

    async def change(request: Request) -> JSONResponse:
        try:
            wan.change(await request.json())
        except (ValueError, InvalidRequestError) as error:
            return JSONResponse({"detail": str(error)}, status_code=400)
        if wan.partitioned:
            for link in links:
                link.cut()
        growth.wake()
        _log.info("the network: %s", wan.as_dict())
        return await state(request)

    return Starlette(routes=[Route("/state", state), Route("/wan", change, methods=["PUT"])])


async def run() -> None:
    """Serve links and control until SIGTERM, then copy what is left unless the network is cut."""
    home = Home.from_environment()
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    where = urlsplit(endpoint)
    wan = Wan(home.root / "wan.json")
    stop, drain = threading.Event(), threading.Event()
    growth = Growth(Wire(endpoint, "eu-west-2"), stop=stop)
    found = pumps(endpoint, home, wan, growth)
    links: list[Link] = []
    for source, target in ways(load_topology().regions):
        link = Link(wan, str(where.hostname), int(where.port or 80))
        await asyncio.start_server(link.serve, sock=inherited_socket(link_name(source, target)))
        links.append(link)
    threads = [
        threading.Thread(target=pump.run, args=(stop, drain), name=f"{pump.table} of {pump.region}", daemon=True)
        for pump in found
    ]
    for thread in threads:
        thread.start()
    await serve(control(wan, links, found, growth), inherited_socket("control"))
    drain.set()
    growth.wake()
    deadline = time.monotonic() + _DRAIN_SECONDS
    for thread in threads:
        await asyncio.to_thread(thread.join, max(0.0, deadline - time.monotonic()))
    left = [thread.name for thread in threads if thread.is_alive()]
    if left:
        _log.warning("stopped before everything was copied: %s; the rest follows after the next start", left)
    stop.set()
    sys.stdout.flush()
    os._exit(0)  # threads in a call that hangs must not hold up the end


def main() -> None:
    """Run until SIGTERM."""
    follow_parent()
    log_to_stdout()
    asyncio.run(run())


if __name__ == "__main__":
    main()
