"""A listed signer that is quick enough for a load: it signs in this process as the old client does, RSA
with PKCS#1 v1.5 and SHA-1; and the server that takes only what it signed."""

import base64
import hashlib
import json
import re

from faults.disk import run
from interop.server import Shacached

# What stands before a SHA-1 in its DigestInfo (RFC 8017, section 9.2, note 1).
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
KEY_BYTES = 128


class QuickSigner:
    def __init__(self, folder):
        self.certificate_file = folder / "signer.crt"
        key_file = folder / "signer.key"
        run(
            "openssl", "req", "-x509", "-newkey", f"rsa:{8 * KEY_BYTES}", "-nodes",
            "-keyout", key_file, "-out", self.certificate_file, "-subj", "/CN=signer",
        )
        text = run("openssl", "rsa", "-in", key_file, "-noout", "-text")
        self.modulus = number(text, "modulus")
        self.exponent = number(text, "privateExponent")

    def entry_body(self, text):
        info = SHA1_INFO + hashlib.sha1(text.encode()).digest()
        filler = bytes([0xFF]) * (KEY_BYTES - 3 - len(info))
        block = int.from_bytes(b"\0\1" + filler + b"\0" + info, "big")
        signature = pow(block, self.exponent, self.modulus).to_bytes(KEY_BYTES, "big")
        return json.dumps([text, base64.b64encode(signature).decode()])

    def server(self, data):
        """A server on `data` that asks for signatures of this one and nothing else."""
        config = self.certificate_file.with_name("signed.toml")
        config.write_text(
            '[upload]\npolicy = "signed"\n[scrub]\nenabled = false\n'
            f'[trust]\ncertificates = ["{self.certificate_file}"]\n'
        )
        return Shacached(data, arguments=["--config", config])


def number(text, name):
    """As OpenSSL prints numbers: bytes in hex over several lines."""
    digits = re.search(rf"^{name}:\n((?: +[0-9a-f:]+\n)+)", text, re.MULTILINE)[1]
    return int(re.sub(r"[\s:]", "", digits), 16)
