//! Archives are filed by the names of keys: the table of names that a second implementation made
//! holds for ever.

use shacache_core::key::{Key, KeyFileName};

#[test]
fn keys_have_the_names_of_the_table() {
    let mut rows = 0;
    for row in include_str!("../../testdata/key-names.tsv").lines().skip(1) {
        let (path, name) = row.split_once('\t').expect("two columns");
        let key = Key::from_path(path.as_bytes()).expect(path);
        assert_eq!(key.file_name().to_string(), name, "{path}");
        let (_, folder) = name.split_once('/').expect("a fan-out");
        let spelled = (!key.file_name().is_digest()).then_some(key);
        assert_eq!(KeyFileName::decode(folder), spelled, "{path}");
        rows += 1;
    }
    assert!(rows > 50, "the table is there");
}
