"""The gateway of one region: `python -m cutlass.platform.gateway`. Reads the settings of functions."""

import asyncio
import logging
import os
import sys

from cutlass.contracts import load_functions, load_operations
from cutlass.platform.child import follow_parent, inherited_socket, log_to_stdout
from cutlass.platform.gateway.app import Gateway
from cutlass.platform.gateway.callers import AUTHORIZER
from cutlass.platform.runtime import Runtime
from cutlass.platform.serving import serve


def main() -> None:
    """Serve until SIGTERM, then let requests that run end."""
    follow_parent()
    log_to_stdout()
    access = logging.getLogger("cutlass.access")
    access.propagate = False
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(logging.Formatter("%(message)s"))
    access.addHandler(lines)
    region, aws_region = os.environ["CUTLASS_REGION"], os.environ["AWS_REGION"]
    runtime = Runtime(load_functions(), region, aws_region)
    # The decision first: it is what people wait for.
    names = {operation.function: None for operation in load_operations()}
    runtime.load([AUTHORIZER, *names])
    gateway = Gateway(runtime, region, aws_region)
    asyncio.run(serve(gateway, inherited_socket(f"gateway-{region}")))
    sys.stdout.flush()
    os._exit(0)  # a handler that hangs in a thread must not hold up the end


if __name__ == "__main__":
    main()
