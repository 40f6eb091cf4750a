//! SQL without its values: what two queries that differ in nothing else have in common.
//!
//! Numbers, texts, blobs and placeholders become `?`, lists of them `(?, …)`; comments go, white space is one space. Names
//! stay, in double quotes and backticks too; so a dialect that puts texts into double quotes shows them.

/// The normalised form of one statement, or of several.
pub fn normalise(sql: &str) -> String {
    let mut writer = Writer::default();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if c.is_whitespace() => skip(rest, char::is_whitespace),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            _ => {
                let (length, token) = token(rest);
                writer.token(token);
                rest = &rest[length..];
                writer.has_space = false;
                continue;
            }
        };
        writer.has_space = true;
        rest = &rest[length..];
    }
    writer.end()
}

/// True if a normalised statement reads: `SELECT`, or `WITH` in front of one.
pub fn is_select(normal: &str) -> bool {
    let first = normal.split([' ', '(']).find(|word| !word.is_empty());
    first.is_some_and(|word| ["select", "with"].contains(&word.to_ascii_lowercase().as_str()))
}

/// True if values come from outside of the text.
pub fn has_placeholders(sql: &str) -> bool {
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            _ => {
                let (length, token) = token(rest);
                if token == Token::Placeholder {
                    return true;
                }
                length
            }
        };
        rest = &rest[length..];
    }
    false
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'a> {
    Value,
    Placeholder,
    Other(&'a str),
}

#[derive(Default)]
struct Writer {
    out: String,
    has_space: bool,
    /// Where the list of values began that is being written, if nothing but values and commas has come since.
    list: Option<(usize, u32)>,
}

impl Writer {
    fn token(&mut self, token: Token<'_>) {
        let text = match token {
            Token::Value | Token::Placeholder => "?",
            Token::Other(text) => text,
        };
        // `-` in front of a number is part of the value.
        if text == "?" && self.out.ends_with('-') && self.is_sign() {
            self.out.pop();
        }
        let is_tight = text == "," || text == ")" || self.out.ends_with('(');
        let is_after_comma = self.out.ends_with(',');
        if (self.has_space || is_after_comma) && !is_tight && !self.out.is_empty() {
            self.out.push(' ');
        }
        match (text, self.list) {
            ("(", _) => self.list = Some((self.out.len(), 0)),
            ("?", Some((start, count))) => self.list = Some((start, count + 1)),
            (",", Some(_)) => {}
            (")", Some((start, count))) if count > 1 => {
                self.out.truncate(start);
                self.out.push_str("(?, …");
                self.list = None;
            }
            _ => self.list = None,
        }
        self.out.push_str(text);
    }

    /// Whether the `-` at the end stands where no term can be in front of it.
    fn is_sign(&self) -> bool {
        let before = self.out.trim_end_matches('-').trim_end();
        let last = before.chars().next_back();
        last.is_none_or(|c| "(,=<>+-*/|".contains(c))
            || before.to_ascii_lowercase().ends_with("select")
    }

    fn end(self) -> String {
        let text = self.out.trim_end_matches([';', ' ']);
        text.to_owned()
    }
}

fn skip(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !is_part(c)).unwrap_or(text.len())
}

/// Comments of PostgreSQL nest, those of SQLite do not; nobody writes the difference.
fn block_comment(text: &str) -> usize {
    text.find("*/").map_or(text.len(), |end| end + 2)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The first token, which is neither space nor comment, and how long it is.
fn token(text: &str) -> (usize, Token<'_>) {
    let first = text.chars().next().unwrap_or(' ');
    let second = text[first.len_utf8()..].chars().next().unwrap_or(' ');
    match first {
        '\'' => (quoted(text, '\'', false), Token::Value),
        'e' | 'E' if second == '\'' => (1 + quoted(&text[1..], '\'', true), Token::Value),
        'x' | 'X' | 'b' | 'B' | 'n' | 'N' if second == '\'' => {
            (1 + quoted(&text[1..], '\'', false), Token::Value)
        }
        '"' | '`' => other(text, quoted(text, first, false)),
        '[' => other(text, bracketed(text).unwrap_or(1)),
        '$' if second.is_ascii_digit() => (1 + skip(&text[1..], is_name), Token::Placeholder),
        '$' => match dollar_quoted(text) {
            Some(length) => (length, Token::Value),
            None => (1 + skip(&text[1..], is_name), Token::Placeholder),
        },
        '?' => (
            1 + skip(&text[1..], |c| c.is_ascii_digit()),
            Token::Placeholder,
        ),
        ':' if second == ':' => other(text, 2),
        ':' | '@' if is_name(second) => (1 + skip(&text[1..], is_name), Token::Placeholder),
        '0'..='9' => (number(text), Token::Value),
        '.' if second.is_ascii_digit() => (number(text), Token::Value),
        c if is_name(c) => other(text, skip(text, is_name)),
        c => other(text, c.len_utf8()),
    }
}

fn other(text: &str, length: usize) -> (usize, Token<'_>) {
    (length, Token::Other(&text[..length]))
}

/// `[a name]`, and not the values of an array.
fn bracketed(text: &str) -> Option<usize> {
    let name = &text[1..text.find(']')?];
    let is_quoted = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| is_name(c) || c == ' ');
    is_quoted.then_some(name.len() + 2)
}

