//! A program that tells what signals it gets.

use std::io::Write;
use std::mem::{MaybeUninit, zeroed};

/// Says `ready`, then every signal it gets, its value with those that have one, until its input
/// ends.
pub fn signals() {
    // SAFETY: the sets are filled in before they are used; all pointers are to local values.
    unsafe {
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
        say("ready");
        loop {
            let mut info: libc::siginfo_t = zeroed();
            let time = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let signal = libc::sigtimedwait(all.as_ptr(), &mut info, &time);
            if signal > 0 && info.si_code == libc::SI_QUEUE {
                say(&format!("signal {signal} with {}", info.si_value().sival_ptr as usize));
            } else if signal > 0 {
                say(&format!("signal {signal}"));
            }
            let mut input = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
            let mut byte = 0u8;
            if signal < 0
                && libc::poll(&mut input, 1, 0) == 1
                && libc::read(0, (&raw mut byte).cast(), 1) == 0
            {
                return;
            }
        }
    }
}

/// Prints a line at once.
pub fn say(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{line}");
    let _ = stdout.flush();
}
