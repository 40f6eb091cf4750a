//! The choices of the command line among values of the report's model, with their names and help.
//! The model itself does not know that there is a command line.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::report::diff::Grown;
use crate::report::{Granularity, Lines, LiveSort, Metric, ProcessSort, Sort};

macro_rules! choices {
    ($type:ident { $($variant:ident = $name:literal: $help:literal,)* }) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [$type] {
                &[$($type::$variant),*]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $($type::$variant => PossibleValue::new($name).help($help),)*
                })
            }
        }
    };
}

choices! {
    Sort {
        Peak = "peak": "Bytes in use at the peak",
        Live = "live": "Bytes in use at the end",
        Allocated = "allocated": "Bytes allocated",
        Freed = "freed": "Bytes freed",
        Increment = "increment": "Bytes allocated minus freed",
        Count = "count": "Blocks allocated",
        Temporary = "temporary": "Bytes freed at once",
        Reallocated = "reallocated": "Bytes from growing or shrinking blocks",
        Name = "name": "File and function",
    }
}

choices! {
    Lines {
        All = "all": "Every line of the function",
        Context = "context": "Lines that touched memory, with a line before and after, and the signature",
        Touched = "touched": "Lines that touched memory",
    }
}

choices! {
    Metric {
        Peak = "peak": "Bytes in use when the whole heap was highest",
        Live = "live": "Bytes in use at the end",
        Allocated = "allocated": "Bytes allocated",
        Freed = "freed": "Bytes freed",
        Increment = "increment": "Bytes allocated minus freed",
        Temporary = "temporary": "Bytes freed before the thread's next sample",
        Reallocated = "reallocated": "Bytes that came from growing or shrinking blocks",
        Count = "count": "Blocks allocated",
    }
}

choices! {
    Granularity {
        Line = "line": "A frame for every line of a function",
        Function = "function": "One frame for a function",
    }
}

choices! {
    LiveSort {
        Live = "live": "Bytes in use now",
        Rate = "rate": "Bytes allocated in a second",
        Allocated = "allocated": "Bytes allocated since the start",
        Peak = "peak": "Bytes in use at the peak",
    }
}

choices! {
    ProcessSort {
        Peak = "peak": "Highest heap in use",
        Live = "live": "Bytes in use at the end",
        Allocated = "allocated": "Bytes allocated",
        Count = "count": "Blocks allocated",
        Time = "time": "Time from start to end",
        Name = "name": "Program and name",
    }
}

choices! {
    Grown {
        Whole = "whole": "The program as a whole, and nothing else",
        Part = "part": "Also each context of --by, and each type of --types",
        Function = "function": "Also each function",
        Line = "line": "Also each line, of functions that grew too",
    }
}
