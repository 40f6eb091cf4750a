//! The function an attribute stands on: its parts, and how a scope is put around its body.
//!
//! ```text
//! fn f(v: Vec<u8>) {                    async fn f(v: Vec<u8>) {
//!     let scope = enter;                    let future = async move { let v = v; body };
//!     let v = v;                            let pinned = pin!(Some(future));
//!     body                                  Polled::new(scope, pinned).await
//! }                                     }
//!
//! fn f(v: Vec<u8>) -> impl Future {
//!     let made = enter;
//!     let future = (move || { let v = v; body })();
//!     let scope = made.scope();
//!     async move { let pinned = pin!(Some(future)); Polled::new(scope, pinned).await }
//! }
//! ```
//! Arguments move into the body, so that they are dropped inside the scope. What other attributes
//! have put there stays outermost: of two attributes, the first one is around the second.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Block, Error, Expr, FnArg, ItemFn, Pat, Result, ReturnType, Signature, Stmt, Type};

use crate::options::{Shared, is_false};
use crate::returned::{self, Returned};

/// What a scope adds to a function.
pub struct Addition {
    /// The scope: an expression that gives a `Scope`.
    pub scope: TokenStream,
    /// Of a future: statements before and after it is pinned.
    pub before_future: Vec<Stmt>,
    pub after_future: Vec<Stmt>,
}

impl Addition {
    /// A scope and nothing else.
    pub fn of(scope: TokenStream) -> Addition {
        Addition {
            scope,
            before_future: Vec::new(),
            after_future: Vec::new(),
        }
    }
}

/// Reads the function, or says what the attribute is for.
pub fn parse(attribute: &str, item: TokenStream) -> Result<ItemFn> {
    let span = item
        .clone()
        .into_iter()
        .next()
        .map_or(Span::call_site(), |tree| tree.span());
    let function: ItemFn = syn::parse2(item).map_err(|error| {
        let message = format!("#[{attribute}] stands on a function with a body ({error})");
        Error::new(span, message)
    })?;
    if let Some(constness) = &function.sig.constness {
        let message =
            format!("#[{attribute}] cannot measure a `const fn`: it may run in the compiler");
        return Err(Error::new(constness.span(), message));
    }
    Ok(function)
}

/// The place inside what other attributes have put around the body.
pub fn innermost(block: &mut Block) -> &mut Block {
    let is_future = |stmt: &mut Stmt| body_inside(stmt).is_some();
    let Some(at) = block.stmts.iter_mut().position(is_future) else {
        return block;
    };
    body_inside(&mut block.stmts[at]).map_or_else(|| unreachable!("found above"), innermost)
}

/// The body that an attribute has put into `let __memprof_future = …`: that of an `async` block, or
/// of the closure that is called there.
fn body_inside(stmt: &mut Stmt) -> Option<&mut Block> {
    let Stmt::Local(local) = stmt else {
        return None;
    };
    if !matches!(&local.pat, Pat::Ident(pat) if pat.ident == "__memprof_future") {
        return None;
    }
    match &mut *local.init.as_mut()?.expr {
        Expr::Async(future) => Some(&mut future.block),
        Expr::Call(call) => {
            let closure = match call.args.first_mut() {
                Some(closure) => closure,
                None => &mut *call.func,
            };
            body_of_closure(closure)
        }
        _ => None,
    }
}

fn body_of_closure(expr: &mut Expr) -> Option<&mut Block> {
    match expr {
        Expr::Paren(inner) => body_of_closure(&mut inner.expr),
        Expr::Closure(closure) => match &mut *closure.body {
            Expr::Block(body) => Some(&mut body.block),
            _ => None,
        },
        _ => None,
    }
}

/// True for a statement that an attribute has put there.
pub fn is_generated(stmt: &Stmt) -> bool {
    is_scope(stmt) || is_inside_scope(stmt) || is_probe(stmt)
}

/// A probe that another attribute has put between the statements.
fn is_probe(stmt: &Stmt) -> bool {
    matches!(stmt, Stmt::Expr(expr, _) if ["at", "pass", "query_at"].iter().any(|name| calls_private(expr, name)))
}

/// Part of a scope that an attribute has put around the body.
fn is_scope(stmt: &Stmt) -> bool {
    match stmt {
        Stmt::Local(local) => {
            matches!(&local.pat, Pat::Ident(pat) if pat.ident.to_string().starts_with("__memprof"))
        }
        other => is_generated_item(other),
    }
}

/// What stands between the scopes and the body: the hint, and the arguments.
fn is_inside_scope(stmt: &Stmt) -> bool {
    match stmt {
        Stmt::Local(local) => local
            .init
            .as_ref()
            .is_some_and(|init| is_argument(&init.expr)),
        // The return type's hint; nobody writes that.
        Stmt::Expr(Expr::If(hint), _) => is_false(&hint.cond) && hint.else_branch.is_none(),
        _ => false,
    }
}

