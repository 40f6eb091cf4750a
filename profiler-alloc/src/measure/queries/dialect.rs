//! Dialects of SQL: what they differ in when it comes to where a text, a comment or a name ends.
//!
//! A dialect is one way to read SQL, or several where the server has modes or nobody knows the
//! server. Readers that disagree about where a value ends would take the rest of the statement for
//! different things, so it is hidden:
//!
//! ```text
//! SELECT 'it\'s', 'secret'     MySQL: two texts       others: a text, `s`, a text, `secret`, …
//! ```

/// The SQL that a query is written in, which tells its values from the rest.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    PostgreSql,
    /// That of MySQL and MariaDB.
    MySql,
    /// Oracle's.
    Oracle,
    /// PostgreSQL's or MySQL's, but not known which.
    PostgreSqlOrMySql,
    /// Any of these, or another. What they disagree about is not shown, nor what comes after it.
    #[default]
    Unknown,
}

/// What text in double quotes is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DoubleQuotes {
    Name,
    Value,
    /// SQLite takes it for a name if there is one, for a value otherwise.
    Either,
}

/// What text in square brackets is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brackets {
    /// The elements of an array, or which of them.
    Code,
    Name,
    /// A name; but what reads the same as code is taken for that.
    NameOrCode,
}

/// One way to read SQL.
#[derive(Clone, Copy, Debug)]
pub struct DialectRules {
    /// `'it\'s'` is one text.
    pub backslashes: bool,
    /// `'''it's'''` is one text.
    pub triple_quotes: bool,
    /// In `E'it\'s'` a backslash takes the next character along, whatever it does in other texts.
    pub escape_texts: bool,
    /// `U&'d\0061t'` is one text.
    pub unicode_texts: bool,
    /// `q'[it's]'` is one text.
    pub chosen_quotes: bool,
    /// `$$it's$$` is one text.
    pub dollar_quotes: bool,
    pub double_quotes: DoubleQuotes,
    pub brackets: Brackets,
    /// What is in backticks is a name.
    pub backticks: bool,
    /// `# a comment`
    pub hash_comments: bool,
    /// `--a comment`, and not only `-- a comment`.
    pub tight_comments: bool,
    /// A comment ends at a carriage return too.
    pub returns_end_comments: bool,
    /// `/* a /* comment */ */`
    pub nested_comments: bool,
    /// `/*! code */`
    pub code_in_comments: bool,
    /// `?`, `:name` and `@name` stand for values. Otherwise they are operators: `data ? 'key'`,
    /// `a[1:n]`, `@ -5`.
    pub marks_are_placeholders: bool,
}

/// The dialects that a reader may have before it.
pub struct Readings {
    /// One of these is right.
    pub sure: &'static [DialectRules],
    /// A server may be set to one of these. Read so, the whole statement has to make sense.
    pub doubted: &'static [DialectRules],
}

const SQLITE: DialectRules = DialectRules {
    backslashes: false,
    triple_quotes: false,
    escape_texts: false,
    unicode_texts: false,
    chosen_quotes: false,
    dollar_quotes: false,
    double_quotes: DoubleQuotes::Either,
    brackets: Brackets::Name,
    backticks: true,
    hash_comments: false,
    tight_comments: true,
    returns_end_comments: false,
    nested_comments: false,
    code_in_comments: false,
    marks_are_placeholders: true,
};

const POSTGRES: DialectRules = DialectRules {
    escape_texts: true,
    unicode_texts: true,
    dollar_quotes: true,
    double_quotes: DoubleQuotes::Name,
    brackets: Brackets::Code,
    backticks: false,
    returns_end_comments: true,
    nested_comments: true,
    marks_are_placeholders: false,
    ..SQLITE
};

/// `standard_conforming_strings = off`
const POSTGRES_BACKSLASHES: DialectRules = DialectRules {
    backslashes: true,
    ..POSTGRES
};

const MYSQL: DialectRules = DialectRules {
    backslashes: true,
    double_quotes: DoubleQuotes::Value,
    brackets: Brackets::Code,
    hash_comments: true,
    tight_comments: false,
    code_in_comments: true,
    ..SQLITE
};

/// The mode `NO_BACKSLASH_ESCAPES`
const MYSQL_NO_BACKSLASHES: DialectRules = DialectRules {
    backslashes: false,
    ..MYSQL
};

/// The mode `ANSI_QUOTES`
const MYSQL_NAMES: DialectRules = DialectRules {
    double_quotes: DoubleQuotes::Name,
    ..MYSQL
};

const ORACLE: DialectRules = DialectRules {
    chosen_quotes: true,
    double_quotes: DoubleQuotes::Name,
    brackets: Brackets::Code,
    ..SQLITE
};

const SQLITE_OR_LIKE: DialectRules = DialectRules {
    brackets: Brackets::NameOrCode,
    ..SQLITE
};

const SQL_SERVER: DialectRules = DialectRules {
    nested_comments: true,
    ..SQLITE_OR_LIKE
};

const BIG_QUERY: DialectRules = DialectRules {
    triple_quotes: true,
    brackets: Brackets::Code,
    ..MYSQL
};

/// PostgreSQL has no operator of backticks, so where it is one of several they are names; and `U&`
/// may be an operation, which shows as little.
const POSTGRES_OR: DialectRules = DialectRules {
    unicode_texts: false,
    backticks: true,
    marks_are_placeholders: true,
    ..POSTGRES
};

const POSTGRES_BACKSLASHES_OR: DialectRules = DialectRules {
    backslashes: true,
    ..POSTGRES_OR
};

impl Dialect {
    pub(super) fn is_known(self) -> bool {
        !matches!(self, Dialect::PostgreSqlOrMySql | Dialect::Unknown)
    }

    pub(super) fn readings(self) -> Readings {
        let (sure, doubted): (&'static [DialectRules], &'static [DialectRules]) = match self {
            Dialect::Sqlite => (&[SQLITE], &[]),
            Dialect::PostgreSql => (&[POSTGRES], &[POSTGRES_BACKSLASHES]),
            Dialect::MySql => (&[MYSQL], &[MYSQL_NO_BACKSLASHES, MYSQL_NAMES]),
            Dialect::Oracle => (&[ORACLE], &[]),
            Dialect::PostgreSqlOrMySql => (
                &[
                    POSTGRES_OR,
                    POSTGRES_BACKSLASHES_OR,
                    MYSQL,
                    MYSQL_NO_BACKSLASHES,
                    MYSQL_NAMES,
                ],
                &[],
            ),
            Dialect::Unknown => (
                &[
                    SQLITE_OR_LIKE,
                    POSTGRES_OR,
                    POSTGRES_BACKSLASHES_OR,
                    MYSQL,
                    MYSQL_NO_BACKSLASHES,
                    MYSQL_NAMES,
                    ORACLE,
                    SQL_SERVER,
                    BIG_QUERY,
                ],
                &[],
            ),
        };
        Readings { sure, doubted }
    }
}
