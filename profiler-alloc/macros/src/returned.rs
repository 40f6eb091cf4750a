//! What a function gives that is not `async`: a value, or a future, whose work is done when it is
//! polled.
//!
//! Which it is, its return type says: `impl Future`, `Pin<Box<dyn Future>>`, `BoxFuture`. A future
//! of another type is found by the compiler, and refused: it has to have the type that it had, so
//! nothing can be put around its polls. So are streams, and, where there are limits, closures.

use crate::options::Shared;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Error, GenericArgument, Path, PathArguments, Result, ReturnType, Signature, Token, Type,
    TypeParamBound,
};

/// What a call of the function gives.
pub enum Returned {
    /// Something that is no future as far as its type shows.
    Value,
    /// `impl Future`, and the type of its output if that can be named.
    Future(Option<Box<Type>>),
    /// `impl Future + Unpin`, `Pin<Box<dyn Future>>`, `BoxFuture`, and the type of its output as
    /// above.
    Pinned(Option<Box<Type>>),
    /// `Box<dyn Future + Unpin>`.
    Boxed,
    /// `Box<dyn Future>`, which is one when it is pinned.
    Unpinned,
}

const FUTURES: [&str; 1] = ["Future"];
const STREAMS: [&str; 4] = ["Stream", "FusedStream", "TryStream", "AsyncIterator"];
const CLOSURES: [&str; 6] = [
    "Fn",
    "FnMut",
    "FnOnce",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
];
const BOXED_FUTURES: [&str; 2] = ["BoxFuture", "LocalBoxFuture"];
const BOXED_STREAMS: [&str; 2] = ["BoxStream", "LocalBoxStream"];

/// What a call of a function with this signature gives. An error if its work cannot be measured.
pub fn of(attribute: &str, shared: &Shared, signature: &Signature) -> Result<Returned> {
    if let Some(asyncness) = signature.asyncness.filter(|_| shared.call_only) {
        let message = "`call_only`: an `async fn` is measured over its polls";
        return Err(Error::new(asyncness.span(), message));
    }
    let ty = match &signature.output {
        ReturnType::Type(_, ty) if !shared.call_only && signature.asyncness.is_none() => ty,
        _ => return Ok(Returned::Value),
    };
    let refused = |what: &str, instead: &str| {
        let message = format!(
            "#[{attribute}] does not see {what}; {instead}, or add the option `call_only` to measure only the call"
        );
        Err(Error::new(ty.span(), message))
    };
    match kind_of(ty) {
        Kind::Other => {}
        Kind::Known(returned) => return Ok(returned),
        Kind::Stream => {
            let instead = "put it on the function that makes an item";
            return refused("the polls of a stream", instead);
        }
        Kind::IntoFuture => {
            let instead = "write an `async fn` or return `impl Future<Output = …>`";
            return refused("the polls of what this becomes", instead);
        }
        Kind::Closure if shared.has_limits => {
            let message = "the limits of #[budget] do not hold for what a closure does that is returned; \
                           call it in the function, or put the attribute on the function that calls it, \
                           or add the option `call_only` to measure only the call that makes it";
            return Err(Error::new(ty.span(), message));
        }
        Kind::Closure => {}
        Kind::OtherTrait => {
            let instead = "write an `async fn` or return `impl Future<Output = …>`";
            return refused("the polls of a future that has another trait", instead);
        }
    }
    let mut inside = FindInside(false);
    inside.visit_type_mut(&mut ty.clone());
    if inside.0 {
        let instead = "put it on an `async fn` that does the work";
        return refused("the polls of a future inside another type", instead);
    }
    Ok(Returned::Value)
}

enum Kind {
    Known(Returned),
    Stream,
    IntoFuture,
    /// `impl FusedFuture`: what is put around its polls would have to be one, too.
    OtherTrait,
    /// `impl Fn()`
    Closure,
    Other,
}

