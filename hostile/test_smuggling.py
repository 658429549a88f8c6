"""One message is one request, whatever its framing says, directly and behind the proxies that
stand in front of servers in the field: nobody gets another one's answer."""

import socket
from concurrent.futures import ThreadPoolExecutor

from hostile import proxies, smuggling
from hostile.hostile_test import HostileTest
from hostile.raw_client import RawClient, exchange
from interop.http_client import request
from interop.server import wait_until

# So that a message which says that more will come is given up soon.
IMPATIENT = """
[limit]
first-byte-seconds = 1
header-seconds = 1
idle-seconds = 1
body-stall-seconds = 1
drain-idle-seconds = 1
"""
SENDERS_AT_ONCE = 24


class Smuggling(HostileTest):
    def test_directly(self):
        self.check_directly(self.configured(IMPATIENT))

    def test_directly_naively_served(self):
        with self.is_noticed("2 answers"):
            self.check_directly(self.naive())

    def test_behind_nginx(self):
        server = self.configured(IMPATIENT)
        with proxies.nginx(self.folder, server) as proxy:
            self.check_behind(proxy, server)

    def test_behind_haproxy(self):
        server = self.configured(IMPATIENT)
        with proxies.haproxy(self.folder, server) as proxy:
            self.check_behind(proxy, server)

    def test_behind_a_haproxy_that_minds_little(self):
        server = self.configured(IMPATIENT)
        with proxies.haproxy(self.folder, server, lenient=True) as proxy:
            self.check_behind(proxy, server)

    def test_behind_a_proxy_that_does_not_look(self):
        server = self.naive()
        with proxies.haproxy(self.folder, server, mode="tcp") as proxy:
            with self.is_noticed("smuggled in"):
                self.check_behind(proxy, server)

    def check_directly(self, server):
        def attack(named):
            name, message = named
            return name, message, exchange(server.address, message, timeout_s=10)

        with ThreadPoolExecutor(SENDERS_AT_ONCE) as senders:
            for name, message, answers in senders.map(attack, smuggling.messages()):
                self.check_answers(name, message, answers)
        self.assertNotIn(smuggling.SMUGGLER, "".join(server.log), "smuggled in")
        self.assertGreater(self.counts["refused"], 50)

    def check_answers(self, name, message, answers):
        final = [answer for answer in answers if answer.status >= 200]
        self.assertLessEqual(len(final), 1, f"{len(final)} answers to {name}")
        self.counts["messages"] += 1
        for answer in final:
            self.assertLess(answer.status, 500, name)
            self.counts["refused"] += answer.status == 400
            if b"Transfer-Encoding: chunked" in message:
                self.assertEqual(answer.headers.get("connection"), "close", name)

    def check_behind(self, proxy, server):
        with ThreadPoolExecutor(SENDERS_AT_ONCE) as senders:
            for answered_bytes in senders.map(
                lambda named: attack_behind(proxy, named[1]), smuggling.messages()
            ):
                self.counts["messages"] += 1
                self.counts["answered"] += answered_bytes > 0
        # A request that waits in a connection to the server would come out with the next one.
        for number in range(20):
            answer = request(proxy, "GET", f"/shadir/next-{number}")
            # An idle connection has ended just when haproxy took it, and it does not take another.
            if answer.status == 502:
                answer = request(proxy, "GET", f"/shadir/next-{number}")
            self.assertEqual(answer.status, 404, "somebody else's answer")
        wait_until(lambda: any("next-19" in line for line in server.log), "the last is logged")
        for line in server.log:
            self.assertNotIn(smuggling.SMUGGLER, line, "smuggled in")
            self.counts["passed on"] += "/shadir/first" in line


def attack_behind(proxy, message):
    """Sends one message to the proxy; gives how many bytes came back. It may find that there is
    more than one request in it, and have each answered, as long as the server agrees."""
    answered_bytes = 0
    with RawClient(proxy.address, timeout_s=3) as client:
        client.send_until_refused([message])
        try:
            while block := client.socket.recv(1 << 16):
                answered_bytes += len(block)
        except (ConnectionError, socket.timeout):
            pass
    return answered_bytes
