//! There is no file here that stays open.

pub struct Descriptor;

impl Descriptor {
    pub fn lasting(_: i32) -> Descriptor {
        Descriptor
    }

    pub fn ours(&self) -> Option<i32> {
        None
    }

    pub fn ours_again(&self) -> Result<i32, i32> {
        Err(0)
    }

    pub fn close(&self) {}
}
