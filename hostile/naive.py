"""A server that answers good clients as ours does and lacks every defence: what is held against
ours in this folder has to fail here. `python naive.py DATA` runs it on a free port.

It trusts lengths, names and contents; it keeps bodies in memory and on disk as they come, each as a
file of its own, writes texts from clients into its log, reads JSON to write it anew, and waits for ever.
"""

import hashlib
import json
import mimetypes
import os
import socket
import sys
import threading
from pathlib import Path
from urllib.parse import unquote


class Connection:
    def __init__(self, client, data):
        self.client = client
        self.reader = client.makefile("rb")
        self.data = data

    def run(self):
        try:
            while self.answer_one():
                pass
        except (OSError, ValueError, RecursionError):
            pass
        finally:
            self.client.close()

    def answer_one(self):
        """Reads one request and answers it; whether there may be another one."""
        line = self.reader.readline().strip()
        if not line:
            return False
        method, target, *_ = line.decode("latin-1").split(" ")
        headers = {}
        while field := self.reader.readline().strip():
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if "expect" in headers:
            self.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        path = unquote(target.partition("?")[0])
        print(f"{method} {path} {headers.get('user-agent')}", flush=True)
        status, media_type, body = self.handle(method, path, headers)
        last = headers.get("connection") == "close"
        self.client.sendall(
            f"HTTP/1.1 {status} -\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
            f"Accept-Ranges: bytes\r\n{'Connection: close' if last else 'Connection: keep-alive'}"
            "\r\n\r\n".encode() + (b"" if method == "HEAD" else body)
        )
        return not last

    def handle(self, method, path, headers):
        file = Path(os.path.normpath(f"{self.data}/{path}"))
        if method in ("PUT", "POST"):
            return self.put(path, file, headers)
        if path.startswith("/shadir/"):
            file = Path(f"{file}.entries")
        if not file.is_file():
            return 404, "text/html", b"<p>no " + path.encode() + b"</p>"
        body = file.read_bytes()
        if path.startswith("/shadir/"):
            entries = [json.loads(line) for line in body.splitlines()]
            return 200, "application/json", json.dumps(entries).encode()
        guessed, _ = mimetypes.guess_type(path)
        sniffed = "text/html" if body.lstrip().startswith(b"<") else "text/javascript"
        return 200, guessed or sniffed, body

    def put(self, path, file, headers):
        file.parent.mkdir(parents=True, exist_ok=True)
        if path.startswith("/shadir/"):
            body = self.body(headers, None)
            with open(f"{file}.entries", "a", encoding="utf-8") as entries:
                entries.write(json.dumps(rewritten(body)) + "\n")
            return 201, "text/plain", b""
        if path.rstrip("/").endswith("/shacache"):
            body = self.body(headers, None)
            digest = hashlib.sha512(body).hexdigest()
            file = file / digest
            file.parent.mkdir(parents=True, exist_ok=True)
            copies = len(list(file.parent.glob(f"{digest}*")))
            Path(f"{file}.{copies}" if copies else file).write_bytes(body)
            return 201, "text/plain", digest.encode()
        body = self.body(headers, file)
        return 201, "text/plain", hashlib.sha512(body).hexdigest().encode()

    def body(self, headers, file):
        """All of it, in memory; what comes is put into `file` as it comes."""
        body, left = b"", int(headers.get("content-length", 0))
        chunked = "transfer-encoding" in headers and "content-length" not in headers
        with open(file or os.devnull, "wb", buffering=0) as copy:
            while chunked or left:
                if chunked:
                    left = int(self.reader.readline(), 16)
                    block = self.reader.read(left)
                    self.reader.readline()
                    if not left:
                        break
                else:
                    block = self.reader.read1(min(left, 1 << 16))
                    left -= len(block)
                if not block:
                    break
                copy.write(block)
                body += block
        return body


def rewritten(body):
    """An entry as whoever understands it would write it; else whatever it is."""
    value = json.loads(body)
    try:
        text, signature = value
        return [json.dumps(json.loads(text)), signature]
    except (TypeError, ValueError):
        return value


def main():
    data = Path(sys.argv[1])
    for name in ("shacache", "shadir", "tmp"):
        (data / name).mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=Connection(client, data).run, daemon=True).start()


if __name__ == "__main__":
    main()
