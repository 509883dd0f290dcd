//! Watched programs below watched programs: each death is one event.

use crate::common::{Outcome, Run};
use crate::support::{ALL, WATCHES, nothing_is_left, run, sweep, under_run, wait_until_reported};

const WAYS: [&str; 7] =
    ["panic", "panic-in-thread", "abort", "segv", "overflow", "allocation", "kill"];

#[track_caller]
fn one_event(outcome: &Outcome, what: &str) {
    wait_until_reported(outcome);
    let events = outcome.events();
    let words: Vec<_> = events.iter().map(|event| event.exceptions()[0].clone()).collect();
    assert_eq!(events.len(), 1, "{what}: {words:#?}");
    let messages = events[0].breadcrumb_messages();
    assert!(
        messages.iter().any(|message| message.contains("the last line")),
        "{what} {messages:?}"
    );
    nothing_is_left(&outcome.state());
}

#[test]
fn under_run_each_death_is_one_event() {
    for how in ALL {
        for way in WAYS {
            let outcome = under_run(how, "die").variable("WAY", way).run();
            one_event(&outcome, &format!("{how} {way}"));
        }
    }
}

/// The program has taken our hook away: what it prints and the signal's own stack tell of its panic.
#[test]
fn a_panic_that_our_hook_did_not_see_has_a_stack() {
    let way = |run: Run| run.variable("WAY", "panic-unheard-by-us").run();
    let outcomes = [
        way(under_run("hook", "die")),
        way(under_run("wrap", "die")),
        way(under_run("monitor", "die")),
        way(run("wrap", "die")),
    ];
    for outcome in outcomes {
        one_event(&outcome, "unheard");
        let event = outcome.event();
        assert_eq!(event.messages()[0], "it cannot unwind");
        assert_eq!(event.level(), "fatal");
        assert_eq!(event.top_in_app()["function"], "watched::ways::cannot_unwind");
    }
}

/// A shell between the two: only what the program prints reaches the outer monitor.
fn below_a_shell(how: &str, way: &str) -> Run {
    let shell = ["run", "--", "sh", "-c", "\"$@\"; exit 0", "sh"];
    let words: Vec<&str> = [crate::support::LASTWORDS].into_iter().chain(shell).collect();
    run(how, "die").variable("WAY", way).under(&words)
}

#[test]
fn below_a_shell_under_run_each_death_is_one_event() {
    for how in WATCHES {
        for way in WAYS {
            let outcome = below_a_shell(how, way).run();
            one_event(&outcome, &format!("{how} {way}"));
        }
    }
}

/// With its hook alone: the outer monitor leaves the death to the next start, or to a sweep.
#[test]
fn a_hook_below_a_shell_is_one_event_after_a_sweep() {
    for way in WAYS {
        let outcome = below_a_shell("hook", way).run();
        sweep(&outcome.state());
        one_event(&outcome, way);
    }
}

#[test]
fn a_watched_program_starts_a_watched_program() {
    for outer in WATCHES {
        for inner in WATCHES {
            for way in ["panic", "abort", "segv", "overflow", "kill"] {
                let outcome = run(outer, "start")
                    .variable("THEN_WATCHED", inner)
                    .variable("THEN", "die")
                    .variable("WAY", way)
                    .run();
                outcome.exits_with(0);
                one_event(&outcome, &format!("{inner} in {outer}: {way}"));
            }
        }
    }
}