/// A quote inside is written twice, or after a backslash in texts that have escapes.
fn quoted(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if has_escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => drop(chars.next()),
                _ => return at + c.len_utf8(),
            }
        }
    }
    text.len()
}

/// `$$text$$` or `$name$text$name$`.
fn dollar_quoted(text: &str) -> Option<usize> {
    let name = skip(&text[1..], |c| c.is_alphanumeric() || c == '_');
    let mark = text.get(..name + 2).filter(|mark| mark.ends_with('$'))?;
    let end = text[mark.len()..].find(mark);
    Some(end.map_or(text.len(), |end| end + 2 * mark.len()))
}

/// `1`, `1.5e-3`, `0xff`.
fn number(text: &str) -> usize {
    let length = skip(text, |c| c.is_alphanumeric() || c == '.' || c == '_');
    let is_power = text[..length].ends_with(['e', 'E']) && !text.starts_with("0x");
    match text[length..].strip_prefix(['+', '-']) {
        Some(power) if is_power => length + 1 + skip(power, |c| c.is_ascii_digit()),
        _ => length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_out() {
        let normal = |sql| normalise(sql);
        assert_eq!(
            normal("SELECT  *\nFROM t1 WHERE a = 'it''s' -- b\n AND c=-1.5e-3;"),
            "SELECT * FROM t1 WHERE a = ? AND c=?"
        );
        assert_eq!(
            normal("select $1::int, ?2, :name, @x, a.b"),
            "select ?::int, ?, ?, ?, a.b"
        );
        assert_eq!(
            normal("x IN (1,2, 3) or y in (?)"),
            "x IN (?, …) or y in (?)"
        );
        assert_eq!(
            normal("INSERT INTO t(a,b) VALUES (x'00', E'\\'')"),
            "INSERT INTO t(a, b) VALUES (?, …)"
        );
        assert_eq!(
            normal("SAVEPOINT `s4377609600_x5`"),
            "SAVEPOINT `s4377609600_x5`"
        );
        assert_eq!(
            normal("SELECT \"a\"\"'b\" /* 'c' */ FROM [d 1]"),
            "SELECT \"a\"\"'b\" FROM [d 1]"
        );
        assert_eq!(
            normal("SELECT $$it's$$, $q$ $$ $q$, 0xff, a-1"),
            "SELECT ?, ?, ?, a-?"
        );
        assert_eq!(normal("ARRAY['a', 'b'][1]"), "ARRAY[?, ?][?]");
        assert_eq!(normal("SELECT f(1, 'ä')"), "SELECT f(?, …)");
    }

    #[test]
    fn what_never_ends_ends() {
        for text in [
            "'", "\"", "/*", "$$", "$a$", "E'\\", "[", "x'", "--", "'ä", "1e", "$", ":", "ä'",
        ] {
            normalise(text);
            has_placeholders(text);
        }
        assert_eq!(normalise("SELECT 'secret"), "SELECT ?");
    }

    #[test]
    fn placeholders_are_seen_in_code_alone() {
        assert!(has_placeholders("a = ?1"));
        assert!(has_placeholders("a = $1"));
        assert!(!has_placeholders("a = '?' -- ?\n or b::int = 1 /* ? */"));
    }

    #[test]
    fn selects_are_told() {
        assert!(
            is_select("SELECT 1") && is_select("(select 1)") && is_select("WITH a AS (…) SELECT ?")
        );
        assert!(!is_select("UPDATE t SET a = ?") && !is_select("SELECTED") && !is_select(""));
    }
}
