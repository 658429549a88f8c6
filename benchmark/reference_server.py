"""The server that the Python client is tested with, as a program: `reference_server.py FOLDER` serves
`FOLDER/shacache` and says on which port. Runs inside a virtual environment of that client."""

import sys

from slapos.libnetworkcachetests import NCHandler, Server


def main():
    server = Server(sys.argv[1], ("127.0.0.1", 0), NCHandler)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