type Bounds = Punctuated<TypeParamBound, Token![+]>;

fn kind_of(ty: &Type) -> Kind {
    match ty {
        Type::Paren(inner) => kind_of(&inner.elem),
        Type::Group(inner) => kind_of(&inner.elem),
        Type::ImplTrait(inner) if has(&inner.bounds, &FUTURES) => {
            Kind::Known(match has(&inner.bounds, &["Unpin"]) {
                true => Returned::Pinned(None),
                false => Returned::Future(output_of(ty).map(Box::new)),
            })
        }
        Type::ImplTrait(inner) if has(&inner.bounds, &STREAMS) => Kind::Stream,
        Type::ImplTrait(inner) if has(&inner.bounds, &["IntoFuture"]) => Kind::IntoFuture,
        Type::ImplTrait(inner) if has(&inner.bounds, &CLOSURES) => Kind::Closure,
        Type::ImplTrait(inner) if names(&inner.bounds).any(|name| name.ends_with("Future")) => {
            Kind::OtherTrait
        }
        Type::Path(inner) => kind_of_path(&inner.path),
        _ => Kind::Other,
    }
}

fn kind_of_path(path: &Path) -> Kind {
    let name = path.segments.last().map(|last| last.ident.to_string());
    let name = name.unwrap_or_default();
    if BOXED_FUTURES.contains(&name.as_str()) {
        return Kind::Known(Returned::Pinned(last_argument(path).map(Box::new)));
    }
    if BOXED_STREAMS.contains(&name.as_str()) {
        return Kind::Stream;
    }
    let (boxed, returned) = match (name.as_str(), argument(path)) {
        ("Box", Some(inner)) => {
            let is_unpin =
                matches!(inner, Type::TraitObject(object) if has(&object.bounds, &["Unpin"]));
            let returned = match is_unpin {
                true => Returned::Boxed,
                false => Returned::Unpinned,
            };
            (Some(inner), returned)
        }
        ("Pin", Some(Type::Path(inner)))
            if inner
                .path
                .segments
                .last()
                .is_some_and(|last| last.ident == "Box") =>
        {
            let boxed = argument(&inner.path);
            let output = boxed.and_then(output_of).map(Box::new);
            (boxed, Returned::Pinned(output))
        }
        _ => return Kind::Other,
    };
    match boxed {
        Some(Type::TraitObject(object)) if has(&object.bounds, &FUTURES) => Kind::Known(returned),
        Some(Type::TraitObject(object)) if has(&object.bounds, &STREAMS) => Kind::Stream,
        _ => Kind::Other,
    }
}

/// The one type in the angle brackets of a path.
fn argument(path: &Path) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &path.segments.last()?.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) if arguments.args.len() == 1 => Some(ty),
        _ => None,
    }
}

/// The output of `BoxFuture<'a, Output>`.
fn last_argument(path: &Path) -> Option<Type> {
    let PathArguments::AngleBracketed(arguments) = &path.segments.last()?.arguments else {
        return None;
    };
    match arguments.args.last() {
        Some(GenericArgument::Type(ty)) if !has_impl(ty) => Some(ty.clone()),
        _ => None,
    }
}

fn has(bounds: &Bounds, wanted: &[&str]) -> bool {
    names(bounds).any(|name| wanted.contains(&name.as_str()))
}

/// The names of the traits among the bounds.
fn names(bounds: &Bounds) -> impl Iterator<Item = String> {
    bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => Some(bound.path.segments.last()?.ident.to_string()),
        _ => None,
    })
}

/// The `type` of `Output = type`, if it is one that can be written elsewhere.
fn output_of(ty: &Type) -> Option<Type> {
    let mut found = FindOutput(None);
    found.visit_type_mut(&mut ty.clone());
    found.0.filter(|output| !has_impl(output))
}

struct FindOutput(Option<Type>);

