use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::{prop_assert_eq, proptest};

use super::*;

fn read(text: &str) -> Value {
    Reader::new().read(text).expect("the text is JSON")
}

fn problem(reader: Reader, text: &str) -> ReadProblem {
    reader.read(text).expect_err("the text is refused").problem()
}

#[test]
fn depth_is_limited_to_the_level() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth| format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let deep = ReadProblem::TooDeep { max: 32 };
    for text in [nested, objects] {
        assert!(Reader::new().read(&text(32)).is_ok());
        assert_eq!(problem(Reader::new(), &text(33)), deep);
    }
    assert!(Reader::new().max_depth(0).read("0").is_ok());
    assert_eq!(problem(Reader::new().max_depth(0), "[]"), ReadProblem::TooDeep { max: 0 });
    let flat = format!("[{}0]", "[],".repeat(1000));
    assert!(Reader::new().read(&flat).is_ok(), "width is no depth");
}

#[test]
fn no_text_overflows_the_stack() {
    let deepest = Reader::new().max_depth(u8::MAX);
    for opening in ["[", "{\"a\":", "[0,", "[{\"a\":"] {
        let bomb = opening.repeat(100_000);
        assert_eq!(problem(deepest, &bomb), ReadProblem::TooDeep { max: 255 });
    }
    let value = deepest.read(&format!("{}{}", "[".repeat(255), "]".repeat(255))).unwrap();
    assert_eq!(value.compare(&value.clone()), Ok(Some(Ordering::Equal)));
    assert_eq!(value.to_string().len(), 510);
}

