//! Text that does harm where it is shown raw, and what must hold of an output that shows it.
//!
//! Function names, paths, thread names and SQL come from programs and files that memprof does not
//! know. A test of an output puts every one of [`STRINGS`] wherever such text can stand, and checks
//! the output by the function for its kind.

/// HTML and SVG, terminal escapes, text direction, spreadsheet formulas, paths, and text that ends
/// what it stands in.
pub const STRINGS: [&str; 34] = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "\"><svg onload=alert(4)>",
    "'><b onmouseover='alert(5)",
    "</title></style></text></svg><script>alert(6)</script>",
    "<!-- --><![CDATA[<script>alert(7)</script>]]>",
    "]]><script>alert(8)</script>",
    "&lt;script&gt;alert(9)&lt;/script&gt;",
    "javascript:alert(10)",
    "{{constructor.constructor('alert(11)')()}}",
    "${alert(12)}`+alert(12)+`",
    "\\\"};alert(13);//",
    "\u{1b}[2J\u{1b}[1;31mcleared",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]8;;http://example.com\u{1b}\\link\u{1b}]8;;\u{1b}\\",
    "\u{9b}31mred\u{9d}0;x\u{9c}",
    "overwritten\rinnocent",
    "two\nlines",
    "back\u{8}\u{8}\u{8}space",
    "\u{202e}txt.exe\u{202c}",
    "\u{2066}isolated\u{2069}\u{200f}\u{200e}",
    "line\u{2028}separator\u{2029}",
    "nul\0in the middle\u{7f}",
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(1+1)",
    "\t=1+1",
    "comma,\"quote\",new\nline",
    "../../../../../../etc/passwd",
    "/dev/zero",
    "%s%n%p %00 C:\\con\\con\\*?|",
];

/// For a terminal: nothing but text and line ends.
pub fn in_terminal(output: &str) {
    let steers = |char: char| {
        (char.is_control() && char != '\n')
            || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let line = output.lines().find(|line| line.contains(steers));
    assert_eq!(line, None, "steers the terminal");
}

/// `output` without what sets colours, which the renderers write themselves: any other escape is
/// the text's.
pub fn without_colours(output: &str) -> String {
    let mut parts = output.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.trim_start_matches(|char: char| char.is_ascii_digit() || char == ';');
        match end.strip_prefix('m') {
            Some(text) => plain.push_str(text),
            None => plain.extend(["\u{1b}[", part]),
        }
    }
    plain
}

/// For a spreadsheet: cells that are no formulas, in rows of the same length, and no control
/// characters.
pub fn in_csv(output: &str) {
    let mut rows = csv::ReaderBuilder::new().from_reader(output.as_bytes());
    for row in rows.records() {
        for cell in &row.expect("rows of the same length") {
            let is_number = cell.parse::<f64>().is_ok();
            let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
            assert!(is_number || !is_formula, "a formula: {cell:?}");
            let steers = |char: char| char.is_control() && char != '\t';
            assert!(!cell.contains(steers), "steers: {cell:?}");
        }
    }
}

/// For a program or a page: JSON whose own text is harmless on a terminal.
pub fn in_json(output: &str) -> serde_json::Value {
    in_terminal(output);
    serde_json::from_str(output).expect("JSON")
}

/// For a browser: no string stands there as it is, unless it is harmless there.
pub fn in_markup(output: &str) {
    for string in STRINGS {
        let harmful = string.contains(['<', '>', '"', '\'']);
        assert!(!harmful || !output.contains(string), "raw: {string:?}");
    }
    for tag in ["<img", "<b ", "onload=", "onerror=", "onmouseover="] {
        // Behind an escaped quote or bracket it is text; as a tag or an attribute of one it is not.
        let mut found = output.match_indices(tag);
        let is_tag = |(at, _): (usize, &str)| {
            let open = output[..at].rfind('<');
            let closed = output[..at].rfind('>');
            tag.starts_with('<') || open > closed
        };
        assert!(!found.any(is_tag), "{tag} is alive");
    }
}
