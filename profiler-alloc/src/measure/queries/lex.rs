//! Where a token of SQL ends, by the rules of one dialect.

use super::dialect::{Brackets, DialectRules, DoubleQuotes};

/// What a token is. Of two classes the later one hides more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// White space, or a comment.
    Space,
    /// An operator, or a bracket.
    Mark,
    /// A keyword, or a name without quotes.
    Word,
    /// A name in quotes.
    Name,
    /// Text in double quotes: a name or a value, as its place in the statement says.
    Either,
    /// What stands for a value that comes from outside of the text.
    Placeholder,
    Value,
    /// The rest of the statement, which dialects read differently.
    Hidden,
}

/// A token as one reader sees it.
#[derive(Clone, Copy)]
pub struct Lexed {
    pub length: usize,
    pub class: Class,
    /// False if the text ends before the token does.
    has_end: bool,
}

fn whole(length: usize, class: Class) -> Lexed {
    Lexed {
        length,
        class,
        has_end: true,
    }
}

/// Operators of more than one character that mean something here, each before those that it begins
/// with.
const OPERATORS: [&str; 10] = ["->>", "->", "<=>", "<>", "<=", ">=", "!=", "||", "::", ":="];

impl DialectRules {
    /// The first token of `text`, which is not empty.
    pub fn lex(&self, text: &str) -> Lexed {
        let bytes = text.as_bytes();
        let second = bytes.get(1).copied().unwrap_or(b' ');
        match bytes[0] {
            c if is_space(c) => whole(
                skip(text, |c| c.is_ascii() && is_space(c as u8)),
                Class::Space,
            ),
            b'-' if text.starts_with("--") && self.is_line_comment(bytes.get(2)) => {
                self.line_comment(text)
            }
            b'#' if self.hash_comments => self.line_comment(text),
            b'/' if second == b'*' => self.block_comment(text),
            b'\'' => self.text(text, b'\'', self.backslashes, Class::Value),
            b'"' => match self.double_quotes {
                DoubleQuotes::Value => self.text(text, b'"', self.backslashes, Class::Value),
                DoubleQuotes::Name => quoted(text, b'"', false, Class::Name),
                DoubleQuotes::Either => quoted(text, b'"', false, Class::Either),
            },
            b'`' if self.backticks => quoted(text, b'`', false, Class::Name),
            b'[' => self.bracket(text),
            b'$' => self.dollar(text),
            b'?' if self.marks_are_placeholders => whole(
                1 + skip(&text[1..], |c| c.is_ascii_digit()),
                Class::Placeholder,
            ),
            b':' if second == b':' => whole(2, Class::Mark),
            b':' | b'@'
                if self.marks_are_placeholders && (is_word_byte(second) || second == b'@') =>
            {
                whole(
                    1 + skip(&text[1..], |c| is_word(c) || c == '@'),
                    Class::Placeholder,
                )
            }
            b'0'..=b'9' => number(text),
            b'.' if second.is_ascii_digit() => number(text),
            c if is_word_byte(c) => self.word(text),
            _ => {
                let operator = OPERATORS
                    .iter()
                    .find(|operator| text.starts_with(**operator));
                whole(operator.map_or(1, |operator| operator.len()), Class::Mark)
            }
        }
    }

    /// True if these rules find an end of every text, and no character that stands nowhere.
    pub fn makes_sense_of(&self, text: &str) -> bool {
        let mut rest = text;
        while !rest.is_empty() {
            let lexed = self.lex(rest);
            if !lexed.has_end || (rest.starts_with('\\') && !rest.starts_with("\\N")) {
                return false;
            }
            rest = &rest[lexed.length..];
        }
        true
    }

    fn is_line_comment(&self, third: Option<&u8>) -> bool {
        self.tight_comments || third.is_none_or(|&c| is_space(c) || c.is_ascii_control())
    }

    fn line_comment(&self, text: &str) -> Lexed {
        let is_end = |(at, c): &(usize, char)| {
            let is_return = *c == '\r' && !text[at + 1..].starts_with('\n');
            *c == '\n' || (is_return && self.returns_end_comments)
        };
        let end = text.char_indices().find(is_end);
        whole(end.map_or(text.len(), |(at, _)| at + 1), Class::Space)
    }

    fn block_comment(&self, text: &str) -> Lexed {
        if self.code_in_comments && (text.starts_with("/*!") || text.starts_with("/*M!")) {
            // Code for servers of some versions, whose texts may hold the end of a comment.
            return whole(text.len(), Class::Hidden);
        }
        let bytes = text.as_bytes();
        let (mut at, mut depth) = (2, 1);
        while let Some(pair) = bytes.get(at..at + 2) {
            match pair {
                b"*/" => depth -= 1,
                b"/*" if self.nested_comments => depth += 1,
                _ => {
                    at += 1;
                    continue;
                }
            }
            at += 2;
            if depth == 0 {
                return whole(at, Class::Space);
            }
        }
        to_the_end(text, Class::Space)
    }

    fn text(&self, text: &str, quote: u8, has_escapes: bool, class: Class) -> Lexed {
        let quotes = &text.as_bytes()[..text.len().min(3)];
        if self.triple_quotes && quotes == [quote; 3] {
            let end = text[3..].find(&text[..3]);
            return end.map_or(to_the_end(text, class), |end| whole(end + 6, class));
        }
        quoted(text, quote, has_escapes, class)
    }

