//! The report's model: one table for each function, one row for each line, figures that know their
//! error.
//!
//! [`Report::new`] makes it from a profile and its symbols; [`Report::select`] narrows and orders
//! it. Renderers know only what stands here.

mod about;
mod attribution;
mod call_tree;
mod calls;
mod changes;
mod context_stacks;
mod context_tables;
mod context_views;
mod contexts;
mod declared;
pub mod diff;
mod exact;
mod extent;
mod figures;
mod heap_growth;
mod key;
mod killed;
mod leak;
mod live;
mod metric;
mod model;
mod moment_stacks;
mod naming;
mod processes;
mod programs;
mod resident;
mod restrict;
mod savings;
mod select;
mod sites;
mod sort;
mod stacks;
mod summary;
mod sums;
mod table_builder;
mod tables;
mod timeline;
mod types;

pub use crate::profile::Loss;
pub use about::{Recording, Sampling};
pub use attribution::edited_files;
pub use call_tree::{CallNode, CallTree, Cut, Limits};
pub use calls::{Calls, Location, LocationNode, StackPart};
pub use context_stacks::{ContextStacks, StacksBy};
pub use context_tables::{ContextGroup, ContextTables};
pub use context_views::{ContextView, ContextViews};
pub use contexts::{Asked, ContextKey, ContextLine, ContextRow, ContextsReport, LayerSaw};
pub use figures::{Bytes, CountErrors, Figures, NOISE};
pub use heap_growth::HeapGrowth;
pub use killed::Killed;
pub use leak::{Leak, LeakGrowth};
pub use live::{Live, LiveRow, LiveSort, Place, ProcessStatus, Rates};
pub use metric::Metric;
pub use model::{Basis, LeftOut, Line, Note, Report, Scope, Table};
pub use moment_stacks::{MomentStacks, NodeCohort};
pub use processes::{GrownLine, ProcessFigures, ProcessRow, ProcessSort, Processes};
pub use programs::{ProgramState, Programs, RunningProgram};
pub use resident::{PartKind, Resident, ResidentAccount, ResidentLines, ResidentPart};
pub use restrict::Granularity;
pub use savings::{OneSize, taken};
pub use select::{Extent, Filter, Lines, NoMatch, Selection};
pub use sites::{Age, Site};
pub use sort::Sort;
pub use stacks::{
    FrameId, OUTSIDE, Split, StackFrame, StackModule, StackNode, StackNodeId, StackTotal, Stacks,
};
pub use summary::{HeapRow, OwnCost, SizeBar, Summary, ThreadRow, TopLine};

pub use timeline::{CallSpan, OwnMemory, TimePoint, Timeline, TimelineMark};
pub use types::{Kind, Steps, TypeHolder, TypeLine, TypeRow, Types};

pub use crate::profile::{
    Counters, Course, Death, DeathBy, ShownMoment, ShownView, StackSpan, State, Taken,
};
pub use crate::symbolize::Origin;
pub use crate::types::TypeName;