fn is_argument(expr: &Expr) -> bool {
    calls_private(expr, "argument")
}

/// A call of `…::private::name`.
fn calls_private(expr: &Expr, name: &str) -> bool {
    let Expr::Call(call) = expr else {
        return false;
    };
    matches!(&*call.func, Expr::Path(path) if path.path.segments.iter().any(|part| part.ident == "private")
        && path.path.segments.last().is_some_and(|last| last.ident == name))
}

/// Splits off the scopes that other attributes have put around the body.
fn split_leading(block: &mut Block) -> (Vec<Stmt>, Vec<Stmt>) {
    let stmts = core::mem::take(&mut block.stmts);
    let first = stmts.iter().position(|stmt| !is_scope(stmt));
    let mut leading = stmts;
    let body = leading.split_off(first.unwrap_or(leading.len()));
    (leading, body)
}

fn is_generated_item(stmt: &Stmt) -> bool {
    let macro_tokens = match stmt {
        Stmt::Item(syn::Item::Static(item)) => {
            return item.ident.to_string().starts_with("__MEMPROF");
        }
        Stmt::Item(syn::Item::Macro(item)) => &item.mac.tokens,
        Stmt::Macro(item) => &item.mac.tokens,
        _ => return false,
    };
    macro_tokens.to_string().contains("__MEMPROF_LOCAL")
}

/// The block of `Box::pin(async move { … })`, if that is all that a body does: what is left of an
/// `async fn` where another macro, such as `async_trait`, has made it a function that returns a
/// future. It is measured as what it was.
fn boxed_body(body: &mut Block) -> Option<&mut Block> {
    let (last, others) = body.stmts.split_last_mut()?;
    let Stmt::Expr(Expr::Call(call), None) = last else {
        return None;
    };
    let Expr::Path(called) = &*call.func else {
        return None;
    };
    let names: Vec<String> = (called.path.segments.iter())
        .map(|part| part.ident.to_string())
        .collect();
    let is_pin = names.ends_with(&["Box".to_owned(), "pin".to_owned()]);
    if !is_pin || !others.iter().all(is_scope) {
        return None;
    }
    match call.args.first_mut() {
        Some(Expr::Async(future)) if future.capture.is_some() => Some(&mut future.block),
        _ => None,
    }
}

