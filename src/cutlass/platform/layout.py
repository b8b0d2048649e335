"""Which processes and sockets the platform has, from the regions there are."""

from collections.abc import Iterator, Mapping

from cutlass.domain.plans import Region
from cutlass.platform.buckets import archives
from cutlass.platform.home import Home
from cutlass.platform.local import function_environment
from cutlass.platform.processes import Program
from cutlass.platform.running import address

EMULATOR = "emulator"
CONTROL = "control"
REPLICATOR = "replicator"


def link_name(source: str, target: str) -> str:
    """Return the name of the socket through which `source` reaches `target`'s AWS APIs."""
    return f"link-{source}-{target}"


def ways(regions: Mapping[str, Region]) -> Iterator[tuple[str, str]]:
    """Return every ordered pair of regions."""
    return ((source, target) for source in regions for target in regions if source != target)


def socket_names(regions: Mapping[str, Region]) -> list[str]:
    """Return the names of all sockets, in the order of their ports: gateways first."""
    gateways = [f"gateway-{name}" for name in regions]
    return [*gateways, EMULATOR, CONTROL, *(link_name(source, target) for source, target in ways(regions))]


def emulator_program(home: Home) -> Program:
    """Return the process that is AWS."""
    return Program(
        EMULATOR, "cutlass.platform.emulator", {"CUTLASS_EMULATOR_FOLDER": str(home.emulator)}, [EMULATOR]
    )


def links(regions: Mapping[str, Region], ports: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Return the addresses through which each region reaches every other one's AWS APIs."""
    found: dict[str, dict[str, str]] = {name: {} for name in regions}
    for source, target in ways(regions):
        found[source][target] = address(ports[link_name(source, target)])
    return found


def region_programs(regions: Mapping[str, Region], ports: Mapping[str, int]) -> list[Program]:
    """Return the processes that run on AWS: gateways, the replicator, consumers."""
    endpoint, peers = address(ports[EMULATOR]), links(regions, ports)
    settings = {
        name: function_environment(
            region=name,
            aws_region=region.aws_region,
            endpoint=endpoint,
            peers=peers[name],
            archives=archives(name, regions),
        )
        for name, region in regions.items()
    }
    sockets = [link_name(source, target) for source, target in ways(regions)]
    return [
        *(
            Program(f"gateway-{name}", "cutlass.platform.gateway", settings[name], [f"gateway-{name}"])
            for name in regions
        ),
        Program(REPLICATOR, "cutlass.platform.replicator", {"AWS_ENDPOINT_URL": endpoint}, [CONTROL, *sockets]),
        *(Program(f"consumer-{name}", "cutlass.platform.consumer", settings[name]) for name in regions),
    ]
