//! What makes statements alike, token by token, as a number.

/// A hash of what makes statements alike.
#[derive(Clone, Copy, Debug)]
pub struct Shape(pub u64);

impl Default for Shape {
    fn default() -> Shape {
        Shape(0xcbf2_9ce4_8422_2325)
    }
}

impl Shape {
    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }

    pub fn add(&mut self, token: &[u8]) {
        token.iter().for_each(|&byte| self.byte(byte));
        self.byte(0);
    }

    pub fn word(&mut self, word: &str) {
        word.bytes()
            .for_each(|byte| self.byte(byte.to_ascii_lowercase()));
        self.byte(0);
    }

    /// A name in quotes is the same as one without, if that is in small letters.
    pub fn name(&mut self, quoted: &str) {
        let inside = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        self.add(inside.as_bytes());
    }
}
