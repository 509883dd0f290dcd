//! Runs a program to which the kernel does not tell how another process ended:
//! `without_pidfd info|all PROGRAM [ARGUMENT]...`. By a seccomp filter, `info` takes away the question for
//! an exit status, as kernels before 6.15 do not know it, and `all` pidfds as a whole, as before 5.3.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// `PIDFD_GET_INFO`, from the kernel's `include/uapi/linux/pidfd.h`.
const PIDFD_GET_INFO: u32 = 0xC040_FF0B;

/// Offsets in `struct seccomp_data`, from `include/uapi/linux/seccomp.h`: the call's number, and the low
/// half of its second argument.
const NUMBER: u32 = 0;
const SECOND: u32 = if cfg!(target_endian = "little") { 24 } else { 28 };

fn main() {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let takes_all = words[0] == "all";
    filter(takes_all);
    panic!("{}", Command::new(&words[1]).args(&words[2..]).exec());
}

fn filter(takes_all: bool) {
    let load = |at| op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
    let is = |value, yes, no| op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no);
    let give = |value| op(libc::BPF_RET | libc::BPF_K, value, 0, 0);
    let refuse = |error: i32| give(libc::SECCOMP_RET_ERRNO | error.cast_unsigned());
    let pidfd_open = if takes_all { libc::SYS_pidfd_open } else { -1 };
    let mut code = [
        load(NUMBER),
        is(pidfd_open as u32, 4, 0),
        is(libc::SYS_ioctl as u32, 0, 2),
        load(SECOND),
        is(PIDFD_GET_INFO, 2, 0),
        give(libc::SECCOMP_RET_ALLOW),
        refuse(libc::ENOSYS),
        refuse(libc::ENOTTY),
    ];
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which is valid for the call, and changes nothing else.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

fn op(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
