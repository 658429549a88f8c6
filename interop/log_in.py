"""Runs the commands of the real client, `upload` or `download`, as Python 2 ran them where a URL has a
name and a password: there, text could be encoded as base64, which the client relies on. To be run
with a virtual environment's own Python.
"""

import base64
import sys

from slapos import libnetworkcache


def b64encode(text):
    if isinstance(text, str):
        return base64.b64encode(text.encode()).decode()
    return base64.b64encode(text)


def main():
    command = {
        "upload": libnetworkcache.cmd_upload, "download": libnetworkcache.cmd_download,
    }[sys.argv.pop(1)]
    libnetworkcache.b64encode = b64encode
    sys.exit(command())


if __name__ == "__main__":
    main()
