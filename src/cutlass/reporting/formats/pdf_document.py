"""PDF: the same page on paper, A4 across, by fpdf2, which is Python alone and so runs wherever a function does."""

from pathlib import Path

from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout

from cutlass.reporting.formats.drawing import ACCENT, INK, SOFT, Shape, draw
from cutlass.reporting.formats.values import heading, person, said, shown
from cutlass.reporting.model import Chart, Kind, Report, Table

_MARGIN, _WIDTH = 14.0, 269.0  # millimetres, of A4 across
_CHART_WIDTH = 170.0
_FONT = "Helvetica"
_NARROW = {"\N{EN DASH}": "-", "\N{MIDDLE DOT}": "-", "\N{HORIZONTAL ELLIPSIS}": "..."}


class _Document(FPDF):
    """Pages with a line at their foot."""

    def __init__(self, report: Report) -> None:
        super().__init__(orientation="landscape", format="A4")
        self._line = latin(f"{report.title}, {report.spec.org_id}")
        self.set_margins(_MARGIN, _MARGIN)
        self.set_auto_page_break(auto=True, margin=_MARGIN + 4)
        self.set_title(latin(report.title))
        self.set_subject(latin(report.headline))
        self.set_lang("en")
        self.set_creation_date(report.until or report.spec.end)
        self.add_page()

    def footer(self) -> None:
        """Write the report's name and the page's number."""
        self.set_y(-_MARGIN)
        self.set_font(_FONT, size=8)
        self.set_text_color(SOFT)
        self.cell(_WIDTH / 2, 5, self._line)
        self.cell(_WIDTH / 2, 5, f"{self.page_no()} / {{nb}}", align="R")


def write(report: Report, path: Path) -> None:
    """Write the report."""
    page = _Document(report)
    _words(page, report.title, 20, style="B")
    _words(page, report.headline, 12)
    _words(page, "    ".join(f"{name}: {fact}" for name, fact in report.facts), 9, colour=SOFT)
    page.ln(3)
    _figures(page, report.figures)
    for chart in report.charts:
        _chart(page, chart)
    for table in report.tables:
        _table(page, table)
    page.ln(4)
    for note in report.notes:
        _words(page, note, 8, colour=SOFT)
    if report.until:
        _words(page, f"Newest entry: {report.until:%Y-%m-%d %H:%M:%S} UTC.", 8, colour=SOFT)
    page.output(str(path))


def latin(text: str) -> str:
    """Write text with the characters the built-in fonts have; a question mark stands for others."""
    for sign, plain in _NARROW.items():
        text = text.replace(sign, plain)
    return text.encode("latin-1", "replace").decode("latin-1")


def _words(page: FPDF, text: str, size: int, *, style: str = "", colour: str = INK) -> None:
    page.set_font(_FONT, style=style, size=size)
    page.set_text_color(colour)
    page.multi_cell(_WIDTH, size * 0.5, latin(text), new_x="LMARGIN", new_y="NEXT")


def _figures(page: FPDF, figures: tuple[tuple[str, str], ...]) -> None:
    for name, figure in figures:
        page.set_font(_FONT, size=9)
        page.set_text_color(SOFT)
        page.cell(60, 5, latin(name))
        page.set_font(_FONT, style="B", size=10)
        page.set_text_color(INK)
        page.cell(60, 5, latin(figure), new_x="LMARGIN", new_y="NEXT")


def _chart(page: FPDF, chart: Chart) -> None:
    drawing = draw(chart)
    scale = _CHART_WIDTH / drawing.width
    page.ln(4)
    if page.will_page_break(drawing.height * scale + 8):
        page.add_page()
    _words(page, f"{chart.title} ({chart.unit})", 11, style="B")
    left, top = page.get_x(), page.get_y() + 1
    for shape in drawing.shapes:
        _shape(page, shape, left, top, scale)
    page.set_draw_color(0)
    page.set_xy(_MARGIN, top + drawing.height * scale + 2)


def _shape(page: FPDF, shape: Shape, left: float, top: float, scale: float) -> None:
    points = [(left + x * scale, top + y * scale) for x, y in shape.points]
    if shape.text:
        page.set_font(_FONT, size=8)
        page.set_text_color(shape.colour)
        text = latin(shape.text)
        shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor] * page.get_string_width(text)
        page.text(points[0][0] - shift, points[0][1], text)
    elif shape.filled:
        page.set_fill_color(shape.colour)
        page.polygon(points, style="F")
    else:
        page.set_draw_color(shape.colour)
        page.set_line_width(shape.width * scale)
        page.polyline(points)


def _table(page: FPDF, table: Table) -> None:
    page.ln(5)
    if page.will_page_break(30):
        page.add_page()
    _words(page, table.title, 13, style="B")
    if not table.rows:
        _words(page, "Nothing in this period.", 9, colour=SOFT)
        return
    _words(page, f"{said(table)}.", 8, colour=SOFT)
    visible = shown(table)
    page.set_font(_FONT, size=8)
    page.set_text_color(INK)
    page.set_draw_color("#dde3e8")
    page.set_fill_color(255)
    page.set_line_width(0.2)
    rows = [[latin(heading(column)) for column in visible.columns]] + [
        [latin(person(column, value)) for column, value in zip(visible.columns, row, strict=True)]
        for row in visible.rows
    ]
    with page.table(
        rows,
        width=_WIDTH,
        col_widths=_widths(page, rows),
        text_align=tuple("RIGHT" if column.kind is Kind.NUMBER else "LEFT" for column in visible.columns),
        headings_style=FontFace(emphasis="BOLD", color=ACCENT),
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        line_height=4.5,
    ):
        pass


def _widths(page: FPDF, rows: list[list[str]]) -> tuple[float, ...]:
    """How wide columns are, in parts of the table: as wide as their longest text needs."""
    return tuple(max(page.get_string_width(cell) + 4 for cell in column) for column in zip(*rows, strict=True))
