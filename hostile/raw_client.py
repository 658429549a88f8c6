"""One connection on which any bytes can be sent, and every answer that comes back on it."""

import socket
from dataclasses import dataclass, field


@dataclass
class RawAnswer:
    """One answer as it came; `whole` is false when the connection ended inside of it."""

    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    whole: bool = True


class RawClient:
    """Use it as a context manager: leaving closes the connection."""

    def __init__(self, address, *, timeout_s=20, receive_buffer_bytes=None):
        self.socket = socket.socket()
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(timeout_s)
        self.socket.connect(address)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_until_refused(self, blocks):
        """Sends until the server takes no more; gives how many bytes it took, and whether that was
        all."""
        sent_bytes = 0
        for block in blocks:
            try:
                self.socket.sendall(block)
            except OSError:
                return sent_bytes, False
            sent_bytes += len(block)
        return sent_bytes, True

    def finish(self):
        """Says that nothing more is sent."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        """Closes the connection so that the server sees an error, not an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def answers(self):
        """Reads until the server closes the connection; gives all answers, interim ones too."""
        try:
            while block := self.socket.recv(1 << 16):
                self.received += block
        except ConnectionError:
            pass
        answers = []
        while self.received:
            answer, self.received = split_answer(self.received)
            answers.append(answer)
        return answers

    def answer(self):
        """The next answer on a connection that stays open."""
        while True:
            if b"\r\n\r\n" in self.received:
                answer, rest = split_answer(self.received)
                if answer.whole:
                    self.received = rest
                    return answer
            block = self.socket.recv(1 << 16)
            if not block:
                raise AssertionError(f"closed within an answer: {self.received!r}")
            self.received += block


def exchange(address, data, *, finish=False, **options):
    """Sends `data` and gives all answers until the server closes the connection. With `finish` it
    is told that nothing more comes, which may keep it from answering what it has."""
    with RawClient(address, **options) as client:
        client.send_until_refused([data])
        if finish:
            client.finish()
        return client.answers()


def split_answer(data):
    """The first answer in `data` and what follows it. Not for answers to HEAD."""
    head, found, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    version, _, status_line = lines[0].partition(" ")
    if not version.startswith("HTTP/1.") or not status_line[:3].isdigit():
        raise AssertionError(f"this is no answer: {data[:200]!r}")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    answer = RawAnswer(int(status_line[:3]), headers)
    if not found:
        answer.whole = False
        return answer, b""
    if answer.status < 200 or answer.status in (204, 304):
        return answer, rest
    if headers.get("transfer-encoding") == "chunked":
        answer.body, rest, answer.whole = split_chunks(rest)
        return answer, rest
    length = int(headers.get("content-length", len(rest)))
    answer.body, rest = rest[:length], rest[length:]
    answer.whole = len(answer.body) == length
    return answer, rest


def split_chunks(data):
    body = b""
    while True:
        size_line, found, rest = data.partition(b"\r\n")
        if not found:
            return body, b"", False
        size = int(size_line.split(b";")[0], 16)
        body, data = body + rest[:size], rest[size + 2 :]
        if size == 0:
            return body, data, True
        if len(rest) < size + 2:
            return body, b"", False
