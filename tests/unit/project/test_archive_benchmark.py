"""The page on reports shows what the newest run of the archive's benchmark measured."""

from benchmarks import archive


def test_the_page_shows_the_newest_results() -> None:
    page = archive.PAGE.read_text(encoding="utf-8")
    assert archive.with_table(page, archive.newest()) == page, "run the benchmark again, it writes the page"


def test_a_row_of_the_benchmark_is_a_row_of_the_archive() -> None:
    place, count = next(archive._places(1200))
    with archive.duckdb.connect() as connection:
        rows = connection.execute(archive._rows(place, count)).fetchall()
    decisions = [row for row in rows if row[3] != "grant"]
    assert len(decisions) == count
    assert len({row[4] for row in decisions}) == count, "entries of one name would be read once"
    low, high = place.span
    assert all(archive.to_millis(low) <= row[2] < archive.to_millis(high) for row in rows)
