//! Walks a stack from the allocator outwards, as far as the frames are about one block.

use std::collections::HashSet;
use std::sync::Arc;

use super::rules::{self, Family, Function, Role};
use super::{TypeName, cpp, module_path, name};
use crate::profile::{Frame, Profile};
use crate::symbolize::{CodeFrame, CodeFrameId, CompileUnit, Instance, Origin, Symbols};

/// What the frames of a stack say of its blocks.
#[derive(Clone, PartialEq, Debug)]
pub enum Attribution {
    /// Their type.
    Typed {
        /// Which.
        name: TypeName,
        /// Whether it is certain; if not, another type with elements of the same size may be meant.
        certain: bool,
        /// Bytes of an element, where that is known.
        element_size: Option<u64>,
    },
    /// Nothing: memory was asked for by its size alone, or there is no debug information.
    Untyped {
        /// Whether code of another language than Rust asked.
        is_foreign: bool,
    },
}

/// Says of stacks which type their blocks are.
pub struct Attributor<'a> {
    symbols: &'a Symbols,
    /// What was compiled without optimization, so that no functions were merged in it.
    unoptimized: HashSet<Arc<CompileUnit>>,
    /// Of each code frame.
    modules: Vec<Option<String>>,
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
        };
        let frames = profile.nodes.iter().filter_map(|node| node.frame);
        for frame in frames {
            attributor.note_unoptimized(frame);
        }
        attributor
    }

    /// `alloc::alloc::alloc` does no more than to call the allocator: it is a function of its own
    /// only where nothing was optimized.
    fn note_unoptimized(&mut self, frame: Frame) {
        let Some(instances) = self.symbols.instances(frame) else {
            return;
        };
        let Some(unit) = &instances.unit else { return };
        let is_trivial = || {
            let [id] = self.symbols.of(frame) else {
                return false;
            };
            let base = instances
                .functions
                .first()
                .and_then(|first| first.name.as_deref());
            base == Some("alloc") && self.module(*id) == Some("alloc::alloc")
        };
        if unit.unoptimized || is_trivial() {
            self.unoptimized.insert(Arc::clone(unit));
        }
    }

    fn module(&self, id: CodeFrameId) -> Option<&str> {
        self.modules[id.index()].as_deref()
    }

    /// What the stack of these frames, innermost first, says of its blocks.
    pub fn of(&self, frames: impl Iterator<Item = Frame> + Clone) -> Attribution {
        let mut found: Option<Found> = None;
        let mut is_foreign = None;
        'walk: for (physical, frame) in frames.clone().enumerate() {
            let certain = self.is_certain(frame);
            let instances = self.symbols.instances(frame);
            for (at, &id) in self.symbols.of(frame).iter().enumerate() {
                let code = self.symbols.code(id);
                let origin = self.symbols.origin(id);
                let module = self.module(id);
                let is_container = module.is_some_and(rules::is_of_container);
                if origin == Origin::User || !(is_container || origin == Origin::Allocator) {
                    is_foreign.get_or_insert(!is_rust(code));
                    break 'walk;
                }
                let instance = instances.and_then(|instances| instances.functions.get(at));
                let Some(role) = module.and_then(|module| role(code, module, instance)) else {
                    continue;
                };
                let size = size_of(&role, instance);
                let next = Found {
                    role,
                    certain,
                    physical,
                    element_size: size,
                };
                found = match found {
                    None => Some(next),
                    Some(before) => match joined(before, next) {
                        Ok(both) => Some(both),
                        Err(before) => {
                            found = Some(before);
                            break 'walk;
                        }
                    },
                };
            }
        }
        let typed = found.and_then(|found| {
            let role = &found.role;
            let (full, element) =
                rules::type_of(role.family, role.container, role.element.as_deref())?;
            Some(Attribution::Typed {
                name: TypeName {
                    full,
                    element: element.clone(),
                    part: role.part,
                },
                certain: found.certain,
                element_size: found.element_size.or_else(|| primitive_size(&element)),
            })
        });
        typed
            .or_else(|| cpp::attribution(self.symbols, frames, &|frame| self.is_unoptimized(frame)))
            .unwrap_or(Attribution::Untyped {
                is_foreign: is_foreign.unwrap_or(false),
            })
    }

    fn is_unoptimized(&self, frame: Frame) -> bool {
        let instances = self.symbols.instances(frame);
        let unit = instances.and_then(|instances| instances.unit.as_ref());
        unit.is_some_and(|unit| self.unoptimized.contains(unit))
    }

    /// Whether what is inlined at `frame` is what was written there: its function has no type
    /// arguments, or was not optimized.
    fn is_certain(&self, frame: Frame) -> bool {
        let Some(instances) = self.symbols.instances(frame) else {
            return false;
        };
        if self.is_unoptimized(frame) {
            return true;
        }
        let outermost = instances.functions.last();
        let name = outermost.and_then(|outermost| outermost.name.as_deref());
        name.is_some_and(|name| name::arguments(name).1.is_empty())
    }
}

/// What the function says, called by its instance's name if there is one.
fn role(code: &CodeFrame, module: &str, instance: Option<&Instance>) -> Option<Role> {
    let name = instance.and_then(|instance| instance.name.as_deref());
    let (base, arguments) = match name {
        Some(name) => name::arguments(name),
        None => (last(&code.function), Vec::new()),
    };
    rules::role(&Function {
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
