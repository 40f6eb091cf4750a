//! Looks one address up in a module's debug info, inlined frames included.

use std::cell::Cell;

use addr2line::Loader;
use cpp_demangle::DemangleOptions;
use profiler_alloc_format::Frame;

use super::code_frame::{CodeFrame, call_address};
use super::partial;
use super::separate::DebugFiles;

/// The debug info and symbol table of one module's file.
pub(super) struct DebugInfo {
    loader: Loader,
    /// Whether the file's debug info is a skeleton of parts that lie in other files.
    split: bool,
    /// Whether a line without a function was met: its part lies in a file that is not there.
    nameless: Cell<bool>,
}

impl DebugInfo {
    /// Opens `files`, and the `.dwp` file beside them. `None` if they are no object files.
    pub(super) fn open(files: &DebugFiles) -> Option<DebugInfo> {
        let copy = partial::without_their_lines(&files.main);
        let main = copy
            .as_ref()
            .map_or(files.main.as_path(), |copy| copy.path());
        let loader = Loader::new_with_sup(main, files.supplement.as_ref()).ok()?;
        let split = loader.get_section_range(b".debug_addr").is_some();
        Some(DebugInfo {
            loader,
            split,
            nameless: Cell::new(false),
        })
    }

    /// The frames at `frame`'s call, innermost first; empty if there is no line information.
    pub(super) fn look_up(&self, frame: Frame) -> Vec<CodeFrame> {
        let address = call_address(frame);
        let mut code = Vec::new();
        let Ok(mut frames) = self.loader.find_frames(address) else {
            return code;
        };
        while let Ok(Some(found)) = frames.next() {
            let name = (found.function.as_ref())
                .and_then(|function| function.raw_name().ok())
                .map(|name| demangle(&name));
            let location = found.location.as_ref();
            // Assembly has no functions either, so only Rust counts.
            let file = location.and_then(|at| at.file).unwrap_or_default();
            if name.is_none() && file.ends_with(".rs") {
                self.nameless.set(true);
            }
            code.push(CodeFrame {
                module: frame.module(),
                function: name.or_else(|| self.symbol(frame)).unwrap_or_default(),
                file: file.to_owned(),
                line: location.and_then(|at| at.line).filter(|&line| line != 0),
                offset: None,
            });
        }
        self.qualify_outermost(frame, &mut code);
        code
    }

    /// Line tables alone name functions without their path. The outermost frame is the one that was
    /// not inlined, so the symbol table knows it too, and by its whole name.
    fn qualify_outermost(&self, frame: Frame, code: &mut [CodeFrame]) {
        let Some(outermost) = code.last_mut() else {
            return;
        };
        let own_name = outermost.function.split('<').next().unwrap_or_default();
        if own_name.is_empty() || own_name.contains("::") {
            return;
        }
        let is_same = |symbol: &String| symbol.contains(&format!("::{own_name}"));
        if let Some(symbol) = self.symbol(frame).filter(is_same) {
            outermost.function = symbol;
        }
    }

    /// Name of the function around `frame`, from the symbol table.
    pub(super) fn symbol(&self, frame: Frame) -> Option<String> {
        self.loader.find_symbol(call_address(frame)).map(demangle)
    }

    pub(super) fn split_part_is_missing(&self) -> bool {
        self.split && self.nameless.get()
    }
}

/// The name without the hash; that of a C++ function without its parameters. A name that is not
/// mangled, as in C, stays as it is.
///
/// Rust's old mangling is C++'s of a path that ends with a hash:
/// `_ZN3app4main17h0123456789abcdefE`.
pub(super) fn demangle(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    demangle_cpp(name).unwrap_or_else(|| name.to_owned())
}

fn demangle_cpp(name: &str) -> Option<String> {
    // gcc's own suffixes, `_Z1fv.cold`, are of the symbol and not of the name.
    let name = name
        .split('.')
        .next()
        .filter(|name| name.starts_with("_Z"))?;
    let options = DemangleOptions::new().no_params().no_return_type();
    let symbol = cpp_demangle::Symbol::new(name).ok()?;
    let name = symbol.demangle_with_options(&options).ok()?;
    // Of a member function that changes nothing.
    Some(name.strip_suffix(" const").unwrap_or(&name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_is_before_the_return_address() {
        assert_eq!(call_address(Frame::new(1, 0x20)), 0x1f);
        assert_eq!(call_address(Frame::new(1, 0)), 0);
    }

    #[test]
    fn names_lose_their_hash() {
        assert_eq!(demangle("_ZN3app4main17h0123456789abcdefE"), "app::main");
        assert_eq!(demangle("malloc"), "malloc");
    }

    #[test]
    fn names_of_cpp_lose_their_parameters() {
        let cases = [
            ("_Z4workRSt6vectorIiSaIiEE", "work"),
            ("_ZN4shop4Cart3addEi", "shop::Cart::add"),
            ("_ZN4shop4CartC2Ev", "shop::Cart::Cart"),
            ("_ZNK4shop3BoxIiE3getEv.cold", "shop::Box<int>::get"),
            ("_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()"),
            ("_Zno", "_Zno"),
        ];
        for (mangled, name) in cases {
            assert_eq!(demangle(mangled), name);
        }
    }
}
