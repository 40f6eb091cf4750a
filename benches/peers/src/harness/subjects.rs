//! What is compared: a program with one allocator, its environment, and the tool it runs under.

use super::build::Build;

/// One way to run a workload.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// As shown.
    pub name: &'static str,
    /// The binary.
    pub program: &'static str,
    pub build: Build,
    /// Environment variables.
    pub environment: &'static [(&'static str, &'static str)],
    /// The tool in front of the program, with its arguments; `{file}` stands for a file of its own.
    pub tool: &'static [&'static str],
    /// What it is compared with.
    pub base: &'static str,
    pub scale: Scale,
}

/// How much of a workload a subject can do in reasonable time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// All of it.
    Whole,
    /// A twentieth, beside others that do the same.
    Twentieth,
}

impl Scale {
    /// The part of the work.
    pub fn part(self) -> f64 {
        match self {
            Scale::Whole => 1.0,
            Scale::Twentieth => 0.05,
        }
    }
}

/// memprof's setting for where the profile goes.
pub const OUTPUT: &str = "MEMPROF_OUTPUT";
/// Stands for bytehound's library, wherever that was built.
pub const BYTEHOUND: &str = "{bytehound}";
const RECORDED: &[(&str, &str)] = &[(OUTPUT, "{file}")];
const ALL: &[(&str, &str)] = &[(OUTPUT, "{file}"), ("MEMPROF_SAMPLE", "all")];
const SAMPLED: &[(&str, &str)] = &[(OUTPUT, "{file}"), ("MEMPROF_SAMPLE", "524288")];
const PROFILING: &[(&str, &str)] = &[(
    "_RJEM_MALLOC_CONF",
    "prof:true,prof_active:true,lg_prof_sample:19",
)];

const fn subject(name: &'static str, program: &'static str, base: &'static str) -> Subject {
    Subject {
        name,
        program,
        build: Build::Plain,
        environment: &[],
        tool: &[],
        base,
        scale: Scale::Whole,
    }
}

const fn memprof(
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
) -> Subject {
    Subject {
        environment,
        ..subject(name, "memprof", "system")
    }
}

const fn slow(name: &'static str, program: &'static str, tool: &'static [&'static str]) -> Subject {
    Subject {
        tool,
        scale: Scale::Twentieth,
        ..subject(name, program, "system")
    }
}

/// All of them.
pub const SUBJECTS: &[Subject] = &[
    subject("system", "system", "system"),
    memprof("memprof, off", &[]),
    memprof("memprof, default", RECORDED),
    // What the default recording comes to once its grant is spent.
    memprof("memprof, 512 KiB", SAMPLED),
    memprof("memprof, all", ALL),
    Subject {
        build: Build::FramePointers,
        ..subject("system, frame pointers", "system", "system")
    },
    Subject {
        build: Build::FramePointers,
        ..memprof("memprof, default, frame pointers", RECORDED)
    },
    Subject {
        build: Build::FramePointers,
        ..memprof("memprof, all, frame pointers", ALL)
    },
    Subject {
        build: Build::FramePointers,
        ..subject("heapscope, frame pointers", "heapscope", "system")
    },
    subject("stats_alloc", "stats_alloc", "system"),
    subject("jemalloc", "jemalloc", "system"),
    Subject {
        environment: PROFILING,
        ..subject("jemalloc, prof", "jemalloc", "jemalloc")
    },
    subject("mimalloc", "mimalloc", "system"),
    Subject {
        environment: RECORDED,
        ..subject(
            "memprof, default, over mimalloc",
            "memprof_mimalloc",
            "mimalloc",
        )
    },
    slow("system", "system", &[]),
    Subject {
        scale: Scale::Twentieth,
        ..memprof("memprof, all", ALL)
    },
    slow("dhat-rs", "dhat", &[]),
    slow(
        "heaptrack --raw",
        "system",
        &["heaptrack", "--raw", "-o", "{file}"],
    ),
    Subject {
        environment: &[
            ("LD_PRELOAD", BYTEHOUND),
            ("MEMORY_PROFILER_OUTPUT", "{file}"),
        ],
        ..slow("bytehound", "system", &[])
    },
    slow(
        "valgrind dhat",
        "system",
        &["valgrind", "-q", "--tool=dhat", "--dhat-out-file={file}"],
    ),
    slow(
        "valgrind massif",
        "system",
        &[
            "valgrind",
            "-q",
            "--tool=massif",
            "--massif-out-file={file}",
        ],
    ),
];

/// What instructions are counted of.
pub const COUNTED: &[Subject] = &[
    subject("system", "system", "system"),
    memprof("memprof, off", &[]),
    memprof("memprof, 512 KiB", SAMPLED),
    memprof("memprof, all", ALL),
    Subject {
        build: Build::FramePointers,
        ..memprof("memprof, all, frame pointers", ALL)
    },
    Subject {
        build: Build::Portable,
        ..memprof("memprof, all, backtrace crate", ALL)
    },
    Subject {
        build: Build::FramePointers,
        ..subject("heapscope, frame pointers", "heapscope", "system")
    },
    subject("stats_alloc", "stats_alloc", "system"),
    subject("jemalloc", "jemalloc", "jemalloc"),
    Subject {
        environment: PROFILING,
        ..subject("jemalloc, prof", "jemalloc", "jemalloc")
    },
];

impl Subject {
    pub fn is_bytehound(&self) -> bool {
        let mut values = self.environment.iter().map(|(_, value)| *value);
        values.any(|value| value == BYTEHOUND)
    }

    /// Its tool, if that is not installed here.
    pub fn missing_tool(&self) -> Option<&'static str> {
        self.tool
            .first()
            .copied()
            .filter(|tool| !is_installed(tool))
    }
}

/// Whether a program of that name is found.
pub fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}
