//! The names of functions and types as the debug information writes them, taken apart.

/// A name and its arguments at the end: `push<shop::Order, alloc::alloc::Global>` is `push`, of
/// these two. Names of several kilobytes are usual.
pub(super) fn arguments(name: &str) -> (&str, Vec<&str>) {
    let Some(inner) = name.strip_suffix('>') else {
        return (name, Vec::new());
    };
    // Functions of C++ such as `operator>>` have none.
    let Some(at) = opening(inner) else {
        return (name, Vec::new());
    };
    (&inner[..at], split(&inner[at + 1..]))
}

/// Where the bracket opens that the cut off `>` closes.
fn opening(inner: &str) -> Option<usize> {
    let bytes = inner.as_bytes();
    let mut depth = 1;
    for at in (0..bytes.len()).rev() {
        match bytes[at] {
            // `fn(u8) -> u8`
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth += 1,
            b'<' | b'(' | b'[' | b'{' => {
                depth -= 1;
                if depth == 0 {
                    return (bytes[at] == b'<').then_some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The parts of a list, apart by commas outside of brackets.
pub(super) fn split(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0_i32;
    let mut start = 0;
    let mut before = 0;
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' if before == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        before = byte;
    }
    let last = list[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

/// Types that say how memory is managed or hashed, not what is kept.
const MANNERS: [&str; 9] = [
    "alloc::alloc::Global",
    "std::alloc::System",
    "hashbrown::raw::alloc::inner::Global",
    "hashbrown::alloc::Global",
    "hashbrown::raw::alloc::Global",
    "allocator_api2::stable::alloc::global::Global",
    "std::hash::random::RandomState",
    "std::collections::hash::map::RandomState",
    "core::hash::BuildHasherDefault<std::hash::random::DefaultHasher>",
];

/// Whether a type argument says how memory is managed or hashed, not what is kept.
pub(super) fn is_manner(argument: &str) -> bool {
    MANNERS.contains(&argument) || argument.ends_with("::alloc::inner::Global")
}

/// Wrappers that have the size of what is in them, and are not what anybody thinks of.
const PEELS: [&str; 4] = [
    "core::mem::maybe_uninit::MaybeUninit",
    "core::mem::manually_drop::ManuallyDrop",
    "core::mem::maybe_dangling::MaybeDangling",
    "core::cell::UnsafeCell",
];

/// A type as written, without allocators, hashers, and wrappers that only the compiler needs.
pub(super) fn plain(name: &str) -> String {
    let name = name.trim();
    for (open, close) in [("[", "]"), ("(", ")")] {
        let inner = name
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close));
        if let Some(inner) = inner.filter(|inner| is_balanced(inner)) {
            let comma = if open == "(" && inner.ends_with(',') {
                ","
            } else {
                ""
            };
            return format!("{open}{}{comma}{close}", plain_list(inner));
        }
    }
    for prefix in ["&mut ", "&", "*mut ", "*const "] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return format!("{prefix}{}", plain(rest));
        }
    }
    let (base, parts) = arguments(name);
    if parts.is_empty() {
        return name.to_owned();
    }
    if let [inner] = parts[..]
        && PEELS.contains(&base)
    {
        return plain(inner);
    }
    let kept: Vec<String> = parts
        .iter()
        .filter(|part| !is_manner(part))
        .map(|part| plain(part))
        .collect();
    match kept.is_empty() {
        true => base.to_owned(),
        false => format!("{base}<{}>", kept.join(", ")),
    }
}

/// An array's `T; 3`, or a tuple's parts.
fn plain_list(inner: &str) -> String {
    if let Some((element, len)) = inner.rsplit_once("; ")
        && is_balanced(element)
    {
        return format!("{}; {len}", plain(element));
    }
    let parts: Vec<String> = split(inner).into_iter().map(plain).collect();
    parts.join(", ")
}

/// Whether every bracket that closes in `text` was opened in it.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    let mut before = 0;
    for byte in text.bytes() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' if before == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
        before = byte;
    }
    depth == 0
}

