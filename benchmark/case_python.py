"""Small downloads beside the servers in Python that hold such caches today."""

from benchmark import wrk
from benchmark.case import Case, Contest, Contestant, Target
from benchmark.servers import Ours, reference_server
from benchmark.wrk import REQUESTS, SLOWEST
from interop.http_client import post_blob
from interop.payload import Payload
from interop.slapproxy import Slapproxy

OURS, SLAPPROXY, REFERENCE = "shacached", "slapproxy", "libnetworkcache's test server"
SIZE = 1 << 10


class PythonCase(Case):
    name = "python"

    def contests(self):
        yield "GET of 1 KiB, servers in Python", self.small

    def small(self, title):
        start, prefix = self.opened.enter_context, self.place.on_server_core
        ours = start(Ours(self.folder / "ours", prefix=prefix))
        slapproxy = start(Slapproxy(self.folder / "slapproxy", prefix=prefix))
        tree = self.folder / "tree"
        kept = tree / "shacache"
        kept.mkdir(parents=True)

        def of_reference():
            # One for each run: after so many connections it takes no more.
            with reference_server(tree, prefix=prefix) as reference:
                return self.load(f"{reference.base_url}/shacache/{digest}")

        payload = Payload(SIZE)
        digest = payload.sha512()
        body = payload.write_to(kept / digest).read_bytes()
        (slapproxy.content / digest).write_bytes(body)
        answer = post_blob(ours, body)
        if answer.status != 201:
            raise RuntimeError(f"{answer.status}: {answer.body!r}")
        return Contest(
            title, [REQUESTS, SLOWEST],
            [
                self.contestant(OURS, f"{ours.cache_url}/{digest}"),
                # Now and then it answers with an error.
                self.contestant(SLAPPROXY, f"{slapproxy.cache_url}/{digest}", may_fail=True),
                Contestant(REFERENCE, of_reference),
            ],
            SLAPPROXY,
            [
                Target(OURS, REQUESTS.name, peer=peer, ratio=50)
                for peer in (SLAPPROXY, REFERENCE)
            ],
        )

    def contestant(self, name, url, **load):
        return Contestant(name, lambda: self.load(url, **load))

    def load(self, url, **load):
        return wrk.only(wrk.load(self.place, url, **load), REQUESTS, SLOWEST)


CASE = PythonCase
