//! What functions are called with their type arguments, as a table keeps it.

use std::sync::Arc;

/// The functions at one address, with their type arguments.
#[derive(Clone, Default, Debug)]
pub struct Instances {
    /// What was compiled together.
    pub unit: Option<Arc<CompileUnit>>,
    /// Innermost first, one for each code frame.
    pub functions: Vec<Instance>,
}

/// What the debug information says of a compilation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CompileUnit {
    /// Number of its module.
    pub module: u16,
    /// The root file of its crate, or the source file.
    pub root: String,
    /// Whether the compiler says that it did not optimize. rustc does not say.
    pub unoptimized: bool,
}

/// A function with its type arguments.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Instance {
    /// Its name without path. `None` if there is none.
    pub name: Option<Arc<str>>,
    /// Bytes of each argument, where the debug information describes types.
    pub sizes: Vec<Option<u64>>,
}
