//! What a log shipper put before every line, and how to take it off.
//!
//! **Guarantee:** a prefix is only believed if it continues: the first line of a report has it,
//! and so must the lines after it. **Known** are the stamps of Kubernetes and Docker, CRI log files,
//! `docker compose`, `kubectl logs --prefix`, foreman, syslog and journald, also several of them one
//! after another; **any other** prefix is recognised by the next line beginning with the same bytes,
//! where digits may differ. **Lost:** a prefix of varying width that is none of the known ones, and a
//! prefixed report of one line.
//!
//! A stamp alone does not tell a shipper from a logger (`2026-03-04T05:06:07Z ERROR orders: ...`):
//! behind a logger's stamp no runtime begins its report, and its next lines have none.

use super::text::{colour_len, has_form};

/// Longest name before a line.
const MOST_NAME: usize = 200;
/// Most parts of one prefix.
const MOST_PARTS: usize = 4;

/// What stands before each line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Nothing.
    None,
    /// Parts of known forms.
    Known(Vec<Part>),
    /// The same bytes, digits aside.
    Constant(Box<[u8]>),
}

/// One part of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A time, which changes from line to line: `2026-06-01T12:00:00.000Z `, `Jun  1 12:00:00 `,
    /// `12:00:00 `.
    Stamp,
    /// The stream and the completeness of a line in a CRI log file: `stderr F `.
    Cri,
    /// What stays the same: `web-1  | `, `[pod/web/app] `, `host app[17]: `.
    Name(Box<[u8]>),
}

/// A line without its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peeled<'a> {
    pub(super) text: &'a [u8],
    /// Whether the shipper broke a longer line after this part of it.
    pub(super) partial: bool,
}

impl Prefix {
    /// The prefix of a known form that a line begins with, and the line without it.
    pub(super) fn known(line: &[u8]) -> Option<(Prefix, Peeled<'_>)> {
        let mut parts = Vec::new();
        let (mut rest, mut partial) = (line, false);
        while parts.len() < MOST_PARTS {
            let Some((part, after)) = next_part(rest, &parts) else { break };
            partial |= part == Part::Cri && is_partial(rest);
            parts.push(part);
            rest = after;
        }
        let peeled = Peeled { text: rest, partial };
        (!parts.is_empty()).then_some((Prefix::Known(parts), peeled))
    }

    /// The prefix that two lines share, if it ends before `most` bytes of the first: after a space.
    pub(super) fn shared(first: &[u8], second: &[u8], most: usize) -> Option<Prefix> {
        let same = first.iter().zip(second).take_while(|(one, other)| alike(**one, **other));
        let mut len = same.count();
        // A blank line may have lost the space at the prefix's end.
        if len == second.len() {
            len += first[len..].iter().take_while(|byte| **byte == b' ').count();
        }
        let shared = &first[..len.min(most)];
        let end = shared.iter().rposition(|byte| matches!(byte, b' ' | b'\t'))? + 1;
        // Without a letter or a digit it is indentation, or the mark of a quotation.
        let named = shared[..end].iter().any(u8::is_ascii_alphanumeric);
        (named && end <= MOST_NAME).then(|| Prefix::Constant(shared[..end].into()))
    }

    /// The line without the prefix; `None` if it does not begin with it.
    pub(super) fn peel<'a>(&self, line: &'a [u8]) -> Option<Peeled<'a>> {
        match self {
            Prefix::None => Some(Peeled { text: line, partial: false }),
            Prefix::Constant(prefix) => {
                let text = peel_constant(line, prefix)?;
                Some(Peeled { text, partial: false })
            }
            Prefix::Known(parts) => {
                let (mut rest, mut partial) = (line, false);
                for part in parts {
                    partial |= *part == Part::Cri && is_partial(rest);
                    rest = part.peel(rest)?;
                }
                Some(Peeled { text: rest, partial })
            }
        }
    }
}

impl Part {
    fn peel<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Part::Stamp => stamp(line),
            Part::Cri => cri(line),
            Part::Name(name) => match line.strip_prefix(&**name) {
                Some(rest) => Some(rest),
                None => (line == name.trim_ascii_end()).then_some(b""),
            },
        }
    }
}

fn alike(one: u8, other: u8) -> bool {
    one == other || one.is_ascii_digit() && other.is_ascii_digit()
}

fn peel_constant<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let same = line.iter().zip(prefix).take_while(|(one, other)| alike(**one, **other)).count();
    let lost_space = same == line.len() && prefix[same..].trim_ascii().is_empty();
    if same == prefix.len() { Some(&line[same..]) } else { lost_space.then_some(b"") }
}

