//! The functions of a C or C++ file: name, first line, last line.
//!
//! A function is a body in braces behind a list in parentheses, outside of other functions:
//!
//! ```text
//! namespace shop { template <class T> Cart<T>::Cart(int n) : items{n}, size(n) { … } }
//! └─ a scope       └─ first line      └─ name, up to "("                       └─ body
//!                                                                 └─ no body: a name precedes it
//! ```

#[cfg(test)]
mod tests;
mod tokens;

use super::outline::{Item, ItemKind, Outline};
use tokens::{Token, Tokens};

/// Words that have parentheses and are no functions.
const NO_FUNCTIONS: [&str; 12] = [
    "__attribute__",
    "__attribute",
    "__declspec",
    "alignas",
    "_Alignas",
    "decltype",
    "noexcept",
    "throw",
    "requires",
    "explicit",
    "__asm__",
    "asm",
];

/// What a brace opened.
enum Brace {
    /// A namespace, a class or `extern "C"`, which add to the path of what is in them.
    Named(String),
    /// A function, by its place among the items.
    Function(usize),
    /// Whatever is of no interest: a block, a list of values.
    Other,
}

/// The outline of a file of C or C++: its functions.
pub(super) fn outline(text: &str) -> Outline {
    Outline::new(functions(text))
}

/// The functions of `text`, in the order of their first lines but for those in classes.
fn functions(text: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut scopes: Vec<Brace> = Vec::new();
    // The tokens since the last `;` or brace, each with its line.
    let mut head: Vec<(Token, u32)> = Vec::new();
    // Heads that go on behind a brace, as that of a constructor behind `items{n}`.
    let mut kept: Vec<Vec<(Token, u32)>> = Vec::new();
    let mut last_line = 1;
    for (token, line) in Tokens::of(text) {
        last_line = line;
        let in_function = scopes
            .iter()
            .any(|scope| matches!(scope, Brace::Function(_)));
        match token {
            Token::Sign('{') => {
                let goes_on = !in_function && goes_on(&head);
                let scope = match in_function || goes_on {
                    true => Brace::Other,
                    false => scope_of(&head, &scopes, &mut items),
                };
                kept.push(match goes_on {
                    true => std::mem::take(&mut head),
                    false => Vec::new(),
                });
                head.clear();
                scopes.push(scope);
            }
            Token::Sign('}') => {
                if let Some(Brace::Function(at)) = scopes.pop() {
                    items[at].last_line = line;
                }
                head = kept.pop().unwrap_or_default();
            }
            Token::Sign(';') => head.clear(),
            // `public:` and the like begin nothing.
            Token::Sign(':') if matches!(&head[..], [(Token::Word(_), _)]) && is_label(&head) => {
                head.clear();
            }
            _ if in_function => {}
            token => head.push((token, line)),
        }
    }
    // A file that ends within a function, as far as this could tell.
    for scope in scopes {
        if let Brace::Function(at) = scope {
            items[at].last_line = last_line;
        }
    }
    items
}

fn is_label(head: &[(Token, u32)]) -> bool {
    matches!(&head[0].0, Token::Word(word) if ["public", "private", "protected"].contains(&word.as_str()))
}

/// True if the brace behind `head` begins with a value of a constructor's list: `: items{`.
fn goes_on(head: &[(Token, u32)]) -> bool {
    let Some(closed) = end_of_list(head) else {
        return false;
    };
    let is_list = matches!(head.get(closed + 1), Some((Token::Sign(':'), _)))
        && !matches!(head.get(closed + 2), Some((Token::Sign(':'), _)));
    is_list && matches!(head.last(), Some((Token::Word(_) | Token::Sign('>'), _)))
}

/// What the brace behind `head` opens.
fn scope_of(head: &[(Token, u32)], scopes: &[Brace], items: &mut Vec<Item>) -> Brace {
    let word = |at: usize| match head.get(at) {
        Some((Token::Word(word), _)) => word.as_str(),
        _ => "",
    };
    let position = |wanted: &[&str]| (0..head.len()).find(|&at| wanted.contains(&word(at)));
    if let Some(at) = position(&["namespace"]) {
        let names: Vec<&str> = (at + 1..head.len())
            .map(word)
            .filter(|name| !name.is_empty())
            .collect();
        return Brace::Named(names.join("::"));
    }
    let is_extern = word(0) == "extern" && matches!(head.get(1), Some((Token::Text, _)));
    if is_extern && head.len() == 2 {
        return Brace::Named(String::new());
    }
    let values = head
        .iter()
        .position(|(token, _)| *token == Token::Sign('='));
    let list = list(head)
        .filter(|list| values.is_none_or(|values| values > list.opened || list.is_operator));
    if let Some(list) = list {
        let first_line = head.get(first_of(head)).map_or(1, |&(_, line)| line);
        items.push(Item {
            kind: ItemKind::Function,
            path: path(scopes, &list.name),
            first_line,
            last_line: 0,
            attributes_line: first_line,
            is_wrapped: false,
            is_async: false,
        });
        return Brace::Function(items.len() - 1);
    }
    match position(&["class", "struct", "union"]) {
        Some(at) if position(&["enum"]).is_none() && values.is_none() => {
            let name = (at + 1..head.len())
                .take_while(|&at| head[at].0 != Token::Sign(':'))
                .map(word)
                .filter(|name| !name.is_empty() && *name != "final")
                .last();
            Brace::Named(name.unwrap_or_default().to_owned())
        }
        _ => Brace::Other,
    }
}

