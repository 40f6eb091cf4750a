//! `#[profile]` and `profile_block!`: the table and the thread-local of a function, and its body
//! with probes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Block, Error, ItemFn, LitStr, Path, Result, Token};

use crate::function::{self, Addition};
use crate::options::{self, Shared};
use crate::returned::{self, Returned};
use crate::slots::Slots;
use crate::statements::{Guard, Kind, Probes};
use crate::written::Place;

#[derive(Default)]
struct Options {
    occurrences: bool,
    allocated: bool,
    freed: bool,
    each_call: bool,
    embed: bool,
    precision: Option<usize>,
}

/// Probes that count for a line.
struct Counting<'a> {
    slots: &'a mut Slots,
    private: TokenStream,
}

impl Kind for Counting<'_> {
    fn private(&self) -> &TokenStream {
        &self.private
    }

    fn probe(&mut self, line: u32, is_run: bool) -> TokenStream {
        let (slot, private) = (self.slots.of(line), &self.private);
        let name = Ident::new(if is_run { "at" } else { "pass" }, Span::mixed_site());
        quote_spanned!(Span::mixed_site()=> #private::#name(&__MEMPROF_LOCAL, #slot))
    }

    fn nowhere(&mut self) -> TokenStream {
        let private = &self.private;
        // Slot 0 is the line of the `fn`.
        quote_spanned!(Span::mixed_site()=> #private::pass(&__MEMPROF_LOCAL, 0))
    }

    fn guard(&mut self, guard: Guard, line: u32) -> TokenStream {
        let (slot, private, span) = (self.slots.of(line), &self.private, Span::mixed_site());
        match guard {
            Guard::Back { is_run } => {
                quote_spanned!(span=> #private::Back::new(&__MEMPROF_LOCAL, #slot, #is_run))
            }
            Guard::Brace => quote_spanned!(span=> #private::Brace::new(&__MEMPROF_LOCAL, #slot)),
            Guard::Nested => quote_spanned!(span=> #private::Nested::new(&__MEMPROF_LOCAL, #slot)),
        }
    }
}

/// `#[profile]`.
pub fn attribute(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut wanted = Options::default();
    let names = ["columns(…)", "each_call", "embed", "precision"];
    let shared = options::read(options, &names, |option| {
        match option.name.as_str() {
            "each_call" => wanted.each_call = true,
            "embed" => wanted.embed = true,
            "precision" => {
                let places: usize = option.integer()?;
                if places > 9 {
                    return Err(Error::new(option.span, "at most 9 decimal places"));
                }
                wanted.precision = Some(places);
            }
            "columns" => {
                for column in option.list()? {
                    match column.to_string().as_str() {
                        "occurrences" => wanted.occurrences = true,
                        "allocated" => wanted.allocated = true,
                        "freed" => wanted.freed = true,
                        other => {
                            let message = format!(
                                "unknown column `{other}`: expected `occurrences`, `allocated` or `freed`"
                            );
                            return Err(Error::new(column.span(), message));
                        }
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let mut function = function::parse("profile", item.clone())?;
    if cfg!(feature = "off") {
        return Ok(item);
    }
    let returned = returned::of("profile", &shared, &function.sig)?;
    instrument(&mut function, &shared, &returned, &wanted);
    Ok(function.into_token_stream())
}

fn instrument(function: &mut ItemFn, shared: &Shared, returned: &Returned, options: &Options) {
    let krate = &shared.krate;
    let private = quote!(#krate::measure::private);
    let place = Place::of(function);
    let (first, _) = place.lines;
    let mut slots = Slots::default();
    // Slot 0 is the line of the `fn`.
    slots.of(first);
    // The body is changed by `wrap`, which knows where it is; the table is made of what that finds.
    let addition = Addition {
        scope: quote!(#private::profile_call(&__MEMPROF_TABLE, &__MEMPROF_LOCAL)),
        before_future: vec![
            syn::parse_quote_spanned!(Span::mixed_site()=> let __memprof_unmute = #private::ResumeProbes::new(&__MEMPROF_LOCAL);),
        ],
        after_future: vec![
            syn::parse_quote_spanned!(Span::mixed_site()=> let __memprof_mute = #private::SuspendProbes::new(&__MEMPROF_LOCAL);),
        ],
    };
    let label = function::path_of(&function.sig);
    let here = quote!({
        fn here() {}
        ::core::option::Option::Some(|| ::core::any::type_name_of_val(&here))
    });
    function::wrap(function, shared, returned, addition, |body| {
        let slots = &mut slots;
        let mut counting = Counting { slots, private };
        Probes::new(&mut counting, returned, &place).function(body, first);
    });
    let table = TableOf {
        label,
        here,
        place: &place,
        is_written: place.is_of(&function.sig),
    };
    let items = items(krate, &slots, &table, options);
    let stmts = core::mem::take(&mut function.block.stmts);
    let block: Block = syn::parse_quote_spanned!(Span::mixed_site()=> { #items #(#stmts)* });
    function.block.stmts = block.stmts;
}

/// What a table is of.
struct TableOf<'a> {
    label: TokenStream,
    here: TokenStream,
    place: &'a Place,
    /// The function is written there.
    is_written: bool,
}

/// The table and the thread-local of a function.
fn items(krate: &Path, slots: &Slots, table: &TableOf<'_>, options: &Options) -> TokenStream {
    let TableOf {
        label,
        here,
        place,
        is_written,
    } = table;
    let (first, last) = place.lines;
    let file = place.file();
    let private = quote!(#krate::measure::private);
    let lines = &slots.lines;
    let words = slots.words();
    let text = text_of_lines(place);
    let hash = text.as_deref().map_or(0, hash);
    let source = match (&text, options.embed) {
        (Some(text), true) => quote!(::core::option::Option::Some(#text)),
        _ => quote!(::core::option::Option::None),
    };
    let Options {
        occurrences,
        allocated,
        freed,
        each_call,
        ..
    } = options;
    let precision = options.precision.unwrap_or(1);
    quote_spanned! {Span::mixed_site()=>
        static __MEMPROF_TABLE: #private::Table = #private::Table::new(#private::About {
            function: #label,
            here: #here,
            file: #file,
            manifest_dir: ::core::option_env!("CARGO_MANIFEST_DIR"),
            span: (#first, #last),
            is_written: #is_written,
            lines: &[#(#lines),*],
            source: #source,
            source_hash: #hash,
            columns: #private::Columns { occurrences: #occurrences, allocated: #allocated, freed: #freed },
            precision: #precision,
            each_call: #each_call,
        });
        ::std::thread_local! {
            static __MEMPROF_LOCAL: #private::Local<#words> = const { #private::Local::new() };
        }
    }
}

/// The lines of the function as they are compiled, each with a line end. `None` if the compiler has
/// no file for them.
fn text_of_lines(place: &Place) -> Option<String> {
    let (first, last) = place.lines;
    let path = place.span.local_file()?;
    let file = std::fs::read_to_string(path).ok()?;
    let count = (last + 1).checked_sub(first)? as usize;
    let lines = file
        .lines()
        .skip(first.checked_sub(1)? as usize)
        .take(count);
    Some(lines.flat_map(|line| [line, "\n"]).collect())
}

/// FNV-1a, as `profiler_alloc_format::source_hash` has it, to tell whether the file was changed
/// since.
fn hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

/// `"label", { … }`.
struct LabelledBlock {
    label: LitStr,
    block: Block,
}

impl Parse for LabelledBlock {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let label = input.parse()?;
        input.parse::<Token![,]>()?;
        let block = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        Ok(LabelledBlock { label, block })
    }
}

/// `profile_block!`.
pub fn block(input: TokenStream) -> Result<TokenStream> {
    let LabelledBlock { label, mut block } = syn::parse2(input)?;
    if cfg!(feature = "off") {
        return Ok(block.into_token_stream());
    }
    let krate: Path = syn::parse_quote!(::profiler_alloc);
    let private = quote!(#krate::measure::private);
    let place = Place::of_block(&block);
    let (first, last) = place.lines;
    let mut slots = Slots::default();
    slots.of(first);
    let mut counting = Counting {
        slots: &mut slots,
        private: private.clone(),
    };
    Probes::new(&mut counting, &Returned::Value, &place).body(&mut block, first, last);
    let label = quote!(::core::concat!(::core::module_path!(), "::", #label));
    let table = TableOf {
        label,
        here: quote!(::core::option::Option::None),
        place: &place,
        is_written: true,
    };
    let items = items(&krate, &slots, &table, &Options::default());
    let stmts = &block.stmts;
    Ok(quote_spanned! {Span::mixed_site()=> {
        #items
        let __memprof_scope = #private::Entered::new(#private::profile_call(&__MEMPROF_TABLE, &__MEMPROF_LOCAL));
        #(#stmts)*
    }})
}
