//! Puts a probe before every statement of a body, and of the blocks inside it.
//!
//! ```text
//! for x in list() {            at(3); for item in list() {
//!     let a = f(x);                let back = Back(3);         // next() runs on line 3
//!     g(a)                         let x = item;
//! }                                at(4); let a = f(x);
//!                                  at(5); let brace = Brace(6); // `a`, `x` are dropped on line 6
//!                                  g(a)
//!                              }
//! ```
//! Probes name nothing but the function's own thread-local, so they compile wherever a statement
//! does, in closures that move to other threads too. Blocks that run elsewhere or in the compiler
//! are left alone: items, `const` and `async` blocks, what macros are given. But the `async` blocks
//! in the expression that a function ends with, if that is a future, are its work.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Arm, Attribute, Block, Expr, ExprClosure, ExprForLoop, Item, Pat, Stmt, Type};

use crate::function::is_generated;
use crate::returned::Returned;
use crate::{slots, written};

/// What the probes of an attribute are.
pub trait Kind {
    /// Path of the runtime.
    fn private(&self) -> &TokenStream;
    /// What stands where a line begins, or, if it is no run of it, where it goes on.
    fn probe(&mut self, line: u32, is_run: bool) -> TokenStream;
    /// What stands where code begins that has no line of its own: it is the function's.
    fn nowhere(&mut self) -> TokenStream;
    /// A value that probes when it is dropped.
    fn guard(&mut self, guard: Guard, line: u32) -> TokenStream;
}

/// When a guard is dropped.
#[derive(Clone, Copy)]
pub enum Guard {
    /// A block inside a statement is over, and the statement goes on: as another run of its line or
    /// not.
    Back { is_run: bool },
    /// A block is over, and what it holds is to be dropped on the line of its brace.
    Brace,
    /// A closure, which begins on the line.
    Nested,
}

/// Puts probes into one function.
pub struct Probes<'a> {
    kind: &'a mut dyn Kind,
    /// The function gives a future.
    gives_future: bool,
    /// Where the function is written: a statement from another file, which a macro was given, has
    /// no line here.
    file: String,
}

/// A block that gets probes.
struct Place {
    /// Line of the statement that the block belongs to: it has been counted.
    outer: u32,
    /// Line of the closing brace.
    close: u32,
    /// Statements before all others.
    first: Vec<Stmt>,
    /// The body of the function: a `return` at its end is its value.
    is_body: bool,
}

