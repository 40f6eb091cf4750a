//! Names of functions as a person would say them: without generic arguments, closures or
//! compiler-made parts.

/// `name` without generic arguments, and with closures and async bodies folded into the function
/// around them.
///
/// ```text
/// app::run<u8>::{{closure}}                → app::run
/// <app::Tree<T> as app::Visit>::visit::<U> → <app::Tree as app::Visit>::visit
/// ```
pub(super) fn simplify(name: &str) -> String {
    let mut simplifier = Simplifier::default();
    let mut before = ' ';
    for char in name.chars() {
        simplifier.pass(char, before);
        before = char;
    }
    let simplified = simplifier.kept.trim_matches([':', ' ']);
    if simplified.is_empty() {
        return name.to_owned();
    }
    simplified.to_owned()
}

/// The last part of a simplified name.
pub(super) fn last(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// An open bracket, and what is done with it.
enum Open {
    /// `<` of `<Type as Trait>`, kept at this place.
    Qualified(usize),
    /// Generic arguments, or a part that the compiler made: left out.
    LeftOut,
}

#[derive(Default)]
struct Simplifier {
    kept: String,
    open: Vec<Open>,
    /// How many of `open` are left out.
    left_out: usize,
    /// Right behind a part that the compiler made: a `<` is its arguments.
    after_made: bool,
}

impl Simplifier {
    fn pass(&mut self, char: char, before: char) {
        let after_made = std::mem::take(&mut self.after_made);
        match char {
            '<' if after_made || self.is_behind_name() => self.leave_out(),
            '<' => self.open_qualified(),
            '{' => self.leave_out(),
            '>' if before != '-' => self.close(),
            '}' => {
                self.close();
                self.after_made = true;
            }
            _ if self.left_out > 0 => {}
            char => self.kept.push(char),
        }
    }

    /// Generic arguments stand behind a name or `::`; a qualified path stands first or behind `&`,
    /// `(` and the like.
    fn is_behind_name(&self) -> bool {
        self.left_out > 0
            || self
                .kept
                .ends_with(|char: char| char.is_alphanumeric() || "_:>])".contains(char))
    }

    fn leave_out(&mut self) {
        if self.left_out == 0 {
            let len = self.kept.trim_end_matches("::").len();
            self.kept.truncate(len);
        }
        self.open.push(Open::LeftOut);
        self.left_out += 1;
    }

    fn open_qualified(&mut self) {
        self.open.push(Open::Qualified(self.kept.len()));
        self.kept.push('<');
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::LeftOut) => self.left_out -= 1,
            Some(Open::Qualified(at)) if self.kept[at..].contains(" as ") => self.kept.push('>'),
            // `<app::Type>::method` is `app::Type::method`.
            Some(Open::Qualified(at)) => {
                self.kept.remove(at);
            }
            None => {}
        }
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
            ("<<<", "<<<"),
            ("<app::X<u8>>::run::<u8>", "app::X::run"),
            ("a->b<c", "a->b"),
            ("a}>}b", "ab"),
            (
                "<&dyn core::ops::Fn<()>+Output = i32 + core::marker::Sync as core::ops::FnOnce<()>>::call_once",
                "<&dyn core::ops::Fn+Output = i32 + core::marker::Sync as core::ops::FnOnce>::call_once",
            ),
            (
                "<<alloc::Box<E> as core::From<&str>>::from as core::FnOnce<(&str,)>>::call_once",
                "<<alloc::Box as core::From>::from as core::FnOnce>::call_once",
            ),
        ];
        for (name, simplified) in cases {
            assert_eq!(simplify(name), simplified, "{name}");
        }
    }

    #[test]
    fn knows_the_last_part() {
        assert_eq!(last("<app::Tree as app::Visit>::visit"), "visit");
        assert_eq!(last("main"), "main");
    }
}
