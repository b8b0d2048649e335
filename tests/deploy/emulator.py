"""Starts ministack for Terraform: `python -m tests.deploy.emulator`, with the gaps of `gaps.py` closed.

None is closed in the HCL, which is written for AWS.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from cutlass.contracts import load_topology
from cutlass.platform.child import follow_parent, inherited_socket
from cutlass.platform.emulator import OwnRoutes, Receive, Scope, Send, configure, serve
from tests.deploy import gaps, gaps_athena, gaps_messaging


def surround_functions(endpoint: str) -> None:
    """Set what functions inherit from the emulator: where AWS is, which they find by themselves in AWS."""
    regions = load_topology().regions
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    os.environ["CUTLASS_PEER_ENDPOINTS"] = json.dumps(dict.fromkeys(regions, endpoint))
    # What a function imports comes from its zip, not from the checkout the tests run in.
    os.environ.pop("PYTHONPATH", None)


def answer_after(seconds: float) -> None:
    """Let every answer take so long, as those of AWS do, during which the emulator works on others.

    One that comes at once overtakes the client: Go's has not noted yet that its request is written, takes the
    connection for broken, and repeats what was done. Of a lock it then holds it says that another has it.
    """
    answer = OwnRoutes.__call__

    async def answer_later(self: OwnRoutes, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(seconds)
        await answer(self, scope, receive, send)

    OwnRoutes.__call__ = answer_later  # type: ignore[method-assign]


def main() -> int:
    follow_parent()
    listening = inherited_socket("emulator")
    port = listening.getsockname()[1]
    configure(Path(os.environ["CUTLASS_EMULATOR_FOLDER"]), port)
    surround_functions(f"http://127.0.0.1:{port}")
    gaps.close()
    gaps_messaging.close()
    gaps_athena.close()
    answer_after(int(os.environ.get("CUTLASS_EMULATOR_ANSWER_MS", "20")) / 1000)
    asyncio.run(serve(listening.detach()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
