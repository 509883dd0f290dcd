//! Deaths by a signal of a fault, an abort or a limit, and faults that are survived.

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::io::{Read, Write};
use std::mem::zeroed;
use std::process::abort;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

pub(crate) const SCENARIOS: [crate::Scenario; 34] = [
    ("segv", segv),
    ("segv-thread", || in_thread(segv)),
    ("null-call", null_call),
    ("null-call-thread", || in_thread(null_call)),
    ("bus", bus),
    ("ill", ill),
    ("fpe", fpe),
    ("trap", trap),
    ("sys", sys),
    ("abort", aborts),
    ("abort-thread", || in_thread(aborts)),
    ("raise-abort", || raise(libc::SIGABRT)),
    ("raise-segv", || raise(libc::SIGSEGV)),
    ("raise-trap", || raise(libc::SIGTRAP)),
    ("xcpu", xcpu),
    ("xfsz", xfsz),
    ("overflow", overflow),
    ("overflow-thread", || in_thread(overflow)),
    ("overflow-small-thread", overflow_small),
    ("wait-for-signal", wait),
    ("wait-ignoring-segv", wait),
    ("two-faults", two_faults),
    ("segv-without-descriptors", segv_without_descriptors),
    ("segv-without-main", segv_without_main),
    ("segv-filtered", segv_filtered),
    ("overflow-filtered", overflow_filtered),
    ("segv-in-child", || in_child(segv)),
    ("handler-before", faults_then_segv),
    ("handler-before-once", faults_then_segv),
    ("abort-handler-before", aborts),
    ("handler-after", handler_after),
    ("handler-aborts", || in_thread(handler_aborts)),
    ("faults-often", faults_often),
    ("stack-use", stack_use),
];

pub(crate) const PREPARATIONS: [crate::Scenario; 6] = [
    ("handler-before", || set_handler(libc::SIGSEGV, mend, libc::SA_ONSTACK)),
    ("handler-before-once", || set_handler(libc::SIGSEGV, mend, libc::SA_RESETHAND)),
    ("abort-handler-before", || set_handler(libc::SIGABRT, says_abort, 0)),
    ("stack-use", || set_handler(libc::SIGSEGV, mend, libc::SA_ONSTACK)),
    ("faults-often", || set_handler(libc::SIGSEGV, mend_silently, libc::SA_ONSTACK)),
    ("wait-ignoring-segv", || ignore(libc::SIGSEGV)),
];

/// The last breadcrumb: with the address of `function`, which returns into nobody.
fn last_line(function: fn()) {
    tracing::info!(function = function as usize, "the last line");
}

fn in_thread(work: fn()) {
    let thread = thread::Builder::new().name("worker".to_owned()).spawn(work).expect("a thread");
    println!("joined: {}", thread.join().is_ok());
}

/// Memory that nobody may have, and that is not null, which the compiler checks for.
fn nowhere() -> *mut u64 {
    ptr::without_provenance_mut(black_box(0x18))
}

#[inline(never)]
fn segv() {
    last_line(segv);
    store(nowhere());
}

/// A frame above the one that faults, so that there is an address to return to.
#[inline(never)]
fn store(to: *mut u64) {
    // SAFETY: nothing is there: the process dies.
    unsafe { to.write_volatile(black_box(7)) };
    black_box(to);
}

#[inline(never)]
fn null_call() {
    last_line(null_call);
    // SAFETY: no function is there: the process dies.
    let call = unsafe { std::mem::transmute::<usize, extern "C" fn()>(black_box(8)) };
    call();
    black_box(call);
}

fn bus() {
    last_line(bus);
    let path = format!("bus-{}", std::process::id());
    let file = std::fs::File::options().create_new(true).read(true).write(true).open(&path);
    let file = file.expect("a file");
    std::fs::remove_file(path).expect("it is there");
    file.set_len(4096).expect("a page");
    let (protection, fd) = (libc::PROT_READ, std::os::fd::AsRawFd::as_raw_fd(&file));
    // SAFETY: a new mapping, of whose memory there is nothing left when it is read: the process dies.
    unsafe {
        let map = libc::mmap(ptr::null_mut(), 4096, protection, libc::MAP_SHARED, fd, 0);
        assert_ne!(map, libc::MAP_FAILED);
        file.set_len(0).expect("shorter");
        black_box(map.cast::<u8>().read_volatile());
    }
}

