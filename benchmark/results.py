"""What was measured in one contest: all values, their medians, the table and the document."""

from statistics import median


class Results:
    """`others` is the share of the processor that went elsewhere meanwhile."""

    def __init__(self, contest):
        self.contest = contest
        self.others = 0
        self.values = {
            contestant.name: {measure.name: [] for measure in contest.measures}
            for contestant in contest.contestants
        }

    def add(self, contestant, measured):
        """Takes the values of one run, all that the contest asks for and no others."""
        values = self.values[contestant.name]
        if measured.keys() != values.keys():
            raise ValueError(f"{contestant.name} measured {sorted(measured)}")
        for name, value in measured.items():
            values[name].append(value)

    def medians(self):
        return {
            contestant: {name: median(values) for name, values in measured.items()}
            for contestant, measured in self.values.items()
        }

    def ratio(self, contestant):
        """How much better than the reference in the first measure; above 1 is better."""
        measure, medians = self.contest.measures[0], self.medians()
        own = medians[contestant][measure.name]
        other = medians[self.contest.reference][measure.name]
        return own / other if measure.higher_is_better else other / own

    def table(self):
        """Markdown that can be read as it is."""
        header = ["", *(f"{m.name}, {m.unit}" for m in self.contest.measures), "ratio"]
        rows = [header]
        for contestant, measured in self.values.items():
            cells = [self.cell(m, measured[m.name]) for m in self.contest.measures]
            rows.append([contestant, *cells, f"{self.ratio(contestant):.2f}"])
        widths = [max(3, *(len(row[at]) for row in rows)) for at in range(len(header))]
        rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
        lines = [f"**{self.contest.title}**", ""]
        for row in rows:
            name, *cells = (cell.ljust(width) if at == 0 else cell.rjust(width)
                            for at, (cell, width) in enumerate(zip(row, widths)))
            lines.append("| " + " | ".join([name, *cells]) + " |")
        lines.append("")
        lines += (f"- {'met' if is_met else 'MISSED'}: {target}" for target, is_met in self.targets())
        if self.others > DISTURBED:
            lines.append(f"- DISTURBED: others took {self.others:.0%} of the processor meanwhile")
        return "\n".join(lines)

    @staticmethod
    def cell(measure, values):
        low, middle, high = (
            f"{value:,.{measure.decimals}f}" for value in (min(values), median(values), max(values))
        )
        return f"{middle} ({low}–{high})"

    def targets(self):
        medians = self.medians()
        return [(target, target.is_met(medians)) for target in self.contest.targets]

    def document(self):
        return {
            "title": self.contest.title,
            "reference": self.contest.reference,
            "measures": {
                measure.name: {"unit": measure.unit, "higher_is_better": measure.higher_is_better}
                for measure in self.contest.measures
            },
            "contestants": {
                contestant: {"values": measured, "ratio": self.ratio(contestant)}
                for contestant, measured in self.values.items()
            },
            "others": self.others,
            "targets": {str(target): is_met for target, is_met in self.targets()},
        }


DISTURBED = 0.05
