//! SQL without its values: how it is shown, and what two queries that differ in nothing else have
//! in common.
//!
//! Numbers, texts, blobs and placeholders become `?`, lists of them `(?, …)`; comments go, white
//! space is one space. Names stay. The *shape* goes further, and is never shown: it is the same for
//! lists and rows of any length, for `select` and `SELECT`, `users` and `"users"`, with and without
//! `AS`.
//!
//! ```text
//! SELECT * FROM t WHERE id IN (1, -2, NULL)    shown: SELECT * FROM t WHERE id IN (?, …)
//! select * from "t" where id in (7)            shown: select * from "t" where id in (?)
//!                                              shape: the same for both
//! ```

#[cfg(test)]
mod tests;

use super::dialect::Dialect;
use super::lex::Class;
use super::shape::Shape;
use super::statement::{self, Facts, Watch};
use super::tokens::{Token, Tokens};

/// A statement, or several, without values.
#[derive(Debug)]
pub struct Normal {
    pub text: String,
    /// The same for statements that differ in nothing but their values.
    pub shape: u64,
    pub facts: Facts,
}

/// The normalised form of one statement, or of several.
pub fn normalise(sql: &str, dialect: Dialect) -> Normal {
    let mut writer = Writer::new(dialect);
    let mut tokens = Tokens::new(sql, dialect);
    while let Some(token) = tokens.next() {
        writer.token(token, &tokens);
    }
    writer.end()
}

/// Groups in brackets that are looked into; deeper ones stay as they are.
const DEPTH: usize = 16;

/// A group in brackets that is being written.
#[derive(Clone, Copy, Default)]
struct Group {
    /// Where it began, and the shape before it.
    start: usize,
    before: Shape,
    kind: GroupKind,
    /// Values so far.
    values: u32,
    item: Item,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum GroupKind {
    /// `IN (…)`, `VALUES (…)`, `ARRAY[…]`, `= (…)`, and rows inside of these: one shape for any
    /// length.
    List,
    /// `f(…)`, `varchar(…)`
    #[default]
    Call,
    /// `INTO t (…)`
    Columns,
}

/// What a group of nothing but values is at.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Item {
    #[default]
    Expected,
    Value,
    /// `?::`
    Cast,
    /// Other things than values have been seen.
    Other,
}

/// A row of `VALUES`, as it was written, and the shape with it.
#[derive(Clone, Copy)]
struct Row {
    start: usize,
    end: usize,
    shape: Shape,
}

/// What stands in front, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The beginning, a comma, an operator, a word such as `WHERE`: a term comes.
    Nothing,
    Term,
}

struct Writer {
    out: String,
    shape: Shape,
    dialect: Dialect,
    has_space: bool,
    before: Before,
    groups: [Group; DEPTH],
    depth: usize,
    /// How deep the rows of `VALUES` stand that are being written, and the last of them.
    values: Option<usize>,
    row: Option<Row>,
    /// A sign has been left out, and its number comes.
    is_signed: bool,
    watch: Watch,
}

impl Writer {
    fn new(dialect: Dialect) -> Writer {
        Writer {
            out: String::new(),
            shape: Shape::default(),
            dialect,
            has_space: false,
            before: Before::Nothing,
            groups: [Group::default(); DEPTH],
            depth: 0,
            values: None,
            row: None,
            is_signed: false,
            watch: Watch::default(),
        }
    }

    fn token(&mut self, token: Token<'_>, after: &Tokens<'_>) {
        match token.class {
            Class::Space => return self.has_space |= !self.is_signed,
            Class::Hidden => {
                self.space();
                self.out.push('…');
                self.shape.add(b"\xff");
                self.watch.hidden();
            }
            Class::Value | Class::Placeholder => self.value_or_name(token, after),
            Class::Either if self.is_name(after) => self.name(token),
            Class::Either => self.value(Token {
                class: Class::Value,
                ..token
            }),
            Class::Name => self.name(token),
            Class::Word => self.word(token.text),
            Class::Mark if self.is_sign(token.text, after) => return self.is_signed = true,
            Class::Mark => self.mark(token.text),
        }
        self.is_signed = false;
        self.has_space = false;
    }

