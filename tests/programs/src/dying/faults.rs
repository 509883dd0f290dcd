//! Signals that a program's own doing raises.

use std::hint::black_box;

use super::{Way, in_thread, last_line};

pub const WAYS: [Way; 14] = [
    ("segv-main", segv),
    ("segv-thread", segv_in_thread),
    ("null-call", null_call),
    ("bus", bus),
    ("ill", ill),
    ("fpe", fpe),
    ("trap", trap),
    ("sys", sys),
    ("overflow-main", overflow),
    ("overflow-thread", overflow_in_thread),
    ("abort-thread", abort_in_thread),
    ("cpu-limit", cpu_limit),
    ("file-limit", file_limit),
    ("segv-sent", segv_sent),
];

fn segv() {
    #[inline(never)]
    fn the_end() {
        last_line();
        // SAFETY: none: nothing is mapped there, which is what is shown.
        unsafe { std::ptr::without_provenance_mut::<u8>(black_box(16)).write_volatile(1) };
    }
    the_end();
}

fn segv_in_thread() {
    in_thread(segv);
}

/// A call through a null pointer: there is no code at the address of the fault.
fn null_call() {
    #[inline(never)]
    fn the_end() {
        last_line();
        // SAFETY: none: there is no function there, which is what is shown.
        let function: extern "C" fn() = unsafe { std::mem::transmute(black_box(8_usize)) };
        function();
        last_line();
    }
    the_end();
}

/// A mapped file that has become shorter.
fn bus() {
    let path = std::env::temp_dir().join(format!("dying-{}", std::process::id()));
    let file = std::fs::File::create_new(&path).expect("a file");
    let file = std::fs::File::options().read(true).write(true).open(&path).map(|it| (it, file));
    let _ = std::fs::remove_file(&path);
    let (file, _) = file.expect("a file");
    file.set_len(8192).expect("two pages");
    // SAFETY: a fresh mapping of a file of ours; what it points to is gone in the next line.
    let page = unsafe {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        libc::mmap(std::ptr::null_mut(), 8192, libc::PROT_READ, libc::MAP_SHARED, fd, 0)
    };
    assert_ne!(page, libc::MAP_FAILED);
    file.set_len(0).expect("no page");
    #[inline(never)]
    fn the_end(page: *const u8) -> u8 {
        last_line();
        // SAFETY: none: there is nothing behind the page any more, which is what is shown.
        unsafe { page.read_volatile() }
    }
    black_box(the_end(page.cast()));
}

#[inline(never)]
fn ill() {
    #[inline(never)]
    fn the_end() {
        last_line();
        // SAFETY: none: the instruction does not exist, which is what is shown.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!("ud2");
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!("udf #0");
        }
    }
    the_end();
}

fn fpe() {
    #[inline(never)]
    fn the_end() {
        last_line();
        #[cfg(target_arch = "x86_64")]
        // SAFETY: none: the divisor is zero, which is what is shown.
        unsafe {
            std::arch::asm!("xor edx, edx", "xor ecx, ecx", "mov eax, 1", "div ecx",
                out("eax") _, out("ecx") _, out("edx") _);
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: the call has no preconditions.
        unsafe {
            libc::raise(libc::SIGFPE)
        };
    }
    the_end();
}

fn trap() {
    #[inline(never)]
    fn the_end() {
        last_line();
        // SAFETY: none: nobody debugs this process, which is what is shown.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!("int3");
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!("brk #0");
        }
        black_box(());
    }
    the_end();
}

fn sys() {
    #[inline(never)]
    fn the_end() {
        last_line();
        // SAFETY: the call has no preconditions.
        unsafe { libc::raise(libc::SIGSYS) };
        black_box(());
    }
    the_end();
}

#[inline(never)]
#[allow(unconditional_recursion, reason = "it is to overflow")]
fn the_end(depth: usize) -> usize {
    let room = black_box([depth; 32]);
    the_end(depth + 1) + room[depth % 32]
}

fn overflow() {
    last_line();
    black_box(the_end(0));
}

fn overflow_in_thread() {
    in_thread(overflow);
}

fn abort_in_thread() {
    in_thread(|| {
        #[inline(never)]
        fn the_end() {
            last_line();
            // SAFETY: it ends the process.
            unsafe { libc::abort() };
        }
        the_end();
    });
}

fn cpu_limit() {
    limit(libc::RLIMIT_CPU, 1);
    #[inline(never)]
    fn the_end() {
        last_line();
        let mut number = 1_u64;
        while black_box(number) != 0 {
            number = number.wrapping_mul(3) | 1;
        }
    }
    the_end();
}

fn file_limit() {
    limit(libc::RLIMIT_FSIZE, 4096);
    // The standard library's start-up leaves the signal as it is.
    #[inline(never)]
    fn the_end() {
        let path = std::env::temp_dir().join(format!("dying-{}", std::process::id()));
        let file = std::fs::File::create_new(&path).expect("a file");
        let _ = std::fs::remove_file(&path);
        last_line();
        let _ = std::io::Write::write_all(&mut &file, &[0; 8192]);
    }
    the_end();
}

fn limit(resource: libc::__rlimit_resource_t, soft: u64) {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the value is a local one.
    unsafe { libc::setrlimit(resource, &raw const limit) };
}

/// Another process sends it.
fn segv_sent() {
    #[inline(never)]
    fn the_end() {
        last_line();
        println!("ready");
        loop {
            std::thread::park();
        }
    }
    the_end();
}
