//! JSON is read, written and compared as Python does it: the same texts are refused with the same
//! message at the same place, the others give the same text and the same order.

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::strategy::{BoxedStrategy, ValueTree};
use proptest::test_runner::TestRunner;
use shacache_core::json::{DuplicateKeys, Integer, ReadProblem, Reader};

use crate::python;

#[test]
fn texts_are_read_and_written_alike() {
    let texts = samples(&prop_oneof![3 => json(), 3 => damaged(json()), 2 => token_soup()], 6_000);
    let answers = python::answers(READ_AND_WRITE, &texts);
    let mut read = 0;
    for (text, python) in texts.iter().zip(answers) {
        let ours = match READER.read(text) {
            Ok(value) => {
                read += 1;
                format!("{value}\n{}", value.to_sorted_lines())
            }
            Err(_) if python == "refused" => continue,
            Err(error) => error.to_string(),
        };
        assert_eq!(ours, python, "{text:?}");
    }
    assert!((1_000..5_000).contains(&read), "{read} were read: both kinds have to occur");
}

#[test]
fn floats_are_spelled_alike() {
    let edges = (-330..310).flat_map(|exponent| {
        ["1", "9.999999999999999", "1.2345"].map(|digits| format!("{digits}e{exponent}"))
    });
    let random = any::<f64>().prop_map(|float| format!("{float:e}").replace("inf", "Infinity"));
    // Fractions of few bits, where two spellings are often equally near.
    let ties = any::<(u64, u32)>().prop_map(|(bits, shift)| {
        format!("{:e}", (bits >> 11) as f64 / f64::from(1_u32 << (shift % 12)))
    });
    let powers_of_two = (-1074..1024).map(|exponent| format!("{:e}", 2_f64.powi(exponent)));
    let random = samples(&prop_oneof![random, ties], 10_000);
    let texts: Vec<_> = edges.chain(powers_of_two).chain(random).collect();
    for (text, python) in texts.iter().zip(python::answers(READ_AND_WRITE, &texts)) {
        let ours = READER.read(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string();
        assert_eq!(Some(&*ours), python.lines().next(), "{text}");
    }
}

#[test]
fn repeated_keys_are_found_where_python_finds_them() {
    let texts = samples(&json(), 2_000);
    let answers = python::answers(HAS_REPEATED_KEY, &texts);
    let strict = READER.duplicate_keys(DuplicateKeys::Refuse);
    for (text, python) in texts.iter().zip(answers) {
        let repeated = match strict.read(text) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.problem(), ReadProblem::RepeatedKey, "{text:?}");
                true
            }
        };
        assert_eq!(repeated.to_string(), python.to_lowercase(), "{text:?}");
    }
}

#[test]
fn values_compare_alike() {
    let pair = (comparable(), comparable()).prop_map(|(a, b)| format!("{a}\0{b}"));
    let texts = samples(&pair, 20_000);
    for (text, python) in texts.iter().zip(python::answers(COMPARE, &texts)) {
        let (a, b) = text.split_once('\0').unwrap();
        let (a, b) = (READER.read(a).unwrap(), READER.read(b).unwrap());
        let ordering = a.compare(&b);
        let holds = |is: fn(Ordering) -> bool| match ordering {
            Ok(ordering) => {
                if ordering.is_some_and(is) {
                    "True"
                } else {
                    "False"
                }
            }
            Err(_) => "TypeError",
        };
        let equal = if a == b { "True" } else { "False" };
        let ours = [
            equal,
            holds(Ordering::is_lt),
            holds(Ordering::is_le),
            holds(Ordering::is_gt),
            holds(Ordering::is_ge),
        ];
        assert_eq!(ours.join(" "), python, "{text:?}");
    }
}

#[test]
fn long_integers_are_refused_at_the_same_length() {
    let texts: Vec<_> = [4_300, 4_301]
        .into_iter()
        .flat_map(|digits| ["", "-"].map(|sign| format!("{sign}1{}", "0".repeat(digits - 1))))
        .collect();
    let answers = python::answers(READ_INTEGER, &texts);
    assert_eq!(answers, ["read", "read", "refused", "refused"]);
    for (text, python) in texts.iter().zip(answers) {
        assert_eq!(READER.read(text).is_ok(), python == "read");
        assert_eq!(text.parse::<Integer>().is_ok(), python == "read");
    }
}

