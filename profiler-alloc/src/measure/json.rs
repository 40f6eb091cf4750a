//! JSON objects, written field by field.

use std::fmt::{Display, Write};

/// An object under construction.
#[derive(Clone, Debug)]
pub(super) struct Object(String);

impl Object {
    pub fn new() -> Object {
        Object("{".to_owned())
    }

    pub fn text(self, name: &str, value: &str) -> Object {
        let mut quoted = String::new();
        quote(value, &mut quoted);
        self.raw(name, &quoted)
    }

    pub fn number(self, name: &str, value: impl Display) -> Object {
        self.raw(name, &value.to_string())
    }

    /// `null` for `None`.
    pub fn maybe(self, name: &str, value: Option<impl Display>) -> Object {
        match value {
            Some(value) => self.number(name, value),
            None => self.raw(name, "null"),
        }
    }

    pub fn maybe_text(self, name: &str, value: Option<&str>) -> Object {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    pub fn object(self, name: &str, value: Object) -> Object {
        self.raw(name, &value.end())
    }

    pub fn list(self, name: &str, values: impl Iterator<Item = Object>) -> Object {
        let values: Vec<String> = values.map(Object::end).collect();
        self.raw(name, &format!("[{}]", values.join(",")))
    }

    pub fn texts(self, name: &str, values: &[String]) -> Object {
        let mut list = String::from("[");
        for value in values {
            if list.len() > 1 {
                list.push(',');
            }
            quote(value, &mut list);
        }
        self.raw(name, &(list + "]"))
    }

    /// A list of numbers, as the value of a field.
    pub fn numbers(values: impl Iterator<Item = impl Display>) -> String {
        let values: Vec<String> = values.map(|value| value.to_string()).collect();
        format!("[{}]", values.join(","))
    }

    pub fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn raw(mut self, name: &str, value: &str) -> Object {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(name, &mut self.0);
        self.0.push(':');
        self.0.push_str(value);
        self
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            char if char.is_control() => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{:04x}", char as u32);
            }
            char => out.push(char),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_json() {
        let inner = Object::new().number("a", 1);
        let text = Object::new()
            .text("name", "a\"\\\n")
            .maybe("none", None::<u8>)
            .list("list", [inner.clone(), inner].into_iter())
            .end();
        let expected = r#"{"name":"a\"\\\u000a","none":null,"list":[{"a":1},{"a":1}]}"#;
        assert_eq!(text, expected);
    }
}
