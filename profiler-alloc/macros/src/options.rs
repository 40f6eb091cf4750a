//! Options of the attributes: `name`, `name = value`, `name(list)`. What is wrong is an error where
//! it stands.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Lit, LitInt, LitStr, Path, Result, Token};

/// The options that all attributes know.
pub struct Shared {
    /// Where the runtime is.
    pub krate: Path,
    /// The label, if given.
    pub name: Option<LitStr>,
    /// Of a function that gives a future: its polls are not to be measured.
    pub call_only: bool,
    /// What is measured has to be all that the function does.
    pub has_limits: bool,
}

/// One option, up to its name.
pub struct Named<'a, 'b> {
    pub name: String,
    pub span: Span,
    input: ParseStream<'a>,
    seen: &'b mut Vec<String>,
}

impl Named<'_, '_> {
    /// `= "text"`.
    pub fn text(&self) -> Result<LitStr> {
        self.input.parse::<Token![=]>()?;
        self.input.parse()
    }

    /// `= 3`.
    pub fn integer<N: core::str::FromStr>(&self) -> Result<N>
    where
        N::Err: core::fmt::Display,
    {
        self.input.parse::<Token![=]>()?;
        self.input.parse::<LitInt>()?.base10_parse()
    }

    /// `= literal`.
    pub fn literal(&self) -> Result<Lit> {
        self.input.parse::<Token![=]>()?;
        self.input.parse()
    }

    /// `(a, b)`.
    pub fn list(&self) -> Result<Vec<Ident>> {
        let content;
        syn::parenthesized!(content in self.input);
        let list = Punctuated::<Ident, Token![,]>::parse_terminated(&content)?;
        Ok(list.into_iter().collect())
    }

    fn once(&mut self) -> Result<()> {
        if self.seen.contains(&self.name) {
            return Err(Error::new(
                self.span,
                format!("`{}` is given twice", self.name),
            ));
        }
        self.seen.push(self.name.clone());
        Ok(())
    }
}

/// Reads all options; `known` reads one that is not shared, and says whether it knew it. `names`
/// lists those for the message.
pub fn read(
    options: proc_macro2::TokenStream,
    names: &[&str],
    mut known: impl FnMut(&Named<'_, '_>) -> Result<bool>,
) -> Result<Shared> {
    let mut shared = Shared {
        krate: syn::parse_quote!(::profiler_alloc),
        name: None,
        call_only: false,
        has_limits: false,
    };
    let parser = |input: ParseStream<'_>| {
        let mut seen = Vec::new();
        while !input.is_empty() {
            let ident = input.call(Ident::parse_any)?;
            let mut option = Named {
                name: ident.to_string(),
                span: ident.span(),
                input,
                seen: &mut seen,
            };
            option.once()?;
            match option.name.as_str() {
                "crate" => {
                    input.parse::<Token![=]>()?;
                    shared.krate = input.call(Path::parse_mod_style)?;
                }
                "call_only" => shared.call_only = true,
                "name" if names.contains(&"name") => shared.name = Some(option.text()?),
                _ if known(&option)? => {}
                other => {
                    let message = format!("unknown option `{other}`: expected {}", one_of(names));
                    return Err(Error::new(ident.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    parser.parse2(options)?;
    Ok(shared)
}

/// `a`, `b` or `c`, of the names and those that all attributes know.
fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{}, `call_only` or `crate`", quoted.join(", "))
}

/// A number of bytes: `4096`, `"64 KiB"`, `"1.5MiB"`.
pub fn bytes(literal: &Lit) -> Result<u64> {
    let wrong = "not a size: write bytes or a binary unit, such as 4096, \"64KiB\" or \"1.5 MiB\"";
    match literal {
        Lit::Int(number) => number.base10_parse(),
        Lit::Str(text) => parse_bytes(&text.value()).ok_or_else(|| Error::new(text.span(), wrong)),
        other => Err(Error::new(other.span(), wrong)),
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        _ => return None,
    };
    let bytes = number * 1024_f64.powi(power);
    // 2^53: above it, not every whole number of bytes is an f64.
    (bytes.fract() == 0.0 && bytes <= 9_007_199_254_740_992.0).then_some(bytes as u64)
}

/// A context, `"route=/orders"`: its key and its value.
pub fn context(text: &LitStr) -> Result<(String, String)> {
    let wrong = "not a context: write a key and its value, such as \"route=/orders\"";
    let written = text.value();
    let parts = written.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = parts.ok_or_else(|| Error::new(text.span(), wrong))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A duration in nanoseconds: `"50ms"`, `"1.5 s"`.
pub fn nanoseconds(text: &LitStr) -> Result<u64> {
    let parse = |text: &str| {
        let (number, unit) = split_unit(text)?;
        let scale = match unit {
            "ns" => 1.0,
            "us" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "min" => 6e10,
            _ => return None,
        };
        let ns = (number * scale).round();
        (ns <= 9_007_199_254_740_992.0).then_some(ns as u64)
    };
    let wrong = "not a duration: write a number and a unit (ns, us, ms, s, min), such as \"50ms\"";
    parse(&text.value()).ok_or_else(|| Error::new(text.span(), wrong))
}

/// Splits `1.5 MiB` into 1.5 and `MiB`.
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// True for the literal `false`.
pub fn is_false(expr: &Expr) -> bool {
    matches!(expr, Expr::Lit(lit) if matches!(&lit.lit, Lit::Bool(value) if !value.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read() {
        assert_eq!(parse_bytes("24 MiB"), Some(24 << 20));
        assert_eq!(parse_bytes("1.5K"), Some(1536));
        assert_eq!(parse_bytes("1.5"), None);
        assert_eq!(parse_bytes("MiB"), None);
        let ns = |text: &str| nanoseconds(&LitStr::new(text, Span::call_site())).ok();
        assert_eq!(ns("50ms"), Some(50_000_000));
        assert_eq!(ns("1.5 s"), Some(1_500_000_000));
        assert_eq!(ns("50"), None);
    }
}
