//! The styles of text on a terminal.

use anstyle::Style;

pub(super) const TITLE: Style = Style::new().bold();
pub(super) const FAINT: Style = Style::new().dimmed();
