#!/usr/bin/env python3
"""Prints key-names.tsv: keys as they stand in a request path, and where the archive keeps them.

Derives the names from the rule in the archive's description, not with the program's code. Rows may
be added; a row that is there never changes, because archives are filed by it.
"""
import hashlib
from urllib.parse import quote

KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789._=@,+-")


def name(key):
    digest = hashlib.sha256(key).hexdigest()
    encoded = "".join(
        chr(byte) if byte in KEPT and not (at == 0 and byte == ord(".")) else "%%%02x" % byte
        for at, byte in enumerate(key)
    )
    if len(encoded) > 200:
        encoded = "%sha256-" + digest
    return digest[:2] + "/" + encoded


MD5 = "d41d8cd98f00b204e9800998ecf8427e"
KEYS = [
    # As seen in the field.
    "file-urlmd5:" + MD5,
    "pypi:setuptools=63.2.0+slapospatched001",
    "pypi:Zope=4.8.2",
    MD5,
    "slapos-buildout-" + MD5,
    "pypi-buildout-" + MD5,
    "pypi-index-" + MD5 + "-foo>=1.0,<2",
    "pypi-index-" + MD5 + "-Foo_Bar[extra]~=1.0",
    "git-buildout-" + MD5,
    "'slapos-upgrade-testing-key-1.0'",
    "free text with spaces",
    # One of each byte that is kept or nearly so.
    "abcdefghijklmnopqrstuvwxyz0123456789._=@,+-",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    " !\"#$%&'()*/:;<>?[\\]^`{|}~",
    # Dots and slashes mean nothing.
    ".",
    "..",
    "...",
    ".hidden",
    "a.b",
    "a/b",
    "/a",
    "a/",
    "a//b",
    "../../etc/passwd",
    "a/../b",
    # Texts that look like encoded ones.
    "%",
    "%2F",
    "%2f",
    "%%",
    "%zz",
    "%41",
    "%sha256-" + "0" * 64,
    "%key",
    # Names that only case tells apart.
    "readme",
    "README",
    "ReadMe",
    # Beyond ASCII: composed and decomposed, several scripts, beyond the first plane.
    "h\u00e9llo",
    "he\u0301llo",
    "\u00c9",
    "\u043a\u043b\u044e\u0447",
    "\u30ad\u30fc",
    "\U0001f511",
    "\u212a",
    "\u0130",
    # Names that some file systems keep for themselves.
    "con",
    "nul.txt",
    "a.",
    "a ",
    "-rf",
    # Lengths at the edges: 200 bytes still spell the key, 201 do not; 512 is the longest key.
    "a",
    "a" * 200,
    "a" * 201,
    "A" * 66,
    "A" * 66 + "aa",
    "A" * 66 + "aaa",
    "A" * 67,
    "\u00e9" * 33,
    "\u00e9" * 34,
    "a" * 512,
    "\u00e9" * 256,
    "/" * 512,
]

print("# key as in a request path\tplace below entries/ (made by make-key-names.py)")
for key in KEYS:
    print(quote(key, safe="") + "\t" + name(key.encode()))
