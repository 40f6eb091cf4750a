//! Whose code a frame is: the user's own, a dependency's or the system's, or the allocator's.

use super::code_frame::CodeFrame;

/// Whose code a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// The user's own source.
    User,
    /// The user's program, but without line information.
    Unknown,
    /// A dependency, std, or a system library.
    Dependency,
    /// The profiler's allocator, the compiler's shims around it, and std's way to it: in no report.
    Allocator,
}

impl Origin {
    /// `is_program` is whether its module is the executable of a process.
    pub(super) fn of(code: &CodeFrame, is_program: bool) -> Origin {
        if is_allocator_function(&code.function)
            || is_preloaded(code)
            || is_allocator_file(&code.file)
            || is_way_to_allocator(&code.function, &code.file)
        {
            Origin::Allocator
        } else if code.line.is_none() {
            let is_own = is_program && code.offset.is_some();
            match is_own && !is_std_function(&code.function) {
                true => Origin::Unknown,
                false => Origin::Dependency,
            }
        } else if is_user_file(&code.file) || (is_program && is_c_of_user(&code.file)) {
            Origin::User
        } else {
            Origin::Dependency
        }
    }
}

/// Whether `function` stands between a program's call of the allocator and the allocator's work.
pub fn is_allocator_function(function: &str) -> bool {
    const OURS: [&str; 2] = ["profiler_alloc::", "<profiler_alloc::"];
    /// What the compiler calls in place of `alloc::alloc::alloc` and the like; since 2025 in a
    /// crate `__rustc`.
    const SHIMS: [&str; 5] = [
        "__rust_alloc",
        "__rust_dealloc",
        "__rust_realloc",
        "__rg_",
        "__rdl_",
    ];
    let shim = function.strip_prefix("__rustc::").unwrap_or(function);
    OURS.iter().any(|ours| function.starts_with(ours))
        || SHIMS.iter().any(|prefix| shim.starts_with(prefix))
}

/// Whether a frame is in the library that `memprof run` loads into programs without the crate.
fn is_preloaded(code: &CodeFrame) -> bool {
    const LIBRARY: &str = "libmemprof_preload";
    (code.offset.as_ref()).is_some_and(|offset| offset.starts_with(LIBRARY))
}

/// Whether `file` is C or C++ source, and not the system's.
pub(super) fn is_c_of_user(file: &str) -> bool {
    const ENDS: [&str; 12] = [
        "c", "cc", "cpp", "cxx", "c++", "C", "h", "hh", "hpp", "hxx", "h++", "inl",
    ];
    const SYSTEM: [&str; 4] = [
        "/usr/include/",
        "/usr/lib/",
        "/usr/local/include/",
        "/usr/src/",
    ];
    let end = file.rsplit_once('.').map_or("", |(_, end)| end);
    ENDS.contains(&end)
        && file.starts_with('/')
        && !SYSTEM.iter().any(|folder| file.starts_with(folder))
        && !is_dependency_file(file)
}

/// Whether `function` is what std's containers call to allocate, such as `alloc::alloc::alloc` and
/// `RawVec::grow_one`. It says nothing of who allocates; its caller does, such as `Vec::push`.
fn is_way_to_allocator(function: &str, file: &str) -> bool {
    const FILES: [&str; 3] = [
        "/alloc/src/alloc.rs",
        "/alloc/src/raw_vec.rs",
        "/alloc/src/raw_vec/mod.rs",
    ];
    const MODULES: [&str; 2] = ["alloc::alloc::", "alloc::raw_vec::"];
    if file.is_empty() {
        let path = function.trim_start_matches('<');
        return MODULES.iter().any(|module| path.starts_with(module));
    }
    is_std_file(file) && FILES.iter().any(|end| file.ends_with(end))
}