    /// A sign belongs to the number behind it, unless a term stands in front: `a - 1`.
    fn is_sign(&self, mark: &str, after: &Tokens<'_>) -> bool {
        ["-", "+"].contains(&mark) && self.before == Before::Nothing && is_number(after)
    }

    /// SQLite takes `'main'.'t'` for names, and its own tables are written so.
    fn value_or_name(&mut self, token: Token<'_>, after: &Tokens<'_>) {
        let is_quoted = self.dialect == Dialect::Sqlite && token.text.starts_with('\'');
        match is_quoted && self.is_dotted(after) {
            true => {
                self.watch.quoted_schema();
                self.name(token);
            }
            false => self.value(token),
        }
    }

    fn is_dotted(&self, after: &Tokens<'_>) -> bool {
        self.out.ends_with('.') || after.peek().is_some_and(|next| next.text == ".")
    }

    /// Whether text in double quotes stands where no value can.
    fn is_name(&self, after: &Tokens<'_>) -> bool {
        let is_column = self.depth > 0
            && self
                .top()
                .is_some_and(|group| group.kind == GroupKind::Columns);
        is_column || self.is_dotted(after) || self.watch.wants_name()
    }

    fn top(&self) -> Option<&Group> {
        self.groups.get(self.depth.checked_sub(1)?)
    }

    fn top_mut(&mut self) -> Option<&mut Group> {
        self.groups.get_mut(self.depth.checked_sub(1)?)
    }

    fn space(&mut self) {
        let is_wanted = self.has_space || self.out.ends_with(',');
        if is_wanted && !self.out.is_empty() && !self.out.ends_with('(') {
            self.out.push(' ');
        }
    }

    fn write(&mut self, text: &str) {
        self.space();
        self.out.push_str(text);
    }

    fn value(&mut self, token: Token<'_>) {
        self.write("?");
        self.shape.add(b"?");
        self.watch.value(token);
        if let Some(group) = self.top_mut() {
            group.values += 1;
            group.item = match group.item {
                Item::Expected => Item::Value,
                _ => Item::Other,
            };
        }
        self.before = Before::Term;
    }

    fn name(&mut self, token: Token<'_>) {
        self.write(token.text);
        self.shape.name(token.text);
        self.other();
        self.watch.name();
        self.before = Before::Term;
    }

    fn word(&mut self, word: &str) {
        let known = statement::known(word);
        if known.is_constant && self.before == Before::Nothing && !self.watch.is_behind_is() {
            return self.value(Token {
                class: Class::Value,
                text: word,
            });
        }
        self.write(word);
        if !known.is_silent {
            self.shape.word(word);
        }
        match self.top_mut() {
            Some(group) if group.item == Item::Cast => group.item = Item::Value,
            _ => self.other(),
        }
        self.leave_values();
        if word.eq_ignore_ascii_case("values") {
            self.values = Some(self.depth);
        }
        self.watch.word(word, known, self.depth);
        self.before = match known.is_before_term {
            true => Before::Nothing,
            false => Before::Term,
        };
    }

    /// Something that is no value, in a group of values.
    fn other(&mut self) {
        if let Some(group) = self.top_mut() {
            group.item = Item::Other;
        }
    }

    /// Anything but a comma between the rows of `VALUES` ends them.
    fn leave_values(&mut self) {
        if self.values.is_some_and(|depth| self.depth <= depth) {
            self.values = None;
            self.row = None;
        }
    }

    fn mark(&mut self, mark: &str) {
        match mark {
            "(" | "[" => return self.open(mark),
            ")" | "]" => return self.close(mark),
            "," => self.out.push_str(mark),
            _ => self.write(mark),
        }
        match mark {
            "!=" => self.shape.add(b"<>"),
            ";" => {}
            _ => self.shape.add(mark.as_bytes()),
        }
        if mark != "," {
            self.leave_values();
        }
        if let Some(group) = self.top_mut() {
            group.item = match (mark, group.item) {
                (",", Item::Value) => Item::Expected,
                ("::", Item::Value) => Item::Cast,
                _ => Item::Other,
            };
        }
        match mark {
            ";" => self.watch.end_of_statement(),
            _ => self.watch.mark(mark),
        }
        self.before = match mark {
            "." => Before::Term,
            "*" if self.before == Before::Nothing => Before::Term,
            _ => Before::Nothing,
        };
    }