#[test]
fn repeated_keys_are_refused_or_the_last_wins() {
    let text = r#"{"a": 1, "b": 2, "\u0061": 3, "c": 4, "b": 5, "a": 6}"#;
    assert_eq!(read(text).to_string(), r#"{"a": 6, "b": 5, "c": 4}"#);
    let strict = Reader::new().duplicate_keys(DuplicateKeys::Refuse);
    let refused = strict.read(text).expect_err("three keys stand twice");
    assert_eq!(refused.to_string(), "Repeated key: line 1 column 18 (char 17)");
    assert_eq!(problem(strict, r#"[{"x": {"a": 1, "a": 1}}]"#), ReadProblem::RepeatedKey);
    assert!(strict.read(r#"[{"a": 1}, {"a": {"a": 1}}]"#).is_ok());
}

#[test]
fn errors_tell_where_in_characters() {
    let error = Reader::new().read("[1,\n \"é😀\" x]").expect_err("a comma is missing");
    assert_eq!(error.to_string(), "Expecting ',' delimiter: line 2 column 7 (char 10)");
    assert_eq!((error.line(), error.column()), (2, 7));
    let end = Reader::new().read("[1\n").expect_err("a bracket is missing");
    assert_eq!((end.line(), end.column()), (2, 1));
}

#[test]
fn surrogates_join_in_pairs_and_stay_alone_otherwise() {
    let text = |json: &str| match read(json) {
        Value::String(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(text(r#""\ud83d\ude00""#).as_str(), Some("😀"));
    assert_eq!(text(r#""\ud800\udc00\udbff\udfff""#).as_str(), Some("\u{10000}\u{10ffff}"));
    for lone in [r#""\ud800\udbff""#, r#""\ud800\ue000""#, r#""\ud7ff\udc00""#, r#""\udc00\udc00""#]
    {
        assert_eq!(text(lone).as_str(), None, "{lone}");
    }
    let alone = text(r#""a\ud83d\ud83d\ude00\ude00""#);
    assert_eq!(alone.as_str(), None);
    assert_eq!(alone.code_points().collect::<Vec<_>>(), [0x61, 0xd83d, 0x1f600, 0xde00]);
    assert_eq!(alone.to_str_lossy(), "a\u{fffd}😀\u{fffd}");
    assert_eq!(Value::String(alone).to_string(), r#""a\ud83d\ud83d\ude00\ude00""#);
}

#[test]
fn strings_are_ordered_by_code_points() {
    let sorted = [r#""""#, r#""a""#, r#""\u007f""#, r#""é""#, r#""\ud7ff""#, r#""\ud800""#];
    let sorted = sorted.into_iter().chain([r#""\udfff""#, r#""\ue000""#, r#""😀""#]);
    let values: Vec<_> = sorted.map(read).collect();
    for pair in values.windows(2) {
        assert_eq!(pair[0].compare(&pair[1]), Ok(Some(Ordering::Less)));
    }
}

#[test]
fn nan_equals_itself_only_inside_containers() {
    assert_ne!(read("NaN"), read("NaN"));
    assert_eq!(read("[NaN]"), read("[NaN]"));
    assert_eq!(read(r#"{"a": NaN}"#), read(r#"{"a": NaN}"#));
    assert_eq!(read("[1, NaN]").compare(&read("[1, 2]")), Ok(None));
    assert_eq!(read("[NaN, 1]").compare(&read("[NaN, 2]")), Ok(Some(Ordering::Less)));
}

#[test]
fn unlike_types_have_no_order() {
    let refused = read("1").compare(&read("\"1\"")).expect_err("unlike");
    assert_eq!(refused.to_string(), "an integer and a string have no order");
    assert!(read("{}").compare(&read("{}")).is_err());
    assert!(read("null").compare(&read("null")).is_err());
    assert_eq!(read("[{}]").compare(&read("[{}]")), Ok(Some(Ordering::Equal)));
    assert_eq!(read("true").compare(&read("0.5")), Ok(Some(Ordering::Greater)));
}

#[test]
fn objects_keep_places_as_a_dict_does() {
    let mut object = Object::new();
    assert_eq!(object.insert("b", 1), None);
    assert_eq!(object.insert("a", "x"), None);
    assert_eq!(object.insert("b", true), Some(Value::from(1)));
    assert_eq!(object.to_string(), r#"{"b": true, "a": "x"}"#);
    assert_eq!(object.remove("b"), Some(Value::from(true)));
    assert_eq!(object.remove("b"), None);
    assert_eq!((object.len(), object.is_empty()), (1, false));
    assert!(object.contains_key("a"));
    assert_eq!(object.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), [Some("a")]);
}

#[test]
fn accessors_give_what_a_value_is() {
    let value = read(r#"[true, 12, 1.5, "a", [], {}, null]"#);
    let [truth, integer, float, text, list, object, null] = value.as_array().unwrap() else {
        panic!("seven items");
    };
    assert_eq!(truth.as_bool(), Some(true));
    assert_eq!(integer.as_integer().and_then(Integer::to_i64), Some(12));
    assert_eq!(float.as_float(), Some(1.5));
    assert_eq!(text.as_str(), Some("a"));
    assert_eq!(list.as_array().map(<[Value]>::len), Some(0));
    assert!(object.as_object().is_some_and(Object::is_empty));
    assert_eq!(null.kind(), "null");
    assert_eq!(null.as_str().or(list.as_str()).or(object.as_str()), None);
}

#[test]
fn integers_keep_every_digit() {
    for text in ["0", "-1", "9223372036854775808", "-100000000000000000000000000000000000001"] {
        assert_eq!(read(text).to_string(), text);
    }
    assert_eq!(read("-0").to_string(), "0");
    assert_eq!(read("9223372036854775808").as_integer().and_then(Integer::to_i64), None);
    for text in ["", "-", "+1", "01", "-01", "1.0", "1e3", " 1", "--1"] {
        assert_eq!(text.parse::<Integer>(), Err(IntegerError::Form), "{text}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        vec(any::<u16>(), 0..4).prop_map(|units| {
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04X}")).collect();
            read(&format!("\"{escapes}\""))
        }),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let member = (any::<String>().prop_map(JsonString::from), inner.clone());
        prop_oneof![
            vec(inner, 0..6).prop_map(Value::Array),
            vec(member, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn both_forms_read_back_as_the_value(value in values()) {
        let text = value.to_string();
        prop_assert_eq!(read(&text).to_string(), &*text);
        prop_assert_eq!(text.chars().all(|char| matches!(char, ' '..='~')), true);
        let lines = value.to_sorted_lines();
        prop_assert_eq!(read(&lines).to_sorted_lines(), &*lines);
    }

    #[test]
    fn order_is_the_same_from_both_sides(a in values(), b in values()) {
        prop_assert_eq!(a == b, b == a);
        let back = b.compare(&a).map(|ordering| ordering.map(Ordering::reverse));
        prop_assert_eq!(a.compare(&b).ok(), back.ok());
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), soup in r#"[\[\]{}:,"\\u0-9a-fE+.\n -]{0,60}"#) {
        for text in [text, soup] {
            if let Ok(value) = Reader::new().read(&text) {
                prop_assert_eq!(read(&value.to_string()).to_string(), value.to_string());
            }
        }
    }
}