/// Whether `file` is source of the allocator itself.
fn is_allocator_file(file: &str) -> bool {
    let mut folders = file.split('/').peekable();
    while let Some(folder) = folders.next() {
        let rest = folder.strip_prefix("profiler-alloc");
        let ours = rest.is_some_and(|rest| {
            rest.is_empty()
                || (rest.starts_with('-') && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        });
        if ours && folders.peek() == Some(&"src") {
            return true;
        }
    }
    false
}

/// Whether `function` is one of std's, or of what starts a program. For want of a file, its name
/// tells.
fn is_std_function(function: &str) -> bool {
    const CRATES: [&str; 5] = ["std::", "core::", "alloc::", "hashbrown::", "__rustc::"];
    const START: [&str; 2] = ["_start", "main"];
    // `<alloc::vec::Vec<T> as Trait>::f`, `<&T as Trait>::f`
    let path = function.trim_start_matches(['<', '&', '[', '(']);
    CRATES.iter().any(|name| path.starts_with(name)) || START.contains(&function)
}

/// Whether `file` is std's own source. It comes with line information, whatever the program was
/// built with.
pub(super) fn is_std_file(file: &str) -> bool {
    file.starts_with("/rustc/")
        // Where std's own dependencies were when it was built.
        || file.starts_with("/rust/deps/")
        || file.contains("/rustlib/src/rust/")
}

/// Whether `file` is Rust source that belongs neither to std nor to a dependency.
fn is_user_file(file: &str) -> bool {
    file.ends_with(".rs") && !is_std_file(file) && !is_dependency_file(file)
}

/// Whether `file` is where Cargo keeps the source of dependencies.
fn is_dependency_file(file: &str) -> bool {
    const OTHERS: [&str; 9] = [
        "/.cargo/registry/",
        "/.cargo/git/",
        "/cargo/registry/src/",
        "/cargo/git/checkouts/",
        "/rustlib/src/",
        "/.rustup/toolchains/",
        "/rustup/toolchains/",
        "/registry/src/index.crates.io-",
        "/registry/src/github.com-",
    ];
    OTHERS.iter().any(|part| file.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(function: &str, file: &str) -> Origin {
        Origin::of(&CodeFrame::new(function, file, 1), true)
    }

    #[test]
    fn tells_the_users_source_from_the_rest() {
        use Origin::*;
        let cases = [
            ("app::main", "/home/me/app/src/main.rs", User),
            ("app::main", "src/main.rs", User),
            ("main", "/home/me/app/csrc/main.c", User),
            (
                "push_back",
                "/usr/include/c++/12/bits/stl_vector.h",
                Dependency,
            ),
            (
                "f",
                "/home/me/.cargo/registry/src/i/zstd-sys-2.0/zstd/lib/x.c",
                Dependency,
            ),
            ("malloc", "./malloc/malloc.c", Dependency),
            (
                "alloc::vec::Vec<T>::push",
                "/rustc/abc/library/alloc/src/vec/mod.rs",
                Dependency,
            ),
            ("x", "/home/me/rustc/src/main.rs", User),
            (
                "x",
                "/home/me/.cargo/registry/src/index.crates.io-1/serde-1.0.0/src/lib.rs",
                Dependency,
            ),
            (
                "x",
                "/usr/local/cargo/git/checkouts/x-1/src/lib.rs",
                Dependency,
            ),
            (
                "x",
                "/root/.rustup/toolchains/stable/lib/rustlib/src/rust/library/std/src/x.rs",
                Dependency,
            ),
            ("x", "/home/me/memprof/profiler-alloc/src/lib.rs", Allocator),
            (
                "x",
                "/root/.cargo/registry/src/i/profiler-alloc-0.1.0/src/hook.rs",
                Allocator,
            ),
            ("x", "/home/me/profiler-alloc/examples/x.rs", User),
            ("x", "/home/me/profiler-alloc-demo/src/main.rs", User),
            (
                "<profiler_alloc::ProfilerAlloc as core::alloc::global::GlobalAlloc>::alloc",
                "",
                Allocator,
            ),
            (
                "<app::X as profiler_alloc::Y>::z",
                "/home/me/app/src/main.rs",
                User,
            ),
            (
                "__rustc::__rust_alloc",
                "/home/me/app/src/main.rs",
                Allocator,
            ),
            ("__rust_dealloc", "/home/me/app/src/main.rs", Allocator),
            (
                "alloc::alloc::alloc",
                "/rustc/abc/library/alloc/src/alloc.rs",
                Allocator,
            ),
            (
                "alloc::raw_vec::RawVecInner<A>::grow_one",
                "/rustc/abc/library/alloc/src/raw_vec/mod.rs",
                Allocator,
            ),
            (
                "<alloc::alloc::Global as core::alloc::Allocator>::allocate",
                "",
                Allocator,
            ),
            ("app::alloc", "/home/me/alloc/src/alloc.rs", User),
        ];
        for (function, file, expected) in cases {
            assert_eq!(origin(function, file), expected, "{function} in {file}");
        }
    }

    #[test]
    fn the_preloaded_recorder_is_no_part_of_a_stack() {
        let frame = profiler_alloc_format::Frame::new(3, 16);
        let code = CodeFrame::unknown("libmemprof_preload-1f0c9a77.so", frame);
        let code = CodeFrame {
            function: "malloc".to_owned(),
            ..code
        };
        assert_eq!(Origin::of(&code, false), Origin::Allocator);
    }

    #[test]
    fn a_frame_without_a_line_is_the_users_only_in_the_main_executable() {
        let frame = profiler_alloc_format::Frame::new;
        let origin = |module| Origin::of(&CodeFrame::unknown("m", frame(module, 16)), module == 0);
        assert_eq!(origin(0), Origin::Unknown);
        assert_eq!(origin(1), Origin::Dependency);
    }

    #[test]
    fn a_function_of_std_is_known_by_its_name_where_there_are_no_lines() {
        let frame = profiler_alloc_format::Frame::new(0, 16);
        let origin = |function: &str| {
            let function = function.to_owned();
            let code = CodeFrame {
                function,
                ..CodeFrame::unknown("app", frame)
            };
            Origin::of(&code, true)
        };
        let of_std = [
            "std::sys::backtrace::__rust_begin_short_backtrace",
            "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
            "<&alloc::string::String as core::fmt::Display>::fmt",
            "core::ptr::drop_in_place<app::Cache>",
            "_start",
            "main",
        ];
        for function in of_std {
            assert_eq!(origin(function), Origin::Dependency, "{function}");
        }
        for function in [
            "app::main",
            "<app::Cache as core::ops::Drop>::drop",
            "stdx::f",
        ] {
            assert_eq!(origin(function), Origin::Unknown, "{function}");
        }
    }
}
