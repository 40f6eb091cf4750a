//! SQL as a row of tokens: what is a value, and what may be shown.

use super::dialect::{Dialect, DialectRules, Readings};
use super::lex::{Class, Lexed};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token<'a> {
    pub class: Class,
    pub text: &'a str,
}

/// The tokens of a statement, or of several.
#[derive(Clone)]
pub struct Tokens<'a> {
    rest: &'a str,
    sure: &'static [DialectRules],
    doubted: &'static [DialectRules],
    /// Bit by bit, those of `doubted` that make no sense of the rest.
    dismissed: u8,
}

impl<'a> Tokens<'a> {
    pub fn new(sql: &'a str, dialect: Dialect) -> Tokens<'a> {
        let Readings { sure, doubted } = match dialect {
            Dialect::PostgreSqlOrMySql => told_by_text(sql).readings(),
            dialect => dialect.readings(),
        };
        Tokens {
            rest: sql,
            sure,
            doubted,
            dismissed: 0,
        }
    }

    /// The next token that is no space, without taking it.
    pub fn peek(&self) -> Option<Token<'a>> {
        self.clone().find(|token| token.class != Class::Space)
    }

    /// The next token as all readers see it; `None` if they do not see the same.
    fn agreed(&mut self) -> Option<Lexed> {
        let (first, others) = self.sure.split_first()?;
        let mut lexed = first.lex(self.rest);
        if others.is_empty() && self.doubted.is_empty() {
            return Some(lexed);
        }
        // Most are the same to all.
        if is_plain(self.rest.as_bytes()[0]) {
            return Some(lexed);
        }
        // Words too, but for a letter that belongs to the quote behind it.
        let has_quote = self.rest[lexed.length..].starts_with(['\'', '"', '&']);
        if lexed.class == Class::Word && !has_quote {
            return Some(lexed);
        }
        for rules in others {
            let other = rules.lex(self.rest);
            if other.length != lexed.length {
                return None;
            }
            lexed.class = hidden_most(self.rest, lexed.class, other.class);
        }
        for (bit, rules) in self.doubted.iter().enumerate() {
            if self.dismissed & 1 << bit != 0 || rules.lex(self.rest).length == lexed.length {
                continue;
            }
            if rules.makes_sense_of(self.rest) {
                return None;
            }
            self.dismissed |= 1 << bit;
        }
        Some(lexed)
    }
}

/// What no dialect takes for the beginning of a text, a comment or a name.
fn is_plain(first: u8) -> bool {
    first.is_ascii_whitespace() || b"(),;=<>!+*%|^&~".contains(&first)
}

/// Of two classes of one token.
fn hidden_most(text: &str, one: Class, other: Class) -> Class {
    match one == other {
        true => one,
        false if text.starts_with('"') => Class::Either,
        false => one.max(other),
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (length, class) = match self.agreed() {
            Some(lexed) => (lexed.length, lexed.class),
            None => (self.rest.len(), Class::Hidden),
        };
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(Token { class, text })
    }
}

/// Whether it is PostgreSQL's or MySQL's, if the text says so where both read the same.
fn told_by_text(sql: &str) -> Dialect {
    let Readings { sure, doubted } = Dialect::PostgreSqlOrMySql.readings();
    let tokens = Tokens {
        rest: sql,
        sure,
        doubted,
        dismissed: 0,
    };
    let told = tokens.into_iter().find_map(|token| match token.text {
        "::" => Some(Dialect::PostgreSql),
        text if text.starts_with('`') => Some(Dialect::MySql),
        text if text.starts_with('$') && text[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            (token.class == Class::Placeholder).then_some(Dialect::PostgreSql)
        }
        _ => None,
    });
    told.unwrap_or(Dialect::PostgreSqlOrMySql)
}
