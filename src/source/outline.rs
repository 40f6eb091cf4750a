//! The items of a source file that can run code: name, kind, first line, last line.
//!
//! It looks at tokens, not at a syntax tree: so it also sees functions inside macro calls, and does
//! not mind syntax that is newer than itself. A function is `fn NAME … { … }`:
//!
//! ```text
//! pub async fn name<T: Fn() -> u8>(a: [u8; { N }]) -> Foo<{ N }> where T: Copy { body }
//! ^ first line      └─ angle brackets are skipped ──────────┘                        ^ last line
//! ```
//!
//! The lines of its attributes belong to it too: there is the code that an attribute such as
//! `#[tracing::instrument]` puts around the body.

#[cfg(test)]
mod tests;

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What an item is, and so what code on its lines is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ItemKind {
    /// A function: the code is its own.
    Function,
    /// A `static`: the code sets it up.
    Static,
    /// The `static` with `#[global_allocator]`, from that attribute on: the code is what the
    /// compiler makes to call it.
    Allocator,
    /// A struct, enum or union: the code was derived for it.
    Type,
    /// A `macro_rules!`: the code belongs to whoever uses it, which the debug info does not say.
    Macro,
}

/// An item that can run code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Its name with those of the modules, types and functions around it in this file.
    pub path: String,
    /// Line of its signature, after attributes and comments; that of the first attribute for types.
    pub first_line: u32,
    /// Line of its end.
    pub last_line: u32,
    /// Line of its first attribute or doc comment; `first_line` if it has none.
    pub attributes_line: u32,
    /// Whether an attribute may have put code around its body: one that is not the compiler's own.
    pub is_wrapped: bool,
    /// Whether it is an `async fn`.
    pub is_async: bool,
}

impl Item {
    /// Its own name.
    pub fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or(&self.path)
    }
}

/// The items of a file, in the order of their first lines, attributes included.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Outline {
    items: Vec<Item>,
}

impl Outline {
    /// The outline of a file's `text`; empty if its brackets or quotes do not match.
    pub fn of(text: &str) -> Outline {
        // A first line for the shell is no Rust; blanked, not cut off, as lines are counted.
        let shell = text.starts_with("#!") && !text.starts_with("#![");
        let text = match text.find('\n') {
            Some(end) if shell => &text[end..],
            _ => text,
        };
        let Ok(tokens) = TokenStream::from_str(text) else {
            return Outline::default();
        };
        let mut items = Vec::new();
        // A list instead of recursion: source nested ten thousand deep is no reason to overflow.
        let mut scopes = vec![(String::new(), tokens)];
        while let Some((path, tokens)) = scopes.pop() {
            scan(&path, tokens, &mut items, &mut scopes);
        }
        Outline::new(items)
    }

    /// The outline of a file that has these items.
    pub(super) fn new(mut items: Vec<Item>) -> Outline {
        items.sort_by_key(|item| (item.attributes_line, item.first_line, item.last_line));
        Outline { items }
    }

    /// All items.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Index of the innermost item that has `line`, be it on one of its attributes.
    pub fn enclosing(&self, line: u32) -> Option<usize> {
        let candidates = (self.items).partition_point(|item| item.attributes_line <= line);
        self.items[..candidates]
            .iter()
            .rposition(|item| line <= item.last_line)
    }
}

