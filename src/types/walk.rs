//! Walks a stack from the allocator outwards, as far as the frames are about one block.

use std::collections::HashSet;
use std::sync::Arc;

use super::finding::{TypeFinding, TypeName};
use super::holders::{self, Outer, OuterFrame, Outers};
use super::rules::{self, Callee, Family, Role};
use super::{containers, cpp, module_path, name};
use crate::profile::{Frame, Profile};
use crate::symbolize::{CodeFrame, CodeFrameId, CompileUnit, Instance, Origin, Symbols};

/// Says of stacks which type their blocks are.
pub struct Attributor<'a> {
    symbols: &'a Symbols,
    /// What was compiled without optimization, so that no functions were merged in it.
    unoptimized: HashSet<Arc<CompileUnit>>,
    /// Of each code frame.
    modules: Vec<Option<String>>,
    outers: Outers,
}

/// What is known of a block so far.
struct Found {
    role: Role,
    certain: bool,
    /// Number of the physical frame that says so.
    physical: usize,
    element_size: Option<u64>,
}

impl<'a> Attributor<'a> {
    /// For the stacks of `profile`, whose type arguments were looked up.
    pub fn new(profile: &Profile, symbols: &'a Symbols) -> Attributor<'a> {
        let modules = (symbols.ids())
            .map(|id| module_path::module_of(symbols.code(id)))
            .collect();
        let mut attributor = Attributor {
            symbols,
            unoptimized: HashSet::new(),
            modules,
            outers: Outers::default(),
        };
        let frames = profile.nodes.iter().filter_map(|node| node.frame);
        for frame in frames {
            attributor.note_unoptimized(frame);
        }
        attributor
    }

    /// Functions that only call another one are functions of their own only where nothing was
    /// optimized: for `collect` that calls `from_iter` it takes less code to do that itself.
    fn note_unoptimized(&mut self, frame: Frame) {
        const FORWARDING: [(&str, &str); 6] = [
            ("core::iter::traits::iterator", "collect"),
            ("alloc::vec", "with_capacity"),
            ("alloc::slice", "to_vec"),
            ("alloc::boxed", "pin"),
            ("std::collections::hash::map", "insert"),
            ("std::collections::hash::set", "insert"),
        ];
        let Some(instances) = self.symbols.instances(frame) else {
            return;
        };
        let Some(unit) = &instances.unit else { return };
        let is_forwarding = || {
            // Nothing is inlined into it.
            let [id] = self.symbols.of(frame) else {
                return false;
            };
            let name = (instances.functions.first()).and_then(|first| first.name.as_deref());
            let base = name.map_or("", |name| name::arguments(name).0);
            let module = self.module(*id).unwrap_or_default();
            FORWARDING.contains(&(module, base))
        };
        if unit.unoptimized || is_forwarding() {
            self.unoptimized.insert(Arc::clone(unit));
        }
    }

    fn module(&self, id: CodeFrameId) -> Option<&str> {
        self.modules[id.index()].as_deref()
    }

    /// What the stack of these frames, innermost first, says of its blocks.
    pub fn of(&self, frames: impl Iterator<Item = Frame> + Clone) -> TypeFinding {
        let mut found: Option<Found> = None;
        let mut is_foreign = None;
        // Whether frames further out are about another block.
        let mut is_closed = false;
        'walk: for (physical, frame) in frames.clone().enumerate() {
            let instances = self.symbols.instances(frame);
            for (at, &id) in self.symbols.of(frame).iter().enumerate() {
                let code = self.symbols.code(id);
                let origin = self.symbols.origin(id);
                let module = self.module(id);
                let instance = instances.and_then(|instances| instances.functions.get(at));
                let is_container = module.is_some_and(rules::is_of_container);
                if origin == Origin::User || !(is_container || origin == Origin::Allocator) {
                    is_foreign.get_or_insert(!is_rust(code));
                    // The line would be as wrong as the type if this function was another one.
                    if let Some(found) = found.as_mut().filter(|found| found.physical == physical) {
                        let element = found.role.element.as_deref();
                        found.certain |= instance.is_some_and(|own| own.fixes(element));
                    }
                    break 'walk;
                }
                if is_closed {
                    continue;
                }
                let Some(role) = module.and_then(|module| role(code, module, instance)) else {
                    continue;
                };
                let size = size_of(&role, instance);
                let next = Found {
                    certain: self.is_certain(frame, role.element.as_deref()),
                    role,
                    physical,
                    element_size: size,
                };
                found = match found {
                    None => Some(next),
                    Some(before) => match joined(before, next) {
                        Ok(both) => Some(both),
                        Err(before) => {
                            is_closed = true;
                            Some(before)
                        }
                    },
                };
            }
        }
        let typed = found.and_then(|found| {
            let role = &found.role;
            let (full, element) =
                containers::type_of(role.family, role.container, role.element.as_deref())?;
            let is_row = matches!(
                role.family,
                Family::Buffer | Family::Other("SmallVec" | "ThinVec")
            );
            let size = found.element_size.or_else(|| primitive_size(&element));
            Some(TypeFinding::Typed {
                name: TypeName {
                    full,
                    element,
                    part: role.part,
                },
                certain: found.certain,
                element_size: size.filter(|_| is_row),
            })
        });
        typed
            .or_else(|| cpp::attribution(self.symbols, frames, &|frame| self.is_unoptimized(frame)))
            .unwrap_or(TypeFinding::Untyped {
                is_foreign: is_foreign.unwrap_or(false),
            })
    }

