//! Programs that ignore no signal at their start: whoever started the tests may do so (`nohup`), and
//! what is ignored is inherited.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// The last signal that is no real-time signal.
const LAST: i32 = 31;

/// Sets every signal to its default before the program begins.
pub fn by_default(command: &mut Command) {
    let reset = || {
        for signal in 1..=LAST {
            // SAFETY: it sets no handler. For SIGKILL and SIGSTOP the kernel refuses.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: `signal` may be called between fork and exec, and nothing else is.
    unsafe { command.pre_exec(reset) };
}
