//! Signals in Go's reports: behind a panic, and as what ended the process.

use crate::detect::{SignalInfo, signal};

use super::super::text::{decode, hex, number};

/// A signal of which only the name is known yet.
pub(super) fn named(name: &str) -> SignalInfo {
    SignalInfo { number: signal::number(name), name: name.to_owned(), ..SignalInfo::default() }
}

/// Adds what `PC=0x476181 m=0 sigcode=1 addr=0x8` says.
pub(super) fn add_detail(info: &mut SignalInfo, text: &[u8]) {
    info.code = word(text, "sigcode=").and_then(signed);
    // Of a signal that was sent, the sender's number stands there.
    let faulted = info.code.is_some_and(|code| code > 0);
    info.address = word(text, "addr=").and_then(hex).filter(|_| faulted);
}

/// What stands behind `name` in words between spaces.
fn word<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut words = text.split(|byte| *byte == b' ');
    words.find_map(|word| word.strip_prefix(name.as_bytes()))
}

/// `[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x480fc4]`.
pub(super) fn behind_a_panic(text: &[u8]) -> Option<SignalInfo> {
    let inner = text.strip_prefix(b"[signal ")?.strip_suffix(b"]")?;
    let end = inner.iter().position(|byte| *byte == b':' || *byte == b' ')?;
    let name = decode(&inner[..end]);
    let number = match hex(&inner[..end]) {
        Some(number) => i32::try_from(number).ok(),
        None => signal::number(&name),
    };
    // Windows prints an exception's code: `[signal 0xc0000005 code=0x0 ...]`.
    let name = match number {
        Some(number) if !name.starts_with("SIG") => signal::name(number),
        _ => name,
    };
    let code = word(inner, "code=").and_then(hex).map(|code| code.cast_signed());
    Some(SignalInfo { number, name, code, address: word(inner, "addr=").and_then(hex) })
}

/// A signal's code. Negative ones (the signal was sent by a process) are printed as what they are in
/// 32 or 64 bits without a sign.
fn signed(digits: &[u8]) -> Option<i64> {
    let code = match digits.strip_prefix(b"-") {
        Some(digits) => number(digits)?.cast_signed().checked_neg()?,
        None => number(digits)?.cast_signed(),
    };
    let is_short = u32::try_from(code).is_ok_and(|code| code > i32::MAX.cast_unsigned());
    Some(if is_short { code - (1 << 32) } else { code })
}

/// What the runtime says between a signal's first line and the first stack.
pub(super) fn is_detail(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 4] =
        [b"PC=", b"signal arrived during ", b"instruction bytes:", b"[signal "];
    STARTS.iter().any(|start| text.starts_with(start))
}
