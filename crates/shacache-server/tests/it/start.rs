//! What the program does about its surroundings before it listens.

use std::fs;

use serde_json::Value;

use crate::program::Home;

fn open_files(id: u32) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).expect("a running process");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut words = line.expect("a limit of open files").split_whitespace().map(str::to_owned);
    (words.next().expect("a soft limit"), words.next().expect("a hard limit"))
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    let home = Home::new();
    let server = home.serve_after("ulimit -S -n 64");
    let (soft, hard) = open_files(server.id());
    assert_eq!(soft, hard);
    assert_ne!(soft, "64");
}

#[test]
fn too_few_open_files_are_warned_of_in_one_line() {
    let home = Home::new();
    let log = home.serve_after("ulimit -n 8447").stop();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let warnings: Vec<_> = lines.filter(|line| line["level"] == "WARN").collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert_eq!((&warnings[0]["limit"], &warnings[0]["needed"]), (&8447.into(), &8448.into()));

    let log = home.serve_after("ulimit -n 8448").stop();
    assert!(!log.contains("WARN"), "{log}");
}
