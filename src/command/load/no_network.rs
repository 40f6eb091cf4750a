//! No debug files from servers, where a program has no network.

use crate::defect::Defect;
use crate::symbolize::Fetch;

pub fn fetch() -> Option<&'static dyn Fetch> {
    None
}

pub fn take_defects() -> Vec<Defect> {
    Vec::new()
}
