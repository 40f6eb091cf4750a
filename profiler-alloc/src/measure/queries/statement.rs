//! The facts about a statement that findings need: whether it reads, how long its lists are,
//! whether it asks for one page of many. Token by token, without a grammar: the keywords that
//! decide are the same in all dialects.

use core::hash::Hasher;

use super::dialect::Dialect;
use super::lex::Class;
use super::tokens::{Token, Tokens};

/// What is known of a statement, or of several that are given as one text.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Facts {
    /// It does nothing but read.
    pub reads: bool,
    /// It changes rows.
    pub changes: bool,
    /// A `SELECT` of it, be it an inner one, reads rows from somewhere: `SELECT
    /// pg_advisory_lock(?)` does not, nor does Oracle's `FROM dual`.
    pub has_table: bool,
    /// It begins or ends a transaction, or a part of one.
    pub is_transaction: bool,
    /// Values come from outside of the text.
    pub has_placeholders: bool,
    /// The length of the longest list behind `IN`.
    pub list: u32,
    /// It is given an array, which may hold many values.
    pub has_array: bool,
    /// It asks for a page of a longer list: `LIMIT 20 OFFSET 40`, or `id > 40 ORDER BY id LIMIT
    /// 20`.
    pub is_page: bool,
    /// It sets something of a connection.
    pub is_pragma: bool,
    /// It drops or alters something of the schema, which it reads for that.
    pub alters_schema: bool,
    /// Its tables are written as SQLite's virtual tables write those that they keep their rows in:
    /// `'main'.'t_node'`.
    pub is_of_virtual_table: bool,
}

/// A query that asks for a page of a longer list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// Tells those that ask for pages of the same list; `None` if there are values that nobody
    /// knows.
    pub list: Option<u64>,
}

/// A hash of a statement with its values, but for those that say which page it is: what stands
/// behind `LIMIT`, `OFFSET` and `<`.
pub fn list_of_page(sql: &str, dialect: Dialect, mut hasher: impl Hasher) -> u64 {
    let (mut is_page, mut has_limit) = (false, false);
    for Token { class, text } in Tokens::new(sql, dialect) {
        match class {
            Class::Space => continue,
            Class::Value if is_page || has_limit => continue,
            Class::Word => {
                let keyword = known(text).keyword;
                has_limit |= matches!(keyword, Keyword::Limit | Keyword::Offset);
                is_page = false;
            }
            Class::Mark if ["<", ">", "<=", ">="].contains(&text) => is_page = true,
            // Of a row of values behind a comparison, all.
            Class::Mark if ["(", ",", "-"].contains(&text) => {}
            _ => is_page = false,
        }
        hasher.write(text.as_bytes());
        hasher.write_u8(0);
    }
    hasher.finish()
}

fn is_first_or_next(word: &str) -> bool {
    ["first", "next"]
        .iter()
        .any(|other| word.eq_ignore_ascii_case(other))
}

/// Words that decide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keyword {
    Select,
    With,
    Change,
    Update,
    Transaction,
    Pragma,
    Schema,
    /// A name comes.
    OfName,
    From,
    Set,
    In,
    Array,
    For,
    Limit,
    Offset,
    Order,
    Is,
    Other,
}

/// What is known of a word.
#[derive(Clone, Copy)]
pub struct Known {
    keyword: Keyword,
    /// A term comes, so that a sign belongs to the number behind it, and a bracket begins a list.
    pub is_before_term: bool,
    /// The same statement without it is alike.
    pub is_silent: bool,
    /// A value, where a term comes.
    pub is_constant: bool,
}

