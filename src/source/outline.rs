//! The functions of a source file: name, first line, last line.
//!
//! It looks at tokens, not at a syntax tree: so it also sees functions inside macro calls, and does not mind syntax
//! that is newer than itself. A function is `fn NAME … { … }`:
//!
//! ```text
//! pub async fn name<T: Fn() -> u8>(a: [u8; { N }]) -> Foo<{ N }> where T: Copy { body }
//! ^ first line      └─ angle brackets are skipped ──────────┘                        ^ last line
//! ```

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A function with a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionItem {
    /// Its name with those of the modules, types and functions around it in this file.
    pub path: String,
    /// Line of its signature, after attributes and comments.
    pub first_line: u32,
    /// Line of its closing brace.
    pub last_line: u32,
}

impl FunctionItem {
    /// Its own name.
    pub fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or(&self.path)
    }
}

/// The functions of a file, in the order of their first lines.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Outline {
    functions: Vec<FunctionItem>,
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
        let mut functions = Vec::new();
        // A list instead of recursion: source nested ten thousand deep is no reason to overflow.
        let mut scopes = vec![(String::new(), tokens)];
        while let Some((path, tokens)) = scopes.pop() {
            scan(&path, tokens, &mut functions, &mut scopes);
        }
        functions.sort_by_key(|function| (function.first_line, function.last_line));
        Outline { functions }
    }

    /// All functions.
    pub fn functions(&self) -> &[FunctionItem] {
        &self.functions
    }

    /// Index of the innermost function that has `line`.
    pub fn enclosing(&self, line: u32) -> Option<usize> {
        let candidates = (self.functions).partition_point(|function| function.first_line <= line);
        self.functions[..candidates]
            .iter()
            .rposition(|function| line <= function.last_line)
    }
}

/// Finds the functions that stand directly in `tokens`, and the scopes within.
fn scan(
    path: &str,
    tokens: TokenStream,
    functions: &mut Vec<FunctionItem>,
    scopes: &mut Vec<(String, TokenStream)>,
) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        let scope = match &tokens[at] {
            TokenTree::Ident(word) if word == "fn" => function(path, &tokens, at, functions),
            TokenTree::Ident(word) if word == "mod" || word == "trait" => named(&tokens, at),
            TokenTree::Ident(word) if word == "impl" => implementation(&tokens, at),
            _ => None,
        };
        // What stands between a signature's name and its body is left to the loop, as it may hold scopes too.
        if let Some((name, body)) = scope {
            if let TokenTree::Group(group) = &tokens[body] {
                scopes.push((join(path, &name), group.stream()));
            }
            at = body;
        } else if let TokenTree::Group(group) = &tokens[at] {
            scopes.push((path.to_owned(), group.stream()));
        }
        at += 1;
    }
}

fn join(path: &str, name: &str) -> String {
    match (path, name) {
        ("", name) => name.to_owned(),
        (path, "") => path.to_owned(),
        (path, name) => format!("{path}::{name}"),
    }
}

/// If a function with a body starts at `at`: notes it, and gives its name and where its body is.
fn function(
    path: &str,
    tokens: &[TokenTree],
    at: usize,
    functions: &mut Vec<FunctionItem>,
) -> Option<(String, usize)> {
    let TokenTree::Ident(name) = tokens.get(at + 1)? else {
        return None; // The type `fn(u8)`.
    };
    let name = name.to_string();
    let (body, group) = brace(tokens, at + 2)?;
    functions.push(FunctionItem {
        path: join(path, &name),
        first_line: tokens[signature(tokens, at)].span().start().line as u32,
        last_line: group.span_close().end().line as u32,
    });
    Some((name, body))
}

/// Where the signature with its `fn` at `at` starts.
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
    let TokenTree::Ident(name) = tokens.get(at + 1)? else {
        return None;
    };
    let (body, _) = brace(tokens, at + 2)?;
    Some((name.to_string(), body))
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

/// The first brace from `from` on that is no generic argument; `None` if a `;` or `=` comes before it.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> Vec<(String, u32, u32)> {
        (Outline::of(text).functions().iter())
            .map(|f| (f.path.clone(), f.first_line, f.last_line))
            .collect()
    }

    #[test]
    fn finds_free_nested_and_inherent_functions() {
        let text = "\
#!/usr/bin/env cargo's
/// Doc.
#[inline]
pub(crate) async unsafe
fn free<const N: usize>(f: fn(u8) -> u8) -> Foo<{ N }>
where
    [(); { N }]:,
{
    let closure = || {
        fn nested() {}
    };
}
mod inner {
    impl<T: Fn() -> u8> super::Trait<T> for deep::Type<T> where T: Copy {
        extern \"C\" fn method(&self) {
        }
    }
    trait Tr { fn required(&self); fn given(&self) { } }
}
";
        assert_eq!(
            outline(text),
            [
                ("free".into(), 4, 12),
                ("free::nested".into(), 10, 10),
                ("inner::Type::method".into(), 15, 16),
                ("inner::Tr::given".into(), 18, 18),
            ]
        );
    }

    #[test]
    fn sees_into_macros_and_survives_new_syntax() {
        let text = "macro! {\n fn inside(x in 0..9) {\n }\n}\nfn new() -> gen yeet { do }\n";
        assert_eq!(
            outline(text),
            [("inside".into(), 2, 3), ("new".into(), 5, 5)]
        );
    }

    #[test]
    fn gives_nothing_for_what_is_not_rust() {
        assert_eq!(outline("fn broken( {"), []);
        assert_eq!(outline("it's \" prose"), []);
        assert_eq!(outline(""), []);
    }

    #[test]
    fn deep_nesting_does_not_overflow() {
        let deep = "(".repeat(20_000) + &")".repeat(20_000);
        assert_eq!(outline(&format!("fn f() {{ {deep} }}")).len(), 1);
    }

    #[test]
    fn the_innermost_function_has_the_line() {
        let outline = Outline::of("fn a() {\n fn b() {\n }\n}\n\nfn c() {}\n");
        let name = |line| {
            outline
                .enclosing(line)
                .map(|i| outline.functions()[i].name().to_owned())
        };
        assert_eq!(name(1).as_deref(), Some("a"));
        assert_eq!(name(2).as_deref(), Some("b"));
        assert_eq!(name(4).as_deref(), Some("a"));
        assert_eq!(name(5), None);
        assert_eq!(name(6).as_deref(), Some("c"));
    }
}
