//! Which statements are written in the source: what other attributes have put around them, and
//! beside them, has no line.
//!
//! ```text
//! #[instrument]                fn f(n: usize) -> usize {
//! #[profile]                       let __span; if enabled { … }     // of the attribute above
//! fn f(n: usize) -> usize {        { let v = vec![1; n]; v.len() }  // the block that is written
//!     let v = vec![1; n];      }
//!     v.len()
//! }
//! ```
//! A token is written if the text at its place is the token; what a macro makes of its own has the
//! place of the macro, or of a whole block.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, Item, ItemFn, Signature, Stmt, token};

use crate::function::is_generated;
use crate::slots;

/// True if the statement begins with a token that is written there. The `return` that an attribute
/// has put before the last expression is not, but the expression is.
pub fn is_written(stmt: &Stmt) -> bool {
    let begins = |code: &dyn ToTokens| {
        slots::first_tree(code.to_token_stream()).is_some_and(|tree| is_token_written(&tree))
    };
    match stmt {
        Stmt::Expr(Expr::Return(returned), _) => {
            begins(stmt) || returned.expr.as_ref().is_some_and(|expr| begins(expr))
        }
        _ => begins(stmt),
    }
}

/// As [`is_written`], in that file.
pub fn is_written_in(file: &str, stmt: &Stmt) -> bool {
    let place = slots::first_tree(stmt.to_token_stream()).map(|tree| tree.span().file());
    is_written(stmt) && place.is_some_and(|place| place == file)
}

fn is_token_written(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Group(group) => is_group_written(group.delimiter(), || {
            group
                .span_open()
                .source_text()
                .or_else(|| group.span().source_text())
        }),
        other => match other.span().source_text() {
            Some(text) => text.starts_with(&other.to_string()),
            None => true,
        },
    }
}

fn is_group_written(delimiter: Delimiter, text: impl Fn() -> Option<String>) -> bool {
    let open = match delimiter {
        Delimiter::Parenthesis => '(',
        Delimiter::Bracket => '[',
        Delimiter::Brace => '{',
        Delimiter::None => return true,
    };
    text().is_none_or(|text| text.starts_with(open))
}

/// True if the braces of a block are written.
pub fn are_braces_written(brace: token::Brace) -> bool {
    let text = brace.span.close().source_text();
    text.is_none_or(|text| text.ends_with('}'))
}

/// Lends the block that is written: the innermost one that holds all statements that are. `None` if
/// none is.
pub fn with_written_block<R>(body: &mut Block, change: impl FnOnce(&mut Block) -> R) -> Option<R> {
    let mut search = Search::default();
    search.visit_block_mut(body);
    let mut found = search.found.into_iter();
    let mut common = found.next()?;
    for path in found {
        let same = common
            .iter()
            .zip(&path)
            .take_while(|(one, other)| one == other);
        common.truncate(same.count());
    }
    let mut lending = Lending {
        wanted: *common.last()?,
        visited: 0,
        change: Some(change),
        result: None,
    };
    lending.visit_block_mut(body);
    lending.result
}

/// As [`with_written_block`], of a statement that is not written itself.
pub fn with_block_inside<R>(stmt: &mut Stmt, change: impl FnOnce(&mut Block) -> R) -> Option<R> {
    let mut around = Block {
        brace_token: token::Brace::default(),
        stmts: vec![stmt.clone()],
    };
    let result = with_written_block(&mut around, change);
    around.stmts.drain(..).for_each(|changed| *stmt = changed);
    result
}

/// First and last line of what is written in a block, and a place in it. `None` if nothing is.
fn extent(block: &Block) -> Option<((u32, u32), Span)> {
    if are_braces_written(block.brace_token) {
        let span = block.brace_token.span.close();
        return Some((slots::braces(block.brace_token), span));
    }
    let of_stmt = |stmt: &Stmt| match is_written(stmt) {
        true => {
            let lines = (
                slots::first_line(stmt),
                slots::last_line(&stmt.to_token_stream()),
            );
            Some((lines, stmt.span()))
        }
        false => with_block_inside(&mut stmt.clone(), |block| extent(block)).flatten(),
    };
    let all = block.stmts.iter().filter_map(of_stmt);
    all.reduce(|((first, last), span), ((other_first, other_last), _)| {
        ((first.min(other_first), last.max(other_last)), span)
    })
}

