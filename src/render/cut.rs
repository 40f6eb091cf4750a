//! Text that fits into so many columns of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A name or a path in `width` columns of a terminal. What is too long loses a part before its end,
/// as that is what tells it from others: `app::inde…::write_all`.
pub(super) fn cut_middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    // The end gets a little more than the beginning.
    let front = room * 2 / 5;
    let kept = |chars: &mut dyn Iterator<Item = char>, room: usize| -> Vec<char> {
        let mut used = 0;
        let fits = |char: &char| {
            used += char.width().unwrap_or(0);
            used <= room
        };
        chars.take_while(fits).collect()
    };
    let start = kept(&mut text.chars(), front);
    let end = kept(&mut text.chars().rev(), room - front);
    let end = end.into_iter().rev();
    start.into_iter().chain(['…']).chain(end).collect()
}

/// `text` cut to `width` columns of a terminal.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let mut shown: String = (text.chars())
        .take_while(|char| {
            used += char.width().unwrap_or(0);
            used <= width
        })
        .collect();
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_in_the_middle() {
        assert_eq!(cut_middle("app::load", 9), "app::load");
        assert_eq!(cut_middle("app::load::parse", 11), "app:…:parse");
        assert_eq!(cut_middle("日本語日本語", 9), "日…本語");
        assert_eq!(cut_middle("app", 1), "…");
        assert_eq!(cut_middle("app", 0), "…");
    }

    #[test]
    fn text_is_cut_by_what_it_takes_on_the_screen() {
        assert_eq!(cut("let x", 5), "let x");
        assert_eq!(cut("let xy", 5), "let …");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
    }
}
