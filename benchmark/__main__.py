"""`./bench [CASE …]`: runs cases beside their peers and prints one table of medians and ratios.

Every contestant of a case runs once in each round, so that whatever else the machine does meets all
of them alike.
"""

import argparse
import importlib
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from benchmark import instructions
from benchmark.chart import chart
from benchmark.machine import Others, describe
from benchmark.place import CHECKOUT, Place
from benchmark.results import Results


def main():
    arguments = parse()
    # As an interrupt does: what was started has to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.instructions or arguments.keep_instructions:
        sys.exit(count_instructions(arguments))
    cases = list(chosen_cases(arguments.cases))
    if not cases:
        sys.exit("no such case")
    machine = describe()
    if os.cpu_count() < 2:
        sys.exit("two cores are needed: one for the server, one for what asks it")
    print("\n".join(f"- {name}: {value}" for name, value in machine.items()))
    print(f"- rounds: {arguments.rounds} at most; values are medians, in brackets the least and the most")
    results, failed = [], []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as folder:
        place = Place(Path(folder), arguments.size_mib, arguments.seconds)
        for title, contest in chosen_contests(cases, place, arguments.only):
            # One that fails does not cost what the others measured.
            try:
                results.append(hold(contest(title), arguments.rounds))
                print("\n" + results[-1].table(), flush=True)
            except Exception:
                traceback.print_exc()
                failed.append(title)
    if not results and not failed:
        sys.exit("no such contest")
    if arguments.json:
        document = {
            "machine": machine,
            "rounds": arguments.rounds,
            "contests": [result.document() for result in results],
        }
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    if arguments.svg:
        arguments.svg.write_text(chart(results))
    if failed:
        sys.exit("failed: " + "; ".join(failed))


def parse():
    parser = argparse.ArgumentParser(prog="./bench", description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="only cases of this name")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only contests with this in their title"
    )
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contestant (5)")
    parser.add_argument(
        "--seconds", type=int, default=3, help="how long a server is asked in each run (3)"
    )
    parser.add_argument("--size-mib", type=int, default=1024, help="size of a large file (1024)")
    parser.add_argument(
        "--folder", type=Path, default=CHECKOUT / ".test/bench",
        help="where the data lie while it runs; decides which disk is measured (.test/bench)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there, too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the medians as bars there")
    parser.add_argument(
        "--instructions", action="store_true",
        help="instead count what requests take, and fail where it is over 3 %% more than kept",
    )
    parser.add_argument(
        "--keep-instructions", action="store_true", help="and keep the counts to compare with"
    )
    return parser.parse_args()


def count_instructions(arguments):
    """Gives what to exit with."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as folder:
        counted = instructions.count(Place(Path(folder), arguments.size_mib, arguments.seconds))
    kept = instructions.kept()
    print(instructions.table(kept, counted))
    if arguments.keep_instructions:
        instructions.keep(counted)
        return 0
    return "\n".join(instructions.compare(kept, counted)) or 0


def chosen_cases(names):
    for path in sorted(Path(__file__).parent.glob("case_*.py")):
        case = importlib.import_module(f"benchmark.{path.stem}").CASE
        if case.name in names or not (names or case.is_long):
            yield case


def chosen_contests(cases, place, text):
    for case in cases:
        with case(place) as opened:
            for title, contest in opened.contests():
                if text in title:
                    yield title, contest


def hold(contest, rounds):
    """Each round starts with another contestant: none always runs on what the last one left."""
    results = Results(contest)
    rounds = min(rounds, contest.most_rounds or rounds)
    others = Others()
    for round_number in range(rounds):
        first = round_number % len(contest.contestants)
        for contestant in contest.contestants[first:] + contest.contestants[:first]:
            print(
                f"{contest.title}: {contestant.name}, round {round_number + 1} of {rounds}",
                file=sys.stderr, flush=True,
            )
            # What others left to be written to the disk costs this one nothing.
            os.sync()
            results.add(contestant, contestant.run())
    results.others = others.share()
    return results


if __name__ == "__main__":
    main()