    fn bracket(&self, text: &str) -> Lexed {
        let end = text.find(']');
        let inside = &text[1..end.unwrap_or(text.len())];
        let is_code = |c: char| is_word(c) || " ,.:?*+".contains(c);
        match self.brackets {
            Brackets::Code => whole(1, Class::Mark),
            Brackets::NameOrCode
                if inside.chars().all(is_code)
                    && end.is_some_and(|end| !text[end + 1..].starts_with(']')) =>
            {
                whole(1, Class::Mark)
            }
            _ => end.map_or(to_the_end(text, Class::Name), |end| {
                whole(end + 1, Class::Name)
            }),
        }
    }

    /// `$1`, `$name`, `$$text$$` or `$mark$text$mark$`.
    fn dollar(&self, text: &str) -> Lexed {
        let name = skip(&text[1..], |c| is_word(c) && c != '$');
        let is_mark = !text[1..].starts_with(|c: char| c.is_ascii_digit());
        if self.dollar_quotes && is_mark && text[1 + name..].starts_with('$') {
            let mark = &text[..name + 2];
            let end = text[mark.len()..].find(mark);
            return end.map_or(to_the_end(text, Class::Value), |end| {
                whole(end + 2 * mark.len(), Class::Value)
            });
        }
        match skip(&text[1..], is_word) {
            0 => whole(1, Class::Mark),
            length => whole(1 + length, Class::Placeholder),
        }
    }

    /// A word, or a text that begins with letters: `x'00'`, `E'it\'s'`, `q'[it's]'`.
    fn word(&self, text: &str) -> Lexed {
        let length = skip(text, is_word);
        let (word, rest) = text.split_at(length);
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if self.unicode_texts && is("u") && rest.starts_with("&'") {
            let lexed = quoted(&rest[1..], b'\'', false, Class::Value);
            return Lexed {
                length: length + 1 + lexed.length,
                ..lexed
            };
        }
        if !rest.starts_with('\'') {
            return whole(length, Class::Word);
        }
        let lexed = if is("e") && self.escape_texts {
            continued(rest)
        } else if ["e", "x", "b", "n"].into_iter().any(is) {
            self.text(rest, b'\'', self.backslashes, Class::Value)
        } else if (is("q") || is("nq")) && self.chosen_quotes {
            chosen_quotes(rest)
        } else {
            return whole(length, Class::Word);
        };
        Lexed {
            length: length + lexed.length,
            ..lexed
        }
    }
}

fn to_the_end(text: &str, class: Class) -> Lexed {
    Lexed {
        length: text.len(),
        class,
        has_end: false,
    }
}

fn skip(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !is_part(c)).unwrap_or(text.len())
}

fn is_space(c: u8) -> bool {
    c.is_ascii_whitespace() || c == 0x0b
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

fn is_word_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || !c.is_ascii()
}

/// A quote inside is written twice, or after a backslash where there are escapes.
fn quoted(text: &str, quote: u8, has_escapes: bool, class: Class) -> Lexed {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(&c) = bytes.get(at) {
        at += match c {
            b'\\' if has_escapes => 2,
            c if c == quote && bytes.get(at + 1) == Some(&quote) => 2,
            c if c == quote => return whole(at + 1, class),
            _ => 1,
        };
    }
    to_the_end(text, class)
}

/// `'…'` with escapes; one that begins on a later line, with nothing but space and comments
/// between, goes on with it.
fn continued(text: &str) -> Lexed {
    let mut all = quoted(text, b'\'', true, Class::Value);
    loop {
        let rest = &text[all.length..];
        let space = line_space(rest);
        if !rest[..space].contains(['\n', '\r']) || !rest[space..].starts_with('\'') {
            return all;
        }
        let next = quoted(&rest[space..], b'\'', true, Class::Value);
        all.length += space + next.length;
        all.has_end = next.has_end;
    }
}

/// White space and `-- comments` at the start.
fn line_space(text: &str) -> usize {
    let mut length = 0;
    loop {
        let rest = &text[length..];
        let more = match rest.starts_with("--") {
            true => skip(rest, |c| !"\n\r".contains(c)),
            false => skip(rest, |c| c.is_ascii() && is_space(c as u8)),
        };
        if more == 0 {
            return length;
        }
        length += more;
    }
}

/// `'[it's]'`: what follows the quote ends before the next one.
fn chosen_quotes(text: &str) -> Lexed {
    let Some(open) = text[1..].chars().next() else {
        return to_the_end(text, Class::Value);
    };
    let close = match open {
        '[' => ']',
        '{' => '}',
        '(' => ')',
        '<' => '>',
        other => other,
    };
    let start = 1 + open.len_utf8();
    let is_end = |(at, c): &(usize, char)| {
        *c == close && text[start + at + c.len_utf8()..].starts_with('\'')
    };
    let end = text[start..].char_indices().find(is_end);
    end.map_or(to_the_end(text, Class::Value), |(at, c)| {
        whole(start + at + c.len_utf8() + 1, Class::Value)
    })
}

/// `1`, `1.5e-3`, `0xff`, `1_000`.
fn number(text: &str) -> Lexed {
    let mut length = skip(text, |c| is_word(c) || c == '.');
    let is_power = text[..length].ends_with(['e', 'E']) && !text.starts_with("0x");
    if let Some(power) = text[length..].strip_prefix(['+', '-']).filter(|_| is_power) {
        length += 1 + skip(power, is_word);
    }
    let has_letter = text[..length].ends_with(|c: char| !c.is_ascii_digit() && c != '.');
    if has_letter && text[length..].starts_with(['\'', '"']) {
        // Where the number ends, and whether the letter belongs to the text behind it, is not
        // clear.
        return whole(text.len(), Class::Value);
    }
    whole(length, Class::Value)
}