impl<'a> Probes<'a> {
    pub fn new(kind: &'a mut dyn Kind, returned: &Returned, place: &written::Place) -> Probes<'a> {
        Probes {
            kind,
            gives_future: !matches!(returned, Returned::Value),
            file: place.span.file(),
        }
    }

    /// The statements of a function that are written in the source; `first` is the line of the
    /// `fn`.
    pub fn function(&mut self, body: &mut Block, first: u32) {
        written::with_written_block(body, |block| self.written_body(block, first));
    }

    /// A body whose statements are written; its braces may not be.
    fn written_body(&mut self, body: &mut Block, first: u32) {
        let close = match written::are_braces_written(body.brace_token) {
            true => slots::braces(body.brace_token).1,
            false => 0,
        };
        self.body(body, first, close);
    }

    /// A body that begins on line `first` and ends on line `close`, 0 if its brace has none.
    pub fn body(&mut self, body: &mut Block, first: u32, close: u32) {
        let outer = if first == close { first } else { 0 };
        let place = Place {
            outer,
            close,
            first: Vec::new(),
            is_body: true,
        };
        self.place(body, place);
    }

    /// A block inside a statement of line `outer`; `back` is a statement that goes back there when
    /// the block is over.
    fn block(&mut self, block: &mut Block, outer: u32, first: Vec<Stmt>) {
        let (open, close) = slots::braces(block.brace_token);
        // A block on the line of its statement has nothing to add to it.
        if block.stmts.is_empty() || (open == close && open == outer) {
            return;
        }
        let place = Place {
            outer,
            close: if open == close { 0 } else { close },
            first,
            is_body: false,
        };
        self.place(block, place);
    }

    fn place(&mut self, block: &mut Block, place: Place) {
        let stmts = core::mem::take(&mut block.stmts);
        let count = stmts.len();
        let mut new = place.first;
        let mut previous = place.outer;
        let mut has_tail = false;
        let mut rest = stmts.into_iter().enumerate();
        for (index, mut stmt) in rest.by_ref() {
            if matches!(stmt, Stmt::Item(_)) || is_generated(&stmt) {
                new.push(stmt);
                continue;
            }
            let is_block = matches!(stmt, Stmt::Expr(Expr::Block(_), _));
            if !is_block && !written::is_written_in(&self.file, &stmt) {
                let nowhere = self.kind.nowhere();
                new.push(statement_of(&nowhere));
                let is_last = index + 1 == count;
                has_tail = is_last && has_value(&stmt);
                if is_last && place.is_body && self.gives_future {
                    // The future that another attribute has put around the one that is written.
                    written::with_block_inside(&mut stmt, |block| self.written_body(block, 0));
                }
                new.push(stmt);
                previous = 0;
                continue;
            }
            if is_conditional_tail(&stmt) {
                // Which of these is the value of the block, the compiler alone knows.
                new.push(stmt);
                new.extend(rest.map(|(_, stmt)| stmt));
                block.stmts = new;
                return;
            }
            let line = match slots::first_line(&stmt) {
                0 => previous,
                line => line,
            };
            let is_new = line != previous;
            previous = line;
            new.push(self.probe(line, is_new));
            let is_return = place.is_body && matches!(stmt, Stmt::Expr(Expr::Return(_), _));
            let is_tail = index + 1 == count && (is_return || has_value(&stmt));
            if is_tail && place.close != 0 {
                has_tail = true;
                new.push(self.guard(Guard::Brace, place.close));
            }
            let is_future = self.gives_future && place.is_body && is_tail;
            self.statement(&mut stmt, line, is_future);
            new.push(stmt);
        }
        if !has_tail && place.close != 0 {
            new.push(self.probe(place.close, false));
        }
        block.stmts = new;
    }

    fn statement(&mut self, stmt: &mut Stmt, line: u32, is_future: bool) {
        let mut inside = Inside {
            probes: self,
            line,
            is_nested: true,
            is_future,
        };
        match stmt {
            Stmt::Local(local) => {
                let Some(init) = &mut local.init else {
                    return;
                };
                inside.visit_expr_mut(&mut init.expr);
                if let Some((_, diverge)) = &mut init.diverge {
                    inside.is_nested = false;
                    inside.visit_expr_mut(diverge);
                }
            }
            Stmt::Expr(expr, _) => {
                inside.is_nested = false;
                inside.visit_expr_mut(expr);
            }
            Stmt::Item(_) | Stmt::Macro(_) => {}
        }
    }

    fn probe(&mut self, line: u32, is_run: bool) -> Stmt {
        statement_of(&self.kind.probe(line, is_run))
    }

    fn guard(&mut self, guard: Guard, line: u32) -> Stmt {
        let span = Span::mixed_site();
        let guard = self.kind.guard(guard, line);
        let name = syn::Ident::new("__memprof_guard", span);
        syn::parse_quote_spanned!(span=> #[allow(unreachable_code)] let #name = #guard;)
    }
}

fn statement_of(probe: &TokenStream) -> Stmt {
    syn::parse_quote_spanned!(Span::mixed_site()=> #[allow(unreachable_code)] #probe;)
}

/// An expression without a semicolon that is there or not, as the configuration says.
fn is_conditional_tail(stmt: &Stmt) -> bool {
    let has_cfg = |attrs: &[Attribute]| attrs.iter().any(|attr| attr.path().is_ident("cfg"));
    match stmt {
        Stmt::Macro(mac) => mac.semi_token.is_none() && has_cfg(&mac.attrs),
        Stmt::Expr(expr, None) => {
            let tokens = expr.to_token_stream().to_string();
            tokens.starts_with("# [cfg") || tokens.starts_with("#[cfg")
        }
        _ => false,
    }
}

/// True if the statement, at the end of a block, can be the block's value.
fn has_value(stmt: &Stmt) -> bool {
    match stmt {
        Stmt::Expr(_, semi) => semi.is_none(),
        Stmt::Macro(mac) => mac.semi_token.is_none(),
        Stmt::Local(_) | Stmt::Item(_) => false,
    }
}

/// The inside of one statement.
struct Inside<'a, 'b> {
    probes: &'a mut Probes<'b>,
    /// Line of the statement.
    line: u32,
    /// Whether the statement goes on after the expression at hand.
    is_nested: bool,
    /// Whether `async` blocks in it are the function's own work.
    is_future: bool,
}

impl Inside<'_, '_> {
    fn nested(&mut self, visit: impl FnOnce(&mut Self)) {
        let was = core::mem::replace(&mut self.is_nested, true);
        visit(self);
        self.is_nested = was;
    }

    fn block(&mut self, block: &mut Block) {
        let back = self.is_nested.then_some(false);
        self.block_with(block, back, Vec::new());
    }

    /// A block after which the line of the statement goes on: `back` says whether as another run of
    /// it.
    fn block_with(&mut self, block: &mut Block, back: Option<bool>, more: Vec<Stmt>) {
        let mut first = Vec::new();
        if let Some(is_run) = back {
            first.push(self.probes.guard(Guard::Back { is_run }, self.line));
        }
        first.extend(more);
        self.probes.block(block, self.line, first);
    }

    fn for_loop(&mut self, each: &mut ExprForLoop) {
        self.nested(|this| this.visit_expr_mut(&mut each.expr));
        let body = &each.body;
        let (open, close) = slots::braces(body.brace_token);
        let is_one_line = open == close && open == self.line;
        let mut more = Vec::new();
        // What the pattern binds has to be dropped before the iterator goes on.
        if !is_one_line && !body.stmts.is_empty() && !matches!(*each.pat, Pat::Wild(_)) {
            let item = syn::Ident::new("__memprof_item", Span::mixed_site());
            let pat = core::mem::replace(&mut *each.pat, syn::parse_quote!(#item));
            let private = self.probes.kind.private();
            more.push(syn::parse_quote_spanned!(Span::mixed_site()=> let #pat = #private::argument(#item);));
        }
        self.block_with(&mut each.body, Some(true), more);
    }

    fn arm(&mut self, arm: &mut Arm) {
        match &mut *arm.body {
            Expr::Block(block) if block.attrs.is_empty() => self.block(&mut block.block),
            body => {
                let line = slots::first_line(body);
                let is_simple = matches!(body, Expr::Lit(_) | Expr::Path(_));
                if line == self.line || line == 0 || is_simple {
                    return self.visit_expr_mut(body);
                }
                let back = (self.is_nested)
                    .then(|| self.probes.guard(Guard::Back { is_run: false }, self.line));
                let probe = self.probes.probe(line, true);
                let mut inside = Inside {
                    probes: self.probes,
                    line,
                    is_nested: self.is_nested,
                    is_future: self.is_future,
                };
                inside.visit_expr_mut(body);
                *body = syn::parse_quote_spanned!(Span::mixed_site()=> { #back #probe #body });
            }
        }
    }

    fn closure(&mut self, closure: &mut ExprClosure) {
        let Expr::Block(body) = &mut *closure.body else {
            return;
        };
        let block = &mut body.block;
        let (open, close) = slots::braces(block.brace_token);
        let is_plain =
            closure.asyncness.is_none() && closure.constness.is_none() && body.attrs.is_empty();
        if open == close || block.stmts.is_empty() || !is_plain {
            return;
        }
        let nested = self.probes.guard(Guard::Nested, open);
        self.probes.block(block, 0, vec![nested]);
    }
}

impl VisitMut for Inside<'_, '_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::If(each) => {
                self.nested(|this| this.visit_expr_mut(&mut each.cond));
                self.block(&mut each.then_branch);
                if let Some((_, other)) = &mut each.else_branch {
                    self.visit_expr_mut(other);
                }
            }
            Expr::Match(each) => {
                self.nested(|this| this.visit_expr_mut(&mut each.expr));
                each.arms.iter_mut().for_each(|arm| self.arm(arm));
            }
            Expr::Block(each) => self.block(&mut each.block),
            Expr::Unsafe(each) => self.block(&mut each.block),
            Expr::Loop(each) => self.block(&mut each.body),
            Expr::While(each) => {
                self.nested(|this| this.visit_expr_mut(&mut each.cond));
                self.block_with(&mut each.body, Some(true), Vec::new());
            }
            Expr::ForLoop(each) => self.for_loop(each),
            Expr::Closure(each) => self.closure(each),
            Expr::Repeat(each) => self.nested(|this| this.visit_expr_mut(&mut each.expr)),
            Expr::Async(each) if self.is_future => {
                let (_, close) = slots::braces(each.block.brace_token);
                self.probes.body(&mut each.block, self.line, close);
            }
            Expr::Async(_) | Expr::Const(_) | Expr::Macro(_) | Expr::TryBlock(_) => {}
            other => self.nested(|this| visit_mut::visit_expr_mut(this, other)),
        }
    }

    // What follows is not run as part of the statement.
    fn visit_type_mut(&mut self, _: &mut Type) {}
    fn visit_pat_mut(&mut self, _: &mut Pat) {}
    fn visit_item_mut(&mut self, _: &mut Item) {}
    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}
    fn visit_generic_argument_mut(&mut self, _: &mut syn::GenericArgument) {}
}
