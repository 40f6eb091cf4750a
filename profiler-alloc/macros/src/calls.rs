//! How often a statement calls the same function, as it is written: that many queries alike are no
//! loop.
//!
//! ```text
//! let pair = (account(1), account(2));              account: 2
//! let list = query(SQL).bind(1).bind(2).all(db);    bind: 1, as the second one goes on with what
//!                                                   the first has given
//! both!(db);                                        as often as the macro has it, if it is written
//!                                                   in the same file
//! ```

use std::collections::HashMap;

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Block;
use syn::visit_mut::{self, VisitMut};

use crate::slots;

/// So many are any number.
const MANY: u32 = 0xffff;

/// How often each function is called.
type Names = HashMap<String, u32>;

/// Calls that ask no database, whatever stands around them.
const OTHERS: [&str; 20] = [
    "clone",
    "unwrap",
    "expect",
    "to_string",
    "to_owned",
    "to_vec",
    "into",
    "try_into",
    "as_str",
    "as_ref",
    "as_deref",
    "iter",
    "collect",
    "map",
    "map_err",
    "len",
    "new",
    "from",
    "default",
    "bind",
];

/// For each line that a statement begins on: how often one function is called there at most.
#[derive(Default)]
pub struct Calls {
    lines: HashMap<u32, u32>,
    macros: HashMap<String, Names>,
    /// Statements that were asked for so far, by line.
    asked: HashMap<u32, u32>,
}

impl Calls {
    /// Of a function's body, which stands in the file of `place`.
    pub fn of(body: &Block, place: Span) -> Calls {
        let mut calls = Calls {
            macros: macros_for(body, place),
            ..Calls::default()
        };
        calls.visit_block_mut(&mut body.clone());
        calls
    }

    /// Those on a line; and above, in the upper half, a number for the next statement there, which
    /// no other has on that line.
    pub fn of_next_at(&mut self, line: u32) -> u32 {
        let calls = self.lines.get(&line).copied().unwrap_or(1).min(MANY);
        let asked = self.asked.entry(line).or_default();
        *asked += 1;
        (*asked).min(MANY) << 16 | calls
    }

    fn add(&mut self, line: u32, names: Names) {
        let most = names.into_values().max().unwrap_or(1);
        let known = self.lines.entry(line).or_insert(1);
        *known = most.max(*known);
    }
}

impl VisitMut for Calls {
    fn visit_block_mut(&mut self, block: &mut Block) {
        let mut lines: HashMap<u32, Names> = HashMap::new();
        for stmt in &block.stmts {
            let names = lines.entry(slots::first_line(stmt)).or_default();
            count(stmt.to_token_stream(), names, &self.macros);
        }
        for (line, names) in lines {
            self.add(line, names);
        }
        visit_mut::visit_block_mut(self, block);
    }

    /// An arm without a block is a line of its own.
    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        let mut names = Names::new();
        count(arm.body.to_token_stream(), &mut names, &self.macros);
        self.add(slots::first_line(&arm.body), names);
        visit_mut::visit_arm_mut(self, arm);
    }
}

/// Adds the calls among some tokens, and in the groups inside them.
fn count(tokens: TokenStream, names: &mut Names, macros: &HashMap<String, Names>) {
    let mut trees = tokens.into_iter().peekable();
    // Names that the chain at hand has called already.
    let mut chain: Vec<String> = Vec::new();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Ident(name) => {
                let is_call = matches!(trees.peek(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
                let is_macro =
                    matches!(trees.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '!');
                let name = name.to_string();
                for (inside, calls) in macros.get(&name).filter(|_| is_macro).into_iter().flatten()
                {
                    add(names, inside, *calls);
                }
                let is_function = name.starts_with(|c: char| c.is_lowercase() || c == '_');
                let is_counted = is_call && is_function && !OTHERS.contains(&name.as_str());
                if is_counted && !chain.contains(&name) {
                    add(names, &name, 1);
                    chain.push(name);
                }
            }
            // What a macro repeats, it writes as often as it is asked to.
            TokenTree::Punct(punct) if punct.as_char() == '$' => {
                if let Some(TokenTree::Group(group)) = trees.peek() {
                    let mut repeated = Names::new();
                    count(group.stream(), &mut repeated, macros);
                    trees.next();
                    repeated
                        .into_keys()
                        .for_each(|name| add(names, &name, MANY));
                }
            }
            TokenTree::Punct(punct) if !".?:&".contains(punct.as_char()) => chain.clear(),
            TokenTree::Group(group) => count(group.stream(), names, macros),
            _ => {}
        }
    }
}

fn add(names: &mut Names, name: &str, calls: u32) {
    let known = names.entry(name.to_owned()).or_default();
    *known = known.saturating_add(calls).min(MANY);
}

/// What the macros call that a body uses and its file has.
fn macros_for(body: &Block, place: Span) -> HashMap<String, Names> {
    let mut found = HashMap::new();
    let mut used = Vec::new();
    macros_in(body.to_token_stream(), &mut used);
    if used.is_empty() {
        return found;
    }
    let text = place
        .local_file()
        .and_then(|path| std::fs::read_to_string(path).ok());
    // Whoever has no such macro spares the compiler a second look at the file.
    let text = text.filter(|text| text.contains("macro_rules!"));
    if let Some(Ok(file)) = text.map(|text| text.parse::<TokenStream>()) {
        find_macros(file, &used, &mut found);
    }
    found
}

/// Adds the names of the macros that some tokens call.
fn macros_in(tokens: TokenStream, used: &mut Vec<String>) {
    let mut trees = tokens.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Ident(name) => {
                let is_macro =
                    matches!(trees.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '!');
                used.extend(is_macro.then(|| name.to_string()));
            }
            TokenTree::Group(group) => macros_in(group.stream(), used),
            _ => {}
        }
    }
}

/// Adds what each `macro_rules! NAME { (…) => { … }; … }` calls: of its arms, that with most.
fn find_macros(tokens: TokenStream, used: &[String], found: &mut HashMap<String, Names>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let is_rules =
        |tree: &TokenTree| matches!(tree, TokenTree::Ident(word) if word == "macro_rules");
    for (at, tree) in trees.iter().enumerate() {
        let TokenTree::Group(group) = tree else {
            continue;
        };
        let name = match at.checked_sub(3).map(|start| &trees[start..at]) {
            Some([rules, _, TokenTree::Ident(name)]) if is_rules(rules) => name.to_string(),
            _ => {
                find_macros(group.stream(), used, found);
                continue;
            }
        };
        if !used.contains(&name) {
            continue;
        }
        let arms = group.stream().into_iter();
        let bodies = arms.filter_map(|tree| match tree {
            TokenTree::Group(group) => Some(group.stream()),
            _ => None,
        });
        let names = found.entry(name).or_default();
        // Each pattern comes before what is written for it.
        for body in bodies.skip(1).step_by(2) {
            let mut of_arm = Names::new();
            count(body, &mut of_arm, &HashMap::new());
            for (name, calls) in of_arm {
                let most = names.entry(name).or_default();
                *most = calls.max(*most);
            }
        }
    }
}
