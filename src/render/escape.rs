//! Makes text from a profile or a source file harmless where it is shown: such text must not steer the terminal.

use std::borrow::Cow;

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

/// A line of source: tabs as spaces, the rest as [`escape`].
pub(crate) fn escape_source(line: &str) -> String {
    const TAB: usize = 4;
    let mut shown = String::with_capacity(line.len());
    for (index, part) in line.split('\t').enumerate() {
        if index > 0 {
            let width = shown.chars().count();
            shown.extend(std::iter::repeat_n(' ', TAB - width % TAB));
        }
        shown.push_str(&escape(part));
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
}