    /// What holds the blocks of the stack of these frames, which are of the type `name`, and
    /// whether that is certain. `None` if the stack does not tell.
    pub fn holder(
        &self,
        frames: impl Iterator<Item = Frame>,
        name: &TypeName,
    ) -> Option<(TypeName, bool)> {
        let outers = frames.map(|frame| self.outers.of(frame, || self.outers_of(frame)));
        holders::holder(outers, name)
    }

    /// The containers that the functions at a frame are about.
    fn outers_of(&self, frame: Frame) -> OuterFrame {
        let instances = self.symbols.instances(frame);
        let mut found = OuterFrame {
            outers: Vec::new(),
            has_user: false,
        };
        for (at, &id) in self.symbols.of(frame).iter().enumerate() {
            found.has_user |= self.symbols.origin(id) == Origin::User;
            let module = self
                .module(id)
                .filter(|module| rules::is_of_container(module));
            let instance = instances.and_then(|instances| instances.functions.get(at));
            let role = module.and_then(|module| role(self.symbols.code(id), module, instance));
            let named = role.and_then(|role| {
                let element = role.element.as_deref();
                let (full, element) = containers::type_of(role.family, role.container, element)?;
                let part = role.part;
                Some((
                    self.is_certain(frame, Some(&element)),
                    TypeName {
                        full,
                        element,
                        part,
                    },
                ))
            });
            if let Some((certain, name)) = named {
                found.outers.push(Outer {
                    holds: holders::without_std_paths(&name.element),
                    name,
                    certain,
                    is_beyond_user: found.has_user,
                });
            }
        }
        found
    }

    fn is_unoptimized(&self, frame: Frame) -> bool {
        let instances = self.symbols.instances(frame);
        let unit = instances.and_then(|instances| instances.unit.as_ref());
        unit.is_some_and(|unit| self.unoptimized.contains(unit))
    }

    /// Whether what is inlined at `frame` is of `element`: its function is for no other, or was not
    /// optimized. Std's own small functions are for all elements of one size.
    fn is_certain(&self, frame: Frame, element: Option<&str>) -> bool {
        let Some(instances) = self.symbols.instances(frame) else {
            return false;
        };
        if self.is_unoptimized(frame) {
            return true;
        }
        let of_container = (self.symbols.of(frame).last())
            .and_then(|&id| self.module(id))
            .is_some_and(rules::is_of_container);
        instances
            .functions
            .last()
            .is_some_and(|outermost| outermost.fixes(element.filter(|_| !of_container)))
    }
}

impl Instance {
    /// Whether `element` is the same in all of its instances: it has no type arguments, or none
    /// that the element is made of. `make<Order>` makes a `Vec<Order>`, and may have been merged
    /// with `make<Invoice>`; `run<Data>` makes a `Vec<Step>`, and no other.
    fn fixes(&self, element: Option<&str>) -> bool {
        let Some(name) = self.name.as_deref() else {
            return false;
        };
        let (_, arguments) = name::arguments(name);
        arguments.iter().all(|argument| {
            let argument = name::plain(argument);
            element
                .is_some_and(|element| !element.contains(&argument) && !argument.contains(element))
        })
    }
}

/// What the function says, called by its instance's name if there is one.
fn role(code: &CodeFrame, module: &str, instance: Option<&Instance>) -> Option<Role> {
    let name = instance.and_then(|instance| instance.name.as_deref());
    let (base, arguments) = match name {
        Some(name) => name::arguments(name),
        None => (last(&code.function), Vec::new()),
    };
    rules::role(&Callee {
        module,
        base,
        arguments: &arguments,
        path: &code.function,
    })
}