/// A type for people: paths reduced to their last part, arguments below `depth` left out.
///
/// ```text
/// alloc::vec::Vec<core::option::Option<shop::Order>>                 Vec<Option<Order>>
/// shop::later::{async_fn_env#0}                                      later::{async_fn_env#0}
/// core::iter::adapters::map::Map<core::iter::Filter<A<B>, C>, D>     Map<Filter<A<…>, C>, D>
/// ```
pub(super) fn short(name: &str, depth: usize) -> String {
    let mut shown = String::new();
    // Where the path began that is being written, and how many brackets are open.
    let mut path_at = 0;
    let mut open: Vec<char> = Vec::new();
    let mut angles = 0_usize;
    let mut left_out = 0_usize;
    let mut chars = name.chars().peekable();
    let mut before = ' ';
    let mut braces = 0_usize;
    while let Some(char) = chars.next() {
        let hidden = left_out > 0;
        match char {
            '{' => {
                braces += 1;
                if !hidden {
                    shown.push(char);
                }
            }
            '}' => {
                braces = braces.saturating_sub(1);
                if !hidden {
                    shown.push(char);
                }
            }
            _ if braces > 0 && hidden => {}
            _ if braces > 0 => shown.push(char),
            ':' if chars.peek() == Some(&':') => {
                chars.next();
                // A closure is of the function before it.
                let is_made = chars.peek() == Some(&'{');
                if !hidden {
                    match is_made {
                        true => shown.push_str("::"),
                        false => shown.truncate(path_at),
                    }
                }
            }
            '<' => {
                open.push('<');
                angles += 1;
                if !hidden {
                    shown.push('<');
                    path_at = shown.len();
                }
                if angles > depth {
                    if !hidden {
                        shown.push('…');
                    }
                    left_out += 1;
                }
            }
            '>' if before != '-' => {
                if open.pop().is_some() {
                    if angles > depth {
                        left_out = left_out.saturating_sub(1);
                    }
                    angles = angles.saturating_sub(1);
                }
                if left_out == 0 {
                    shown.push('>');
                }
            }
            char if !hidden => {
                shown.push(char);
                if !(char.is_alphanumeric() || char == '_' || char == '#') {
                    path_at = shown.len();
                }
            }
            _ => {}
        }
        before = char;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let cases: [(&str, &str, &[&str]); 8] = [
            (
                "push<app::Order, alloc::alloc::Global>",
                "push",
                &["app::Order", "alloc::alloc::Global"],
            ),
            ("main", "main", &[]),
            (
                "call<fn(u8, u8) -> u8, (A, B)>",
                "call",
                &["fn(u8, u8) -> u8", "(A, B)"],
            ),
            ("{closure#0}<T>", "{closure#0}", &["T"]),
            ("new<[app::Order; 3]>", "new", &["[app::Order; 3]"]),
            (
                "map<app::f::{closure_env#0}<u8>, u8>",
                "map",
                &["app::f::{closure_env#0}<u8>", "u8"],
            ),
            ("operator>>", "operator>>", &[]),
            (">", ">", &[]),
        ];
        for (name, base, parts) in cases {
            assert_eq!(arguments(name), (base, parts.to_vec()), "{name}");
        }
    }

    #[test]
    fn types_lose_what_nobody_thinks_of() {
        let cases = [
            (
                "alloc::vec::Vec<u8, alloc::alloc::Global>",
                "alloc::vec::Vec<u8>",
            ),
            (
                "core::mem::maybe_uninit::MaybeUninit<app::X<u8>>",
                "app::X<u8>",
            ),
            (
                "(app::K, alloc::vec::Vec<u8, alloc::alloc::Global>)",
                "(app::K, alloc::vec::Vec<u8>)",
            ),
            (
                "[alloc::boxed::Box<u8, alloc::alloc::Global>; 3]",
                "[alloc::boxed::Box<u8>; 3]",
            ),
            (
                "&[alloc::vec::Vec<u8, alloc::alloc::Global>]",
                "&[alloc::vec::Vec<u8>]",
            ),
            ("()", "()"),
            ("(u8,)", "(u8,)"),
            ("fn(u8) -> u8", "fn(u8) -> u8"),
            ("(A) -> (B)", "(A) -> (B)"),
        ];
        for (name, expected) in cases {
            assert_eq!(plain(name), expected);
        }
    }

    #[test]
    fn types_are_shortened() {
        let cases = [
            (
                "alloc::vec::Vec<core::option::Option<shop::Order>>",
                "Vec<Option<Order>>",
            ),
            ("shop::later::{async_fn_env#0}", "later::{async_fn_env#0}"),
            (
                "a::later::{async_fn_env#0}<b::T>",
                "later::{async_fn_env#0}<T>",
            ),
            (
                "a::Map<b::Filter<c::A<d::B<e::F>>, f::C>, g::D>",
                "Map<Filter<A<…>, C>, D>",
            ),
            ("(a::K, &mut b::V)", "(K, &mut V)"),
            ("fn(a::K) -> b::V<c::W>", "fn(K) -> V<W>"),
            ("[a::K; 3]", "[K; 3]"),
            ("dyn core::fmt::Debug", "dyn Debug"),
            ("", ""),
            (">>", ">>"),
        ];
        for (name, expected) in cases {
            assert_eq!(short(name, 2), expected, "{name}");
        }
    }
}