fn ill() {
    last_line(ill);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the process dies.
    unsafe {
        std::arch::asm!("ud2");
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the process dies.
    unsafe {
        std::arch::asm!("udf #0");
    }
    raise(libc::SIGILL);
}

fn fpe() {
    last_line(fpe);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the process dies.
    unsafe {
        std::arch::asm!(
            "xor edx, edx", "xor ecx, ecx", "mov eax, 1", "div ecx",
            out("eax") _, out("ecx") _, out("edx") _,
        );
    }
    // Division by zero is no fault on other machines.
    raise(libc::SIGFPE);
}

fn trap() {
    last_line(trap);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the process dies.
    unsafe {
        std::arch::asm!("int3");
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the process dies.
    unsafe {
        std::arch::asm!("brk #1");
    }
    println!("nobody stopped it");
}

fn aborts() {
    last_line(aborts);
    abort();
}

fn raise(signal: c_int) {
    last_line(null_call);
    // SAFETY: it is a signal.
    unsafe { libc::raise(signal) };
    println!("nobody stopped it");
}

/// A filter of system calls that gives `action` for the call `number`, and lets all others pass.
fn filter(number: i64, action: u32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter { jf: 1, ..statement(libc::BPF_JMP | libc::BPF_JEQ, number as u32) },
        statement(libc::BPF_RET, action),
        statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the filter is whole, and outlives the call, which copies it.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

fn sys() {
    last_line(sys);
    filter(libc::SYS_sysinfo, libc::SECCOMP_RET_TRAP);
    // SAFETY: the filter answers before the kernel looks at the pointer.
    unsafe { libc::syscall(libc::SYS_sysinfo, ptr::null_mut::<c_void>()) };
    println!("nobody stopped it");
}

fn refuse_copies() {
    filter(libc::SYS_process_vm_readv, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
}

fn segv_filtered() {
    refuse_copies();
    segv();
}

fn overflow_filtered() {
    refuse_copies();
    overflow();
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives both calls.
    let set = unsafe {
        libc::getrlimit(resource, &raw mut limit);
        limit.rlim_cur = value;
        libc::setrlimit(resource, &raw const limit)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

fn xcpu() {
    last_line(xcpu);
    limit(libc::RLIMIT_CPU, 1);
    while black_box(true) {}
}

fn xfsz() {
    last_line(xfsz);
    limit(libc::RLIMIT_FSIZE, 10);
    let mut file = std::fs::File::create("too-long").expect("a file");
    println!("written: {}", file.write_all(&[0; 100]).is_ok());
}

#[inline(never)]
fn overflow() {
    last_line(overflow);
    println!("{}", deeper(black_box(1)));
}

#[inline(never)]
fn deeper(number: u64) -> u64 {
    let numbers = black_box([number; 16]);
    if black_box(true) { deeper(number + 1) + numbers[3] } else { number }
}

fn overflow_small() {
    let thread = thread::Builder::new().name("small".to_owned()).stack_size(64 * 1024);
    println!("joined: {}", thread.spawn(overflow).expect("a thread").join().is_ok());
}

/// Ends when somebody sends something, or closes standard input.
fn wait() {
    last_line(wait);
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
}

fn two_faults() {
    let start = Arc::new(Barrier::new(2));
    let work = |number: usize| {
        let start = Arc::clone(&start);
        thread::spawn(move || {
            last_line(segv);
            start.wait();
            store(ptr::without_provenance_mut(0x100 * number));
        })
    };
    let _ = [work(1), work(2)].map(|thread| thread.join().is_ok());
}

fn segv_without_descriptors() {
    limit(libc::RLIMIT_NOFILE, 0);
    segv();
}

/// The fault of a thread after the main one has ended.
fn segv_without_main() {
    // SAFETY: the id is this thread's own.
    let main = unsafe { libc::pthread_self() };
    thread::spawn(move || {
        // SAFETY: the main thread ends and is joined by nobody else.
        unsafe { libc::pthread_join(main, ptr::null_mut()) };
        segv();
    });
    // SAFETY: no value of this thread is used by the other one.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

fn in_child(work: fn()) {
    tracing::info!("parent before");
    let _ = std::io::stdout().flush();
    // SAFETY: the other threads are asleep.
    match unsafe { libc::fork() } {
        0 => {
            // Nothing recorded: there is no region of the child's own.
            store(nowhere());
            work();
        }
        pid => {
            let mut status = 0;
            // SAFETY: it is a child of this process, and `status` outlives the call.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
            let signal = libc::WTERMSIG(status);
            println!("child: {} {signal}", libc::WIFSIGNALED(status));
            // SAFETY: SIGKILL leaves the region to be read.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
    }
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

fn set_handler(signal: c_int, handler: Handler, flags: c_int) {
    // SAFETY: all-zero bytes are a valid `sigaction`, and the handler does only what one may.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = flags | libc::SA_SIGINFO;
        libc::sigaction(signal, &raw const action, ptr::null_mut());
    }
}

fn ignore(signal: c_int) {
    // SAFETY: it is a signal.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// A page that a handler makes writable.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// Makes the page writable, as a garbage collector does; for any other address, the default.
extern "C" fn mend(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: a fault has an address.
    let address = unsafe { (*info).si_addr() };
    let page = PAGE.load(Ordering::Relaxed);
    if page != 0 && address.addr() / 4096 == page / 4096 {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: it is the one page that `faults` has mapped.
        unsafe { libc::mprotect(ptr::without_provenance_mut(page), 4096, protection) };
        say(b"mended\n");
    } else {
        say(b"not mine\n");
        // SAFETY: it is a signal.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

extern "C" fn says_abort(_signal: c_int, _info: *mut libc::siginfo_t, _context: *mut c_void) {
    say(b"about to abort\n");
}

fn say(text: &[u8]) {
    // SAFETY: the bytes are there.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// Faults on a page that the handler mends.
fn fault_and_go_on() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping of a page, which the handler makes writable when it is written to.
    unsafe {
        let page = libc::mmap(ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        PAGE.store(page.addr(), Ordering::Relaxed);
        page.cast::<u64>().write_volatile(7);
        println!("went on: {}", page.cast::<u64>().read_volatile());
    }
}

fn faults_then_segv() {
    fault_and_go_on();
    segv();
}

/// The handler that the program's own calls next.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The usual chain: says something, then calls the handler that was there before.
extern "C" fn says_then_next(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    say(b"the program's own handler\n");
    match NEXT.load(Ordering::Relaxed) {
        libc::SIG_DFL => {
            // SAFETY: it is a signal.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        next => {
            // SAFETY: that handler was set with `SA_SIGINFO`, by std or by lastwords.
            let next = unsafe { std::mem::transmute::<usize, Handler>(next) };
            next(signal, info, context);
        }
    }
}

fn handler_after() {
    // SAFETY: all-zero bytes are a valid `sigaction`; asking changes nothing.
    let before = unsafe {
        let mut action: libc::sigaction = zeroed();
        libc::sigaction(libc::SIGSEGV, ptr::null(), &raw mut action);
        action
    };
    NEXT.store(before.sa_sigaction, Ordering::Relaxed);
    set_handler(libc::SIGSEGV, says_then_next, libc::SA_ONSTACK);
    segv();
}

extern "C" fn aborts_in_handler(_signal: c_int, _info: *mut libc::siginfo_t, _at: *mut c_void) {
    say(b"the program's own handler aborts\n");
    abort();
}

/// A handler on the alternate stack of a thread that aborts, and knows nothing of lastwords.
fn handler_aborts() {
    set_handler(libc::SIGSEGV, aborts_in_handler, libc::SA_ONSTACK);
    segv();
}

extern "C" fn mend_silently(_signal: c_int, _info: *mut libc::siginfo_t, _context: *mut c_void) {
    let page = PAGE.load(Ordering::Relaxed);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: it is the one page that `fault_and_go_on` has mapped.
    unsafe { libc::mprotect(ptr::without_provenance_mut(page), 4096, protection) };
}

/// A thousand faults that the program's own handler mends, and what one of them takes.
fn faults_often() {
    fault_and_go_on();
    let page = ptr::without_provenance_mut::<u64>(PAGE.load(Ordering::Relaxed));
    let begun = std::time::Instant::now();
    for number in 0..1000 {
        // SAFETY: the page is this program's own, and the handler makes it writable again.
        unsafe {
            libc::mprotect(page.cast(), 4096, libc::PROT_NONE);
            page.write_volatile(number);
        }
    }
    println!("ns each: {}", begun.elapsed().as_nanos() / 1000);
    // SAFETY: SIGKILL leaves the region to be read.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

/// How much of a painted alternate stack of 8 KiB a fault uses that the handler mends.
fn stack_use() {
    const BYTES: usize = 8192;
    const PAINT: u8 = 0xA5;
    let mut stack = vec![PAINT; BYTES].into_boxed_slice();
    let alternate = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: BYTES };
    // SAFETY: the stack stays until the end of the process.
    let set = unsafe { libc::sigaltstack(&raw const alternate, ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    let stack = Box::leak(stack);
    tracing::info!("warm");
    fault_and_go_on();
    let untouched = black_box(&*stack).iter().take_while(|byte| **byte == PAINT).count();
    println!("used: {}", BYTES - untouched);
    std::process::exit(0);
}
