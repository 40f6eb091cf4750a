//! `#[query_profiler]`, and what `#[budget]` knows of queries: the site of a function, and probes
//! that keep its line.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Block, ItemFn, Result};

use crate::calls::Calls;
use crate::function::{self, Addition};
use crate::options::{self, Shared};
use crate::returned::{self, Returned};
use crate::statements::{Guard, Kind, Probes};
use crate::written::Place;

/// Probes that say which line runs.
struct Marking {
    private: TokenStream,
    /// The static that knows the function.
    site: TokenStream,
    calls: Calls,
}

impl Kind for Marking {
    fn private(&self) -> &TokenStream {
        &self.private
    }

    fn probe(&mut self, line: u32, _: bool) -> TokenStream {
        let Marking {
            private,
            site,
            calls,
        } = self;
        let calls = calls.of_next_at(line);
        quote_spanned!(Span::mixed_site()=> #private::query_at(&#site, #line, #calls))
    }

    fn nowhere(&mut self) -> TokenStream {
        self.probe(0, false)
    }

    fn guard(&mut self, guard: Guard, line: u32) -> TokenStream {
        let Marking {
            private,
            site,
            calls,
        } = self;
        let (calls, span) = (calls.of_next_at(line), Span::mixed_site());
        match guard {
            Guard::Back { .. } | Guard::Brace => {
                quote_spanned!(span=> #private::QueryLine::new(&#site, #line, #calls))
            }
            Guard::Nested => quote_spanned!(span=> #private::QueryLine::now(&#site)),
        }
    }
}

/// A site: the name of its static, the function's label, and what it reports.
pub struct Site {
    pub name: TokenStream,
    pub label: TokenStream,
    pub options: TokenStream,
}

/// `#[query_profiler]`.
pub fn attribute(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let (mut values, mut explain, mut summary) = (false, false, false);
    let (mut slow, mut limit) = (None, None);
    let names = ["name", "values", "explain", "slow", "limit", "summary"];
    let shared = options::read(options, &names, |option| {
        match option.name.as_str() {
            "values" => values = true,
            "explain" => explain = true,
            "summary" => summary = true,
            "slow" => slow = Some(options::nanoseconds(&option.text()?)?),
            "limit" => {
                limit = Some(option.integer::<usize>()?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let mut function = function::parse("query_profiler", item.clone())?;
    if cfg!(feature = "off") {
        return Ok(item);
    }
    let krate = &shared.krate;
    let private = quote!(#krate::measure::private);
    let usual = quote!(#private::QueryOptions::USUAL);
    let slow = slow.map_or(quote!(#usual.slow_ns), ToTokens::into_token_stream);
    let limit = limit.map_or(quote!(#usual.limit), ToTokens::into_token_stream);
    let site = Site {
        name: quote!(__MEMPROF_QUERIES),
        label: function::label_of(&shared, &function.sig),
        options: quote!(#private::QueryOptions {
            values: #values,
            explain: #explain,
            slow_ns: #slow,
            summary: #summary,
            limit: #limit,
        }),
    };
    let scope = quote!(#private::query_scope(&__MEMPROF_QUERIES));
    let returned = returned::of("query_profiler", &shared, &function.sig)?;
    instrument(&mut function, &shared, &returned, site, scope);
    Ok(function.into_token_stream())
}

/// Puts `scope` around the body of a function, a probe before every statement, and the static that
/// both name in front.
pub fn instrument(
    function: &mut ItemFn,
    shared: &Shared,
    returned: &Returned,
    site: Site,
    scope: TokenStream,
) {
    let krate = &shared.krate;
    let private = quote!(#krate::measure::private);
    let place = Place::of(function);
    let (first, _) = place.lines;
    let Site {
        name,
        label,
        options,
    } = site;
    let mut marking = Marking {
        private: private.clone(),
        site: name.clone(),
        calls: Calls::of(&function.block, place.span),
    };
    let file = place.file();
    function::wrap(function, shared, returned, Addition::of(scope), |body| {
        Probes::new(&mut marking, returned, &place).function(body, first);
    });
    let stmts = core::mem::take(&mut function.block.stmts);
    let block: Block = syn::parse_quote_spanned! {Span::mixed_site()=> {
        static #name: #private::QuerySite = #private::QuerySite::new(#label, #file, #first, #options);
        #(#stmts)*
    }};
    function.block.stmts = block.stmts;
}
