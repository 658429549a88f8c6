"""Runs inside the old release's environment: uploads one file under a key, signed, and selects it.

`old_upload.py CACHE_URL DIRECTORY_URL KEY_FILE CERTIFICATE_FILE KEY FILE` prints the digest that it
selected and downloaded. Release 0.20 has no options for this, only its library.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import old_release  # noqa: E402,F401  (before the client is imported)


def main():
    from slapos.libnetworkcache import NetworkcacheClient

    cache_url, directory_url, key_file, certificate_file, key, path = sys.argv[1:]
    with open(certificate_file) as f:
        certificate = f.read()
    client = NetworkcacheClient(
        cache_url, directory_url,
        signature_private_key_file=key_file, signature_certificate_list=[certificate],
    )
    with open(path, "rb") as f:
        digest = client.upload(f, key, urlmd5="0" * 32, file_name=os.path.basename(path))
    selected = next(iter(client.select(key)))["sha512"]
    assert selected == digest, (selected, digest)
    with open(path, "rb") as f:
        assert client.download(selected).read() == f.read()
    print(selected)


if __name__ == "__main__":
    main()
