//! JSON on its way out: one object a line.

use super::text::is_unsafe;

/// The document on one line. A line stays as it is, byte for byte; of a document on several lines
/// only the line breaks change, since JSON allows none inside a string.
pub fn one_line(document: &str) -> String {
    document.trim().replace(['\n', '\r'], " ")
}

/// The same document for a terminal: what a terminal would obey is written as `\uXXXX`.
///
/// JSON escapes most control characters anyway; DEL, the C1 set and the direction marks may stand
/// raw, and then only inside strings, where the escape means the same.
pub fn for_terminal(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    for c in line.chars() {
        if is_unsafe(c) && c != '\t' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_as_it_is() {
        let line = r#"{"b": 1,  "a":"\n\u001b"}"#;
        assert_eq!(one_line(line), line);
        assert_eq!(for_terminal(line), line);
    }

    #[test]
    fn several_lines_become_one_document() {
        let pretty = "{\n  \"a\": [\r\n 1]\n}\n";
        let line = one_line(pretty);
        assert!(!line.contains(['\n', '\r']));
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&line), read(pretty));
    }

    #[test]
    fn a_terminal_gets_the_same_document_without_commands() {
        let line = "{\"a\":\"\u{9b}2J\u{7f}\u{202e}\u{e0001}\"}";
        let safe = for_terminal(line);
        assert!(!safe.chars().any(is_unsafe));
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&safe), read(line));
    }
}