fn samples<S: Strategy<Value = String>>(strategy: &S, count: usize) -> Vec<String> {
    let mut runner = TestRunner::default();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// JSON with every liberty a text may take.
fn json() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        select(&["null", "true", "false", "NaN", "Infinity", "-Infinity", "[ ]", "{\n}"][..])
            .prop_map(String::from),
        "-?(0|[1-9][0-9]{0,25})",
        r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        string_literal(),
    ];
    let value = leaf.prop_recursive(4, 24, 5, |inner| {
        let padded = (WHITE_SPACE, inner, WHITE_SPACE).prop_map(|(a, value, b)| a + &value + &b);
        let key = prop_oneof![
            select(&["\"a\"", "\"\\u0061\"", "\"é\"", "\"\u{ffff}\"", "\"😀\"", "\"\""][..])
                .prop_map(String::from),
            string_literal(),
        ];
        let member = (WHITE_SPACE, key, WHITE_SPACE, padded.clone())
            .prop_map(|(a, key, b, value)| format!("{a}{key}{b}:{value}"));
        prop_oneof![
            vec(padded, 1..5).prop_map(|items| format!("[{}]", items.join(","))),
            vec(member, 1..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    });
    (WHITE_SPACE, value, WHITE_SPACE).prop_map(|(a, value, b)| a + &value + &b).boxed()
}

fn string_literal() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -!#-\\[\\]-~\u{7f}é\u{2028}\u{ffff}😀]",
        r#"\\["\\/bfnrt]"#,
        r"\\u[0-9a-fA-F]{4}",
        r"\\u[dD][89abAB][0-9a-f]{2}",
        r"\\u[dD][c-fC-F][0-9a-f]{2}",
    ];
    vec(piece, 0..8).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A text with one character taken out, put in or changed.
fn damaged(texts: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let replacement = prop_oneof![
        Just(String::new()),
        "[\\[\\]{}:,\"\\\\ue0-9.+aN\t\n\x0b\u{a0}\u{feff}\u{0}\u{1f}-]{1,2}",
    ];
    (texts, any::<Index>(), 0..2_usize, replacement).prop_map(|(text, at, taken, replacement)| {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len() + 1);
        chars.splice(at..chars.len().min(at + taken), replacement.chars());
        chars.into_iter().collect()
    })
}

fn token_soup() -> impl Strategy<Value = String> {
    let tokens = [
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"a\":1",
        "\\",
        "\\u",
        "\\ud83d",
        "\\ude00",
        "0",
        "1",
        "-",
        ".5",
        "e",
        "E+",
        "NaN",
        "Infinity",
        "-Infinity",
        "-I",
        "null",
        "nul",
        "true",
        " ",
        "\n",
        "\u{feff}",
        "\x0c",
        "é",
        "😀",
        "\x1f",
        "'",
    ];
    vec(select(tokens.to_vec()), 0..9).prop_map(|tokens| tokens.concat())
}

/// Values among which many are equal or nearly so.
fn comparable() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        select(
            &[
                "0",
                "-0",
                "-0.0",
                "1",
                "1.0",
                "1.5",
                "-1",
                "-1.5",
                "-2",
                "true",
                "false",
                "NaN",
                "Infinity",
                "-Infinity",
                "9007199254740992",
                "9007199254740993",
                "9007199254740992.0",
                "9007199254740994.0",
                "-9007199254740993",
                "-9007199254740992.0",
                "10000000000000000000000",
                "1e22",
                "1e-300",
                "5e-324",
                "1e308",
                "1000000000000000019884624838656",
                "1e30",
                "1e999",
            ][..],
        )
        .prop_map(String::from),
        (0..400_usize).prop_map(|zeros| format!("1{}", "0".repeat(zeros))),
        (0..330_u32).prop_map(|exponent| format!("1e{exponent}")),
    ];
    let other =
        select(&["null", "\"\"", "\"a\"", "\"b\"", "\"\\ud800\"", "\"\u{ffff}\"", "\"😀\""][..])
            .prop_map(String::from);
    prop_oneof![3 => number, 2 => other].prop_recursive(3, 12, 3, |inner| {
        let member = (select(&["a", "b", "c"][..]), inner.clone())
            .prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            3 => vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            1 => vec(member, 0..3).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// Deep enough for every text made here.
const READER: Reader = Reader::new().max_depth(255);

const WHITE_SPACE: &str = "[ \t\n\r]{0,2}";

const READ_AND_WRITE: &str = "
import json, sys
try:
    value = json.loads(text)
except json.JSONDecodeError as error:
    # Later releases have other words for some of them.
    return str(error) if sys.version_info < (3, 13) else 'refused'
return json.dumps(value) + '\\n' + json.dumps(value, indent=2, sort_keys=True)";

const HAS_REPEATED_KEY: &str = "
import json
repeated = []
def look(pairs):
    repeated.append(len(dict(pairs)) < len(pairs))
json.loads(text, object_pairs_hook=look)
return str(any(repeated))";

const COMPARE: &str = "
import json, operator
a, b = map(json.loads, text.split('\\0'))
def holds(operation):
    try:
        return str(operation(a, b))
    except TypeError:
        return 'TypeError'
return ' '.join(map(holds, (operator.eq, operator.lt, operator.le, operator.gt, operator.ge)))";

const READ_INTEGER: &str = "
import json
try:
    json.loads(text)
except ValueError:
    return 'refused'
return 'read'";
