//! Levels in the words and numbers of other loggers, as `tracing` levels.

use tracing_core::Level;

/// The level that a word names, in any case.
pub fn of_word(word: &str) -> Option<Level> {
    let mut lower = [0u8; 12];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"trace" | b"trc" | b"finest" | b"finer" => Level::TRACE,
        b"debug" | b"dbg" | b"debu" | b"fine" | b"verbose" | b"vrb" => Level::DEBUG,
        b"info" | b"inf" | b"information" | b"notice" | b"log" | b"statement" | b"detail"
        | b"hint" => Level::INFO,
        b"warn" | b"wrn" | b"warning" => Level::WARN,
        b"error" | b"err" | b"erro" | b"eror" | b"severe" | b"fatal" | b"fata" | b"ftl"
        | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency" | b"panic" | b"pnc"
        | b"dpanic" => Level::ERROR,
        _ => return None,
    })
}

/// The level at the start as a word of its own, in capitals, and what follows.
pub fn leading(text: &str) -> Option<(Level, &str)> {
    let end = text.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    // `LOG`, `DETAIL` and the like are levels in one server's words, and only before a colon.
    let rare = matches!(word, "LOG" | "STATEMENT" | "DETAIL" | "HINT" | "FINE" | "ALERT");
    let level = of_word(word).filter(|_| !rare || rest.starts_with(':'))?;
    let ends = rest.is_empty() || rest.starts_with([' ', ':', '\t', '|', ']', '[']);
    ends.then_some((level, rest))
}

/// The numbers of bunyan and pino, and of syslog where they are below 8.
pub fn of_number(number: f64) -> Option<Level> {
    Some(match number {
        n if !(0.0..=1000.0).contains(&n) => return None,
        n if n < 4.0 => Level::ERROR,
        n if n < 5.0 => Level::WARN,
        n if n < 7.0 => Level::INFO,
        n if n < 8.0 => Level::DEBUG,
        n if n < 15.0 => Level::TRACE,
        n if n < 25.0 => Level::DEBUG,
        n if n < 35.0 => Level::INFO,
        n if n < 45.0 => Level::WARN,
        _ => Level::ERROR,
    })
}

/// The level of a syslog severity.
pub fn of_severity(severity: u8) -> Level {
    match severity {
        0..=3 => Level::ERROR,
        4 => Level::WARN,
        5 | 6 => Level::INFO,
        _ => Level::DEBUG,
    }
}
