use super::*;

fn section(text: &str) -> Vec<(String, String)> {
    let options = Ini::read(text).and_then(|ini| ini.section("s")).expect("a usable file");
    options.into_iter().map(|option| (option.name, option.value)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn problem(text: &str) -> (usize, String) {
    let error = Ini::read(text).and_then(|ini| ini.section("s")).expect_err("an unusable file");
    (error.line(), error.to_string())
}

#[test]
fn values_continue_over_comments_and_empty_lines() {
    let text = "[s]\nList =\n  one\n  # no\n ; no\n\n  two = 2\nnext: x = y\n\n";
    assert_eq!(section(text), pairs(&[("list", "\none\n\ntwo = 2"), ("next", "x = y")]));
}

#[test]
fn defaults_come_first_and_give_way() {
    let text = "[DEFAULT]\na = 1\nb = %(c)s\n[s]\nC = 50%%\na=2\n";
    assert_eq!(section(text), pairs(&[("a", "2"), ("b", "50%"), ("c", "50%")]));
}

#[test]
fn problems_are_placed() {
    for (text, line, message) in [
        ("a = 1", 1, "an option before the first [section]"),
        ("[s]\n\nx", 3, "neither [section] nor `option = value`"),
        ("[s]\n= 1", 2, "neither [section] nor `option = value`"),
        ("[s]\n[t]\n[s]", 3, "section [s] appears twice"),
        ("[s]\na=1\nA:2", 3, "option `a` appears twice"),
        ("[t]\n", 0, "no section [s]"),
        ("[s]\na=5%", 2, "`%` in `a` is followed by neither `%` nor `(name)s`"),
        ("[s]\nb=\na=%(zz)s", 3, "`%(zz)s` in `a` names no option"),
        ("[s]\na=%(a)s", 2, "`a` is interpolated too deeply"),
    ] {
        assert_eq!(problem(text), (line, message.into()), "{text:?}");
    }
}
