//! The styles and signs of text on a terminal.

use anstyle::Style;

pub(super) const TITLE: Style = Style::new().bold();
pub(super) const FAINT: Style = Style::new().dimmed();

/// What stands in place of lines that are left out.
pub(super) const GAP_MARK: &str = "⋮";