/// The blocks that hold written statements, but for those inside such blocks: each as the numbers
/// of the blocks that lead to it, in the order in which they are visited.
#[derive(Default)]
struct Search {
    visited: usize,
    path: Vec<usize>,
    found: Vec<Vec<usize>>,
}

impl VisitMut for Search {
    fn visit_block_mut(&mut self, block: &mut Block) {
        self.path.push(self.visited);
        self.visited += 1;
        if block.stmts.iter().any(is_own) {
            self.found.push(self.path.clone());
            // The numbers of the blocks inside are used all the same.
            let mut inside = Count(0);
            visit_mut::visit_block_mut(&mut inside, block);
            self.visited += inside.0;
        } else {
            visit_mut::visit_block_mut(self, block);
        }
        self.path.pop();
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// A written statement that is no block: of one that is, its own statements tell.
fn is_own(stmt: &Stmt) -> bool {
    let is_block = matches!(stmt, Stmt::Item(_) | Stmt::Expr(Expr::Block(_), _));
    !is_block && !is_generated(stmt) && is_written(stmt)
}

struct Count(usize);

impl VisitMut for Count {
    fn visit_block_mut(&mut self, block: &mut Block) {
        self.0 += 1;
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
}

struct Lending<C, R> {
    wanted: usize,
    visited: usize,
    change: Option<C>,
    result: Option<R>,
}

impl<R, C: FnOnce(&mut Block) -> R> VisitMut for Lending<C, R> {
    fn visit_block_mut(&mut self, block: &mut Block) {
        let number = self.visited;
        self.visited += 1;
        if number == self.wanted {
            self.result = self.change.take().map(|change| change(block));
        } else if number < self.wanted {
            visit_mut::visit_block_mut(self, block);
        }
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// Where a function is written.
pub struct Place {
    /// Somewhere in its file.
    pub span: Span,
    /// First and last line.
    pub lines: (u32, u32),
}

impl Place {
    /// Of a function as it stands in the source; where a macro has given it a body from elsewhere,
    /// that of the body.
    pub fn of(function: &mut ItemFn) -> Place {
        let signature = function.sig.fn_token.span;
        let first = slots::first_line(&function.sig);
        let body = &mut function.block;
        let extent = |block: &Block| extent(block).unwrap_or(((0, 0), signature));
        let own = are_braces_written(body.brace_token).then(|| extent(body));
        let inside = with_written_block(body, |block| extent(block));
        let Some(((open, close), span)) = own.or(inside) else {
            return Place {
                span: signature,
                lines: (first, first),
            };
        };
        match span.file() == signature.file() && first <= close {
            true => Place {
                span: signature,
                lines: (first, close),
            },
            false => Place {
                span,
                lines: (open, close),
            },
        }
    }

    /// False if a macro has made the function of that signature, and nothing in it has a line.
    pub fn is_of(&self, signature: &Signature) -> bool {
        let keyword = TokenTree::Ident(Ident::new("fn", signature.fn_token.span));
        self.lines.0 < self.lines.1 || is_token_written(&keyword)
    }

    /// Of a block.
    pub fn of_block(block: &Block) -> Place {
        Place {
            span: block.brace_token.span.close(),
            lines: slots::braces(block.brace_token),
        }
    }

    /// The file, as an expression. `file!()` is that of the outermost macro call, not of the macro
    /// that has the text.
    pub fn file(&self) -> TokenStream {
        let file = self.span.file();
        match file.is_empty() {
            true => quote!(::core::file!()),
            false => quote!(#file),
        }
    }
}
