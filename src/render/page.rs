//! A page for the browser that needs nothing beside it: data, and the script and the style that
//! show them. Its content security policy names both by their hashes, so that nothing else runs on
//! it; nothing is loaded from anywhere.

use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::escape::xml;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");

/// A page: `data`, shown by `script` in the elements of `body`.
pub(super) struct HtmlPage<'a, D> {
    pub title: &'a str,
    pub body: &'static str,
    pub script: &'static str,
    pub data: &'a D,
}

impl<D: Serialize> HtmlPage<'_, D> {
    /// Writes the page to `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
            hash(STYLE),
            hash(self.script)
        );
        let title = xml(self.title);
        let data = in_script(&serde_json::to_string(self.data)?);
        // What is put in is never looked at again, so nothing in a profile can pass for a place to
        // put something in.
        let mut rest = PAGE;
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((name, behind)) = behind.split_once('}') else {
                break;
            };
            out.write_all(before.as_bytes())?;
            out.write_all(match name {
                "csp" => policy.as_bytes(),
                "title" => title.as_bytes(),
                "style" => STYLE.as_bytes(),
                "body" => self.body.as_bytes(),
                "data" => data.as_bytes(),
                _ => self.script.as_bytes(),
            })?;
            rest = behind;
        }
        out.write_all(rest.as_bytes())
    }
}

/// The `sha256-…` by which a content security policy knows a script or a style.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// JSON so that nothing in it ends the script element that it stands in, or begins anything else.
fn in_script(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '<' => shown.push_str("\\u003c"),
            '>' => shown.push_str("\\u003e"),
            '&' => shown.push_str("\\u0026"),
            char => shown.push(char),
        }
    }
    shown
}
