//! Generated filters and metadata: what the real `NetworkcacheFilter` keeps, ours keeps.

use shacache_client::filter::{Criterion, Filter};
use shacache_core::json::{Object, Reader, Value};

use crate::programs::python;
use crate::random::Random;

const VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "1.0",
    "1.5",
    "true",
    "false",
    "null",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e308",
    "9007199254740993",
    "9007199254740992.0",
    "100000000000000000000",
    "1e20",
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"a\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\\uffff\"",
    "[]",
    "[1]",
    "[1, 2]",
    "[1.0, 2]",
    "[true]",
    "[NaN]",
    "[[1], 2]",
    "[\"a\"]",
    "[4, 2]",
    "[4, 10]",
    "[null]",
    "[{}]",
    "{}",
    "{\"a\": 1}",
    "{\"a\": 1.0}",
    "{\"a\": NaN}",
    "[1, \"a\"]",
    "[[]]",
    "-0.0",
];
const OPERATORS: &[&str] = &["==", "<=", ">=", "<", ">", "<<", ">>"];
const KEYS: &[&str] = &["v", "w", "x"];
const CASES: usize = 4000;

const SCRIPT: &str = "
import json, logging, sys
from slapos.libnetworkcache import NetworkcacheFilter
logging.disable(logging.CRITICAL)
for line in sys.stdin:
    entries, criteria = json.loads(line)
    entries = [json.loads(entry) for entry in entries]
    try:
        kept = [entry['i'] for entry in NetworkcacheFilter(criteria)(entries)]
    except Exception as e:
        kept = 'refused'
    print(json.dumps(kept))
";

struct Case {
    entries: Vec<String>,
    criteria: Vec<String>,
}

impl Case {
    fn random(random: &mut Random) -> Self {
        // Few values in each case, so that entries tie.
        let values = [(); 4].map(|()| random.pick(VALUES));
        let entries = (0..1 + random.below(6)).map(|i| {
            let mut text = format!("{{\"i\": {i}");
            for key in KEYS.iter().take(1 + random.below(3)) {
                text.push_str(&format!(", \"{key}\": {}", random.pick(&values)));
            }
            text + "}"
        });
        let entries = entries.collect();
        let criteria = (0..random.below(4)).map(|_| {
            let value = match random.below(30) {
                0 => "=1",
                1 => "word",
                2 => " 1 ",
                3..15 => random.pick(&values),
                _ => random.pick(VALUES),
            };
            format!("{}{}{value}", random.pick(KEYS), random.pick(OPERATORS))
        });
        Self { entries, criteria: criteria.collect() }
    }

    fn line(&self) -> String {
        let list =
            |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect::<Value>();
        Value::from_iter([list(&self.entries), list(&self.criteria)]).to_string()
    }

    fn kept(&self) -> String {
        let reader = Reader::new();
        let entries: Vec<Object> = self
            .entries
            .iter()
            .map(|text| reader.read(text).unwrap().as_object().unwrap().clone())
            .collect();
        let criteria: Result<Vec<Criterion>, _> =
            self.criteria.iter().map(|text| text.parse()).collect();
        let Ok(criteria) = criteria else { return "\"refused\"".into() };
        let kept = Filter::new(criteria).apply(entries, |entry| entry);
        kept.iter().map(|entry| entry.get("i").unwrap().clone()).collect::<Value>().to_string()
    }
}

#[test]
fn generated_cases_keep_the_same_entries() {
    let mut random = Random::new(1);
    let cases: Vec<_> = (0..CASES).map(|_| Case::random(&mut random)).collect();
    let input: String = cases.iter().map(|case| case.line() + "\n").collect();
    let expected = python(SCRIPT, input.into_bytes());
    assert_eq!(expected.lines().count(), CASES);
    let kept_some = expected.lines().filter(|kept| kept.len() > 2).count();
    assert!(kept_some > CASES / 5, "only {kept_some} cases keep anything");
    for (case, expected) in cases.iter().zip(expected.lines()) {
        assert_eq!(case.kept(), expected, "{}", case.line());
    }
}
