//! Types of C++, which stand in the names of the standard library's classes.
//!
//! ```text
//! std::__cxx11::basic_string<char, …>::_M_create                    std::string
//! std::vector<Order, std::allocator<Order> >::reserve               std::vector<Order>
//! std::_Rb_tree<int, std::pair<int const, Order>, …>::_M_get_node   std::map<int, Order>, node
//! ```

use super::finding::{TypeFinding, TypeName};
use super::name;
use crate::profile::Frame;
use crate::symbolize::{CodeFrame, Origin, Symbols};

/// What the stack of these frames, innermost first, says of its blocks.
pub(super) fn attribution(
    symbols: &Symbols,
    frames: impl Iterator<Item = Frame>,
    is_unoptimized: &dyn Fn(Frame) -> bool,
) -> Option<TypeFinding> {
    let mut found: Option<(TypeName, bool)> = None;
    for frame in frames {
        let code = symbols.of(frame);
        let outermost = code.last().map(|&id| symbols.code(id));
        let certain = outermost
            .is_some_and(|code| !code.function.contains('<') && !is_of_std(code))
            || is_unoptimized(frame);
        for &id in code {
            let code = symbols.code(id);
            if symbols.origin(id) == Origin::Allocator || is_operator(&code.function) {
                continue;
            }
            if !is_of_std(code) {
                return found.map(typed);
            }
            let Some(name) = class_of(&code.function).and_then(type_of) else {
                continue;
            };
            match &mut found {
                None => found = Some((name, certain)),
                Some((known, known_certain)) if known.element == name.element => {
                    *known_certain |= certain;
                    // A set is a tree of its own kind.
                    if known.full.starts_with("std::_") {
                        *known = name;
                    }
                }
                // Elements that were copied or made.
                Some(_) => return found.map(typed),
            }
        }
    }
    found.map(typed)
}

fn typed((name, certain): (TypeName, bool)) -> TypeFinding {
    TypeFinding::Typed {
        name,
        certain,
        element_size: None,
    }
}

fn is_operator(function: &str) -> bool {
    [
        "operator new",
        "operator new[]",
        "malloc",
        "calloc",
        "realloc",
    ]
    .contains(&function)
}

fn is_of_std(code: &CodeFrame) -> bool {
    const SPACES: [&str; 2] = ["std::", "__gnu_cxx::"];
    SPACES.iter().any(|space| code.function.starts_with(space)) || code.file.contains("/c++/")
}

/// `std::vector<int, …>` of `std::vector<int, …>::reserve`.
fn class_of(function: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let mut end = None;
    for (at, byte) in function.bytes().enumerate() {
        match byte {
            b'<' | b'(' => depth += 1,
            b'>' | b')' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && function[at..].starts_with("::") => end = Some(at),
            _ => {}
        }
    }
    Some(match function.ends_with('>') {
        // A function with arguments of its own.
        true if function.contains("make_unique<") || function.contains("make_shared<") => function,
        _ => &function[..end?],
    })
}

fn type_of(class: &str) -> Option<TypeName> {
    let class = class.replace("std::__cxx11::", "std::").replace(" >", ">");
    let (base, parts) = name::arguments(&class);
    let parts: Vec<String> = parts.into_iter().map(plain).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let first = parts.first().copied();
    let with = |full: String, element: &str, part| TypeName {
        full,
        element: element.to_owned(),
        part,
    };
    Some(match base {
        "std::basic_string" => match first? {
            "char" => with("std::string".to_owned(), "char", None),
            other => with(format!("std::basic_string<{other}>"), other, None),
        },
        "std::vector" | "std::_Vector_base" => {
            with(format!("std::vector<{}>", first?), first?, None)
        }
        "std::deque" | "std::_Deque_base" => with(format!("std::deque<{}>", first?), first?, None),
        "std::list" | "std::_List_base" => {
            with(format!("std::list<{}>", first?), first?, Some("node"))
        }
        "std::_Rb_tree" => tree(&parts)?,
        "std::map" | "std::multimap" => {
            let value = parts.get(1)?;
            with(
                format!("{base}<{}, {value}>", first?),
                &format!("{}, {value}", first?),
                Some("node"),
            )
        }
        "std::unordered_map" => {
            let value = parts.get(1)?;
            with(
                format!("{base}<{}, {value}>", first?),
                &format!("{}, {value}", first?),
                None,
            )
        }
        "std::set" | "std::multiset" => with(format!("{base}<{}>", first?), first?, Some("node")),
        "std::unordered_set" => with(format!("{base}<{}>", first?), first?, None),
        "std::_Hashtable" => table(&parts)?,
        "std::make_unique" => with(format!("std::unique_ptr<{}>", first?), first?, None),
        // Where the name of `make_shared` cannot be read, that of what it calls can.
        "std::make_shared" | "std::shared_ptr" | "std::__shared_ptr" => {
            with(format!("std::shared_ptr<{}>", first?), first?, None)
        }
        _ => return None,
    })
}

