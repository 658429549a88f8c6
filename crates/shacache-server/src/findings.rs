//! What a command found wrong with an archive, as every command says it: a line each or JSON, and the
//! exit code. Must not know what the command was looking for.

use std::process::ExitCode;

use serde::Serialize;
use shacache_store::verify::Finding;

/// A line for each finding, and one for how many are not listed of all `found`.
pub(crate) fn lines(findings: &[Finding], found: u64) -> String {
    let mut text = String::new();
    for finding in findings {
        // A name may hold anything, and one finding is one line.
        text += &finding.to_string().replace(char::is_control, "\u{fffd}");
        text.push('\n');
    }
    let unlisted = found - findings.len() as u64;
    if unlisted > 0 {
        text += &format!("and {unlisted} more\n");
    }
    text
}

/// A report as one JSON document.
pub(crate) fn json(report: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}

/// 4 when something is damaged.
pub(crate) fn exit_code(damage: u64) -> ExitCode {
    if damage == 0 { ExitCode::SUCCESS } else { ExitCode::from(DAMAGE) }
}

/// What conventions for this family of programs call «verification failed».
const DAMAGE: u8 = 4;

#[cfg(test)]
mod tests {
    use shacache_store::verify::Code;

    use super::*;

    #[test]
    fn one_finding_is_one_line_whatever_its_name() {
        let path = "a\nblob-lost: b\u{1b}[2J".to_owned();
        let finding = Finding { code: Code::Stray, path, detail: String::new(), quarantine: None };
        let text = lines(&[finding], 3);
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(text.ends_with("\nand 2 more\n") && !text.contains('\u{1b}'), "{text:?}");
    }
}
