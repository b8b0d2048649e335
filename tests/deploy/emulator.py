"""Starts ministack for Terraform: `python -m tests.deploy.emulator`, with the gaps of `gaps.py` closed.

None is closed in the HCL, which is written for AWS.
"""

import asyncio
import os
import sys
from pathlib import Path

from cutlass.platform.child import follow_parent, inherited_socket
from cutlass.platform.emulator import configure, serve
from tests.deploy import gaps


def main() -> int:
    follow_parent()
    listening = inherited_socket("emulator")
    configure(Path(os.environ["CUTLASS_EMULATOR_FOLDER"]), listening.getsockname()[1])
    gaps.close()
    asyncio.run(serve(listening.detach()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
