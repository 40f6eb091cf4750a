//! The tokens of a C or C++ file, without comments and without what the preprocessor reads.
//!
//! Only the first branch of `#if … #else … #endif` is read, as the braces of both need not match
//! those of either.

/// What a file is made of, as far as an outline asks for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// A name or a keyword.
    Word(String),
    /// A number or a literal.
    Text,
    /// Any other character.
    Sign(char),
}

/// The tokens of a text, each with its line.
pub(super) struct Tokens<'a> {
    text: &'a str,
    line: u32,
    at_line_start: bool,
    /// For each `#if` that is open: whether its first branch is over.
    branches: Vec<bool>,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Tokens<'a> {
        Tokens {
            text,
            line: 1,
            at_line_start: true,
            branches: Vec::new(),
        }
    }

    /// Passes over `len` bytes.
    fn skip(&mut self, len: usize) {
        let (passed, rest) = self.text.split_at(len.min(self.text.len()));
        self.line += passed.bytes().filter(|&byte| byte == b'\n').count() as u32;
        self.text = rest;
    }

    /// Passes over all up to `end`, and over that.
    fn skip_past(&mut self, end: &str) {
        let len = self
            .text
            .find(end)
            .map_or(self.text.len(), |at| at + end.len());
        self.skip(len);
    }

    /// A line for the preprocessor, with the lines that it is continued on.
    fn directive(&mut self) {
        let len = continued_line(self.text);
        let words = self.text[1..len].trim_start();
        let word: &str = words
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or_default();
        match word {
            // `#if 0` has its code in the other branch.
            "if" => self.branches.push(words[2..].trim() == "0"),
            "ifdef" | "ifndef" => self.branches.push(false),
            "else" | "elif" => {
                if let Some(is_over) = self.branches.last_mut() {
                    *is_over = !*is_over || word == "elif";
                }
            }
            "endif" => drop(self.branches.pop()),
            _ => {}
        }
        self.skip(len);
    }

    /// A literal that begins with `quote`, to its end or that of its line.
    fn literal(&mut self, quote: char) {
        let mut is_escaped = false;
        let end = self.text[1..].find(|c| {
            let is_end = !is_escaped && (c == quote || c == '\n');
            is_escaped = !is_escaped && c == '\\';
            is_end
        });
        self.skip(end.map_or(self.text.len(), |end| end + 2));
    }
}

impl Iterator for Tokens<'_> {
    type Item = (Token, u32);

    fn next(&mut self) -> Option<(Token, u32)> {
        loop {
            let first = self.text.chars().next()?;
            let line = self.line;
            let at_line_start = std::mem::replace(&mut self.at_line_start, false);
            if first == '\n' {
                self.at_line_start = true;
                self.skip(1);
            } else if first.is_whitespace() {
                self.at_line_start = at_line_start;
                self.skip(first.len_utf8());
            } else if self.text.starts_with("//") {
                self.skip(continued_line(self.text));
            } else if self.text.starts_with("/*") {
                self.skip(2);
                self.skip_past("*/");
                self.at_line_start = at_line_start;
            } else if first == '#' && at_line_start {
                self.directive();
            } else if self.branches.contains(&true) {
                self.skip(self.text.find('\n').unwrap_or(self.text.len()));
            } else if self.text.starts_with("R\"") {
                let open = self.text.find('(').unwrap_or(self.text.len() - 1);
                let end = format!("){}\"", self.text.get(2..open).unwrap_or_default());
                self.skip_past(&end);
                return Some((Token::Text, line));
            } else if first == '"' || first == '\'' {
                self.literal(first);
                return Some((Token::Text, line));
            } else if first.is_alphanumeric() || first == '_' {
                // `1'000'000` is one number.
                let is_number = first.is_ascii_digit();
                let is_part = |c: char| {
                    c.is_alphanumeric() || c == '_' || (is_number && (c == '\'' || c == '.'))
                };
                let len = self.text.find(|c| !is_part(c)).unwrap_or(self.text.len());
                let word = self.text[..len].to_owned();
                self.skip(len);
                return Some((
                    if is_number {
                        Token::Text
                    } else {
                        Token::Word(word)
                    },
                    line,
                ));
            } else {
                self.skip(first.len_utf8());
                return Some((Token::Sign(first), line));
            }
        }
    }
}

/// Length of the line that `text` begins with, and of those that it is continued on by `\`.
fn continued_line(text: &str) -> usize {
    let mut is_continued = false;
    let end = text.find(|c| {
        let is_end = c == '\n' && !is_continued;
        is_continued = c == '\\' || (is_continued && c == '\r');
        is_end
    });
    end.unwrap_or(text.len())
}
