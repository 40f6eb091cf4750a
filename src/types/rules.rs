//! What each function of a container says of a block that it allocates: whose buffer it is, and
//! which of its type arguments is the element.
//!
//! Every function has a level. A call goes from a higher level to a lower one or stays on it, as
//! long as it is about one buffer: `Vec::clone` (3) calls `to_vec` (2), that `with_capacity` (1),
//! that `RawVec` (0). Where the level falls on the way outwards, the caller is another container,
//! whose elements were cloned or made:
//!
//! ```text
//! RawVec<u8> (0) ◀─ to_vec<u8> (2) ◀─ Vec<u8>::clone (3) ◀─ String::clone (4)
//!   ‖ ◀─ to_vec<String> (2) ◀─ Vec<String>::clone (3)
//! ```

use super::name;

/// Whose memory it is. Functions of two families are never about one buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    /// Elements side by side: `Vec`, `String`, `VecDeque` and all that have one of these.
    Buffer,
    /// One value.
    Box,
    Rc,
    Arc,
    /// Hash tables of `hashbrown` and std.
    Table,
    /// Nodes of a B-tree.
    Tree,
    /// What only one crate knows.
    Other(&'static str),
}

/// What a function says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Role {
    pub family: Family,
    pub level: u8,
    /// What the elements are; `None` if it does not say.
    pub element: Option<String>,
    /// The container that people know it as, if it is more than the family's plain one.
    pub container: Option<&'static str>,
    pub part: Option<&'static str>,
}

impl Role {
    fn new(family: Family, level: u8, element: Option<String>) -> Role {
        Role {
            family,
            level,
            element,
            container: None,
            part: None,
        }
    }

    fn of(self, container: &'static str) -> Role {
        Role {
            container: Some(container),
            ..self
        }
    }
}

/// A function on the way to the allocator.
pub(super) struct Callee<'a> {
    pub module: &'a str,
    /// Its own name.
    pub base: &'a str,
    pub arguments: &'a [&'a str],
    /// Its path, without arguments where the mangling is the old one.
    pub path: &'a str,
}

/// Levels of functions around one buffer.
const RAW: u8 = 0;
const METHOD: u8 = 1;
const MAKER: u8 = 2;
const TRAIT: u8 = 3;
const WRAPPER: u8 = 4;
const OUTER: u8 = 5;

/// Crates whose functions stand between the allocator and those who ask for memory.
const CRATES: [&str; 17] = [
    "alloc",
    "core",
    "std",
    "hashbrown",
    "indexmap",
    "smallvec",
    "bytes",
    "allocator_api2",
    "thin_vec",
    "triomphe",
    "equivalent",
    "tinyvec",
    "arrayvec",
    "heapless",
    "linked_hash_map",
    "profiler_alloc",
    "__rustc",
];

/// Whether functions of `module` are passed on the way outwards.
pub(super) fn is_of_container(module: &str) -> bool {
    let name = module.split("::").next().unwrap_or_default();
    CRATES.contains(&name)
}

/// What the function says of a block that it, or what it calls, allocates. `None` if nothing.
pub(super) fn role(function: &Callee<'_>) -> Option<Role> {
    let module = function.module;
    if function.base.starts_with('{') {
        // A closure says what its function says.
        return None;
    }
    let is_in = |of: &str| {
        module == of
            || module
                .strip_prefix(of)
                .is_some_and(|rest| rest.starts_with("::"))
    };
    if is_in("alloc::raw_vec") {
        return Some(Role::new(Family::Buffer, RAW, function.first()));
    }
    if is_in("alloc::vec") || is_in("alloc::slice") {
        return Some(function.of_vec());
    }
    if is_in("alloc::boxed") {
        return Some(function.of_box());
    }
    if is_in("alloc::rc") {
        return Some(function.of_counted(Family::Rc));
    }
    if is_in("alloc::sync") || is_in("triomphe") {
        return Some(function.of_counted(Family::Arc));
    }
    if let Some(container) = text_of(module, function.base, &is_in) {
        let level = if container == "PathBuf" {
            OUTER
        } else {
            WRAPPER
        };
        return Some(Role::new(Family::Buffer, level, Some("u8".to_owned())).of(container));
    }
    for (of, container) in [
        ("alloc::collections::vec_deque", "VecDeque"),
        ("alloc::collections::binary_heap", "BinaryHeap"),
    ] {
        if is_in(of) {
            return Some(Role::new(Family::Buffer, WRAPPER, function.first()).of(container));
        }
    }
    if is_in("alloc::collections::linked_list") {
        return Some(Role::new(
            Family::Other("LinkedList"),
            MAKER,
            function.first(),
        ));
    }
    if is_in("alloc::collections::btree") {
        return Some(function.of_tree());
    }
    if is_in("hashbrown") || is_in("std::collections::hash") {
        return function.of_table();
    }
    if is_in("indexmap") {
        return function.of_index_map();
    }
    if is_in("smallvec") {
        let element = function.first().map(|array| element_of_array(&array));
        return Some(Role::new(Family::Other("SmallVec"), MAKER, element));
    }
    if is_in("thin_vec") {
        return Some(Role::new(Family::Other("ThinVec"), MAKER, function.first()));
    }
    // Asked for by its size alone; the others are boxes.
    if is_in("linked_hash_map") && function.base == "ensure_guard_node" {
        let [key, value, ..] = function.arguments else {
            return None;
        };
        let element = format!("{}, {}", name::plain(key), name::plain(value));
        let role = Role::new(Family::Other("LinkedHashMap"), MAKER, Some(element));
        return Some(role);
    }
    if is_in("bytes") {
        return Some(Role::new(Family::Buffer, WRAPPER, Some("u8".to_owned())).of("Bytes"));
    }
    if is_in("core::iter::traits::iterator") && function.base == "collect" {
        return function.of_collect();
    }
    None
}

