//! Names of functions as a person would say them: without generic arguments, closures or compiler-made parts.

/// `name` without generic arguments, and with closures and async bodies folded into the function around them.
///
/// ```text
/// app::run<u8>::{{closure}}                → app::run
/// <app::Tree<T> as app::Visit>::visit::<U> → <app::Tree as app::Visit>::visit
/// ```
pub(super) fn fold(name: &str) -> String {
    fold_within(name, 0)
}

/// How deep types nest in `<… as …>` before they are taken as they are: names come from files of any origin.
const DEEPEST: u32 = 32;

fn fold_within(name: &str, depth: u32) -> String {
    if depth > DEEPEST {
        return name.to_owned();
    }
    let parts: Vec<String> = (segments(name).into_iter().enumerate())
        .filter(|(_, segment)| !segment.starts_with('{'))
        .map(|(index, segment)| match segment.strip_prefix('<') {
            Some(inside) if index == 0 => {
                of_type(inside.strip_suffix('>').unwrap_or(inside), depth)
            }
            _ => before_generics(segment).to_owned(),
        })
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        return name.to_owned();
    }
    parts.join("::")
}

/// The last part of a folded name.
pub(super) fn last(name: &str) -> &str {
    segments(name).last().copied().unwrap_or(name)
}

/// The parts between the `::` that stand in no bracket.
fn segments(name: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut start = 0;
    scan(name, |at, depth| {
        if depth == 0 && name[at..].starts_with("::") {
            segments.push(&name[start..at]);
            start = at + 2;
        }
    });
    segments.push(&name[start.min(name.len())..]);
    segments
}

/// What stands before the generic arguments of `name<…>`; nothing for the `<…>` of `name::<…>`.
fn before_generics(segment: &str) -> &str {
    segment.split('<').next().unwrap_or_default().trim()
}

/// The inside of `<Type as Trait>` or of `<Type>`.
fn of_type(inside: &str, depth: u32) -> String {
    let mut split = None;
    scan(inside, |at, depth| {
        if depth == 0 && split.is_none() && inside[at..].starts_with(" as ") {
            split = Some(at);
        }
    });
    let fold = |part| fold_within(part, depth + 1);
    match split {
        Some(at) => format!("<{} as {}>", fold(&inside[..at]), fold(&inside[at + 4..])),
        None => fold(inside),
    }
}

/// Calls `at` with every character's offset and the depth of brackets it stands in.
fn scan(text: &str, mut at: impl FnMut(usize, u32)) {
    let mut depth: u32 = 0;
    let mut before = ' ';
    for (offset, char) in text.char_indices() {
        at(offset, depth);
        match char {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' if before == '-' => {}
            '>' | ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = char;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_generics_closures_and_async() {
        let cases = [
            ("app::main", "app::main"),
            ("main", "main"),
            ("app::run<u8, fn(u8) -> u8>", "app::run"),
            ("app::run::<alloc::vec::Vec<u8>>", "app::run"),
            ("app::run::{{closure}}", "app::run"),
            ("app::run::{closure#0}::{closure_env#1}<u8>", "app::run"),
            ("app::run::{async_fn#0}", "app::run"),
            ("app::{impl#3}::visit", "app::visit"),
            (
                "<app::Tree<T> as app::Visit<U>>::visit::<V>",
                "<app::Tree as app::Visit>::visit",
            ),
            ("<app::Tree>::new", "app::Tree::new"),
            (
                "<&mut app::X as core::ops::Fn<(A,)>>::call",
                "<&mut app::X as core::ops::Fn>::call",
            ),
            ("app::run::{closure#0}::inner", "app::run::inner"),
            ("{closure#0}", "{closure#0}"),
            ("", ""),
            ("<<<", "<"),
            ("<app::X<u8>>::run::<u8>", "app::X::run"),
            ("a->b<c", "a->b"),
        ];
        for (name, folded) in cases {
            assert_eq!(fold(name), folded, "{name}");
        }
    }

    #[test]
    fn knows_the_last_part() {
        assert_eq!(last("<app::Tree as app::Visit>::visit"), "visit");
        assert_eq!(last("main"), "main");
    }
}
