//! Signals by number and by name.
//!
//! The numbers are this system's own, from the C library; names are those of POSIX and Linux
//! (`signal(7)`), with or without `SIG`, in any case. Real-time signals are `RTMIN`, `RTMIN+n`,
//! `RTMAX-n` and `RTMAX`, as `kill -l` writes them.

/// The signals with a name of their own, in the order of their numbers on most machines. Where a
/// signal has two names the usual one comes first.
#[cfg(unix)]
const NAMES: &[(i32, &str)] = &[
    (libc::SIGHUP, "HUP"),
    (libc::SIGINT, "INT"),
    (libc::SIGQUIT, "QUIT"),
    (libc::SIGILL, "ILL"),
    (libc::SIGTRAP, "TRAP"),
    (libc::SIGABRT, "ABRT"),
    (libc::SIGABRT, "IOT"),
    (libc::SIGBUS, "BUS"),
    (libc::SIGFPE, "FPE"),
    (libc::SIGKILL, "KILL"),
    (libc::SIGUSR1, "USR1"),
    (libc::SIGSEGV, "SEGV"),
    (libc::SIGUSR2, "USR2"),
    (libc::SIGPIPE, "PIPE"),
    (libc::SIGALRM, "ALRM"),
    (libc::SIGTERM, "TERM"),
    #[cfg(target_os = "linux")]
    (libc::SIGSTKFLT, "STKFLT"),
    (libc::SIGCHLD, "CHLD"),
    (libc::SIGCHLD, "CLD"),
    (libc::SIGCONT, "CONT"),
    (libc::SIGSTOP, "STOP"),
    (libc::SIGTSTP, "TSTP"),
    (libc::SIGTTIN, "TTIN"),
    (libc::SIGTTOU, "TTOU"),
    (libc::SIGURG, "URG"),
    (libc::SIGXCPU, "XCPU"),
    (libc::SIGXFSZ, "XFSZ"),
    (libc::SIGVTALRM, "VTALRM"),
    (libc::SIGPROF, "PROF"),
    (libc::SIGWINCH, "WINCH"),
    (libc::SIGIO, "IO"),
    #[cfg(target_os = "linux")]
    (libc::SIGPOLL, "POLL"),
    #[cfg(target_os = "linux")]
    (libc::SIGPWR, "PWR"),
    (libc::SIGSYS, "SYS"),
];

/// No signal has a number elsewhere.
#[cfg(not(unix))]
const NAMES: &[(i32, &str)] = &[];

/// The first and the last real-time signal that a program may use.
#[cfg(target_os = "linux")]
fn real_time() -> Option<(i32, i32)> {
    Some((libc::SIGRTMIN(), libc::SIGRTMAX()))
}

/// Elsewhere there are none, or they have no names.
#[cfg(not(target_os = "linux"))]
fn real_time() -> Option<(i32, i32)> {
    None
}

/// The name of a signal: `SIGSEGV`, `SIGRTMIN+3`, `signal 99` for a number without one.
#[must_use]
pub fn name(number: i32) -> String {
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == number) {
        return format!("SIG{name}");
    }
    match real_time() {
        Some((first, last)) if (first..=last).contains(&number) => match number - first {
            0 => "SIGRTMIN".to_owned(),
            above => format!("SIGRTMIN+{above}"),
        },
        _ => format!("signal {number}"),
    }
}

/// The number of a signal given by name or number: `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+1`.
/// `None` for anything else, 0 and numbers that are no signal's among it.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    let text = text.trim().to_ascii_uppercase();
    if let Ok(number) = text.parse::<i32>() {
        let real = |(first, last): (i32, i32)| (first..=last).contains(&number);
        let known = NAMES.iter().any(|(known, _)| *known == number);
        return (known || real_time().is_some_and(real)).then_some(number);
    }
    let short = text.strip_prefix("SIG").unwrap_or(&text);
    let named = NAMES.iter().find(|(_, name)| *name == short).map(|(number, _)| *number);
    named.or_else(|| real_time_number(short))
}

fn real_time_number(name: &str) -> Option<i32> {
    let (first, last) = real_time()?;
    let offset = |rest: &str, sign: char| match rest.strip_prefix(sign) {
        Some(digits) => digits.parse::<u8>().ok().map(i32::from),
        None => rest.is_empty().then_some(0),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => first + offset(rest, '+')?,
        (_, Some(rest)) => last - offset(rest, '-')?,
        _ => return None,
    };
    (first..=last).contains(&number).then_some(number)
}

/// Whether it is the signal that asks for nothing but an end.
#[must_use]
pub fn is_term(number: i32) -> bool {
    name(number) == "SIGTERM"
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_name_the_same() {
        for text in ["TERM", "SIGTERM", "sigterm", " 15 "] {
            assert_eq!(number(text), Some(libc::SIGTERM), "{text}");
        }
        for wrong in ["", "SIG", "0", "-1", "999", "TERMINATE", "RTMIN-1", "RTMIN+99"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_signal_has_one_name_and_is_found_by_it() {
        for signal in 1..=31 {
            let name = name(signal);
            assert_eq!(number(&name), Some(signal), "{name}");
        }
        assert_eq!(name(libc::SIGABRT), "SIGABRT");
        assert_eq!(name(999), "signal 999");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn real_time_signals_count_from_both_ends() {
        assert_eq!(number("SIGRTMIN+1"), Some(libc::SIGRTMIN() + 1));
        assert_eq!(number("RTMAX"), Some(libc::SIGRTMAX()));
        assert_eq!(name(libc::SIGRTMIN()), "SIGRTMIN");
        assert_eq!(number(&name(libc::SIGRTMIN() + 3)), Some(libc::SIGRTMIN() + 3));
    }
}
