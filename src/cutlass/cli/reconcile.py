"""The command that proves the invariants on live tables."""

from typing import TYPE_CHECKING, Annotated

import typer

from cutlass.cli.options import Environment, Json
from cutlass.cli.output import print_error, print_json, print_line, print_table
from cutlass.cli.progress import Progress

if TYPE_CHECKING:
    from cutlass.storage import Store
    from cutlass.storage.reconciled import Summary

_PROBLEMS_SHOWN = 20


def reconcile(
    *,
    org: Annotated[
        list[str] | None, typer.Option("--org", help="An organisation's id, may be repeated; all if left out.")
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Compare with every entry of the ledger too: reads all of it.")
    ] = False,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Prove on live tables that nothing was lost, doubled or oversold; ends with 1 if something was."""
    from cutlass.domain.errors import UnavailableError  # noqa: PLC0415
    from cutlass.platform.operator import open_stores  # noqa: PLC0415
    from cutlass.storage.dynamo import DynamoError  # noqa: PLC0415

    try:
        summary = _reconcile(open_stores(environment), org, ledger=ledger)
    except DynamoError as error:
        hint = "is the environment deployed, and may your credentials read its tables?"
        raise UnavailableError(f"the tables cannot be read: {error}", hint=hint) from None
    if as_json:
        print_json(summary.as_dict())
    else:
        _show(summary)
    if not summary.clean:
        raise typer.Exit(1)


def _reconcile(stores: "dict[str, Store]", chosen: list[str] | None, *, ledger: bool) -> "Summary":
    from cutlass.domain.errors import UnavailableError  # noqa: PLC0415
    from cutlass.storage.reconciled import Summary  # noqa: PLC0415

    ids = chosen or [one.org_id for region, store in stores.items() for one in store.directory.every(home=region)]
    reconciliation = next(iter(stores.values())).reconciliation
    summary, progress = Summary(), Progress("organisations", len(ids))
    for done, org_id in enumerate(ids, 1):
        try:
            summary.results.append(reconciliation.organisation(org_id, ledger=ledger))
        except UnavailableError as error:
            summary.failures[org_id] = error.message
        progress("reconciled", done)
    return summary


def _show(summary: "Summary") -> None:
    found = summary.as_dict()
    columns = ["granted", "used", "remaining", "reserved", "in_transit", "expired", "burned", "overdrawn", "gap"]
    rows = [
        [name, meter, *(account[column] for column in columns)]
        for name, accounts in [*found["accounts"].items(), ("all", found["totals"])]
        for meter, account in accounts.items()
        if account["granted"] or account["used"]
    ]
    print_table("", ["organisation", "meter", *(column.replace("_", " ") for column in columns)], rows)
    for problem in found["problems"][:_PROBLEMS_SHOWN]:
        print_line(f"{problem['invariant']}: {problem['pk']} / {problem['sk']}: {problem['words']}")
    for org_id, words in found["not_compared"].items():
        print_line(f"not compared, {org_id}: {'; '.join(words)}")
    for org_id, words in found["failures"].items():
        print_error(f"{org_id} could not be reconciled: {words}")
    state = f"{len(found['problems'])} problems" if found["problems"] else "no problem"
    behind = f", {found['behind']} allotments not recorded to the end yet" if found["behind"] else ""
    organisations = f"{found['organisations']:,} organisation{'' if found['organisations'] == 1 else 's'}"
    print_line(f"{state} in {found['items']:,} items of {organisations}{behind}")
