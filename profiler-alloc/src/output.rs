//! The path of the profile: the pattern filled in, in a fixed buffer, as no allocator is at hand.

use core::ffi::CStr;

use profiler_alloc_format::EXTENSION;

use crate::sys::{self, Decimal};

const MAX: usize = 4096;

/// A path being put together; ends with a zero.
#[derive(Clone)]
pub struct Output {
    bytes: [u8; MAX],
    len: usize,
}

impl Output {
    /// `pattern` with `%e` replaced by the program's file name, `%p` by the process number and `%%` by `%`. `None` if it is
    /// too long.
    pub fn expand(pattern: &[u8]) -> Option<Output> {
        let mut output = Output {
            bytes: [0; MAX],
            len: 0,
        };
        let mut rest = pattern.iter();
        while let Some(&byte) = rest.next() {
            match (byte, rest.as_slice().first()) {
                (b'%', Some(b'e')) => output.push_program()?,
                (b'%', Some(b'p')) => {
                    output.push(Decimal::new(sys::process_id().into()).bytes())?
                }
                (b'%', Some(b'%')) => output.push(b"%")?,
                _ => {
                    output.push(&[byte])?;
                    continue;
                }
            }
            rest.next();
        }
        Some(output)
    }

    /// The path to use if this one exists: `PATH.NAME.PID.memprof`, or `PATH.NAME.PID.TIMES.memprof` from the second time on.
    pub fn beside(&self, times: u32) -> Option<Output> {
        let mut output = Output {
            bytes: self.bytes,
            len: self.len,
        };
        output.push(b".")?;
        output.push_program()?;
        output.push(b".")?;
        output.push(Decimal::new(sys::process_id().into()).bytes())?;
        if times > 1 {
            output.push(b".")?;
            output.push(Decimal::new(times.into()).bytes())?;
        }
        output.push(b".")?;
        output.push(EXTENSION.as_bytes())?;
        Some(output)
    }

    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }

    fn push(&mut self, text: &[u8]) -> Option<()> {
        // One byte is kept for the final zero.
        let room = self.bytes[..MAX - 1].get_mut(self.len..self.len + text.len())?;
        room.copy_from_slice(text);
        self.len += text.len();
        Some(())
    }

    fn push_program(&mut self) -> Option<()> {
        let mut link = [0u8; MAX];
        let path = sys::read_link(c"/proc/self/exe", &mut link).unwrap_or(b"program");
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        for &byte in name {
            let plain = byte.is_ascii_graphic() || byte >= 0x80;
            self.push(&[if plain { byte } else { b'_' }])?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_the_pattern() {
        let text = |pattern: &[u8]| {
            Output::expand(pattern).map(|output| output.as_c_str().to_str().unwrap().to_owned())
        };
        let pid = std::process::id();
        let exe = std::env::current_exe().unwrap();
        let exe = exe.file_name().unwrap().to_str().unwrap();
        assert_eq!(text(b"/a/%e.%p.x").unwrap(), format!("/a/{exe}.{pid}.x"));
        assert_eq!(text(b"100%%, %q%").unwrap(), "100%, %q%");
        assert_eq!(text(&[b'a'; MAX]), None);
        let beside = |times| {
            let output = Output::expand(b"f").unwrap().beside(times).unwrap();
            output.as_c_str().to_str().unwrap().to_owned()
        };
        assert_eq!(beside(1), format!("f.{exe}.{pid}.memprof"));
        assert_eq!(beside(2), format!("f.{exe}.{pid}.2.memprof"));
    }
}