/// The part that `line` begins with behind the parts before it.
fn next_part<'a>(line: &'a [u8], before: &[Part]) -> Option<(Part, &'a [u8])> {
    let name = |len: usize| (Part::Name(line[..len].into()), &line[len..]);
    if before.last() == Some(&Part::Stamp) {
        if let Some(rest) = cri(line) {
            return Some((Part::Cri, rest));
        }
        if let Some(len) = process_name(line) {
            return Some(name(len));
        }
    } else if let Some(rest) = rfc3339(line).or_else(|| syslog_time(line)) {
        return Some((Part::Stamp, rest));
    }
    if let Some(rest) = clock(line) {
        // Foreman; a clock alone is a logger's.
        return compose_name(rest).map(|_| (Part::Stamp, rest));
    }
    let len = priority(line).or_else(|| compose_name(line)).or_else(|| pod(line))?;
    Some(name(len))
}

/// Behind a space, or at the end of a line that lost it.
fn after_space(rest: &[u8]) -> Option<&[u8]> {
    match rest.split_first() {
        None => Some(rest),
        Some((b' ', rest)) => Some(rest),
        Some(_) => None,
    }
}

/// A time, and the space behind it.
fn stamp(line: &[u8]) -> Option<&[u8]> {
    rfc3339(line).or_else(|| syslog_time(line)).or_else(|| clock(line))
}

/// `2026-06-01T12:00:00.000Z `, with any fraction and any zone.
fn rfc3339(line: &[u8]) -> Option<&[u8]> {
    if !has_form(line, b"0000-00-00T00:00:00") {
        return None;
    }
    let rest = fraction(&line[19..]);
    let rest = match rest.first()? {
        b'Z' => &rest[1..],
        b'+' | b'-' if has_form(&rest[1..], b"00:00") => &rest[6..],
        b'+' | b'-' if has_form(&rest[1..], b"0000") => &rest[5..],
        _ => return None,
    };
    after_space(rest)
}

/// `Jun  1 12:00:00 `, with any fraction.
fn syslog_time(line: &[u8]) -> Option<&[u8]> {
    const MONTHS: [&[u8]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let month = MONTHS.iter().any(|month| line.starts_with(month));
    let rest = line.get(3..)?;
    if !month || !(has_form(rest, b" 00 00:00:00") || has_form(rest, b"  0 00:00:00")) {
        return None;
    }
    after_space(fraction(&rest[12..]))
}

/// `12:00:00 `.
fn clock(line: &[u8]) -> Option<&[u8]> {
    if has_form(line, b"00:00:00") { after_space(fraction(&line[8..])) } else { None }
}

fn fraction(rest: &[u8]) -> &[u8] {
    match rest.split_first() {
        Some((b'.' | b',', digits)) => {
            &digits[digits.iter().take_while(|byte| byte.is_ascii_digit()).count()..]
        }
        _ => rest,
    }
}

/// `stderr F `: stream, and whether the line is whole or partial, perhaps with more tags.
fn cri(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"stderr ").or_else(|| line.strip_prefix(b"stdout "))?;
    let tags = rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
    match (rest.first()?, rest.get(1)) {
        (b'F' | b'P', None | Some(b' ' | b':')) => after_space(&rest[tags..]),
        _ => None,
    }
}

fn is_partial(line: &[u8]) -> bool {
    line.get(7) == Some(&b'P')
}

/// `<14>`, as syslog writes facility and level.
fn priority(line: &[u8]) -> Option<usize> {
    let digits = line.strip_prefix(b"<")?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    ((1..=3).contains(&digits) && line.get(digits + 1) == Some(&b'>')).then_some(digits + 2)
}

/// `web-1  | `, perhaps in colour.
fn compose_name(line: &[u8]) -> Option<usize> {
    let name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-@/".contains(byte);
    let count = |from: usize, wanted: &dyn Fn(&u8) -> bool| {
        line[from..].iter().take(MOST_NAME).take_while(|byte| wanted(byte)).count()
    };
    let mut at = colours(line);
    let name = count(at, &name_byte);
    at += name;
    at += count(at, &|byte| *byte == b' ');
    at += colours(&line[at..]);
    if name == 0 || line.get(at) != Some(&b'|') {
        return None;
    }
    at += 1;
    at += colours(&line[at..]);
    match line.get(at) {
        None => Some(at),
        Some(b' ') => Some(at + 1 + colours(&line[at + 1..])),
        Some(_) => None,
    }
}

/// Bytes of the colour codes at the start.
fn colours(line: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = colour_len(&line[at..]) {
        at += len;
    }
    at
}

/// `[pod/orders-7d9f/app] `.
fn pod(line: &[u8]) -> Option<usize> {
    let path = line.strip_prefix(b"[pod/")?;
    let end = path.iter().take(MOST_NAME).position(|byte| *byte == b']')?;
    let len = end + 6;
    match line.get(len) {
        None => Some(len),
        Some(b' ') => Some(len + 1),
        Some(_) => None,
    }
}

