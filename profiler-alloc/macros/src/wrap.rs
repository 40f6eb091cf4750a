//! `#[ram_profiler]`, `#[elapsed_timer]` and `#[budget]`: a scope around the whole body.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Result;

use crate::function::{self, Addition};
use crate::options::{self, Shared};
use crate::queries::{self, Site};
use crate::returned;

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
    let (mut limits, mut context, mut limits_queries) = (Vec::new(), None, false);
    let names = [
        "max_heap",
        "max_allocations",
        "max_queries",
        "max_time",
        "no_leaks",
        "context",
        "name",
    ];
    let mut shared = options::read(options, &names, |option| {
        limits.push(match option.name.as_str() {
            "max_heap" => {
                let bytes = options::bytes(&option.literal()?)?;
                quote!(max_heap(#bytes))
            }
            "max_allocations" => {
                let count: u64 = option.integer()?;
                quote!(max_allocations(#count))
            }
            "max_queries" => {
                limits_queries = true;
                let count: u64 = option.integer()?;
                quote!(max_queries(#count))
            }
            "max_time" => {
                let ns = options::nanoseconds(&option.text()?)?;
                quote!(max_time(::core::time::Duration::from_nanos(#ns)))
            }
            "no_leaks" => quote!(no_leaks()),
            "context" => {
                let (key, value) = options::context(&option.text()?)?;
                context = Some(quote!(in_context(#key, #value)));
                return Ok(true);
            }
            _ => return Ok(false),
        });
        Ok(true)
    })?;
    if limits.is_empty() {
        let message = "a budget needs a limit: `max_heap`, `max_allocations`, `max_queries`, `max_time` or `no_leaks`";
        return Err(syn::Error::new(span, message));
    }
    let mut function = function::parse("budget", item.clone())?;
    if cfg!(feature = "off") {
        return Ok(item);
    }
    shared.has_limits = true;
    let returned = returned::of("budget", &shared, &function.sig)?;
    let krate = &shared.krate;
    let private = quote!(#krate::measure::private);
    let label = function::label_of(&shared, &function.sig);
    let limits = limits.into_iter().chain(context);
    let budget = quote!(#private::Budget::new() #(.#limits)*);
    if !limits_queries {
        let scope = quote!(#private::budget_scope(#label, #budget, ::core::option::Option::None));
        function::wrap(
            &mut function,
            &shared,
            &returned,
            Addition::of(scope),
            |_| {},
        );
        return Ok(function.into_token_stream());
    }
    // The lines of its queries have to be known.
    let site = Site {
        name: quote!(__MEMPROF_BUDGET),
        label: label.clone(),
        options: quote!(#private::QueryOptions::USUAL),
    };
    let some_site = quote!(::core::option::Option::Some(&__MEMPROF_BUDGET));
    let scope = quote!(#private::budget_scope(#label, #budget, #some_site));
    queries::instrument(&mut function, &shared, &returned, site, scope);
    Ok(function.into_token_stream())
}

/// The function with a scope around its body, which `scope` makes of the runtime's path and the
/// label.
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
    let returned = returned::of(attribute, shared, &function.sig)?;
    let krate = &shared.krate;
    let label = function::label_of(shared, &function.sig);
    let addition = Addition::of(scope(&quote!(#krate::measure::private), &label));
    function::wrap(&mut function, shared, &returned, addition, |_| {});
    Ok(function.into_token_stream())
}
