//! Which line each counter of a table stands for.

use std::collections::HashMap;

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::token;

/// The lines of one function that have a counter, in the order in which they were met.
#[derive(Default)]
pub struct Slots {
    pub lines: Vec<u32>,
    known: HashMap<u32, u32>,
}

impl Slots {
    /// The counter of a line.
    pub fn of(&mut self, line: u32) -> u32 {
        let next = self.lines.len() as u32;
        let slot = *self.known.entry(line).or_insert(next);
        if slot == next {
            self.lines.push(line);
        }
        slot
    }

    /// Words of 64 bits that have a bit for each counter.
    pub fn words(&self) -> usize {
        self.lines.len().div_ceil(64).max(1)
    }
}

/// The line a span begins on.
pub fn line(span: Span) -> u32 {
    span.start().line as u32
}

/// The lines of a block's braces. Another attribute's output has lost the spans of single braces
/// and kept that of the whole block, so each is taken from its far end.
pub fn braces(brace: token::Brace) -> (u32, u32) {
    let (open, close) = (brace.span.open(), brace.span.close());
    (open.start().line as u32, close.end().line as u32)
}

/// The line on which a piece of code begins, its attributes and comments aside.
pub fn first_line(code: &impl ToTokens) -> u32 {
    match first_tree(code.to_token_stream()) {
        Some(TokenTree::Group(group)) => line(group.span_open()),
        Some(other) => line(other.span()),
        None => 0,
    }
}

/// What a piece of code begins with, its attributes and comments aside.
pub fn first_tree(code: TokenStream) -> Option<TokenTree> {
    let mut trees = code.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let is_attribute = matches!(&tree, TokenTree::Punct(punct) if punct.as_char() == '#')
            && matches!(trees.peek(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket);
        if !is_attribute {
            return match &tree {
                TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                    first_tree(group.stream())
                }
                _ => Some(tree),
            };
        }
        trees.next();
    }
    None
}

/// The line on which a piece of code ends.
pub fn last_line(code: &TokenStream) -> u32 {
    let last = code.clone().into_iter().last();
    last.map_or(0, |tree| tree.span().end().line as u32)
}
