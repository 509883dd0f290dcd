//! Passwords among the arguments of well-known programs, which have no name of their own:
//! `curl -u bob:x`, `mysql -px`, `sshpass -p x`, `redis-cli -a x`.
//!
//! The program has to stand before, near and in the same command. `-u` with numbers only is a user's and
//! a group's.

use std::ops::Range;

use super::assign::content;
use super::value::{self, Around};
use super::words::is_word;

/// How far before its option a program is looked for.
const NEAR: usize = 192;

/// What may follow an option.
enum Form {
    /// `user:password`.
    Pair,
    /// A password, right behind the option.
    Glued,
    /// A password.
    Apart,
}

/// An option, the programs that have it, and what follows it.
type Argument = (&'static [u8], &'static [&'static [u8]], Form);

/// The options.
const OPTIONS: [Argument; 7] = [
    (b" -u", &[b"curl", b"http", b"wget"], Form::Pair),
    (b" --user", &[b"curl", b"wget"], Form::Pair),
    (b" --proxy-user", &[b"curl", b"wget"], Form::Pair),
    (b" -p", &[b"mysql", b"mysqldump", b"mysqladmin", b"mariadb", b"mongo"], Form::Glued),
    (b" -p", &[b"sshpass", b"mongo", b"mongosh"], Form::Apart),
    (b" -a", &[b"redis-cli"], Form::Apart),
    (b" -w", &[b"ldapsearch", b"ldapmodify"], Form::Apart),
];

/// The beginnings of the options.
pub const PATTERNS: [&str; 8] =
    ["\"-u\"", "'-u'", " -u", " --user", " --proxy-user", " -p", " -a", " -w"];

/// The password of the option at `hit`.
pub fn password(text: &[u8], hit: &Range<usize>) -> Option<Range<usize>> {
    let option = &text[hit.clone()];
    let listed = option[0] != b' ';
    let option = if listed { &b" -u"[..] } else { option };
    let head = &text[hit.start.saturating_sub(NEAR)..hit.start];
    let line = memchr::memrchr3(b'\n', b';', b'|', head).map_or(head, |end| &head[end + 1..]);
    let is_near = |program: &&&[u8]| {
        memchr::memmem::rfind(line, program).is_some_and(|at| {
            let edge = at == 0 || !is_word(line[at - 1]);
            let end = line.get(at + program.len());
            edge && end.is_none_or(|byte| !is_word(*byte) && *byte != b':')
        })
    };
    OPTIONS.iter().find_map(|(written, programs, form)| {
        let is_one = option == *written && programs.iter().any(|program| is_near(&program));
        is_one.then(|| argument(text, hit.end, form, listed)).flatten()
    })
}

/// The password in what follows an option, which may be the next one of a list.
fn argument(text: &[u8], at: usize, form: &Form, listed: bool) -> Option<Range<usize>> {
    let apart = matches!(text.get(at), Some(b' ' | b'='));
    if matches!((form, apart), (Form::Glued, true) | (Form::Apart, false)) {
        return None;
    }
    let from = if listed {
        at + text[at..].iter().take(4).take_while(|byte| b", ".contains(byte)).count()
    } else {
        at + usize::from(apart)
    };
    if matches!(text.get(from), None | Some(b' ' | b'-' | b'\n')) {
        return None;
    }
    let value = content(text, from, value::end(text, from, Around::default()), Around::default())?;
    if !matches!(form, Form::Pair) {
        return Some(value);
    }
    let pair = &text[value.clone()];
    let colon = memchr::memchr(b':', pair)?;
    let numbers = pair.iter().all(|byte| byte.is_ascii_digit() || *byte == b':');
    let password = value.start + colon + 1..value.end;
    let is_one = !numbers && !password.is_empty() && text[password.clone()] != *super::MARKER;
    is_one.then_some(password)
}
