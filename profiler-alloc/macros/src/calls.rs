//! How often a statement calls the same function, as it is written: that many queries alike are no
//! loop.
//!
//! ```text
//! let pair = (account(1), account(2));              account: 2
//! let list = query(SQL).bind(1).bind(2).all(db);    bind: 1, as the second one goes on with what
//!                                                   the first has given
//! ```

use std::collections::HashMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Block;
use syn::visit_mut::{self, VisitMut};

use crate::slots;

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
pub struct Calls(HashMap<u32, u32>);

impl Calls {
    /// Of a function's body.
    pub fn of(body: &Block) -> Calls {
        let mut calls = Calls::default();
        calls.visit_block_mut(&mut body.clone());
        calls
    }

    pub fn at(&self, line: u32) -> u32 {
        self.0.get(&line).copied().unwrap_or(1)
    }
}

impl VisitMut for Calls {
    fn visit_block_mut(&mut self, block: &mut Block) {
        let mut lines: HashMap<u32, HashMap<String, u32>> = HashMap::new();
        for stmt in &block.stmts {
            let names = lines.entry(slots::first_line(stmt)).or_default();
            count(stmt.to_token_stream(), names);
        }
        for (line, names) in lines {
            let most = names.into_values().max().unwrap_or(1);
            let known = self.0.entry(line).or_insert(1);
            *known = most.max(*known);
        }
        visit_mut::visit_block_mut(self, block);
    }

    /// An arm without a block is a line of its own.
    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        let mut names = HashMap::new();
        count(arm.body.to_token_stream(), &mut names);
        let most = names.into_values().max().unwrap_or(1);
        let known = self.0.entry(slots::first_line(&arm.body)).or_insert(1);
        *known = most.max(*known);
        visit_mut::visit_arm_mut(self, arm);
    }
}

/// Adds the calls among some tokens, and in the groups inside them.
fn count(tokens: TokenStream, names: &mut HashMap<String, u32>) {
    let mut trees = tokens.into_iter().peekable();
    // Names that the chain at hand has called already.
    let mut chain: Vec<String> = Vec::new();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Ident(name) => {
                let is_call = matches!(trees.peek(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
                let name = name.to_string();
                let is_function = name.starts_with(|c: char| c.is_lowercase() || c == '_');
                let is_counted = is_call && is_function && !OTHERS.contains(&name.as_str());
                if is_counted && !chain.contains(&name) {
                    *names.entry(name.clone()).or_default() += 1;
                    chain.push(name);
                }
            }
            TokenTree::Punct(punct) if !".?:&".contains(punct.as_char()) => chain.clear(),
            TokenTree::Group(group) => count(group.stream(), names),
            _ => {}
        }
    }
}
