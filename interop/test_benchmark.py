"""What the benchmark makes of what it measured: a regression fails, the chart can be drawn, others at
work are seen."""

import subprocess
import sys
import unittest
from xml.etree import ElementTree

from benchmark import instructions
from benchmark.case import Contest, Contestant, Measure
from benchmark.chart import chart
from benchmark.machine import own_seconds
from benchmark.results import Results

KEPT = {"GET": 10_000, "PUT": 100_000}


class Instructions(unittest.TestCase):
    def test_four_percent_more_fail(self):
        (complaint,) = instructions.compare(KEPT, {"GET": 10_400, "PUT": 100_000})
        self.assertRegex(complaint, r"GET: 10,400 instructions, \+4\.0% of 10,000")

    def test_two_percent_more_and_any_less_pass(self):
        self.assertEqual(instructions.compare(KEPT, {"GET": 10_200, "PUT": 50_000}), [])

    def test_what_is_not_counted_any_more_fails(self):
        self.assertEqual(len(instructions.compare(KEPT, {"GET": 10_000})), 1)

    def test_everything_counted_is_kept(self):
        self.assertEqual(instructions.kept().keys(), instructions.KINDS.keys())


class Others(unittest.TestCase):
    def test_a_program_that_was_started_is_none_of_them(self):
        before = own_seconds()
        work = "import time\nwhile time.process_time() < 0.3: pass"
        subprocess.run([sys.executable, "-c", work], check=True)
        self.assertGreater(own_seconds() - before, 0.25)

    def test_a_disturbed_table_says_so(self):
        results = Chart.results("title", {"ours": 1})
        self.assertNotIn("DISTURBED", results.table())
        results.others = 0.3
        self.assertIn("DISTURBED: others took 30%", results.table())


class Chart(unittest.TestCase):
    def test_a_bar_for_each_contestant(self):
        alone = self.results("alone", {"ours": 1})
        svg = ElementTree.fromstring(chart([self.results("a < b", {"ours": 3, "peer": 6}), alone]))
        bars = svg.findall("{*}rect")
        widths = [float(bar.get("width")) for bar in bars]
        self.assertEqual(len(widths), 2)
        self.assertAlmostEqual(2 * widths[0], widths[1])
        self.assertIn("a < b (/s)", [text.text for text in svg.findall("{*}text")])

    @staticmethod
    def results(title, values):
        contestants = [Contestant(name, lambda: {}) for name in values]
        results = Results(Contest(title, [Measure("requests", "/s")], contestants, "ours"))
        for contestant in contestants:
            results.add(contestant, {"requests": values[contestant.name]})
        return results
