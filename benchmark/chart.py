"""The results as bars in one SVG, for light and dark pages: within each contest the best has the whole
width. What was measured alone has nothing to be compared with and is left out."""

from xml.sax.saxutils import escape

WIDTH, NAME_WIDTH, VALUE_WIDTH = 760, 200, 150
LINE, BAR, GAP = 18, 12, 14
STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.bar { fill: #8c959f }
.ours { fill: #1f6feb }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #6e7681 }
  .ours { fill: #58a6ff }
}"""


def chart(results):
    """Bars for the first measure of each contest; the first contestant is ours."""
    drawn, top = [], 0
    for result in results:
        if len(result.values) > 1:
            drawn.append(group(result, top))
            top += LINE * (1 + len(result.values)) + GAP
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}"'
        f' width="{WIDTH}" height="{top}">',
        f"<style>\n{STYLE}\n</style>", *drawn, "</svg>\n",
    ])


def group(result, top):
    measure = result.contest.measures[0]
    medians = {name: values[measure.name] for name, values in result.medians().items()}
    better = "" if measure.higher_is_better else ", less is better"
    lines = [text(0, top, f"{result.contest.title} ({measure.unit}{better})", "title")]
    widest = max(medians.values())
    for number, (name, value) in enumerate(medians.items()):
        top += LINE
        width = (WIDTH - NAME_WIDTH - VALUE_WIDTH) * value / widest
        kind = "bar ours" if number == 0 else "bar"
        lines += [
            text(0, top, name),
            f'<rect class="{kind}" x="{NAME_WIDTH}" y="{top + 3}" width="{width:.1f}"'
            f' height="{BAR}" rx="2"/>',
            text(NAME_WIDTH + width + 8, top, f"{value:,.{measure.decimals}f}"),
        ]
    return "\n".join(lines)


def text(left, top, content, kind=None):
    styled = f' class="{kind}"' if kind else ""
    return f'<text{styled} x="{left:.1f}" y="{top + BAR + 1}">{escape(content)}</text>'
