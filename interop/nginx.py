"""Debian's nginx in front of a server: HTTPS where every client has to show a certificate."""

import os
import socket
import ssl
import subprocess
from pathlib import Path

from interop.python_client import run
from interop.server import STOP_LIMIT_S, wait_until

# Debian keeps it where the PATH of users may not lead.
SEARCH_PATH = os.environ["PATH"] + ":/usr/sbin"
PORTS_TRIED = 5
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address} ssl;
        ssl_certificate {server.certificate_file};
        ssl_certificate_key {server.key_file};
        ssl_client_certificate {authority.certificate_file};
        ssl_verify_client on;
        # Keys are data: what arrives is passed on as it is, however large its body.
        merge_slashes off;
        client_max_body_size 0;
        location / {{
            proxy_pass {behind.base_url};
            proxy_request_buffering off;
            proxy_buffering off;
        }}
    }}
}}
"""


class Authority:
    """A certificate authority of its own, with the certificates that it issues in `folder`."""

    def __init__(self, folder, name):
        self.folder = Path(folder, name)
        self.folder.mkdir()
        self.key_file = self.folder / "authority.key"
        self.certificate_file = self.folder / "authority.crt"
        run(
            "openssl", "req", "-x509", *self._new_key(self.key_file, name), "-days", "2",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", self.certificate_file,
        )

    def issue(self, name, *, days=2):
        """A certificate for 127.0.0.1, which serves a client just as well; -1 day for one that has
        expired."""
        return Issued(self, name, days)

    @staticmethod
    def _new_key(key_file, name):
        return ["-newkey", "rsa:2048", "-nodes", "-keyout", key_file, "-subj", f"/CN={name}"]


class Issued:
    """A key and its certificate."""

    def __init__(self, authority, name, days):
        self.key_file = authority.folder / f"{name}.key"
        self.certificate_file = authority.folder / f"{name}.crt"
        request = authority.folder / f"{name}.csr"
        extensions = authority.folder / "extensions"
        extensions.write_text(
            "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        run("openssl", "req", *authority._new_key(self.key_file, name), "-out", request)
        run(
            "openssl", "x509", "-req", "-days", str(days), "-in", request, "-extfile", extensions,
            "-CA", authority.certificate_file, "-CAkey", authority.key_file, "-CAcreateserial",
            "-out", self.certificate_file,
        )


class Nginx:
    """One nginx on a free port that passes everything on to the server `behind`.

    It shows a certificate that `authority` issued and lets in who shows one of the same. It looks
    like a server to clients. Use it as a context manager, or `start` it.
    """

    def __init__(self, behind, folder, authority):
        self.behind = behind
        self.folder = Path(folder, "nginx")
        self.folder.mkdir()
        self.authority = authority
        self.certificate = authority.issue("server")
        self.process = None
        self.address = None
        self.base_url = None

    @property
    def cache_url(self):
        return self.base_url + "/shacache"

    @property
    def directory_url(self):
        return self.base_url + "/shadir"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(STOP_LIMIT_S)
            self.process = None

    def start(self):
        """Starts the process and waits until it shows its certificate."""
        # nginx cannot choose a port; one that was free may be taken before it gets there.
        for _ in range(PORTS_TRIED):
            self._start_on(free_port())
            wait_until(
                lambda: self._is_gone() or self._shows_its_certificate(), "nginx answers or ends"
            )
            if not self._is_gone():
                return
        log = (self.folder / "error.log").read_text()
        raise AssertionError(f"nginx did not start:\n{log}")

    def _start_on(self, port):
        self.address = ("127.0.0.1", port)
        self.base_url = f"https://127.0.0.1:{port}"
        configuration = self.folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(
            folder=self.folder, address=f"127.0.0.1:{port}", server=self.certificate,
            authority=self.authority, behind=self.behind,
        ))
        self.process = subprocess.Popen(
            [
                "nginx", "-p", self.folder, "-e", self.folder / "error.log", "-c", configuration,
            ],
            env={"PATH": SEARCH_PATH}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

    def _is_gone(self):
        return self.process.poll() is not None

    def _shows_its_certificate(self):
        try:
            shown = ssl.get_server_certificate(self.address, timeout=1)
        except OSError:
            return False
        return shown.strip() in self.certificate.certificate_file.read_text()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
