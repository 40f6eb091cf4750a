//! The path of the profile: `%e` and `%p` filled in, in a buffer of fixed size, as nothing can be
//! allocated here. The buffer is not on the stack, which a recording that starts on a signal's
//! stack has little of.

use core::ffi::CStr;

use profiler_alloc_format::EXTENSION;

use crate::ffi::decimal::Decimal;
use crate::ffi::loader::Loader;
use crate::ffi::memory::OwnedBytes;
use crate::ffi::os;

const MAX: usize = 4096;

/// Why there is no path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPath {
    /// It is too long.
    TooLong,
    /// The system refuses memory for it.
    NoMemory,
}

/// A path being put together; ends with a zero.
pub struct ProfilePath {
    bytes: OwnedBytes,
    len: usize,
    /// The pattern had the process number in it, so that only this process can have made a file of
    /// this name.
    names_process: bool,
}

impl ProfilePath {
    /// `pattern` with `%e` replaced by the program's file name, `%p` by the process number and `%%`
    /// by `%`.
    pub fn expand(pattern: &[u8]) -> Result<ProfilePath, NoPath> {
        let mut output = ProfilePath {
            bytes: OwnedBytes::zeroed(MAX).ok_or(NoPath::NoMemory)?,
            len: 0,
            names_process: false,
        };
        let mut rest = pattern.iter();
        while let Some(&byte) = rest.next() {
            match (byte, rest.as_slice().first()) {
                (b'%', Some(b'e')) => output.push_program()?,
                (b'%', Some(b'p')) => {
                    output.names_process = true;
                    output.push(Decimal::new(os::process_id().into()).bytes())?
                }
                (b'%', Some(b'%')) => output.push(b"%")?,
                _ => {
                    output.push(&[byte])?;
                    continue;
                }
            }
            rest.next();
        }
        Ok(output)
    }

    /// The path to use if this one exists, `times` being how often that was so.
    ///
    /// ```text
    /// app.42.memprof      of an extension module in the process: app.42._ext.so.memprof
    ///                     once more, or of the program itself:   app.42.2.memprof
    /// x.memprof           of another process:                    x.memprof.app.43.memprof
    /// ```
    pub fn beside(&self, times: u32) -> Result<ProfilePath, NoPath> {
        let mut module = [0u8; 256];
        let module = own_module(&mut module);
        let mut output = ProfilePath {
            bytes: OwnedBytes::zeroed(MAX).ok_or(NoPath::NoMemory)?,
            ..*self
        };
        output.bytes.copy_from_slice(&self.bytes);
        let stem = (self.bytes[..self.len].strip_suffix(EXTENSION.as_bytes()))
            .and_then(|path| path.strip_suffix(b"."))
            .map(<[u8]>::len);
        let mut number = times;
        match stem {
            Some(stem) if self.names_process => {
                output.bytes[stem..self.len].fill(0);
                output.len = stem;
                match module {
                    Some(name) => {
                        output.push(b".")?;
                        output.push_name(name)?;
                    }
                    None => number += 1,
                }
            }
            _ => {
                output.push(b".")?;
                match module {
                    Some(name) => output.push_name(name)?,
                    None => output.push_program()?,
                }
                output.push(b".")?;
                output.push(Decimal::new(os::process_id().into()).bytes())?;
            }
        }
        if number > 1 {
            output.push(b".")?;
            output.push(Decimal::new(number.into()).bytes())?;
        }
        output.push(b".")?;
        output.push(EXTENSION.as_bytes())?;
        Ok(output)
    }

    /// The path, which from now on lives as long as the process.
    pub fn leak(self) -> &'static CStr {
        CStr::from_bytes_until_nul(self.bytes.leak()).unwrap_or(c"")
    }

    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }

    fn push(&mut self, text: &[u8]) -> Result<(), NoPath> {
        let end = self.len + text.len();
        // One byte is kept for the final zero.
        let room = self.bytes[..MAX - 1].get_mut(self.len..end);
        room.ok_or(NoPath::TooLong)?.copy_from_slice(text);
        self.len = end;
        Ok(())
    }

    fn push_program(&mut self) -> Result<(), NoPath> {
        let mut link = OwnedBytes::zeroed(MAX).ok_or(NoPath::NoMemory)?;
        let path = os::read_link(c"/proc/self/exe", &mut link).unwrap_or(b"program");
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        self.push_name(path)
    }

    /// The last part of `path`, as a name for a file.
    fn push_name(&mut self, path: &[u8]) -> Result<(), NoPath> {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        for &byte in name {
            let plain = byte.is_ascii_graphic() || byte >= 0x80;
            self.push(&[if plain { byte } else { b'_' }])?;
        }
        Ok(())
    }
}

/// The name by which the loader knows the library that this crate is part of; `None` if that is the
/// program. A preloaded recorder is the program's: where a shell becomes another shell, the second
/// profile is `bash.42.2.memprof`.
fn own_module(buffer: &mut [u8; 256]) -> Option<&[u8]> {
    if cfg!(feature = "preload") {
        return None;
    }
    let here = own_module as *const () as usize;
    let mut len = 0;
    Loader::new().holding(here, |loaded| {
        let is_program = os::is_program(loaded.start, loaded.end);
        let name = loaded.name.to_bytes();
        if !is_program && name.len() <= buffer.len() {
            buffer[..name.len()].copy_from_slice(name);
            len = name.len();
        }
    });
    (len > 0).then_some(&buffer[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_the_pattern() {
        let text = |pattern: &[u8]| {
            ProfilePath::expand(pattern)
                .map(|output| output.as_c_str().to_str().unwrap().to_owned())
        };
        let pid = std::process::id();
        let exe = std::env::current_exe().unwrap();
        let exe = exe.file_name().unwrap().to_str().unwrap();
        assert_eq!(text(b"/a/%e.%p.x").unwrap(), format!("/a/{exe}.{pid}.x"));
        assert_eq!(text(b"100%%, %q%").unwrap(), "100%, %q%");
        assert_eq!(text(&[b'a'; MAX]), Err(NoPath::TooLong));
        let beside = |times| {
            let output = ProfilePath::expand(b"f").unwrap().beside(times).unwrap();
            output.as_c_str().to_str().unwrap().to_owned()
        };
        assert_eq!(beside(1), format!("f.{exe}.{pid}.memprof"));
        assert_eq!(beside(2), format!("f.{exe}.{pid}.2.memprof"));
        let output = ProfilePath::expand(b"a.%p.memprof").unwrap();
        let again = output.beside(1).unwrap();
        assert_eq!(
            again.as_c_str().to_str().unwrap(),
            format!("a.{pid}.2.memprof")
        );
    }
}
