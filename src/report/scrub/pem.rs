//! PEM blocks: keys, certificates, messages.
//!
//! From `-----BEGIN LABEL-----` to the end that belongs to it, if that is near, with real newlines or
//! escaped ones. A block that has lost its end goes as far as its lines look like base64, and one that
//! has lost its beginning goes back as far.

use std::ops::Range;

/// What a block begins with.
pub const BEGIN: &str = "-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Most bytes of a label.
const LABEL: usize = 64;

/// Most bytes of a block that is looked for the end of.
const BLOCK: usize = 64 * 1024;

/// Where the ends of blocks are, so that none is looked for twice.
#[derive(Debug, Default)]
pub struct Ends {
    /// The next end, or the end of the text, and from where on it is the next.
    next: Option<(usize, usize)>,
}

impl Ends {
    fn after(&mut self, text: &[u8], from: usize) -> usize {
        match self.next {
            Some((since, end)) if since <= from && from <= end => end,
            _ => {
                let end = memchr::memmem::find(&text[from..], END);
                let end = end.map_or(text.len(), |end| from + end);
                self.next = Some((from, end));
                end
            }
        }
    }
}

/// The block that begins at `found`, which is where [`BEGIN`] stands.
pub fn block(text: &[u8], found: &Range<usize>, ends: &mut Ends) -> Option<Range<usize>> {
    let label = label(text, found.end)?;
    let from = label + DASHES.len();
    let end = ends.after(text, from);
    let begins_again = || memchr::memmem::find(&text[from..end], BEGIN.as_bytes()).is_some();
    if end < text.len() && end - from <= BLOCK && !begins_again() {
        let close =
            self::label(text, end + END.len()).map_or(end + END.len(), |at| at + DASHES.len());
        return Some(found.start..close);
    }
    let end = from + base64(&text[from..]);
    (end - from >= 16).then_some(found.start..end)
}

/// The rest of a block whose beginning is not in the text, as at the start of the end of a stream: the
/// lines of base64 before the first end, and that end.
pub fn rest(text: &[u8]) -> Option<Range<usize>> {
    let end = memchr::memmem::find(text, END)?;
    let before = &text[..end];
    if memchr::memmem::find(before, BEGIN.as_bytes()).is_some() {
        return None;
    }
    let close = label(text, end + END.len())? + DASHES.len();
    let mut start = end;
    while start > 0 && end - start <= BLOCK {
        let line =
            before[..start - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // The first line may be a part of one, and the last one is as long as it happens to be.
        let is_short = start - line < 20 && line > 0 && start < end;
        if is_short || !before[line..start].trim_ascii().iter().all(|byte| is_inside(*byte)) {
            break;
        }
        start = line;
    }
    (start < end).then_some(start..close)
}

/// Whether a byte may stand within a line of a block, whose newlines may be escaped.
fn is_inside(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=\\".contains(&byte)
}

/// Where a label ends that begins at `from`: before its dashes.
fn label(text: &[u8], from: usize) -> Option<usize> {
    let rest = &text[from..];
    let len = rest
        .iter()
        .take(LABEL)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b' ')
        .count();
    (len > 0 && rest[len..].starts_with(DASHES)).then_some(from + len)
}

/// How many bytes look like the inside of a block: base64, blanks, newlines and the escapes of both.
fn base64(text: &[u8]) -> usize {
    let mut len = 0;
    while let Some(&byte) = text.get(len) {
        let escape = byte == b'\\' && matches!(text.get(len + 1), Some(b'n' | b'r' | b'\\'));
        let part = byte.is_ascii_alphanumeric() || b"+/=\n\r".contains(&byte) || escape;
        let indent =
            b" \t".contains(&byte) && text[..len].last().is_none_or(|b| b"\n \t".contains(b));
        if !part && !indent {
            break;
        }
        len += 1;
    }
    // A word of the line behind the block is none of it.
    let cut = text.get(len).is_some();
    let line = text[..len].iter().rposition(|byte| *byte == b'\n');
    match line {
        Some(line) if cut && text[len] == b' ' => line,
        _ => len,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        match rest(text.as_bytes()) {
            Some(secret) => format!("{}[]{}", &text[..secret.start], &text[secret.end..]),
            None => text.to_owned(),
        }
    }

    #[test]
    fn a_block_without_its_beginning_goes_back_to_where_it_looks_like_one() {
        let key = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU=";
        assert_eq!(kept(&format!("zaC1r\n{key}\n-----END RSA PRIVATE KEY-----\nx")), "[]\nx");
        assert_eq!(
            kept(&format!("a line: 7\nready\n{key}\n{key}\nAB=\n-----END KEY-----")),
            "a line: 7\nready\n[]"
        );
        for whole in ["-----END of the story", "no key\n-----END KEY-----", "-----END KEY-----"] {
            assert!(kept(whole).contains("END"), "{whole}");
        }
        let block = format!("-----BEGIN KEY-----\n{key}\n-----END KEY-----");
        assert_eq!(kept(&block), block);
    }
}