impl VisitMut for FindOutput {
    fn visit_assoc_type_mut(&mut self, found: &mut syn::AssocType) {
        if found.ident == "Output" {
            self.0.get_or_insert_with(|| found.ty.clone());
        }
    }
}

/// True if `impl Trait` is in the type, which then cannot be written elsewhere.
pub fn has_impl(ty: &Type) -> bool {
    let mut found = FindImpl(false);
    found.visit_type_mut(&mut ty.clone());
    found.0
}

struct FindImpl(bool);

impl VisitMut for FindImpl {
    fn visit_type_impl_trait_mut(&mut self, _: &mut syn::TypeImplTrait) {
        self.0 = true;
    }
}

/// Finds a future or a stream inside another type. What a function returns that is given is another
/// one's affair.
struct FindInside(bool);

impl VisitMut for FindInside {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        self.0 |= !matches!(kind_of(ty), Kind::Other | Kind::Closure);
        visit_mut::visit_type_mut(self, ty);
    }

    fn visit_type_trait_object_mut(&mut self, object: &mut syn::TypeTraitObject) {
        self.0 |= has(&object.bounds, &FUTURES) || has(&object.bounds, &STREAMS);
        visit_mut::visit_type_trait_object_mut(self, object);
    }

    fn visit_parenthesized_generic_arguments_mut(
        &mut self,
        _: &mut syn::ParenthesizedGenericArguments,
    ) {
    }

    fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}
}

/// A statement that the compiler refuses if a value of the return type does its work later after
/// all: if it is a future, a stream, or, where there are limits, a closure.
pub fn check(shared: &Shared, signature: &Signature, private: &TokenStream) -> Option<TokenStream> {
    let ReturnType::Type(_, ty) = &signature.output else {
        return None;
    };
    if signature.asyncness.is_some() || has_impl(ty) || matches!(**ty, Type::Never(_)) {
        return None;
    }
    // Where the return type stands, an error is shown; the names are the macro's own.
    let span = Span::mixed_site().located_at(ty.span());
    let no_closure = shared.has_limits.then(|| {
        quote_spanned! {span=>
            let __memprof_returned = {
                use #private::CalledLater as _;
                #private::Returned::<#ty>::new().is_no_closure()
            };
        }
    });
    Some(quote_spanned! {span=>
        let __memprof_returned = #private::Returned::<#ty>::new().is_no_future();
        #no_closure
        let __memprof_returned = {
            use #private::NoStream as _;
            |context: &mut ::core::task::Context<'_>| {
                #private::is_no_stream(#private::Pollable::<#ty>::new().item().poll_next(context))
            }
        };
    })
}

impl Returned {
    /// How the future that is measured, an `async` block, becomes one of the return type.
    pub fn dress(&self, future: TokenStream) -> TokenStream {
        match self {
            Returned::Value | Returned::Future(_) => future,
            Returned::Pinned(_) => quote!(::std::boxed::Box::pin(#future)),
            Returned::Boxed => quote!(::std::boxed::Box::new(::std::boxed::Box::pin(#future))),
            Returned::Unpinned => quote!(::std::boxed::Box::new(#future)),
        }
    }

    /// The call that makes the function's own future, of what stands in its body: the compiler is
    /// told what the function has promised of it.
    pub fn make(
        &self,
        output: &ReturnType,
        private: &TokenStream,
        body: &TokenStream,
    ) -> TokenStream {
        match (self, output) {
            (Returned::Future(Some(result)), _) => {
                quote!(#private::make::<#result, _, _>(move || { #body }))
            }
            (Returned::Unpinned, ReturnType::Type(_, ty)) => {
                quote!(::std::boxed::Box::into_pin((move || -> #ty { #body })()))
            }
            (_, ReturnType::Type(_, ty)) if !has_impl(ty) => {
                let ty = ty.to_token_stream();
                quote!((move || -> #ty { #body })())
            }
            _ => quote!((move || { #body })()),
        }
    }
}