/// Finds the items that stand directly in `tokens`, and the scopes within.
fn scan(
    path: &str,
    tokens: TokenStream,
    items: &mut Vec<Item>,
    scopes: &mut Vec<(String, TokenStream)>,
) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        let word = match &tokens[at] {
            TokenTree::Ident(word) => word.to_string(),
            _ => String::new(),
        };
        let found = match word.as_str() {
            "fn" => function(&tokens, at),
            "static" => static_item(&tokens, at).map(|found| allocator(&tokens, found)),
            "struct" | "enum" | "union" => type_item(&tokens, at),
            "macro_rules" => macro_item(&tokens, at),
            _ => None,
        };
        if let Some(found) = &found {
            let line = |token: usize| tokens[token].span().start().line as u32;
            let attributes = Attributes::before(&tokens, found.first);
            let signature = &tokens[found.first..at.max(found.first)];
            items.push(Item {
                kind: found.kind,
                path: join(path, &found.name),
                first_line: line(found.first),
                last_line: tokens[found.last].span().end().line as u32,
                attributes_line: line(attributes.first),
                is_wrapped: attributes.are_foreign,
                is_async: signature.iter().any(|token| is_word(token, "async")),
            });
        }
        let scope = match word.as_str() {
            "fn" => found.map(|found| (found.name, found.last)),
            "mod" | "trait" => named(&tokens, at),
            "impl" => implementation(&tokens, at),
            _ => None,
        };
        // What stands between a scope's name and its body is types: passed over.
        let body = scope.as_ref().map_or(at, |&(_, body)| body);
        if let TokenTree::Group(group) = &tokens[body] {
            let name = scope.map(|(name, _)| name).unwrap_or_default();
            scopes.push((join(path, &name), group.stream()));
        }
        at = body + 1;
    }
}

/// An item found among tokens: its first and last one.
struct FoundItem {
    kind: ItemKind,
    name: String,
    first: usize,
    last: usize,
}

fn join(path: &str, name: &str) -> String {
    match (path, name) {
        ("", name) => name.to_owned(),
        (path, "") => path.to_owned(),
        (path, name) => format!("{path}::{name}"),
    }
}

/// `fn name … { … }`; not the type `fn(u8)`, nor a function without a body.
fn function(tokens: &[TokenTree], at: usize) -> Option<FoundItem> {
    let name = ident(tokens, at + 1)?;
    let (last, _) = brace(tokens, at + 2)?;
    Some(FoundItem {
        kind: ItemKind::Function,
        name,
        first: signature(tokens, at),
        last,
    })
}

/// `static NAME: Type = …;`; not the lifetime `'static`.
fn static_item(tokens: &[TokenTree], at: usize) -> Option<FoundItem> {
    if at > 0 && is_punct(tokens.get(at - 1), '\'') {
        return None;
    }
    let name_at = if ident(tokens, at + 1)? == "mut" {
        at + 2
    } else {
        at + 1
    };
    let name = ident(tokens, name_at)?;
    if !is_punct(tokens.get(name_at + 1), ':') {
        return None;
    }
    // The last static of a `thread_local!` may do without a semicolon.
    let end = (name_at..tokens.len()).find(|&at| is_punct(tokens.get(at), ';'));
    Some(FoundItem {
        kind: ItemKind::Static,
        name,
        first: signature(tokens, at),
        last: end.unwrap_or(tokens.len() - 1),
    })
}

/// The static that was found, as an allocator if an attribute says so: also `#[cfg_attr(…,
/// global_allocator)]`.
fn allocator(tokens: &[TokenTree], found: FoundItem) -> FoundItem {
    let attributes = Attributes::before(tokens, found.first);
    match attributes.are_of_allocator {
        true => FoundItem {
            kind: ItemKind::Allocator,
            first: attributes.first,
            ..found
        },
        false => found,
    }
}

/// The attributes of an item, doc comments being such too.
struct Attributes {
    /// The first token of the first.
    first: usize,
    /// Whether one says `global_allocator`.
    are_of_allocator: bool,
    /// Whether one is none of the compiler's own.
    are_foreign: bool,
}

impl Attributes {
    /// Those that end before the token `first`.
    fn before(tokens: &[TokenTree], mut first: usize) -> Attributes {
        /// Those that stand before functions and put nothing into them.
        const PLAIN: [&str; 21] = [
            "doc",
            "inline",
            "cold",
            "must_use",
            "cfg",
            "allow",
            "warn",
            "deny",
            "forbid",
            "expect",
            "deprecated",
            "track_caller",
            "no_mangle",
            "export_name",
            "link_section",
            "test",
            "ignore",
            "should_panic",
            "target_feature",
            "unsafe",
            "rustfmt",
        ];
        let (mut are_of_allocator, mut are_foreign) = (false, false);
        while first >= 2
            && is_punct(tokens.get(first - 2), '#')
            && let TokenTree::Group(group) = &tokens[first - 1]
            && group.delimiter() == Delimiter::Bracket
        {
            let text = group.to_string();
            are_of_allocator |= text.contains("global_allocator");
            let name = text.trim_start_matches(['[', ' ']);
            let len = name.find(|char: char| !char.is_alphanumeric() && char != '_');
            are_foreign |= !PLAIN.contains(&&name[..len.unwrap_or(name.len())]);
            first -= 2;
        }
        Attributes {
            first,
            are_of_allocator,
            are_foreign,
        }
    }
}

