//! What `export` and `import` say when they are done, in lines or as one JSON document.

use std::process::ExitCode;

use shacache_store::Moved;

/// The report of a command that `did` something.
pub(crate) fn report(did: &str, moved: &Moved, json: bool) -> Result<String, serde_json::Error> {
    if json {
        return Ok(serde_json::to_string_pretty(moved)? + "\n");
    }
    let mut text = String::new();
    for finding in &moved.findings {
        text += &format!("{finding}\n").replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    }
    let Moved { blobs, bytes, entries, others, already, damage, notes, findings } = moved;
    let unlisted = damage + notes - findings.len() as u64;
    if unlisted > 0 {
        text += &format!("and {unlisted} more\n");
    }
    text += &format!("{did} {blobs} blobs ({bytes} bytes), {entries} entries");
    text += &format!(" and {others} other files; {already} were there");
    Ok(text + &format!("; {damage} damaged, {notes} to note\n"))
}

/// 4 when something damaged was left behind.
pub(crate) fn exit_code(moved: &Moved) -> ExitCode {
    if moved.damage == 0 { ExitCode::SUCCESS } else { ExitCode::from(DAMAGE) }
}

/// What conventions for this family of programs call «verification failed».
const DAMAGE: u8 = 4;
