//! Outlines of Rust, and of what is not.

use super::*;

fn outline(text: &str) -> Vec<(String, u32, u32)> {
    (Outline::of(text).items().iter())
        .map(|f| (f.path.clone(), f.first_line, f.last_line))
        .collect()
}

#[test]
fn finds_free_nested_and_inherent_functions() {
    let text = "\
#!/usr/bin/env cargo's
/// Doc.
#[inline]
pub(crate) async unsafe
fn free<const N: usize>(f: fn(u8) -> u8) -> Foo<{ N }>
where
    [(); { N }]:,
{
    let closure = || {
        fn nested() {}
    };
}
mod inner {
    impl<T: Fn() -> u8> super::Trait<T> for deep::Type<T> where T: Copy {
        extern \"C\" fn method(&self) {
        }
    }
    trait Tr { fn required(&self); fn given(&self) { } }
}
";
    assert_eq!(
        outline(text),
        [
            ("free".into(), 4, 12),
            ("free::nested".into(), 10, 10),
            ("inner::Type::method".into(), 15, 16),
            ("inner::Tr::given".into(), 18, 18),
        ]
    );
}

#[test]
fn sees_into_macros_and_survives_new_syntax() {
    let text = "macro! {\n fn inside(x in 0..9) {\n }\n}\nfn new() -> gen yeet { do }\n";
    assert_eq!(
        outline(text),
        [("inside".into(), 2, 3), ("new".into(), 5, 5)]
    );
}

#[test]
fn finds_what_runs_code_outside_functions() {
    let text = "\
static TABLE: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    vec![]
});
thread_local! { pub static LOCAL: u8 = f(); static LAST: u8 =
    1 }
/// Doc.
#[derive(Clone)]
pub(crate) struct Big<T> {
    data: T,
}
#[derive(Clone)] struct Unit(Vec<u8>);
macro_rules! make {
    ($n:expr) => { vec![0; $n] };
}
";
    let items = Outline::of(text);
    let items = items.items().iter();
    let found: Vec<_> = items
        .map(|i| (i.kind, i.path.as_str(), i.first_line, i.last_line))
        .collect();
    assert_eq!(
        found,
        [
            (ItemKind::Static, "TABLE", 1, 3),
            (ItemKind::Static, "LOCAL", 4, 4),
            (ItemKind::Static, "LAST", 4, 5),
            (ItemKind::Type, "Big", 6, 10),
            (ItemKind::Type, "Unit", 11, 11),
            (ItemKind::Macro, "make!", 12, 14),
        ]
    );
}

#[test]
fn gives_nothing_for_what_is_not_rust() {
    assert_eq!(outline("fn broken( {"), []);
    assert_eq!(outline("it's \" prose"), []);
    assert_eq!(outline(""), []);
}

#[test]
fn deep_nesting_does_not_overflow() {
    let deep = "(".repeat(20_000) + &")".repeat(20_000);
    assert_eq!(outline(&format!("fn f() {{ {deep} }}")).len(), 1);
}

#[test]
fn the_innermost_function_has_the_line() {
    let outline = Outline::of("fn a() {\n fn b() {\n }\n}\n\nfn c() {}\n");
    let name = |line| {
        outline
            .enclosing(line)
            .map(|i| outline.items()[i].name().to_owned())
    };
    assert_eq!(name(1).as_deref(), Some("a"));
    assert_eq!(name(2).as_deref(), Some("b"));
    assert_eq!(name(4).as_deref(), Some("a"));
    assert_eq!(name(5), None);
    assert_eq!(name(6).as_deref(), Some("c"));
}

#[test]
fn the_allocators_static_is_no_static_of_the_programs() {
    let text = "\
#[global_allocator]
static A: System = System;
#[cfg_attr(not(test), global_allocator)]
/// A comment.
pub static B: Profiled =
    Profiled::system();
#[used]
static C: u8 = 1;
";
    let outline = Outline::of(text);
    let items = outline.items().iter();
    let items: Vec<_> = items
        .map(|item| (item.name(), item.kind, item.first_line, item.last_line))
        .collect();
    let expected = [
        ("A", ItemKind::Allocator, 1, 2),
        ("B", ItemKind::Allocator, 3, 6),
        ("C", ItemKind::Static, 8, 8),
    ];
    assert_eq!(items, expected);
}

#[test]
fn the_attributes_of_a_function_are_its_own() {
    let text = "\
mod one {
    /// Doc.
    #[inline]
    fn plain() {
    }

    #[tracing::instrument(
        skip_all,
    )]
    #[inline]
    pub async fn wrapped() {
        #[allow(unused)]
        fn inner() {}
    }
}
static A: u8 = 1; #[profile] fn short() {}
";
    let outline = Outline::of(text);
    let found: Vec<_> = (outline.items().iter())
        .filter(|item| item.kind == ItemKind::Function)
        .map(|i| {
            (
                i.name(),
                i.attributes_line,
                i.first_line,
                i.is_wrapped,
                i.is_async,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("plain", 2, 4, false, false),
            ("wrapped", 7, 11, true, true),
            ("inner", 12, 13, false, false),
            ("short", 16, 16, true, false),
        ]
    );
    let name = |line| Some(outline.items()[outline.enclosing(line)?].name());
    assert_eq!((1..=17).map(name).collect::<Vec<_>>()[1..], {
        let (plain, wrapped, inner) = (Some("plain"), Some("wrapped"), Some("inner"));
        [
            plain,
            plain,
            plain,
            plain,
            None,
            wrapped,
            wrapped,
            wrapped,
            wrapped,
            wrapped,
            inner,
            inner,
            wrapped,
            None,
            Some("short"),
            None,
        ]
    });
}