/// `struct Name … { … }` and the like, from its first attribute on: code for a `derive` may be on
/// that line.
fn type_item(tokens: &[TokenTree], at: usize) -> Option<FoundItem> {
    let name = ident(tokens, at + 1)?;
    let brace = brace(tokens, at + 2).map(|(last, _)| last);
    let last = brace.or_else(|| (at..tokens.len()).find(|&at| is_punct(tokens.get(at), ';')))?;
    let attributes = Attributes::before(tokens, signature(tokens, at));
    Some(FoundItem {
        kind: ItemKind::Type,
        name,
        first: attributes.first,
        last,
    })
}

/// `macro_rules! name { … }`.
fn macro_item(tokens: &[TokenTree], at: usize) -> Option<FoundItem> {
    let name = ident(tokens, at + 2)?;
    matches!(tokens.get(at + 3)?, TokenTree::Group(_)).then(|| FoundItem {
        kind: ItemKind::Macro,
        name: format!("{name}!"),
        first: at,
        last: at + 3,
    })
}

fn ident(tokens: &[TokenTree], at: usize) -> Option<String> {
    match tokens.get(at)? {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

/// Where the signature with its `fn`, `static` or `struct` at `at` starts.
fn signature(tokens: &[TokenTree], at: usize) -> usize {
    const QUALIFIERS: [&str; 8] = [
        "pub", "default", "const", "async", "unsafe", "safe", "extern", "gen",
    ];
    let mut first = at;
    for back in (0..at).rev() {
        match &tokens[back] {
            TokenTree::Ident(word) if QUALIFIERS.iter().any(|qualifier| word == qualifier) => {
                first = back;
            }
            // Of `pub(crate)` and `extern "C"`; what they belong to comes next.
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {}
            TokenTree::Literal(_) => {}
            _ => break,
        }
    }
    first
}

/// The scope of `mod name { … }` or `trait Name: … { … }`.
fn named(tokens: &[TokenTree], at: usize) -> Option<(String, usize)> {
    let name = ident(tokens, at + 1)?;
    let (body, _) = brace(tokens, at + 2)?;
    Some((name, body))
}

/// The scope of `impl<…> Trait for path::Type<…> where … { … }`, named after the type.
fn implementation(tokens: &[TokenTree], at: usize) -> Option<(String, usize)> {
    let (body, _) = brace(tokens, at + 1)?;
    let mut depth = Angles::default();
    let mut name = String::new();
    for token in &tokens[at + 1..body] {
        depth.pass(token);
        match token {
            TokenTree::Ident(word) if word == "where" => break,
            TokenTree::Ident(word) if depth.is_outside() && word != "for" => {
                name = word.to_string();
            }
            _ => {}
        }
    }
    Some((name, body))
}

/// The first brace from `from` on that is no generic argument; `None` if a `;` or `=` comes before
/// it.
fn brace(tokens: &[TokenTree], from: usize) -> Option<(usize, &Group)> {
    let mut depth = Angles::default();
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token {
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Brace && depth.is_outside() =>
            {
                return Some((at, group));
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => return None,
            token => depth.pass(token),
        }
    }
    None
}

/// How deep in angle brackets a scan is; the `>` of an arrow closes none.
#[derive(Default)]
struct Angles {
    depth: u32,
    after_minus: bool,
}

impl Angles {
    fn pass(&mut self, token: &TokenTree) {
        let sign = match token {
            TokenTree::Punct(punct) => punct.as_char(),
            _ => ' ',
        };
        match sign {
            '<' => self.depth += 1,
            '>' if !self.after_minus => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.after_minus = sign == '-';
    }

    fn is_outside(&self) -> bool {
        self.depth == 0
    }
}