    fn open(&mut self, mark: &str) {
        let is_row = self.values == Some(self.depth);
        let is_nested = self
            .top()
            .is_some_and(|group| group.kind == GroupKind::List && group.item == Item::Expected);
        let kind = match mark {
            _ if self.watch.is_behind_table() => GroupKind::Columns,
            "(" if is_row || is_nested || self.before == Before::Nothing => GroupKind::List,
            "[" if is_nested || self.watch.is_behind_array() => GroupKind::List,
            _ => GroupKind::Call,
        };
        let start = self.out.len();
        let before = self.shape;
        self.write(mark);
        self.shape.add(mark.as_bytes());
        if let Some(group) = self.groups.get_mut(self.depth) {
            *group = Group {
                start,
                before,
                kind,
                ..Group::default()
            };
        }
        self.watch.open(self.depth);
        self.depth += 1;
        self.before = Before::Nothing;
    }

    fn close(&mut self, mark: &str) {
        self.before = Before::Term;
        let Some(depth) = self.depth.checked_sub(1) else {
            return self.write_close(mark);
        };
        self.depth = depth;
        if self.values.is_some_and(|values| values > depth) {
            self.values = None;
            self.row = None;
        }
        let Some(&group) = self.groups.get(depth) else {
            return self.write_close(mark);
        };
        let is_list = group.item == Item::Value;
        self.watch.close(depth, is_list.then_some(group.values));
        match is_list && group.values > 1 {
            true => {
                let open = self.out[group.start..].find(['(', '[']).unwrap_or(0);
                self.out.truncate(group.start + open + 1);
                self.out.push_str("?, …");
                self.out.push_str(mark);
            }
            false => {
                self.has_space = false;
                self.out.push_str(mark);
            }
        }
        match (is_list, group.kind) {
            (true, GroupKind::List) => {
                self.shape = group.before;
                self.shape.add(b"(?)");
            }
            (true, _) if group.values > 1 => {
                self.shape = group.before;
                self.shape.add(b"(?,?)");
            }
            _ => self.shape.add(mark.as_bytes()),
        }
        // For the group around it, a list is a value.
        let is_value = is_list && group.kind == GroupKind::List;
        if let Some(outer) = self.top_mut() {
            outer.values += u32::from(is_value);
            outer.item = match (is_value, outer.item) {
                (true, Item::Expected) => Item::Value,
                (false, Item::Value) if mark == "]" => Item::Value,
                _ => Item::Other,
            };
        }
        if self.values == Some(self.depth) {
            self.end_row(group.start);
        }
    }

    fn write_close(&mut self, mark: &str) {
        self.out.push_str(mark);
        self.shape.add(mark.as_bytes());
        self.other();
    }

    /// A row of `VALUES` is over: many that look the same are shown, and count, as one.
    fn end_row(&mut self, start: usize) {
        let row = Row {
            start,
            end: self.out.len(),
            shape: self.shape,
        };
        let written = |row: Row| self.out.get(row.start..row.end).map(str::trim_start);
        match self.row {
            Some(last) if written(last) == written(row) => {
                self.out.truncate(last.end);
                self.out.push_str(", …");
                self.shape = last.shape;
            }
            _ => self.row = Some(row),
        }
    }

    fn end(self) -> Normal {
        let text = self.out.trim_end_matches([';', ' ']);
        Normal {
            text: text.to_owned(),
            shape: self.shape.0,
            facts: self.watch.facts(),
        }
    }
}

fn is_number(after: &Tokens<'_>) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    let next = after.peek();
    next.is_some_and(|next| next.class == Class::Value && next.text.starts_with(is_digit))
}