/// Puts a scope around the body of `function`, and around the polls of the future that it is or
/// gives; `change` may work on the body's own statements first.
pub fn wrap(
    function: &mut ItemFn,
    shared: &Shared,
    returned: &Returned,
    addition: Addition,
    change: impl FnOnce(&mut Block),
) {
    let krate = &shared.krate;
    let private = quote!(#krate::measure::private);
    let ItemFn { sig, block, .. } = function;
    let boxed = match returned {
        Returned::Pinned(Some(output)) => boxed_body(block).map(|_| output),
        _ => None,
    };
    let is_async = sig.asyncness.is_some() || boxed.is_some();
    let is_value = !is_async && matches!(returned, Returned::Value);
    let block = match boxed {
        Some(_) => boxed_body(block).unwrap_or_else(|| unreachable!("found above")),
        None => &mut **block,
    };
    let block = innermost(block);
    // Another attribute may have done both already.
    let is_first = !block.stmts.iter().any(is_inside_scope);
    let hint = match (is_first && is_async, boxed) {
        (true, Some(output)) => Some(hint_of(&output.to_token_stream())),
        (true, None) => return_hint(&sig.output),
        (false, _) => None,
    };
    let arguments = match is_first && boxed.is_none() {
        true => take_arguments(sig, &private),
        false => Vec::new(),
    };
    let brace = block.brace_token;
    let (mut stmts, body) = split_leading(block);
    let mut body = Block {
        brace_token: brace,
        stmts: body,
    };
    change(&mut body);
    if !is_async && !arguments.is_empty() {
        return_tail(&mut body);
    }
    let body = body.stmts;
    let span = Span::mixed_site();
    let Addition {
        scope,
        before_future,
        after_future,
    } = addition;
    let polled = |scope: TokenStream| {
        quote_spanned! {span=>
            let __memprof_pinned = ::core::pin::pin!(::core::option::Option::Some(__memprof_future));
            #(#after_future)*
            let __memprof_output = #private::Polled::new(#scope, __memprof_pinned).await;
            #[allow(clippy::needless_return)]
            return __memprof_output;
        }
    };
    let body = quote_spanned!(span=> #hint #(#arguments)* #(#body)*);
    let new: Block = if is_async {
        let polled = polled(scope);
        syn::parse_quote_spanned!(span=> {
            #(#before_future)*
            let __memprof_future = async move { #body };
            #polled
        })
    } else if is_value {
        let check = match shared.call_only {
            true => None,
            false => returned::check(shared, sig, &private),
        };
        syn::parse_quote_spanned!(span=> {
            #check
            let __memprof_scope = #private::Entered::new(#scope);
            #body
        })
    } else {
        let made = returned.make(&sig.output, &private, &body);
        let polled = polled(quote_spanned!(span=> __memprof_scope));
        let future = returned.dress(quote_spanned! {span=>
            async move {
                #(#before_future)*
                #polled
            }
        });
        syn::parse_quote_spanned!(span=> {
            let __memprof_made = #private::Made::new(#scope);
            let __memprof_future = #made;
            let __memprof_scope = __memprof_made.scope();
            #[allow(clippy::needless_return)]
            return #future;
        })
    };
    stmts.extend(new.stmts);
    block.stmts = stmts;
}

/// The expression a body ends with becomes a `return` statement: in editions before 2024 its
/// temporaries would outlive the arguments that were moved into the body.
fn return_tail(body: &mut Block) {
    let Some(Stmt::Expr(tail, None)) = body.stmts.last() else {
        return;
    };
    let is_simple = matches!(tail, Expr::Path(_) | Expr::Lit(_));
    let is_loop = matches!(tail, Expr::ForLoop(_) | Expr::While(_) | Expr::Loop(_));
    let has_attributes = tail.to_token_stream().to_string().starts_with('#');
    if is_simple || is_loop || has_attributes {
        return;
    }
    // On the line of the expression, where a later attribute looks for it.
    let returned = Span::mixed_site().located_at(tail.span());
    let returned = match tail {
        Expr::Return(_) => quote_spanned!(returned=> #tail;),
        _ => quote_spanned!(returned=> return #tail;),
    };
    body.stmts.pop();
    body.stmts.push(syn::parse_quote!(#returned));
}

/// For every argument taken by value, a statement that moves it into the body.
fn take_arguments(signature: &mut Signature, private: &TokenStream) -> Vec<TokenStream> {
    let mut moved = Vec::new();
    for (index, input) in signature.inputs.iter_mut().enumerate() {
        let FnArg::Typed(argument) = input else {
            continue;
        };
        if matches!(&*argument.ty, Type::Reference(_) | Type::Ptr(_)) || !argument.attrs.is_empty()
        {
            continue;
        }
        let outer = match &mut *argument.pat {
            Pat::Wild(_) => continue,
            // A name that is bound by reference, or to a part, needs a place to refer to, which
            // stays outside.
            Pat::Ident(pat) if pat.by_ref.is_some() || pat.subpat.is_some() => continue,
            Pat::Ident(pat) => {
                let inner = pat.clone();
                pat.mutability = None;
                let outer = pat.ident.clone();
                moved.push((inner.to_token_stream(), outer));
                continue;
            }
            _ => format_ident!("__memprof_argument_{index}", span = Span::mixed_site()),
        };
        let pattern = argument.pat.to_token_stream();
        *argument.pat = syn::parse_quote!(#outer);
        moved.push((pattern, outer));
    }
    let statement = |(pattern, outer): (TokenStream, syn::Ident)| {
        quote_spanned! {Span::mixed_site()=>
            #[allow(clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated, clippy::used_underscore_binding)]
            let #pattern = #private::argument(#outer);
        }
    };
    moved.into_iter().map(statement).collect()
}

/// Tells the compiler what an `async` block returns: it has no place for a type, and `?` needs one.
fn return_hint(output: &ReturnType) -> Option<TokenStream> {
    let ty = match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => {
            if returned::has_impl(ty) || matches!(**ty, Type::Never(_)) {
                return None;
            }
            ty.to_token_stream()
        }
    };
    Some(hint_of(&ty))
}

fn hint_of(ty: &TokenStream) -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::empty_loop, clippy::let_unit_value, clippy::unused_unit)]
        if false {
            let __memprof_return: #ty = loop {};
            return __memprof_return;
        }
    }
}

/// The label of a function: its path, as an expression of a text.
pub fn path_of(signature: &Signature) -> TokenStream {
    let name = signature.ident.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    quote!(::core::concat!(::core::module_path!(), "::", #name))
}

/// The label of a report: the name given, or the function's own, as the ancestor of these reports
/// shows it.
pub fn label_of(shared: &Shared, signature: &Signature) -> TokenStream {
    if let Some(name) = &shared.name {
        return name.to_token_stream();
    }
    let name = signature.ident.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    quote!(#name)
}