/// A type as people write it: texts by name, and without the arguments that everybody leaves to the
/// library. `std::vector<short, std::allocator<short>>` is `std::vector<short>`.
fn plain(class: &str) -> String {
    /// What stands at the end where nothing was written.
    const DEFAULTS: [&str; 6] = [
        "std::allocator",
        "std::char_traits",
        "std::default_delete",
        "std::equal_to",
        "std::hash",
        "std::less",
    ];
    let (base, parts) = name::arguments(class);
    let mut parts: Vec<String> = parts.into_iter().map(plain).collect();
    let is_default = |part: &String| DEFAULTS.contains(&name::arguments(part).0);
    while parts.len() > 1 && parts.last().is_some_and(is_default) {
        parts.pop();
    }
    match (base, parts.as_slice()) {
        (_, []) => class.to_owned(),
        ("std::basic_string", [char]) if char == "char" => "std::string".to_owned(),
        _ => format!("{base}<{}>", parts.join(", ")),
    }
}

/// Key and value of `std::pair<Key const, Value>`.
fn pair(value: &str) -> Option<(&str, &str)> {
    let (base, parts) = name::arguments(value);
    let [key, value] = parts[..] else { return None };
    let key = key
        .strip_suffix(" const")
        .or_else(|| key.strip_prefix("const "))
        .unwrap_or(key);
    (base == "std::pair").then_some((key, value))
}

fn tree(parts: &[&str]) -> Option<TypeName> {
    let (key, value) = (parts.first()?, parts.get(1)?);
    Some(match pair(value) {
        Some((key, value)) => TypeName {
            full: format!("std::map<{key}, {value}>"),
            element: format!("{key}, {value}"),
            part: Some("node"),
        },
        None => TypeName {
            full: format!("std::set<{key}>"),
            element: (*key).to_owned(),
            part: Some("node"),
        },
    })
}

fn table(parts: &[&str]) -> Option<TypeName> {
    let (key, value) = (parts.first()?, parts.get(1)?);
    Some(match pair(value) {
        Some((key, value)) => TypeName {
            full: format!("std::unordered_map<{key}, {value}>"),
            element: format!("{key}, {value}"),
            part: None,
        },
        None => TypeName {
            full: format!("std::unordered_set<{key}>"),
            element: (*key).to_owned(),
            part: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_the_standard_library_are_known() {
        let cases = [
            (
                "std::vector<Order, std::allocator<Order> >::reserve",
                Some("std::vector<Order>"),
            ),
            (
                "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >::_M_create",
                Some("std::string"),
            ),
            (
                "std::_Rb_tree<int, std::pair<int const, Order>, std::_Select1st<std::pair<int const, Order> >, std::less<int>, std::allocator<std::pair<int const, Order> > >::_M_get_node",
                Some("std::map<int, Order>"),
            ),
            ("std::make_unique<Node>", Some("std::unique_ptr<Node>")),
            (
                "std::vector<std::vector<int, std::allocator<int> >, std::allocator<std::vector<int, std::allocator<int> > > >::push_back",
                Some("std::vector<std::vector<int>>"),
            ),
            (
                "std::map<std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >, std::unique_ptr<Node, std::default_delete<Node> >, std::greater<std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > >, A>::operator[]",
                Some("std::map<std::string, std::unique_ptr<Node>>"),
            ),
            (
                "std::__shared_ptr<Order, (__gnu_cxx::_Lock_policy)2>::__shared_ptr<std::allocator<void>>",
                Some("std::shared_ptr<Order>"),
            ),
            ("__gnu_cxx::new_allocator<Order>::allocate", None),
            (
                "std::allocator_traits<std::allocator<Order> >::allocate",
                None,
            ),
        ];
        for (function, expected) in cases {
            let name = class_of(function).and_then(type_of);
            assert_eq!(
                name.map(|name| name.full).as_deref(),
                expected,
                "{function}"
            );
        }
    }
}
