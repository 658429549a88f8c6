"""A network on the way to a server that can be held up in the middle of an answer."""

import socket
import socketserver
import threading

PIECE_BYTES = 65536


class Relay:
    """Passes connections on to `address`. Use it as a context manager: leaving ends it.

    While it is shut, no connection brings more than `most_bytes` back; `held` is set once one would.
    """

    def __init__(self, address, most_bytes):
        self.held = threading.Event()
        self.is_open = threading.Event()
        relay = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self):
                with socket.create_connection(address) as server:
                    there = threading.Thread(target=relay._pass, args=(self.request, server))
                    there.start()
                    relay._pass(server, self.request, most_bytes)
                    there.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", 0), Connection)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_open.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def _pass(self, source, target, most_bytes=None):
        passed = 0
        try:
            while piece := source.recv(PIECE_BYTES):
                passed += len(piece)
                if most_bytes is not None and passed > most_bytes and not self.is_open.is_set():
                    self.held.set()
                    self.is_open.wait()
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            # One end hung up; the other is told so.
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
