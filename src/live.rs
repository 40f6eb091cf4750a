//! A terminal page over the profile of a running program, which is left alone: nothing of it but
//! files is read.
//!
//! ```text
//! profile ──▶ feed (a thread: reads, looks up, sums) ──▶ page (state, keys) ──▶ view (ratatui)
//! ```

mod feed;
mod page;
mod process;
mod source_view;
mod view;

pub use feed::{Feed, FeedError, FeedOptions};
pub use page::{Flow, Page};
pub use process::Process;
pub use view::draw;
