//! Forms of reports that the corpus has no case of, in the words of the runtime's sources.

use std::time::SystemTime;

use super::super::Scanner;
use crate::detect::{Crash, Ending};

const EXIT_2: Option<Ending> = Some(Ending::Code(2));

fn scan(text: &str, ending: Option<Ending>) -> Vec<Crash> {
    let mut scanner = Scanner::with(&[&super::Go]);
    let mut crashes = Vec::new();
    scanner.feed(text.as_bytes(), SystemTime::UNIX_EPOCH, &mut |new| crashes.push(new.crash));
    scanner.finish(ending, &mut |new| crashes.push(new.crash));
    crashes
}

#[track_caller]
fn one(text: &str, ending: Option<Ending>) -> Crash {
    let mut crashes = scan(text, ending);
    assert_eq!(crashes.len(), 1, "{crashes:?}");
    crashes.remove(0)
}

const STACK: &str = "\ngoroutine 1 [running]:\nmain.main()\n\t/srv/app/main.go:3 +0x1d\n";

#[test]
fn one_line_is_judged_by_the_exit() {
    assert_eq!(scan("panic: boom\n", EXIT_2).len(), 1);
    for ending in [None, Some(Ending::Code(0)), Some(Ending::Code(1)), Some(Ending::Signal(15))] {
        assert_eq!(scan("panic: boom\n", ending), [], "{ending:?}");
    }
    // Other output follows: it was not the last word.
    assert_eq!(scan("panic: boom\nbye\n", EXIT_2), []);
    assert_eq!(scan("panic: boom\n2026/11/22 00:51:21 bye\n", EXIT_2), []);
    // The runtime's own words.
    assert_eq!(scan("panic: runtime error: integer divide by zero\n", None).len(), 1);
    assert_eq!(scan("panic: a [recovered]\n\tpanic: b\n", None)[0].exceptions.len(), 2);
    assert_eq!(scan("fatal error: all goroutines are asleep - deadlock!\n", None).len(), 1);
    assert_eq!(scan("fatal error: no such table\n", EXIT_2), []);
}

#[test]
fn go_run_says_the_exit_itself() {
    let crash = one("panic: boom\nexit status 2\n", Some(Ending::Code(1)));
    assert_eq!(crash.exceptions[0].value, "boom");
    let crash = one(&format!("panic: boom\n{STACK}exit status 2\n"), Some(Ending::Code(1)));
    assert_eq!(crash.exceptions[0].frames.len(), 1);
}

#[test]
fn an_error_in_a_panic_is_about_the_error() {
    let text = format!("panic: first\n\tfatal error: sync: unlock of unlocked mutex\n{STACK}");
    let crash = one(&text, EXIT_2);
    let types: Vec<_> =
        crash.exceptions.iter().map(|e| (e.ty.as_str(), e.value.as_str())).collect();
    assert_eq!(types, [("fatal error", "sync: unlock of unlocked mutex"), ("panic", "first")]);
}

#[test]
fn signals_that_were_sent_have_no_address() {
    let of = |detail: &str| {
        let text = format!("SIGSEGV: segmentation violation\n{detail}\n{STACK}");
        one(&text, EXIT_2).exceptions[0].signal.clone().expect("a signal")
    };
    let sent = of("PC=0x47 m=0 sigcode=0 addr=0x1f55");
    assert_eq!((sent.code, sent.address), (Some(0), None));
    let thrown = of("PC=0x47 m=0 sigcode=18446744073709551610 addr=0x1f55");
    assert_eq!((thrown.code, thrown.address), (Some(-6), None));
    let thrown = of("PC=0x47 m=0 sigcode=4294967290");
    assert_eq!(thrown.code, Some(-6));
    let fault = of("PC=0x47 m=0 sigcode=1 addr=0x1f55");
    assert_eq!((fault.code, fault.address), (Some(1), Some(0x1f55)));
}

#[test]
fn windows_has_exceptions_for_signals() {
    let text = format!(
        "panic: runtime error: invalid memory address or nil pointer dereference\n\
         [signal 0xc0000005 code=0x0 addr=0x8 pc=0x47afc4]\n{STACK}"
    );
    let signal = one(&text, EXIT_2).exceptions[0].signal.clone().expect("a signal");
    assert_eq!((signal.name.as_str(), signal.number), ("0xc0000005", None));
}

#[test]
fn the_runtimes_words_before_an_error_belong_to_it() {
    let text = format!(
        "runtime: goroutine stack exceeds 1000000000-byte limit\n\
         runtime: sp=0xc0200e0388 stack=[0xc0200e0000, 0xc0400e0000]\n\
         fatal error: stack overflow\n\nruntime stack:\nruntime.throw({{0x1?, 0x2?}})\n\
         \t/usr/local/go/src/runtime/panic.go:1094 +0x48\n{STACK}"
    );
    let crash = one(&text, EXIT_2);
    assert_eq!(crash.exceptions[0].value, "stack overflow");
    assert_eq!(crash.thread.as_ref().and_then(|thread| thread.id), Some(1));
    assert_eq!(crash.threads[0].name.as_deref(), Some("runtime stack"));
}

