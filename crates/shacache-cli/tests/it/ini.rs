//! Generated configuration files: what Python's ConfigParser makes of them, ours makes.

use shacache_client::config::ini::Ini;
use shacache_core::json::{Reader, Value};

use crate::programs::python;
use crate::random::Random;

const PIECES: &[&str] = &[
    "[networkcache]",
    "[networkcache] x",
    " [networkcache]",
    "[DEFAULT]",
    "[other]",
    "[a]b]",
    "[]",
    "[ networkcache ]",
    "a = 1",
    "A: 2",
    "b=%(a)s",
    "c = %(b)s%(a)s",
    "d = 50%%",
    "e = 5%",
    "f",
    "g =",
    "h = x = y",
    "i : x : y",
    " j = indented",
    "    more",
    "\tmore",
    "  # comment",
    "; comment",
    "#comment",
    "  ; in value",
    "",
    " ",
    "\t",
    "= no name",
    ": no name",
    "k = %(k)s",
    "l = %(A)s",
    "m = a # not a comment",
    "n\u{a0}= nbsp",
    "\u{a0}\u{a0}o = 1",
    "p =\u{1c}x\u{1c}",
    "q = é",
    "É = 1",
    "é = 2",
    "r = %(É)s",
    "s = %()s",
    "t = %(a)",
    "u = %(a)sx%%",
    "  v = deeper\n    deepest",
    "w=1\r",
    "x : = y",
    "y =  trailing   ",
    "z = %(z1)s\nz1 = %(z2)s\nz2 = end",
    "[other",
    "other]",
    "aa = %%(a)s",
    "x\ry",
    "a b c = 1",
    "bb = 1\n\n\n  after empty\n\n",
    "\u{feff}",
    "\u{b}cc = vt",
    "dd = 1\u{85}2",
];
const CASES: usize = 4000;

const SCRIPT: &str = "
import configparser, io, json, os, sys, tempfile
data = json.loads(sys.stdin.read())
path = os.path.join(tempfile.mkdtemp(), 'f')
for text in data:
    with open(path, 'w', newline='', encoding='utf-8') as f:
        f.write(text)
    try:
        parser = configparser.ConfigParser()
        with open(path, encoding='utf-8') as f:
            parser.read_file(f)
        result = dict(parser.items('networkcache'))
    except configparser.Error as e:
        result = getattr(e, 'lineno', None)
        if result is None:
            result = 'error'
        if isinstance(e, configparser.ParsingError) and not isinstance(e, configparser.MissingSectionHeaderError):
            result = e.errors[0][0]
    print(json.dumps(result, sort_keys=True))
os.remove(path)
os.rmdir(os.path.dirname(path))
";

fn ours(text: &str) -> Value {
    let parsed = Ini::read(text);
    let located = parsed.as_ref().err().map(|error| error.line());
    match parsed.and_then(|ini| ini.section("networkcache")) {
        Ok(options) => {
            let mut options: Vec<_> = options.iter().collect();
            options.sort_by_key(|option| option.name().chars().collect::<Vec<_>>());
            let mut object = shacache_core::json::Object::new();
            for option in options {
                object.insert(option.name(), option.value());
            }
            object.into()
        }
        // Python numbers lines only in errors of form.
        Err(_) => match located {
            Some(line) => i64::try_from(line).unwrap().into(),
            None => "error".into(),
        },
    }
}

#[test]
fn generated_files_give_the_same_options_or_the_same_line() {
    let mut random = Random::new(2);
    let files: Vec<String> = (0..CASES)
        .map(|_| {
            let mut text = String::new();
            if random.below(10) > 0 {
                text.push_str("[networkcache]\n");
            }
            for _ in 0..random.below(9) {
                text.push_str(random.pick(PIECES));
                text.push_str(if random.below(20) == 0 { "\r\n" } else { "\n" });
            }
            text
        })
        .collect();
    let input: Value = files.iter().map(|text| text.as_str().into()).collect();
    let expected = python(SCRIPT, input.to_string().into_bytes());
    assert_eq!(expected.lines().count(), CASES);
    let usable = expected.lines().filter(|line| line.starts_with('{')).count();
    assert!(usable > CASES / 5, "only {usable} files are usable");
    for (text, expected) in files.iter().zip(expected.lines()) {
        let expected = Reader::new().read(expected).unwrap();
        assert_eq!(ours(text).to_string(), expected.to_string(), "{text:?}");
    }
}