/// The last part of a path: `push` of `alloc::vec::Vec<T,A>::push`.
fn last(path: &str) -> &str {
    let path = path.strip_suffix('>').map_or(path, |rest| {
        rest.rsplit_once("::<").map_or(rest, |(path, _)| path)
    });
    path.rsplit("::").next().unwrap_or(path)
}

/// What is known once a frame further out says `next`; what was known before if that is about
/// another block.
fn joined(before: Found, next: Found) -> Result<Found, Found> {
    let (inner, outer) = (&before.role, &next.role);
    // The elements of a buffer are put into a box: `Box<[T]>`, `Box<str>`.
    if (inner.family, outer.family) == (Family::Buffer, Family::Box) {
        return boxed(before, &next);
    }
    if inner.family != outer.family && inner.element.is_none() {
        return Ok(next);
    }
    if inner.family != outer.family || outer.level < inner.level {
        return Err(before);
    }
    let mut both = Found {
        role: Role {
            level: outer.level,
            container: outer.container.or(inner.container),
            part: inner.part.or(outer.part),
            ..inner.clone()
        },
        ..before
    };
    let (Some(inner), Some(outer)) = (&before.role.element, &next.role.element) else {
        if let Some(element) = next.role.element {
            both.role.element = Some(element);
            both.certain = next.certain;
            both.physical = next.physical;
            both.element_size = next.element_size;
        }
        return Ok(both);
    };
    // A shared text is one of bytes first.
    if inner == "[u8]" && outer == "str" {
        both.role.element = next.role.element;
        both.certain |= next.certain;
        return Ok(both);
    }
    if inner == outer {
        both.certain |= next.certain;
        both.element_size = both.element_size.or(next.element_size);
        return Ok(both);
    }
    // Functions that were merged are called by the names of others. Within one function, names
    // agree, and an element that has the inner type in it is what was cloned or made.
    let may_be_merged = next.physical > before.physical && !before.certain;
    let rises = next.role.level > before.role.level;
    if may_be_merged && rises && !outer.contains(inner.as_str()) {
        both.role.element = next.role.element;
        both.certain = next.certain;
        both.physical = next.physical;
        both.element_size = next.element_size;
        return Ok(both);
    }
    Err(before)
}

fn boxed(before: Found, next: &Found) -> Result<Found, Found> {
    let is_slice = |inner: &str, outer: &str| {
        inner == outer
            || outer
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                == Some(inner)
    };
    let container = match (&before.role.element, &next.role.element) {
        (Some(inner), Some(outer)) if outer == "str" && inner == "u8" => "Box<str>",
        (Some(inner), Some(outer)) if is_slice(inner, outer) => "Box<[]>",
        _ => return Err(before),
    };
    let mut both = before;
    both.role.container = Some(container);
    both.role.level = u8::MAX;
    both.certain |= next.certain;
    Ok(both)
}

/// Bytes of an element, where the function's arguments tell.
fn size_of(role: &Role, instance: Option<&Instance>) -> Option<u64> {
    let element = role.element.as_deref()?;
    let instance = instance?;
    let (_, arguments) = name::arguments(instance.name.as_deref()?);
    let at = arguments
        .iter()
        .position(|argument| name::plain(argument) == element)?;
    instance.sizes.get(at).copied().flatten()
}

/// Bytes of a type of the language itself, on every machine.
fn primitive_size(element: &str) -> Option<u64> {
    Some(match element {
        "u8" | "i8" | "bool" => 1,
        "u16" | "i16" => 2,
        "u32" | "i32" | "f32" | "char" => 4,
        "u64" | "i64" | "f64" => 8,
        "u128" | "i128" => 16,
        _ => return None,
    })
}

