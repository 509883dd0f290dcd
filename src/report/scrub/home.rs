//! The user's name in a path: `/home/NAME`, `/Users/NAME`, `C:\Users\NAME`.
//!
//! Only where the path begins there, or below one of a few well-known directories (`/var/home`,
//! `/mnt/c/Users`): `/v1/users/7`, `example.com/home/x` and `src/home/x` are none, and
//! `/home/index.html` is a page. `/root`,
//! `/Users/Shared` and `C:\Users\Public` name nobody.

use std::ops::Range;

use super::words::is_word;

/// Directories below `Users` that belong to nobody.
const NOBODY: [&[u8]; 4] = [b"Shared", b"Public", b"Default", b"All Users"];

/// What may stand before `/home/` and `/Users/`.
const ROOTS: [&[u8]; 8] =
    [b"/var", b"/usr", b"/export", b"/data", b"/mnt", b"/srv", b"/System/Volumes/Data", b"/host"];

/// Ends of the names of pages.
const PAGES: [&[u8]; 16] = [
    b"html", b"htm", b"xhtml", b"php", b"asp", b"aspx", b"jsp", b"js", b"css", b"json", b"xml",
    b"txt", b"png", b"svg", b"ico", b"do",
];

/// Longest name of a user that has a blank in it.
const BLANK_NAME: usize = 40;

/// The name behind `home`, which is where `/home/` or its like stands.
pub fn user(text: &[u8], home: Range<usize>) -> Option<Range<usize>> {
    let written = &text[home.clone()];
    let windows = written.eq_ignore_ascii_case(b"\\users\\") || is_drive(text, home.start);
    if !windows && written != b"/home/" && written != b"/Users/" {
        return None;
    }
    if !windows && !is_root(&text[..home.start]) {
        return None;
    }
    let name = name(text, home.end, windows)?;
    (!NOBODY.contains(&&text[name.clone()])).then_some(name)
}

/// Whether a path begins, or a drive ends, before `at`: `C:`, `/c`.
fn is_drive(text: &[u8], at: usize) -> bool {
    match &text[..at] {
        [rest @ .., letter, b':'] => letter.is_ascii_alphabetic() && !ends_in_word(rest),
        [rest @ .., b'/', letter] => {
            letter.is_ascii_alphabetic() && (!ends_in_word(rest) || rest.ends_with(b"/mnt"))
        }
        _ => false,
    }
}

fn ends_in_word(text: &[u8]) -> bool {
    text.last().is_some_and(|byte| is_word(*byte))
}

/// Whether a path begins behind `head`.
fn is_root(head: &[u8]) -> bool {
    let root = ROOTS.iter().find_map(|root| head.strip_suffix(*root)).unwrap_or(head);
    match root {
        // `\n/home/x` and the like.
        [.., b'\\', b'n' | b't' | b'r'] => true,
        [.., b'm'] if super::value::is_behind_colour(root, root.len()) => true,
        [.., last] => !last.is_ascii_alphanumeric() && !b"._-~+$}%".contains(last),
        [] => true,
    }
}

fn name(text: &[u8], from: usize, windows: bool) -> Option<Range<usize>> {
    // Within a string each of the path's backslashes is two, or more.
    let escapes = text[from..].iter().take(7).take_while(|byte| **byte == b'\\').count();
    let from = from + if windows { escapes } else { 0 };
    let rest = &text[from..];
    if !rest.first().is_some_and(|byte| is_word(*byte) || *byte == b'_') {
        return None;
    }
    let ends = |byte: &u8| *byte <= b' ' || b"/\\\"'`:;,<>|()[]{}?*#&=!%@".contains(byte);
    let mut len = rest.iter().position(ends).unwrap_or(rest.len());
    // `John Smith\Desktop`
    if windows && rest.get(len) == Some(&b' ') {
        let more = rest.iter().take(BLANK_NAME).position(|byte| *byte != b' ' && ends(byte));
        len = more.filter(|more| b"\\/".contains(&rest[*more])).unwrap_or(len);
    }
    while len > 0 && rest[len - 1] == b'.' {
        len -= 1;
    }
    // `GET /home/index.html` is a page.
    let below = rest.get(len).is_some_and(|byte| b"/\\".contains(byte));
    let end = memchr::memrchr(b'.', &rest[..len]).map(|dot| &rest[dot + 1..len]);
    let page = !windows && !below && end.is_some_and(|end| PAGES.contains(&end));
    (len > 0 && !page).then_some(from..from + len)
}
