//! A frame in one line of text.

use std::borrow::Cow;

use crate::render::escape::escape;
use crate::report::StackFrame;

/// The function's name.
pub(super) fn function(frame: &StackFrame) -> Cow<'_, str> {
    escape(&frame.function)
}

/// `function (file:line)`, as far as they are known.
pub(super) fn function_and_line(frame: &StackFrame) -> String {
    let function = function(frame);
    let unverified = if frame.verified { "" } else { " (unverified)" };
    match (frame.file.as_str(), frame.line) {
        ("", _) => format!("{function}{unverified}"),
        (file, Some(line)) => format!("{function} ({}:{line}){unverified}", escape(file)),
        (file, None) => format!("{function} ({}){unverified}", escape(file)),
    }
}