/// Whether it is a function of Rust, by its file or the look of its name.
fn is_rust(code: &CodeFrame) -> bool {
    code.file.ends_with(".rs") || (code.file.is_empty() && code.function.contains("::"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::parse;
    use crate::symbolize::Instances;

    const VEC: &str = "/rustc/598/library/alloc/src/vec/mod.rs";
    const RAW: &str = "/rustc/598/library/alloc/src/raw_vec/mod.rs";
    const ITER: &str = "/rustc/598/library/core/src/iter/traits/iterator.rs";
    const USER: &str = "/home/me/app/src/main.rs";

    /// What is said of a stack: physical frames, each with the functions at it, innermost first.
    fn said(frames: &[&[(&str, &str)]]) -> String {
        let mut builder = Builder::new();
        builder.module("/bin/app");
        let addresses: Vec<Frame> = (1..=frames.len() as u64)
            .map(|address| Frame::new(0, address))
            .collect();
        let stack = builder.stack(&addresses);
        builder.allocated(stack, 100, 1);
        let (profile, _) = parse("x".as_ref(), builder.to_input()).unwrap();
        let mut symbols = Symbols::default();
        for (&frame, functions) in addresses.iter().zip(frames) {
            let code = functions
                .iter()
                .map(|(name, file)| CodeFrame::new(name, file, 1));
            symbols.insert(frame, code.collect());
            let instance = |name: &&str| Instance {
                name: Some((**name).into()),
                sizes: Vec::new(),
            };
            let instances = Instances {
                unit: None,
                functions: functions.iter().map(|(name, _)| instance(name)).collect(),
            };
            symbols.insert_instances(frame, instances);
        }
        let attributor = Attributor::new(&profile, &symbols);
        match attributor.of(addresses.into_iter()) {
            TypeFinding::Typed { name, certain, .. } => {
                format!("{}{}", if certain { "" } else { "~" }, name.short())
            }
            TypeFinding::Untyped { .. } => "untyped".to_owned(),
        }
    }

    #[test]
    fn a_function_that_was_merged_is_overruled_by_what_is_inlined_around_it() {
        let grown: &[(&str, &str)] = &[(
            "grow_one<indexmap::Bucket<K, V>, alloc::alloc::Global>",
            RAW,
        )];
        let pushed: &[(&str, &str)] = &[
            ("push<app::Order, alloc::alloc::Global>", VEC),
            ("app::load", USER),
        ];
        assert_eq!(said(&[grown, pushed]), "Vec<Order>");
    }

    #[test]
    fn what_only_a_function_of_its_own_says_is_a_guess() {
        let pushed: &[(&str, &str)] = &[("push<app::Order, alloc::alloc::Global>", VEC)];
        assert_eq!(said(&[pushed, &[("app::load", USER)]]), "~Vec<Order>");
        let inlined: &[(&str, &str)] =
            &[("push<app::Order>", VEC), ("app::load<app::Order>", USER)];
        assert_eq!(said(&[inlined]), "~Vec<Order>");
        // In a closure that was inlined into what calls it.
        let closure: &[(&str, &str)] = &[
            ("push<app::Order>", VEC),
            ("{closure#0}", USER),
            ("fold<A, B>", ITER),
        ];
        assert_eq!(said(&[closure]), "Vec<Order>");
    }

    #[test]
    fn elements_that_are_cloned_are_not_their_container() {
        let inner: &[(&str, &str)] = &[
            ("with_capacity<u8>", VEC),
            (
                "to_vec<u8, alloc::alloc::Global>",
                "/rustc/598/library/alloc/src/slice.rs",
            ),
            ("clone<u8, alloc::alloc::Global>", VEC),
        ];
        let outer: &[(&str, &str)] = &[
            (
                "to_vec<alloc::vec::Vec<u8>>",
                "/rustc/598/library/alloc/src/slice.rs",
            ),
            ("clone<alloc::vec::Vec<u8>>", VEC),
            ("app::main", USER),
        ];
        assert_eq!(said(&[inner, outer]), "~Vec<u8>");
        assert_eq!(said(&[&[inner, outer].concat()]), "Vec<u8>");
    }

    #[test]
    fn a_node_that_is_asked_for_by_its_size_is_its_lists() {
        const LINKED: &str =
            "/h/.cargo/registry/src/index.crates.io-1949/linked-hash-map-0.5.6/src/lib.rs";
        let guard = (
            "ensure_guard_node<alloc::string::String, app::Order, std::hash::random::RandomState>",
            LINKED,
        );
        let inserted: &[(&str, &str)] = &[guard, ("app::load", USER)];
        assert_eq!(said(&[inserted]), "LinkedHashMap<String, Order>");
        let other: &[(&str, &str)] = &[("reserve<u8, u8>", LINKED), ("app::load", USER)];
        assert_eq!(said(&[other]), "untyped");
    }

    #[test]
    fn no_type_is_given_across_c() {
        let c: &[(&str, &str)] = &[("opendir", "")];
        let read: &[(&str, &str)] = &[("push<*mut DIR>", VEC), ("app::main", USER)];
        assert_eq!(said(&[c, read]), "untyped");
    }
}