/// The containers of bytes that people know by other names.
fn text_of(module: &str, base: &str, is_in: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    let containers = [
        ("alloc::string", "String"),
        ("alloc::str", "String"),
        ("alloc::fmt", "String"),
        ("alloc::ffi::c_str", "CString"),
        ("std::ffi::os_str", "OsString"),
        ("std::sys::os_str", "OsString"),
        ("std::path", "PathBuf"),
        ("std::io::buffered::bufreader", "BufReader"),
        ("std::io::buffered::bufwriter", "BufWriter"),
        ("std::io::buffered::linewriter", "BufWriter"),
    ];
    let found = containers.iter().find(|(of, _)| is_in(of));
    if let Some((_, container)) = found {
        return Some(match (*container, base) {
            ("String", "into_boxed_str") => "Box<str>",
            _ => container,
        });
    }
    let reads_text = ["read_to_string", "append_to_string", "read_line"].contains(&base);
    (reads_text && (module == "std::fs" || is_in("std::io"))).then_some("String")
}

/// `[T; 4]` as the backing of a `SmallVec` is of `T`.
fn element_of_array(array: &str) -> String {
    let inner = array
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let element = inner.and_then(|inner| inner.rsplit_once("; "));
    element.map_or(array, |(element, _)| element).to_owned()
}

