//! `#[ram_profiler]`, `#[elapsed_timer]` and `#[budget]`: a scope around the whole body.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Result, Signature};

use crate::function::{self, Addition};
use crate::options::{self, Shared};

/// `#[ram_profiler]`.
pub fn ram(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let (mut summary, mut peak_rss) = (false, false);
    let names = ["name", "summary", "peak_rss"];
    let shared = options::read(options, &names, |option| {
        match option.name.as_str() {
            "summary" => summary = true,
            "peak_rss" => peak_rss = true,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    around("ram_profiler", &shared, item, |private, label| {
        quote!({
            static SITE: #private::RamSite = #private::RamSite::new(
                #label,
                #private::RamOptions { peak_rss: #peak_rss, summary: #summary },
            );
            #private::ram_scope(&SITE)
        })
    })
}

/// `#[elapsed_timer]`.
pub fn elapsed(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut summary = false;
    let shared = options::read(options, &["name", "summary"], |option| {
        let is_known = option.name == "summary";
        summary |= is_known;
        Ok(is_known)
    })?;
    around("elapsed_timer", &shared, item, |private, label| {
        quote!({
            static SITE: #private::ElapsedSite = #private::ElapsedSite::new(#label, #summary);
            #private::elapsed_scope(&SITE)
        })
    })
}

/// `#[budget]`.
pub fn budget(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let span = proc_macro2::Span::call_site();
    let mut limits = Vec::new();
    let names = [
        "max_heap",
        "max_allocations",
        "max_time",
        "no_leaks",
        "name",
    ];
    let shared = options::read(options, &names, |option| {
        limits.push(match option.name.as_str() {
            "max_heap" => {
                let bytes = options::bytes(&option.literal()?)?;
                quote!(max_heap(#bytes))
            }
            "max_allocations" => {
                let count: u64 = option.integer()?;
                quote!(max_allocations(#count))
            }
            "max_time" => {
                let ns = options::nanoseconds(&option.text()?)?;
                quote!(max_time(::core::time::Duration::from_nanos(#ns)))
            }
            "no_leaks" => quote!(no_leaks()),
            _ => return Ok(false),
        });
        Ok(true)
    })?;
    if limits.is_empty() {
        let message =
            "a budget needs a limit: `max_heap`, `max_allocations`, `max_time` or `no_leaks`";
        return Err(syn::Error::new(span, message));
    }
    around(
        "budget",
        &shared,
        item,
        |private, label| quote!(#private::budget_scope(#label, #private::Budget::new() #(.#limits)*)),
    )
}

/// The function with a scope around its body, which `scope` makes of the runtime's path and the label.
fn around(
    attribute: &str,
    shared: &Shared,
    item: TokenStream,
    scope: impl FnOnce(&TokenStream, &TokenStream) -> TokenStream,
) -> Result<TokenStream> {
    let mut function = function::parse(attribute, item.clone())?;
    if cfg!(feature = "off") {
        return Ok(item);
    }
    let krate = &shared.krate;
    let label = match &shared.name {
        Some(name) => name.to_token_stream(),
        None => label_of(&function.sig),
    };
    let addition = Addition {
        scope: scope(&quote!(#krate::wrappers::private), &label),
        before_future: Vec::new(),
        after_future: Vec::new(),
    };
    function::wrap(&mut function, krate, addition, |_| {});
    Ok(function.into_token_stream())
}

/// The function's own name, as the ancestor of these reports shows it.
fn label_of(signature: &Signature) -> TokenStream {
    let name = signature.ident.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    quote!(#name)
}