/// Looks a word up, in one go: a statement has many.
pub fn known(word: &str) -> Known {
    use Keyword::*;
    let mut lower = [0; 10];
    let lower = match lower.get_mut(..word.len()) {
        Some(lower) => {
            lower.copy_from_slice(word.as_bytes());
            lower.make_ascii_lowercase();
            &*lower
        }
        None => b"",
    };
    let (keyword, is_before_term) = match lower {
        b"select" => (Select, true),
        b"with" => (With, false),
        b"insert" | b"delete" | b"merge" | b"replace" => (Change, false),
        b"update" => (Update, false),
        b"begin" | b"commit" | b"rollback" | b"start" | b"end" | b"abort" => (Transaction, false),
        b"savepoint" | b"release" => (Transaction, false),
        b"pragma" => (Pragma, false),
        b"drop" | b"alter" => (Schema, false),
        b"into" | b"join" | b"table" | b"index" | b"view" | b"trigger" => (OfName, false),
        b"references" | b"column" | b"as" => (OfName, false),
        b"from" => (From, false),
        b"set" => (Set, true),
        b"in" => (In, true),
        b"any" | b"unnest" | b"array" => (Array, false),
        b"for" | b"key" => (For, false),
        b"on" => (For, true),
        b"limit" | b"top" => (Limit, true),
        b"fetch" => (Limit, false),
        b"offset" => (Offset, true),
        b"order" => (Order, false),
        b"is" | b"not" => (Is, true),
        b"where" | b"and" | b"or" | b"between" | b"then" | b"else" | b"when" => (Other, true),
        b"case" | b"like" | b"ilike" | b"glob" | b"regexp" | b"rlike" => (Other, true),
        b"match" | b"having" | b"by" | b"returning" | b"values" | b"distinct" => (Other, true),
        b"all" | b"escape" | b"default" | b"div" | b"mod" | b"return" | b"next" => (Other, true),
        _ => (Other, false),
    };
    Known {
        keyword,
        is_before_term,
        is_silent: matches!(lower, b"as" | b"asc" | b"inner" | b"outer"),
        is_constant: matches!(lower, b"null" | b"true" | b"false"),
    }
}

/// The token in front.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Last {
    #[default]
    Start,
    Word(Keyword),
    Value,
    /// A name, or a mark, that nothing is known of.
    Other,
    Open,
    Comma,
    /// `<`, `>`, `<=`, `>=`
    Compares,
}

/// One bit for each depth of brackets.
#[derive(Clone, Copy, Default)]
struct Depths(u64);

impl Depths {
    fn set(&mut self, depth: usize, is: bool) {
        let bit = 1u64.checked_shl(depth as u32).unwrap_or(0);
        self.0 = if is { self.0 | bit } else { self.0 & !bit };
    }

    fn has(self, depth: usize) -> bool {
        self.0 & 1u64.checked_shl(depth as u32).unwrap_or(0) != 0
    }
}

/// Looks at one token after the other.
#[derive(Default)]
pub struct Watch {
    last: Last,
    depth: usize,
    facts: Facts,
    /// What has begun.
    statement: StatementState,
    /// Statements so far, and how many of them only read, or are of transactions.
    count: u32,
    reading: u32,
    of_transactions: u32,
    /// Groups that begin with `SELECT`, that stand behind `IN`, and behind a comparison.
    selects: Depths,
    lists: Depths,
    compared: Depths,
    /// `INTO t`, and no bracket yet.
    is_behind_table: bool,
}

/// One of several statements.
#[derive(Clone, Copy, Default)]
struct StatementState {
    verb: Option<Keyword>,
    has_with: bool,
    changes: bool,
    words: u32,
    has_others: bool,
    has_limit: bool,
    is_limit_one: bool,
    has_order: bool,
    has_offset: bool,
    has_compared: bool,
}

impl Watch {
    pub fn word(&mut self, word: &str, known: Known, depth: usize) {
        let keyword = known.keyword;
        if self.last == Last::Open {
            let is_select = matches!(keyword, Keyword::Select | Keyword::With);
            self.selects.set(depth.saturating_sub(1), is_select);
        }
        let is_verb = matches!(keyword, Keyword::Select | Keyword::Change | Keyword::Update);
        let statement = &mut self.statement;
        statement.words += 1;
        match keyword {
            Keyword::With if statement.verb.is_none() => statement.has_with = true,
            _ if statement.verb.is_none() && !statement.has_with => statement.verb = Some(keyword),
            _ if statement.verb.is_none() && is_verb && depth == 0 => {
                statement.verb = Some(keyword)
            }
            _ => {}
        }
        let is_change = matches!(keyword, Keyword::Change | Keyword::Update);
        let is_in_with = statement.has_with && self.last == Last::Open;
        statement.changes |=
            is_change && (is_in_with || (statement.verb == Some(keyword) && depth == 0));
        match keyword {
            Keyword::Limit => statement.has_limit = true,
            Keyword::Order => statement.has_order = true,
            _ => {}
        }
        self.facts.has_table |= self.is_behind_from() && !word.eq_ignore_ascii_case("dual");
        self.is_behind_table &= matches!(keyword, Keyword::Other);
        self.is_behind_table |= word.eq_ignore_ascii_case("into");
        self.last = match (self.last, keyword) {
            // `FOR UPDATE`, `ON UPDATE`: no name comes.
            (Last::Word(Keyword::For), Keyword::Update) => Last::Word(Keyword::Other),
            // `FETCH FIRST 1 ROW ONLY`
            (Last::Word(Keyword::Limit), Keyword::Other) if is_first_or_next(word) => self.last,
            _ => Last::Word(keyword),
        };
    }

