"""What the description says in words only, for schemathesis to make: keys, metadata texts,
signatures, times and a certificate. It is loaded by schemathesis in its own environment."""

import base64
import hashlib
import json
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

digests = st.binary(max_size=8).map(lambda data: hashlib.sha512(data).hexdigest())
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
metadata = st.builds(
    lambda digest, rest: json.dumps({**rest, "sha512": digest}),
    digests, st.dictionaries(st.text(), values, max_size=3),
)
signatures = st.just("") | st.binary(max_size=256).map(lambda data: base64.b64encode(data).decode())
keys = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=100,
)

CERTIFICATE = Path(__file__).parents[2] / "crates/shacache-core/testdata/golden/tool.pem"
times = st.dates().map(str) | st.datetimes().map(lambda time: time.isoformat() + "Z")

schemathesis.openapi.format("shadir-key", keys)
schemathesis.openapi.format("pem-certificate", st.just(CERTIFICATE.read_text()))
schemathesis.openapi.format("day-or-time", times)
# Only an answer can tell one.
schemathesis.openapi.format("next-of-a-page", st.nothing())
schemathesis.openapi.format("shadir-metadata", metadata)
schemathesis.openapi.format("shadir-signature", signatures)


@schemathesis.hook
def before_call(context, case, kwargs):
    """A blob is put under the digest of its bytes, which no schema can say."""
    is_upload = case.operation.method.upper() == "PUT" and "digest" in case.path_parameters
    if is_upload and case.meta and case.meta.generation.mode.is_positive:
        # Bytes come wrapped; without a body it is the empty blob.
        body = getattr(case.body, "data", b"")
        case.path_parameters["digest"] = hashlib.sha512(body).hexdigest()