impl Callee<'_> {
    /// An argument that is a type of what is kept.
    fn argument(&self, index: usize) -> Option<String> {
        let argument = self.arguments.get(index)?;
        (!name::is_manner(argument)).then(|| name::plain(argument))
    }

    fn first(&self) -> Option<String> {
        self.argument(0)
    }

    /// The first two as a tuple.
    fn pair(&self) -> Option<String> {
        Some(format!("({}, {})", self.argument(0)?, self.argument(1)?))
    }

    fn of_vec(&self) -> Role {
        let index = match self.base {
            "from_iter_in_place" | "join_generic_copy" => 1,
            _ => 0,
        };
        let is_specialized = self.base == "from_elem" && self.path.contains("SpecFromElem");
        let level = match self.base {
            "clone" | "from_iter" | "extend" | "clone_from" | "write" | "write_all" => TRAIT,
            "from_iter_in_place" | "to_vec" | "to_vec_in" | "from_elem" | "spec_extend"
            | "spec_from_iter" | "extend_trusted" | "extend_desugared" | "extend_with"
            | "extend_from_slice" | "append" | "append_elements" | "resize" | "resize_with"
            | "concat" | "join" | "join_generic_copy" | "repeat" | "splice" | "to_owned"
            | "into_vec" | "from" => MAKER,
            _ => METHOD,
        };
        let element = self.argument(index).filter(|_| {
            // `i8` and its like have one of their own, whose only argument is the allocator.
            !is_specialized || self.arguments.len() > 1
        });
        let role = Role::new(Family::Buffer, level, element);
        match self.base {
            "into_boxed_slice" => role.of("Box<[]>"),
            _ => role,
        }
    }

    fn of_box(&self) -> Role {
        if ["Box<str>", "boxed::Box<str"]
            .iter()
            .any(|text| self.path.contains(text))
        {
            return Role::new(Family::Box, TRAIT, Some("str".to_owned()));
        }
        let level = match self.base {
            "new" | "pin" | "from" | "default" | "clone" | "from_iter" | "box_new" => MAKER,
            _ => METHOD,
        };
        // What it is made of says less than what it is: `From<&[T]> for Box<[T]>` has the argument
        // `T`.
        let tells = !matches!(self.base, "from" | "default");
        let Some(element) = self.first().filter(|_| tells) else {
            return Role::new(Family::Box, level, None);
        };
        // `Iterator::collect` and `Vec::from` say it by an array.
        if self.base.contains("slice") {
            return Role::new(Family::Box, level, Some(format!("[{element}]")));
        }
        node_of(&element).unwrap_or_else(|| Role::new(Family::Box, level, Some(element)))
    }

    fn of_counted(&self, family: Family) -> Role {
        if ["Rc<str>", "Arc<str>"]
            .iter()
            .any(|text| self.path.contains(text))
        {
            return Role::new(family, TRAIT, Some("str".to_owned()));
        }
        let is_slice = self.base.contains("slice")
            || [
                "copy_from_slice",
                "from_iter_exact",
                "to_rc_slice",
                "to_arc_slice",
            ]
            .contains(&self.base);
        let element = self.first().map(|element| match is_slice {
            true if !element.starts_with('[') => format!("[{element}]"),
            _ => element,
        });
        let level = match self.base {
            "allocate_for_layout" | "try_allocate_for_layout" => RAW,
            "new" | "pin" | "new_cyclic" | "from" | "default" | "from_iter" | "make_mut" => MAKER,
            _ => METHOD,
        };
        // What it is made of says less than what it is: `From<Vec<T>> for Arc<[T]>` has the
        // argument `T`.
        let tells = !matches!(
            self.base,
            "from" | "from_iter" | "to_rc_slice" | "to_arc_slice" | "default"
        );
        Role::new(family, level, element.filter(|_| tells))
    }

    fn of_tree(&self) -> Role {
        let is_set = self.module.ends_with("::set") || self.module.contains("::set::");
        let element = match is_set {
            true => self.first().map(|key| format!("({key}, {SET_VALUE})")),
            false => self.pair().filter(|pair| !pair.contains("::marker::")),
        };
        let level = match self.module.rsplit("::").next() {
            Some("node") => RAW,
            _ if is_set => WRAPPER,
            Some("entry") => METHOD,
            _ => MAKER,
        };
        let mut role = Role::new(Family::Tree, level, element);
        if is_set {
            role = role.of("BTreeSet");
        }
        role.part = match self.base {
            "new_leaf" => Some("leaf"),
            "new_internal" => Some("inner"),
            _ => None,
        };
        role
    }

    fn of_table(&self) -> Option<Role> {
        let last = self.module.rsplit("::").next().unwrap_or_default();
        let is_std = self.module.starts_with("std::");
        let is_raw = self.module.starts_with("hashbrown::raw") || last == "alloc";
        if is_raw {
            // `RawTableInner` knows bytes, and its functions have arguments like `A`.
            let is_element = self
                .first()
                .filter(|first| first.starts_with('(') || self.path.contains("RawTable<"));
            return Some(Role::new(
                Family::Table,
                RAW,
                is_element.or_else(|| self.tuple()),
            ));
        }
        if last == "table" {
            return Some(Role::new(Family::Table, METHOD, self.first()).of("HashTable"));
        }
        let (element, container, level) = match last {
            "set" => (
                self.first().map(|key| format!("({key}, ())")),
                "HashSet",
                if is_std { OUTER } else { TRAIT },
            ),
            _ => (self.pair(), "HashMap", if is_std { WRAPPER } else { MAKER }),
        };
        Some(Role::new(Family::Table, level, element).of(container))
    }

    /// The first argument, if it is a pair as in a table of a map.
    fn tuple(&self) -> Option<String> {
        self.first().filter(|first| first.starts_with('('))
    }

    fn of_index_map(&self) -> Option<Role> {
        None
    }

    /// `collect<Map<…>, Vec<T>>` confirms what is collected into.
    fn of_collect(&self) -> Option<Role> {
        let into = self.arguments.get(1)?;
        let (base, parts) = name::arguments(into);
        let element = name::plain(parts.first()?);
        (base == "alloc::vec::Vec").then(|| Role::new(Family::Buffer, WRAPPER, Some(element)))
    }
}

/// What a set has as values.
pub(super) const SET_VALUE: &str = "alloc::collections::btree::set_val::SetValZST";

/// What a box of one of std's own nodes is.
fn node_of(element: &str) -> Option<Role> {
    let (base, parts) = name::arguments(element);
    let list = |range: std::ops::Range<usize>| parts.get(range).map(|parts| parts.join(", "));
    let first = || list(0..1);
    let pair = || list(0..2).map(|pair| format!("({pair})"));
    let tree = |part: &'static str| Role {
        part: Some(part),
        ..Role::new(Family::Tree, RAW, pair())
    };
    Some(match base {
        "alloc::rc::RcInner" | "alloc::rc::RcBox" => Role::new(Family::Rc, RAW, first()),
        "alloc::sync::ArcInner" => Role::new(Family::Arc, RAW, first()),
        "alloc::collections::btree::node::LeafNode" => tree("leaf"),
        "alloc::collections::btree::node::InternalNode" => tree("inner"),
        "alloc::collections::linked_list::Node" => {
            Role::new(Family::Other("LinkedList"), RAW, first())
        }
        _ => return None,
    })
}
