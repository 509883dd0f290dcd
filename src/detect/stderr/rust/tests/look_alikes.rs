//! What only looks like a report stays silent, whatever the program's end.

use super::*;

const LOOK_ALIKES: [&str; 40] = [
    // Logs that quote a panic.
    "2026-03-04T05:06:07Z ERROR orders: thread 'main' panicked at 'old news', src/old.rs:1:2",
    "2026-03-04T05:06:07Z ERROR orders: thread 'main' panicked at src/old.rs:1:2:\nold news",
    "[2026-03-04T05:06:07Z ERROR panic] thread 'w' panicked at 'lost': src/a.rs:3",
    "[ERROR] thread 'w' panicked at src/a.rs:3:1:",
    "ERROR worker{id=3}: app: panicked at src/a.rs:3:1:",
    "E0304 05:06:07.000000 1 run.go:7] child said: thread 'main' panicked at src/a.rs:3:1:",
    "<3>Mar  4 05:06:07 host app[7]: thread 'main' panicked at src/a.rs:3:1:",
    "Mar  4 05:06:07 host app[7]: panicked at src/a.rs:3:1:",
    "05:06:07.123 [main] ERROR c.x.Y - panicked at 'x', src/a.rs:3:1",
    "{\"level\":\"error\",\"msg\":\"thread 'main' panicked at src/a.rs:3:1:\\nlost\"}",
    "{\"panic\":\"panicked at 'x', src/a.rs:3:1\"}",
    "level=error msg=\"thread 'main' panicked at 'x', src/a.rs:3:1\"",
    "time=2026-03-04T05:06:07Z level=error msg=\"panicked at src/a.rs:3:1:",
    "\u{1b}[31mERROR\u{1b}[0m thread 'main' panicked at src/a.rs:3:1:",
    // Text about panics.
    "do not panic: retry",
    "the worker panicked at 3 o'clock",
    "it panicked at once",
    "a thread 'x' panicked at noon, see src/a.rs:1:2 for more",
    "thread 'main' panicked at nothing",
    "thread 'main' panicked at 10:20:30:\nnot a place",
    "thread 'main' panicked at src/a.rs:3:1: lost and found",
    "thread 'main' panicked at src/a.rs:3:",
    "thread 'main' panicked at 'never closed\nnor here\nand no place",
    "thread main panicked at src/a.rs:3:1: lost",
    "last run said \"thread 'main' panicked at src/a.rs:3:1:",
    "expected output: `thread 'main' panicked at src/a.rs:3:1:",
    "// thread 'main' panicked at 'x', src/a.rs:3:1",
    "> thread 'main' panicked at 'x', src/a.rs:3:1",
    // Notes without a panic.
    "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    "stack backtrace:\n   0: app::main\n             at ./src/main.rs:1:2",
    "thread caused non-unwinding panic. aborting.",
    "thread panicked while processing panic. aborting.",
    // An error that main returns, and reports of errors.
    "Error: ParseIntError { kind: InvalidDigit }",
    "Error: starting\n\nCaused by:\n    0: reading\n    1: No such file (os error 2)\n\nStack backtrace:\n   0: anyhow::error::from\n   1: app::main",
    "Error: \n   0: no such file\n\nLocation:\n   src/main.rs:3\n",
    "The application panicked (crashed).\nNobody knows why.",
    // Words of fatal errors inside of others.
    "error: fatal runtime error: stack overflow",
    "the thread 'main' has overflowed its stack",
    "thread 'main' has overflowed its stack, again",
    "memory allocation of many bytes failed",
];

#[test]
fn look_alikes_are_silent() {
    let endings = [None, Some(0), Some(1), Some(101)].map(|code| code.map(Ending::Code));
    for text in LOOK_ALIKES {
        for ending in endings.into_iter().chain([Some(Ending::Signal(6))]) {
            for text in [text.to_owned(), format!("before\n{text}\nafter\n")] {
                assert_eq!(read(&text, ending), [], "{text}");
            }
        }
    }
}

#[test]
fn look_alikes_hide_nothing() {
    for text in LOOK_ALIKES {
        let real = format!("\nthread 'main' (7) panicked at src/real.rs:1:1:\nreal\n{NOTE}\n");
        let found = read(&format!("{text}\n{real}"), None);
        assert_eq!(found.iter().map(values).collect::<Vec<_>>(), [["real"]], "{text}");
    }
}
