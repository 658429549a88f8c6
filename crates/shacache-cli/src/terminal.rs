//! Text from elsewhere on its way to a terminal: control characters and the ones that turn the
//! direction of writing are shown, never obeyed.

use std::borrow::Cow;

/// `text` with every character that a terminal might act on written as `\u{…}`. New lines and tabs
/// count as such characters, so one text stays on one line.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_active(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn is_active(c: char) -> bool {
    // Control characters; zero-width and bidirectional marks (Unicode TR 36, section 3.6); tags.
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(
            escaped("\x1b]0;x\x07 a\u{202e}b\r\n\u{9b}2J"),
            "\\u{1b}]0;x\\u{7} a\\u{202e}b\\u{d}\\u{a}\\u{9b}2J"
        );
        assert_eq!(escaped("plain, é, 漢"), "plain, é, 漢");
    }
}
