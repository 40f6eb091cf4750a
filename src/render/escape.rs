//! Makes text from a profile or a source file harmless where it is shown: such text must not steer
//! the terminal.

use std::borrow::Cow;

use crate::units::Count;

/// Whether `char` would steer a terminal, or change the order in which text is shown.
pub(crate) fn is_steering(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // XML cannot hold these.
            | '\u{fffe}' | '\u{ffff}')
}

/// `text` with every such character shown as its number: `\u{1b}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_steering) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_steering(char) {
            shown.extend(char.escape_unicode());
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

/// As [`escape`], and harmless as text or as an attribute's value in XML and HTML.
pub(super) fn xml(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in escape(text).chars() {
        match char {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            char => shown.push(char),
        }
    }
    shown
}

/// Most characters of a line of source that are shown as text. Generated code has lines of hundreds
/// of thousands.
const LONGEST_LINE: usize = 300;

/// A line of source: tabs as spaces, the rest as [`escape`]. Of a very long one only the beginning,
/// with its length.
pub(crate) fn escape_source(line: &str) -> String {
    const TAB: usize = 4;
    let end = line.char_indices().nth(LONGEST_LINE).map(|(end, _)| end);
    let kept = &line[..end.unwrap_or(line.len())];
    let mut shown = String::with_capacity(kept.len());
    for (index, part) in kept.split('\t').enumerate() {
        if index > 0 {
            let width = shown.chars().count();
            shown.extend(std::iter::repeat_n(' ', TAB - width % TAB));
        }
        shown.push_str(&escape(part));
    }
    if end.is_some() {
        let all = Count(line.chars().count() as u64);
        shown.push_str(&format!("… ({all} characters)"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(
            escape("a\x1b[2Jb\u{9b}c\u{202e}d\r\n"),
            r"a\u{1b}[2Jb\u{9b}c\u{202e}d\u{d}\u{a}"
        );
        assert_eq!(escape("größe 日本"), "größe 日本");
        assert_eq!(escape_source("\tx\ty\u{7}"), r"    x   y\u{7}");
    }

    #[test]
    fn of_a_very_long_line_the_beginning_is_shown() {
        let shown = escape_source(&format!("\t{}", "é".repeat(207_000)));
        assert_eq!(
            shown.chars().count(),
            4 + 299 + "… (207,001 characters)".chars().count()
        );
        assert!(shown.starts_with("    éé") && shown.ends_with("… (207,001 characters)"));
        let ordinary = "x".repeat(LONGEST_LINE);
        assert_eq!(escape_source(&ordinary), ordinary);
    }
}