/// `host app[17]: ` behind a time, as syslog and journald write it. The number must be there:
/// without it a logger's `ERROR orders: ` would look the same.
fn process_name(line: &[u8]) -> Option<usize> {
    let head = &line[..line.len().min(MOST_NAME)];
    let end = head.windows(2).position(|pair| pair == b"]:")?;
    let open = head[..end].iter().rposition(|byte| *byte == b'[')?;
    let digits = &head[open + 1..end];
    let words = head[..open].split(|byte| *byte == b' ').collect::<Vec<_>>();
    let named = matches!(words.len(), 1 | 2) && words.iter().all(|word| !word.is_empty());
    if !named || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match line.get(end + 2) {
        None => Some(end + 2),
        Some(b' ') => Some(end + 3),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn peels(first: &str, next: &str, text: &str) {
        let (prefix, peeled) = Prefix::known(first.as_bytes()).expect("a known prefix");
        assert_eq!(peeled.text, b"panic: x", "{prefix:?}");
        let next = prefix.peel(next.as_bytes()).map(|peeled| peeled.text);
        assert_eq!(next, Some(text.as_bytes()), "{prefix:?}");
    }

    #[test]
    fn shippers() {
        peels(
            "2026-06-01T12:00:00.000000Z panic: x",
            "2026-06-01T12:00:01.5+02:00 \t/x.go:1",
            "\t/x.go:1",
        );
        peels("2026-06-01T12:00:00Z stderr F panic: x", "2026-06-01T12:00:00Z stderr F", "");
        peels("web-1  | panic: x", "web-1  | main.main()", "main.main()");
        peels("web-1  | panic: x", "web-1  |", "");
        peels("\u{1b}[36mweb-1  | \u{1b}[0mpanic: x", "\u{1b}[36mweb-1  | \u{1b}[0ma", "a");
        peels("[pod/a-7d/app] panic: x", "[pod/a-7d/app] ", "");
        peels(
            "[pod/a/app] 2026-06-01T12:00:00Z panic: x",
            "[pod/a/app] 2026-06-01T12:00:00Z y",
            "y",
        );
        peels("Jun  1 12:00:00 db1 app[17]: panic: x", "Jun  1 12:00:01 db1 app[17]: y", "y");
        peels(
            "Jun 11 12:00:00.123456 db1 app[17]: panic: x",
            "Jun 11 12:00:01 db1 app[17]: y",
            "y",
        );
        peels(
            "<14>Jun 11 12:00:00 db1 app[17]: panic: x",
            "<14>Jun 11 12:00:01 db1 app[17]: y",
            "y",
        );
        peels(
            "2026-06-01T12:00:00+0000 db1 app[17]: panic: x",
            "2026-06-01T12:00:00+0000 db1 app[17]: y",
            "y",
        );
        peels("12:00:00 web.1  | panic: x", "12:00:01 web.1  | y", "y");
    }

    #[test]
    fn another_process_is_not_peeled() {
        let (prefix, _) = Prefix::known(b"web-1  | panic: x").expect("a known prefix");
        assert_eq!(prefix.peel(b"db-1   | main.main()"), None);
        let (prefix, _) =
            Prefix::known(b"Jun  1 12:00:00 db1 app[17]: panic: x").expect("a known prefix");
        assert_eq!(prefix.peel(b"Jun  1 12:00:00 db1 app[18]: y"), None);
    }

    #[test]
    fn loggers_are_not_shippers() {
        assert_eq!(Prefix::known(b"2026/11/22 00:51:21 panic: x"), None);
        assert_eq!(Prefix::known(b"12:00:00 panic: x"), None);
        assert_eq!(Prefix::known(b"orders: panic: x"), None);
        let (_, peeled) = Prefix::known(b"2026-03-04T05:06:07Z ERROR orders: x").expect("a stamp");
        assert_eq!(peeled.text, b"ERROR orders: x");
    }

    #[test]
    fn partial_lines_are_known() {
        let peeled = Prefix::known(b"2026-06-01T12:00:00Z stderr P panic: x").expect("a prefix").1;
        assert!(peeled.partial);
        let peeled = Prefix::known(b"2026-06-01T12:00:00Z stderr F panic: x").expect("a prefix").1;
        assert!(!peeled.partial);
    }

    #[test]
    fn what_two_lines_share() {
        let constant = |text: &str| Some(Prefix::Constant(text.as_bytes().into()));
        let shared = |one: &str, two: &str| {
            let most = one.find("panic").expect("a mark");
            Prefix::shared(one.as_bytes(), two.as_bytes(), most)
        };
        assert_eq!(
            shared("app[12:00:01]> panic: x", "app[12:00:02]> "),
            constant("app[12:00:01]> ")
        );
        assert_eq!(shared("[app] panic: x", "[app]"), constant("[app] "));
        assert_eq!(shared("[app] panic: x", "[web] y"), None);
        assert_eq!(shared("progress: 41%panic: x", ""), None);
        let prefix = constant("[12] ").expect("a prefix");
        assert_eq!(prefix.peel(b"[13] y").map(|p| p.text), Some(&b"y"[..]));
        assert_eq!(prefix.peel(b"[13]").map(|p| p.text), Some(&b""[..]));
        assert_eq!(prefix.peel(b"[x] y"), None);
    }
}