/// A list in parentheses behind a name.
struct List {
    name: String,
    opened: usize,
    closed: usize,
    is_operator: bool,
}

fn end_of_list(head: &[(Token, u32)]) -> Option<usize> {
    list(head).map(|list| list.closed)
}

/// The list of a function's parameters. Where a macro stands in front, as in `API(int) f(void)`,
/// the last of the lists that each follow the other at once.
fn list(head: &[(Token, u32)]) -> Option<List> {
    let mut found: Option<List> = None;
    let mut at = 0;
    let mut angles = 0usize;
    while at < head.len() {
        match &head[at].0 {
            Token::Sign('<') if at > 0 && matches!(head[at - 1].0, Token::Word(_)) => angles += 1,
            Token::Sign('>') => angles = angles.saturating_sub(1),
            Token::Word(word) if word == "operator" && angles == 0 => {
                let (opened, name) = operator(head, at)?;
                return Some(List {
                    name,
                    opened,
                    closed: close(head, opened)?,
                    is_operator: true,
                });
            }
            Token::Sign('(') if angles == 0 => {
                let closed = close(head, at)?;
                let name = name_before(head, at);
                let is_next = found.as_ref().is_none_or(|list| {
                    list.closed + 2 == at && matches!(head[at - 1].0, Token::Word(_))
                });
                if !name.is_empty() && !NO_FUNCTIONS.contains(&name.as_str()) && is_next {
                    found = Some(List {
                        name,
                        opened: at,
                        closed,
                        is_operator: false,
                    });
                }
                at = closed;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Where the list of the operator at `at` opens, and its name: `operator()`, `operator+=`.
fn operator(head: &[(Token, u32)], at: usize) -> Option<(usize, String)> {
    let mut name = name_before(head, at + 1);
    let mut next = at + 1;
    if head.get(next)?.0 == Token::Sign('(') && head.get(next + 1)?.0 == Token::Sign(')') {
        name.push_str("()");
        next += 2;
    }
    while let Some((token, _)) = head.get(next) {
        match token {
            Token::Sign('(') => return Some((next, name)),
            Token::Sign(sign) => name.push(*sign),
            Token::Word(word) => name.extend([" ", word]),
            Token::Text => {}
        }
        next += 1;
    }
    None
}

/// Where the parenthesis at `opened` closes.
fn close(head: &[(Token, u32)], opened: usize) -> Option<usize> {
    let mut depth = 0usize;
    (opened..head.len()).find(|&at| {
        match head[at].0 {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

/// The name that ends before `at`, with what it is qualified by: `shop::Cart::~Cart`; arguments of
/// templates left out.
fn name_before(head: &[(Token, u32)], at: usize) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut at = at;
    while let Some(before) = at.checked_sub(1) {
        match &head[before].0 {
            Token::Word(word)
                if parts
                    .last()
                    .is_none_or(|last| *last == "::" || *last == "~") =>
            {
                parts.push(word);
            }
            Token::Sign('~') if parts.len() == 1 => parts.push("~"),
            Token::Sign(':')
                if at >= 2 && head[at - 2].0 == Token::Sign(':') && !parts.is_empty() =>
            {
                parts.push("::");
                at -= 1;
            }
            Token::Sign('>') if parts.last() == Some(&"::") => {
                let mut depth = 0usize;
                let opened = (0..at).rev().find(|&at| {
                    match head[at].0 {
                        Token::Sign('>') => depth += 1,
                        Token::Sign('<') => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    depth == 0
                });
                at = opened.map_or(1, |opened| opened + 1);
            }
            _ => break,
        }
        at -= 1;
    }
    parts.reverse();
    parts.concat().trim_start_matches("::").to_owned()
}

/// Where a function's own declaration begins: behind `template <…>`.
fn first_of(head: &[(Token, u32)]) -> usize {
    let mut first = 0;
    while matches!(&head.get(first), Some((Token::Word(word), _)) if word == "template") {
        let mut depth = 0usize;
        let closed = (first + 1..head.len()).find(|&at| {
            match head[at].0 {
                Token::Sign('<') => depth += 1,
                Token::Sign('>') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        });
        first = closed.map_or(head.len(), |closed| closed + 1);
    }
    first
}

fn path(scopes: &[Brace], name: &str) -> String {
    let around = scopes.iter().filter_map(|scope| match scope {
        Brace::Named(name) if !name.is_empty() => Some(name.as_str()),
        _ => None,
    });
    around.chain([name]).collect::<Vec<_>>().join("::")
}