#[test]
fn threads_of_a_core_dumping_process_belong_to_one_report() {
    let text = format!(
        "SIGABRT: abort\nPC=0x47 m=0 sigcode=0\n{STACK}\nrax    0xca\nrip    0x47\n\n-----\n\n\
         SIGQUIT: quit\nPC=0x48 m=2 sigcode=18446744073709551610\n\n\
         goroutine 0 gp=0x5 m=2 mp=0x6 [idle]:\nruntime.futex(0x1)\n\
         \t/usr/local/go/src/runtime/sys_linux_amd64.s:557 +0x21\n\nrax    0xca\n"
    );
    let crash = one(&text, EXIT_2);
    assert_eq!((crash.exceptions[0].ty.as_str(), crash.threads.len()), ("SIGABRT", 1));
}

#[test]
fn c_frames_are_frames() {
    let text = "SIGSEGV: segmentation violation\nPC=0x47 m=0 sigcode=1 addr=0x0\n\
                signal arrived during cgo execution\n\ngoroutine 1 [syscall]:\n\
                non-Go function at pc=0x7f01\ndereference\n\t/srv/app/x.c:7 pc=0x7f02\n\
                main._Cfunc_deref(0x0)\n\t_cgo_gotypes.go:60 +0x45\n\
                main.main()\n\t/srv/app/main.go:21 +0x2f\n";
    let crash = one(text, EXIT_2);
    let frames = &crash.exceptions[0].frames;
    let names: Vec<_> = frames.iter().filter_map(|frame| frame.function.as_deref()).collect();
    assert_eq!(names, ["non-Go function", "dereference", "_Cfunc_deref", "main"]);
    assert_eq!((frames[1].line, frames[1].address), (Some(7), Some(0x7f02)));
    let own: Vec<_> = frames.iter().map(|frame| frame.in_app).collect();
    assert_eq!(own, [false, false, false, true]);
}

#[test]
fn a_makers_stack_is_not_the_goroutines() {
    let text = "panic: grandchild\n\ngoroutine 8 [running]:\nmain.grandchild()\n\t/srv/app/main.go:9 +0x1\n\
                created by main.child in goroutine 7\n\t/srv/app/main.go:12 +0x1a\n\
                [originating from goroutine 7]:\nmain.child(...)\n\t/srv/app/main.go:12 +0x1a\n\
                created by main.main\n\t/srv/app/main.go:15 +0x1a\n";
    let crash = one(text, EXIT_2);
    let first = &crash.exceptions[0];
    assert_eq!(first.frames.len(), 1);
    let maker = first.created_by.as_ref().expect("its maker");
    assert_eq!((maker.function.as_deref(), maker.line), (Some("child"), Some(12)));
}

#[test]
fn a_goroutine_that_runs_elsewhere_has_no_stack() {
    let text = format!(
        "panic: boom\n{STACK}\ngoroutine 6 [running]:\n\
         \tgoroutine running on other thread; stack unavailable\n\
         created by main.main in goroutine 1\n\t/srv/app/main.go:9 +0x1\n\n\
         goroutine 7 [IO wait, 3 minutes, locked to thread]:\nmain.read()\n\t/srv/app/main.go:8 +0x1\n"
    );
    let crash = one(&text, EXIT_2);
    let [waiting, running] = crash.threads.as_slice() else { panic!("{:?}", crash.threads) };
    assert_eq!((waiting.id, waiting.blocked_minutes), (Some(7), Some(3)));
    assert_eq!(waiting.state.as_deref(), Some("IO wait, locked to thread"));
    assert!(running.frames.is_empty() && running.created_by.is_some());
}

#[test]
fn two_reports_in_a_row_are_two() {
    let text = format!("panic: one\n{STACK}panic: other\n{STACK}");
    let values: Vec<_> =
        scan(&text, EXIT_2).into_iter().map(|crash| crash.exceptions[0].value.clone()).collect();
    assert_eq!(values, ["one", "other"]);
}

#[test]
fn a_test_that_panics_is_a_crash() {
    let text = "--- FAIL: TestX (0.00s)\npanic: boom [recovered, repanicked]\n\n\
                goroutine 6 [running]:\ntesting.tRunner.func1.2({0x1, 0x2})\n\
                \t/usr/local/go/src/testing/testing.go:1872 +0x21\n\
                panic({0x1?, 0x2?})\n\t/usr/local/go/src/runtime/panic.go:783 +0x132\n\
                orders.TestX(0xc000)\n\t/srv/app/x_test.go:6 +0x25\nexit status 2\nFAIL\torders\t0.005s\n";
    let crash = one(text, Some(Ending::Code(1)));
    assert_eq!(crash.exceptions[0].value, "boom");
    let own = crash.exceptions[0].frames.iter().find(|frame| frame.in_app).expect("a frame");
    assert_eq!(own.function.as_deref(), Some("TestX"));
}
