"""The servers that are compared, each with the same files below its folder and the same log: none, or
a line for each request in a file. All listen on a free port; `prefix` comes before the command, for
example to keep it on a core."""

import contextlib
import getpass
import re
import socket
import subprocess

from benchmark.place import (
    BARE_SERVER, CHECKOUT, NGINX_PROGRAM, PYTHON_COMMANDS, SHACACHED, clean,
)
from interop.nginx import free_port
from interop.server import Shacached, wait_until

NGINX_CONFIG = """\
daemon off;
user {user};
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {access_log};
  sendfile {sendfile};
  tcp_nopush on;
  keepalive_requests 1000000000;
  open_file_cache max=10000 inactive=1h;
  open_file_cache_valid 1h;
  open_file_cache_min_uses 1;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type application/octet-stream;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


class Ours(Shacached):
    """The server as it is released and as it ships, but for the log and `settings`."""

    program = SHACACHED

    def __init__(self, folder, *, prefix=(), access_log=False, settings=""):
        folder.mkdir(parents=True, exist_ok=True)
        # Its own standard error, so that nobody reads along on one of the cores.
        to_file = ["sh", "-c", 'log=$0; exec "$@" 2>>"$log"', folder / "log"]
        config = folder / "server.toml"
        config.write_text(f'[log]\nlevel = "{"info" if access_log else "warn"}"\n{settings}')
        super().__init__(
            folder / "data", prefix=[*to_file, *prefix], arguments=["--config", config]
        )


def hot_mib():
    """How much the server keeps in memory of what clients ask for, as it ships."""
    told = subprocess.run(
        [SHACACHED, "print-config"], check=True, capture_output=True, text=True, env=clean()
    )
    return int(re.search(r"^hot-bytes = (\d+)", told.stdout, re.MULTILINE)[1]) >> 20


class Nginx:
    """One worker process, with descriptors kept open."""

    def __init__(self, folder, root, *, prefix=(), sendfile=True, access_log=False):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        config = folder / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(
            folder=folder, root=root, port=self.port, sendfile="on" if sendfile else "off",
            access_log=folder / "access.log" if access_log else "off",
            # Or root's workers would be somebody else, who may not read here.
            user=getpass.getuser(),
        ))
        self.command = [*prefix, NGINX_PROGRAM, "-c", config, "-p", folder]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, env=clean())
        wait_until(lambda: listens(self.port), "nginx to answer")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Announcing:
    """A program that says on standard output where it listens."""

    def __init__(self, command):
        self.command = command
        self.process = None
        self.base_url = self.address = None

    def __enter__(self):
        # What it says of each request is read by nobody, so that it costs no core anything.
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=clean(),
        )
        line = self.process.stdout.readline()
        self.base_url = re.search(r"http://\S+", line)[0]
        host, port = self.base_url.removeprefix("http://").split(":")
        self.address = (host, int(port))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def bare_server(root, prefix=()):
    """See `bare_server.rs`."""
    return Announcing([*prefix, BARE_SERVER, "serve", "127.0.0.1:0", root])


def reference_server(tree, prefix=()):
    """See `reference_server.py`."""
    program = CHECKOUT / "benchmark/reference_server.py"
    return Announcing([*prefix, PYTHON_COMMANDS / "python", program, tree])


def listens(port):
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