    pub fn value(&mut self, token: Token<'_>) {
        self.facts.has_placeholders |= token.class == Class::Placeholder;
        let statement = &mut self.statement;
        statement.has_others = true;
        match self.last {
            Last::Word(Keyword::Limit) => statement.is_limit_one = token.text == "1",
            Last::Word(Keyword::Offset) => statement.has_offset = true,
            Last::Compares => statement.has_compared = true,
            // `LIMIT 40, 20`
            Last::Comma if statement.has_limit && self.depth == 0 => {
                statement.has_offset = true;
                statement.is_limit_one = token.text == "1";
            }
            _ => {}
        }
        self.last = Last::Value;
    }

    pub fn name(&mut self) {
        self.facts.has_table |= self.is_behind_from();
        self.last = Last::Other;
    }

    pub fn mark(&mut self, mark: &str) {
        self.last = match mark {
            "," => Last::Comma,
            "<" | ">" | "<=" | ">=" => Last::Compares,
            _ => Last::Other,
        };
    }

    pub fn open(&mut self, depth: usize) {
        self.facts.has_table |= self.is_behind_from();
        self.depth = depth + 1;
        self.statement.has_others = true;
        self.selects.set(depth, false);
        self.lists.set(depth, self.last == Last::Word(Keyword::In));
        self.compared.set(depth, self.last == Last::Compares);
        self.facts.has_array |= self.last == Last::Word(Keyword::Array);
        self.is_behind_table = false;
        self.last = Last::Open;
    }

    /// A group is over; `values` is how many there were, if there was nothing else.
    pub fn close(&mut self, depth: usize, values: Option<u32>) {
        self.depth = depth;
        if let Some(values) = values {
            if self.lists.has(depth) {
                self.facts.list = self.facts.list.max(values);
            }
            self.statement.has_compared |= self.compared.has(depth);
        }
        self.last = Last::Other;
    }

    pub fn hidden(&mut self) {
        self.statement.has_others = true;
    }

    pub fn quoted_schema(&mut self) {
        self.facts.is_of_virtual_table = true;
    }

    /// Whether a name comes, and never a value.
    pub fn wants_name(&self) -> bool {
        match self.last {
            Last::Word(Keyword::OfName | Keyword::Update | Keyword::Set) => true,
            _ => self.is_behind_from(),
        }
    }

    /// Whether a table comes. `trim(LEADING FROM "x")` takes a value.
    fn is_behind_from(&self) -> bool {
        let is_of_select = self.depth == 0 || self.selects.has(self.depth - 1);
        self.last == Last::Word(Keyword::From) && is_of_select
    }

    /// `IS NULL`, `NOT NULL`, `SET NULL` are no values.
    pub fn is_behind_is(&self) -> bool {
        matches!(self.last, Last::Word(Keyword::Is | Keyword::Set))
    }

    /// Whether the bracket that comes holds the names of columns.
    pub fn is_behind_table(&self) -> bool {
        self.is_behind_table
    }

    pub fn is_behind_array(&self) -> bool {
        self.last == Last::Word(Keyword::Array)
    }

    pub fn end_of_statement(&mut self) {
        let statement = core::mem::take(&mut self.statement);
        if statement.words == 0 && !statement.has_others {
            return;
        }
        self.count += 1;
        let is = |keyword| statement.verb == Some(keyword);
        let reads = is(Keyword::Select) && !statement.changes;
        self.reading += u32::from(reads);
        // `BEGIN` begins a block of a program, too.
        let is_transaction =
            is(Keyword::Transaction) && !statement.has_others && statement.words < 9;
        self.of_transactions += u32::from(is_transaction);
        self.facts.changes |= statement.changes;
        self.facts.is_pragma |= is(Keyword::Pragma);
        self.facts.alters_schema |= is(Keyword::Schema);
        let has_cursor = statement.has_offset || (statement.has_order && statement.has_compared);
        self.facts.is_page |= statement.has_limit && !statement.is_limit_one && has_cursor;
        self.last = Last::Start;
    }

    pub fn facts(mut self) -> Facts {
        self.end_of_statement();
        Facts {
            reads: self.count > 0 && self.reading == self.count,
            is_transaction: self.count > 0 && self.of_transactions == self.count,
            ..self.facts
        }
    }
}
