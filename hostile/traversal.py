"""Names that lead out of a folder when something on the way decodes, normalises or trims them."""

# Where a way out would lead, as seen from the root of a mount and from the root of the machine.
GOALS = ["etc/passwd", "outside/secret", "state/secret", "proc/self/environ"]
STEPS = [
    "../", "..%2f", "..%2F", "%2e%2e/", "%2E%2E/", "%2e%2e%2f", "%2e./", ".%2e/", "..%5c", "..\\",
    "%2e%2e%5c", "%252e%252e%252f", "..%252f", "..%255c", "%25%32%65%25%32%65%25%32%66",
    "..%c0%af", "%c0%ae%c0%ae/", "%e0%80%ae%e0%80%ae/", "..%ef%bc%8f", "%ef%bc%8e%ef%bc%8e/",
    "%e2%80%a5/", "..%u2215", "%uff0e%uff0e/", "....//", "..../", "..;/", ".../", "..//", "./../",
    "..%00/", "%00../", "..%0d/", "..%09/", "..%20/", "../%2e/", ".%00./", "..%f0%80%80%af",
]
DEPTHS = (1, 3, 8)
LONE = [
    "..", ".", "/", "//", "///etc/passwd", "/etc/passwd", "%2fetc%2fpasswd", "%2f%2fetc/passwd",
    "\\etc\\passwd", "C:\\windows\\win.ini", "C:/windows/win.ini", "file:///etc/passwd",
    "~root/.profile", "%7eroot/.profile", "$HOME", "`id`", "|id", ";id", "%00", "a%00b", "%0a",
    "%0d%0a",
    "a%0d%0aSet-Cookie:%20a=b", "%ff", "%c0%80", "%80", "%", "%2", "%zz", "%%32%65", "%u002e",
    "NUL", "CON", "aux.txt", ".", "..%", ".git/config", ".htaccess", "%key", "%25key",
    "%25sha256-0", "%sha256-" + "0" * 64, "%25sha256-" + "0" * 64, "VERSION", "lock", "admin.sock",
    "a" * 255, "a" * 256, "a" * 512, "a" * 513, "a" * 3000, "%41" * 600, "a/" * 250, "/" * 500,
    "../" * 160, "%2e%2e%2f" * 150, "é" * 200, "%f0%9f%92%a9", "%e2%80%ae", "a%20b", "a b",
    "?../../etc/passwd", "a?b=../../etc/passwd", "#../../etc/passwd", "x/../../../etc/passwd",
    "x/./../..", "." * 200, "..." * 50, "con/../../..", "%2e" * 100, "./" * 100 + "../" * 100,
]


def names():
    """The whole corpus, each name once."""
    found = [f"{step * depth}{goal}" for step in STEPS for depth in DEPTHS for goal in GOALS]
    found += LONE
    found += [f"{'0' * 128}/{step}{GOALS[0]}" for step in STEPS]
    found += [f"{step}{'0' * 128}" for step in STEPS]
    return list(dict.fromkeys(found))
