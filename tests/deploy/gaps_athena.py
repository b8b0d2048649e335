"""What ministack's Athena leaves out of a table: where each row is from."""

from typing import Any


def close() -> None:
    """Close the gaps of Athena."""
    from ministack.services import athena  # noqa: PLC0415 (it reads settings on import)

    tell_paths(athena)


def tell_paths(athena: Any) -> None:
    """Give every row of Parquet the column `$path`, which Athena has of every table: the object it is in.

    The objects were copied into a folder, below the part of their keys that the table's location is.
    """
    relation_of = athena._table_relation

    def relation_with_paths(table: dict[str, Any], files: list[str]) -> str:
        relation = str(relation_of(table, files))
        if not relation.startswith("read_parquet("):
            return relation
        folder = files[0][: files[0].index("/", files[0].index("ministack-athena-")) + 1]
        location = table["StorageDescriptor"]["Location"].rstrip("/") + "/"
        named = relation.removesuffix(")") + ", filename = true)"
        path = f"replace(filename, '{folder}', '{location}') AS \"$path\""
        return f"(SELECT * EXCLUDE (filename), {path} FROM {named})"

    athena._table_relation = relation_with_paths
