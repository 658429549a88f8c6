//! Signatures mean the same bytes to Python: what is accepted here decodes to the same there, and
//! what is refused here is what Python's strict decoder refuses, and padding without need.

use data_encoding::HEXLOWER;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use shacache_core::signature::Signature;

use crate::python;

#[test]
fn accepted_signatures_are_the_same_bytes_to_python() {
    let texts = signature_like_texts(4000);
    let strict = python::answers(
        "import base64, binascii
data = text.encode()
strict = data.translate(None, b' \\t\\n\\r\\x0b\\x0c')
try:
    base64.b64decode(strict, validate=True)
except binascii.Error:
    return 'refused'
bytes = base64.b64decode(data)
if len(base64.b64encode(bytes)) < len(strict):
    return 'refused' # padding after what is complete already
return bytes.hex()",
        &texts,
    );
    let mut accepted = 0;
    for (text, python) in texts.iter().zip(strict) {
        let ours = match text.parse::<Signature>() {
            Ok(signature) => HEXLOWER.encode(signature.bytes()),
            Err(_) => "refused".into(),
        };
        accepted += usize::from(ours != "refused");
        assert_eq!(ours, python, "{text:?}");
    }
    assert!((500..3500).contains(&accepted), "{accepted} accepted: both kinds have to occur");
}

fn signature_like_texts(count: usize) -> Vec<String> {
    let base64 = any::<Vec<u8>>().prop_map(|bytes| Signature::from_bytes(&bytes).to_string());
    let insert = (any::<Index>(), "[ \t\n\r\x0b\x0c=A/é!\\-\x1c\u{a0}]");
    let edited = (base64, vec(insert, 0..3)).prop_map(|(text, inserts)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, inserted) in inserts {
            let at = at.index(chars.len() + 1);
            chars.splice(at..at, inserted.chars());
        }
        chars.into_iter().collect()
    });
    let short = "[AZaz09+/=]{0,9}[ \n=]{0,3}";
    let texts = prop_oneof![edited, short];
    let mut runner = TestRunner::default();
    (0..count).map(|_| texts.new_tree(&mut runner).unwrap().current()).collect()
}
