//! Bytes of a line as text, and the small parts that all formats are made of.
//!
//! **Guarantee:** everything here takes time linear in the text. **Lost:** colours and other escape
//! sequences; a byte that is not UTF-8 becomes U+FFFD.

/// The text of a line, without escape sequences.
pub fn plain(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == 0x1b) {
        kept.extend_from_slice(&rest[..at]);
        rest = &rest[at + escape_len(&rest[at..])..];
    }
    kept.extend_from_slice(rest);
    let mut text = String::with_capacity(kept.len());
    for chunk in kept.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Bytes of the escape sequence at the start.
fn escape_len(bytes: &[u8]) -> usize {
    let end = |from: usize, is_end: &dyn Fn(u8) -> bool| {
        bytes[from..].iter().position(|byte| is_end(*byte)).map_or(bytes.len(), |at| from + at + 1)
    };
    match bytes.get(1) {
        // Colours and the like: up to a letter.
        Some(b'[') => end(2, &|byte| (0x40..0x7f).contains(&byte)),
        // A title or a link: up to a bell, or to the backslash of another escape.
        Some(b']') => end(2, &|byte| byte == 0x07 || byte == b'\\'),
        Some(_) => 2,
        None => 1,
    }
}

/// The word at the start: up to a space or a tab.
pub fn word(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    text.split_at(end)
}

/// Whether a word can name a logger, a target or a program.
pub fn is_name(word: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-/$*#@".contains(&byte);
    (1..=200).contains(&word.len())
        && word.bytes().all(byte)
        && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Whether a text is a number of digits only.
pub fn is_number(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands between the bracket at the start and its end, and what follows. Brackets in it nest.
pub fn bracketed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let inner = text.strip_prefix(open)?;
    let mut depth = 0usize;
    for (at, c) in inner.char_indices().take(4096) {
        if c == open {
            depth += 1;
        } else if c == close {
            if depth == 0 {
                return Some((&inner[..at], &inner[at + close.len_utf8()..]));
            }
            depth -= 1;
        }
    }
    None
}

/// The string in double quotes at the start, unescaped, and what follows.
pub fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &inner[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other @ ('"' | '\\' | '\'') => value.push(other),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    None
}

/// `FILE:LINE` with a file that has an extension.
pub fn source(text: &str) -> Option<(&str, u32)> {
    let (file, line) = text.rsplit_once(':')?;
    let line = line.parse().ok().filter(|_| is_number(line))?;
    let (_, extension) = file.rsplit_once('.')?;
    let is_extension =
        (1..=5).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_extension && !file.contains(char::is_whitespace)).then_some((file, line))
}
