//! Programs that panic, in every way there is: each death is one event, and nobody waits for ever.
#![cfg(target_os = "linux")]

mod common;

use common::{Event, Outcome, Profile, Run, events_in, line_of, once};
use serde_json::{Value, json};

const SIGABRT: i32 = 6;

fn dev(scenario: &str) -> Outcome {
    Run::victim(Profile::Dev, scenario).run()
}

/// The one event of a run that ends well.
#[track_caller]
fn survives_with(scenario: &str, message: &str) -> (Outcome, Event) {
    let outcome = dev(scenario);
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("main returns"));
    assert!(once(&outcome.stderr, message), "the previous hook's message, once");
    let event = outcome.event();
    assert_eq!(event.messages(), [message]);
    assert_eq!(event.level(), "error");
    outcome.leaves_no_region();
    (outcome, event)
}

// The whole story: 50 lines of four threads, and the death of one.

#[test]
fn ingest_in_debug() {
    ingest(Profile::Dev);
}

#[test]
fn ingest_in_release() {
    ingest(Profile::Release);
}

#[test]
fn ingest_in_release_with_debug_info() {
    ingest(Profile::ReleaseDebug);
}

#[test]
fn ingest_with_panic_abort() {
    ingest(Profile::Abort);
}

fn ingest(profile: Profile) {
    let outcome = Run::victim(profile, "ingest").run();
    let event = outcome.event();
    if profile == Profile::Abort {
        outcome.dies_by(SIGABRT);
        assert_eq!(event.level(), "fatal");
    } else {
        outcome.exits_with(0);
        assert!(outcome.stdout.starts_with("1 died\n"));
        assert_eq!(event.level(), "error");
    }
    let message = "index out of bounds: the len is 3 but the index is 3";
    assert_eq!(event.messages(), [message]);
    assert!(once(&outcome.stderr, message));
    assert_eq!(event.thread()["name"], "ingest");
    assert_eq!(event.0["tags"]["cid"], "learned-at-run-time");
    assert_eq!(event.0["release"], "victim@1.2.3");
    assert_eq!(event.0["environment"], "prod");

    let top = event.top_in_app();
    assert_eq!(top["function"], "victim::ingest::index_batch", "{:?}", event.functions());
    assert_eq!(top["lineno"], line_of(include_str!("programs/src/ingest.rs"), "// here it dies"));
    assert_eq!(top["filename"], "src/ingest.rs");

    let crumbs = event.breadcrumbs();
    assert_eq!(crumbs.len(), 50);
    for (line, crumb) in crumbs.into_iter().enumerate() {
        ingest_line(line, crumb);
    }
}

fn ingest_line(line: usize, crumb: &Value) {
    let index = line % 4;
    assert_eq!(crumb["message"], format!("line {line}"));
    assert_eq!(crumb["category"], "victim::ingest");
    assert_eq!(crumb["level"], "info");
    let data = &crumb["data"];
    assert_eq!(data["line"], line);
    assert_eq!(data["half"], line as f64 / 2.0);
    assert_eq!(data["thread"], ["ingest", "compact", "replicate", "serve"][index]);
    assert_eq!(data["span"], "worker:batch");
    assert_eq!(
        data["spans"],
        json!([
            {"name": "worker", "index": index, "region": "eu"},
            {"name": "batch", "line": line, "rows": line * 10},
        ])
    );
}

// How a panic ends, and what its level is.

#[test]
fn an_uncaught_panic_of_main_is_fatal() {
    let outcome = dev("main");
    outcome.exits_with(101);
    let event = outcome.event();
    assert_eq!((event.message(), event.level()), ("main is no more", "fatal"));
    assert_eq!(event.thread()["name"], "main");
    assert_eq!(event.thread()["main"], true);
    assert_eq!(event.breadcrumb_messages(), ["the last line"]);
    assert_eq!(event.top_in_app()["function"], "victim::deaths::main");
    outcome.leaves_no_region();
}

#[test]
fn a_panic_of_a_thread_is_an_error() {
    let (_, event) = survives_with("thread", "a worker is no more");
    assert_eq!(event.thread()["name"], "worker");
    assert_eq!(event.thread()["main"], false);
}

#[test]
fn a_caught_panic_is_an_error() {
    survives_with("caught", "caught in a thread");
}

#[test]
fn a_caught_panic_of_main_is_corrected_at_the_end() {
    survives_with("caught-on-main", "caught on main");
}

#[test]
fn only_the_panic_that_ended_main_is_fatal() {
    let outcome = dev("caught-then-uncaught");
    outcome.exits_with(101);
    let events = outcome.events();
    let said: Vec<_> = events.iter().map(|event| (event.message(), event.level())).collect();
    assert_eq!(said, [("the first is caught", "error"), ("the second is not", "fatal")]);
}

#[test]
fn resuming_an_unwind_is_no_panic() {
    let outcome = dev("resume");
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("resumed: true"));
    assert_eq!(outcome.events().len(), 0);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_previous_hook_that_panics_costs_no_event() {
    let outcome = dev("hook-panics");
    outcome.dies_by(SIGABRT);
    assert_eq!(outcome.event().messages(), ["main is no more"]);
}

#[test]
fn a_message_that_panics_leaves_the_region_to_a_reader() {
    // The standard library aborts before any hook is called.
    let outcome = dev("message-panics");
    outcome.dies_by(SIGABRT);
    assert_eq!(outcome.events().len(), 0);
    assert!(!outcome.region().ended_cleanly);
}

#[test]
fn two_at_once_are_two_events() {
    let outcome = dev("two");
    outcome.exits_with(0);
    let events = outcome.events();
    let mut messages: Vec<_> = events.iter().map(Event::message).collect();
    messages.sort_unstable();
    assert_eq!(messages, ["thread 0 is no more", "thread 1 is no more"]);
    for event in &events {
        let worker = event.message().replace("thread ", "worker-").replace(" is no more", "");
        assert_eq!(event.thread()["name"], worker.as_str());
        assert_eq!(event.breadcrumbs().len(), 2, "both lines were logged before either died");
        let top = event.top_in_app()["function"].as_str().expect("a name");
        assert!(top.starts_with("victim::deaths::at_once"), "{top}");
    }
}

#[test]
fn forty_at_once_end_and_every_event_is_complete() {
    let outcome = dev("forty");
    outcome.exits_with(0);
    assert!(outcome.stdout.starts_with("40 died\n"));
    let events = outcome.events();
    // There are 16 slots. A panic that finds none waits for one, for at most five seconds: on a
    // machine that is very slow some may be lost, and the later reports count them.
    let lost = events.iter().map(Event::panics_unreported).max();
    assert!(events.len() >= 16, "{}", events.len());
    assert!(events.len() == 40 || lost > Some(0), "{} events, {lost:?} lost", events.len());
    let mut messages: Vec<_> = events.iter().map(Event::message).collect();
    messages.sort_unstable();
    messages.dedup();
    assert_eq!(messages.len(), events.len(), "no panic is reported twice");
    for event in &events {
        assert_eq!(event.level(), "error");
        assert_eq!(event.breadcrumbs().len(), 40);
        assert!(!event.functions().is_empty());
    }
    assert_eq!(outcome.stderr.matches("is no more").count(), 40);
}

#[test]
fn a_panic_while_thread_locals_are_destroyed() {
    let outcome = dev("thread-local");
    // The standard library lets no such panic go on.
    outcome.dies_by(SIGABRT);
    assert_eq!(outcome.event().messages(), ["a thread-local's destructor panics"]);
}

#[test]
fn recording_works_while_thread_locals_are_destroyed() {
    let message = "caught while thread-locals are destroyed";
    let (outcome, event) = survives_with("recording-thread-local", message);
    assert!(outcome.stdout.contains("caught: true"));
    assert_eq!(event.breadcrumb_messages(), ["logged while thread-locals are destroyed"]);
}

#[test]
fn a_double_panic_is_one_event_about_the_first() {
    let outcome = dev("double");
    outcome.dies_by(SIGABRT);
    let event = outcome.event();
    assert_eq!(
        event.messages(),
        ["the first of two", "the destructor panics, too", "panic in a destructor during cleanup"]
    );
    assert_eq!(event.level(), "fatal");
    let ids: Vec<_> =
        event.exceptions().iter().map(|e| e["mechanism"]["exception_id"].clone()).collect();
    assert_eq!(ids, [0, 1, 2]);
    assert_eq!(event.exceptions()[2]["mechanism"]["parent_id"], 1);
}

#[test]
fn a_destructor_may_panic_alone() {
    survives_with("destructor", "a destructor panics");
}

#[test]
fn a_panic_in_an_extern_c_function_is_one_event_about_the_first() {
    let outcome = dev("extern-c");
    outcome.dies_by(SIGABRT);
    let event = outcome.event();
    assert_eq!(
        event.messages(),
        ["inside an extern C function", "panic in a function that cannot unwind"]
    );
    assert_eq!(event.level(), "fatal");
    assert_eq!(event.top_in_app()["function"], "victim::deaths::never_unwinds");
}

#[test]
fn exit_waits_for_a_report_in_the_making() {
    let outcome = dev("exit-meanwhile");
    outcome.exits_with(7);
    let event = outcome.event();
    assert_eq!((event.message(), event.level()), ("reported during exit", "error"));
    outcome.leaves_no_region();
}

#[test]
fn a_small_stack_is_enough() {
    let outcome = dev("small-stack");
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("16384: died true\n65536: died true\n"));
    let events = outcome.events();
    let messages: Vec<_> = events.iter().map(Event::message).collect();
    assert_eq!(messages, ["on 16 KiB", "on 64 KiB"]);
    assert_eq!(events[1].breadcrumb_messages(), ["logged on a small stack"]);
}

// Payloads.

#[test]
fn a_payload_that_is_a_string() {
    payload("payload-string", "an owned text");
}

#[test]
fn a_payload_of_a_custom_type() {
    let outcome = dev("payload-custom");
    outcome.exits_with(101);
    let event = outcome.event();
    // The type is in the symbols only where their mangling has it.
    let known =
        ["<panic payload of type victim::payloads::ShardLost>", "<panic payload of unknown type>"];
    assert!(known.contains(&event.message()), "{}", event.message());
    assert_eq!(event.top_in_app()["function"], "victim::payloads::custom");
}

#[test]
fn a_payload_that_is_a_number() {
    payload("payload-number", "<panic payload of type i32>");
}

#[track_caller]
fn payload(scenario: &str, message: &str) {
    let outcome = dev(scenario);
    outcome.exits_with(101);
    let event = outcome.event();
    assert_eq!(event.messages(), [message]);
    let top = event.top_in_app()["function"].as_str().expect("a name");
    assert!(top.starts_with("victim::payloads::"), "{top}");
}

// What the panicking thread holds.

#[test]
fn inside_another_layer() {
    let (_, event) = survives_with("in-layer", "another layer panics");
    assert_eq!(event.breadcrumb_messages(), ["the last line"]);
}

#[test]
fn inside_a_layer_of_a_default_scope() {
    let (_, event) = survives_with("in-layer-of-default-scope", "another layer panics");
    assert_eq!(event.breadcrumbs().len(), 0);
}

#[test]
fn inside_the_dispatcher() {
    survives_with("in-dispatcher", "inside the dispatcher");
}

#[test]
fn inside_configure_scope() {
    survives_with("in-configure-scope", "inside configure_scope");
}

#[test]
fn inside_with_scope() {
    survives_with("in-with-scope", "inside with_scope");
}

#[test]
fn a_spool_that_keeps_nothing_holds_nobody() {
    let outcome = Run::victim(Profile::Dev, "many").variable("LASTWORDS_SPOOL_LIMIT", "0").run();
    outcome.exits_with(0);
    assert!(outcome.warnings().is_empty(), "{outcome:?}");
    assert!(outcome.events().is_empty());
    outcome.leaves_no_region();
}

#[test]
fn reports_that_nobody_takes_hold_nobody() {
    // Nothing can be written: every report is tried once, and its slot used again.
    let outcome = Run::victim(Profile::Dev, "many-without-files").run();
    outcome.exits_with(0);
    assert_eq!(outcome.warnings().len(), 1, "{outcome:?}");
    assert!(outcome.stdout.contains("40 died"), "{outcome:?}");
    // The facts of the last ones stay in the region, which therefore outlives the clean end.
    let panics = outcome.region().panics;
    assert_eq!(panics.len(), 16);
    assert!(panics.iter().all(|panic| panic.unkept && panic.complete && !panic.reported));
}

#[test]
fn a_hook_that_exits_makes_a_panic_fatal() {
    let outcome = dev("hook-exits");
    outcome.exits_with(7);
    assert_eq!(outcome.event().level(), "fatal");
}

#[test]
fn a_child_forked_after_a_panic_waits_for_its_own_report() {
    let outcome = dev("panic-then-fork");
    outcome.exits_with(0);
    let mut messages: Vec<_> =
        outcome.events().iter().map(|event| event.message().to_owned()).collect();
    messages.sort_unstable();
    assert_eq!(messages, ["in the child", "in the parent"]);
}

#[test]
fn inlined_code_does_not_make_a_dependency_the_programs_own() {
    let outcome = Run::victim(Profile::Release, "inlined").run();
    outcome.exits_with(0);
    let event = outcome.event();
    let frames = event.0["exception"]["values"][0]["stacktrace"]["frames"].as_array().unwrap();
    let own = |frame: &&Value| frame["in_app"] == true;
    for frame in frames.iter().filter(own) {
        let function = frame["function"].as_str().unwrap_or_default();
        assert!(!function.starts_with("tracing"), "{function} is not the program's");
    }
    let top = frames.iter().rev().find(own).expect("a frame of the program's own");
    assert!(top["filename"].as_str().is_some_and(|file| file.ends_with("deaths.rs")), "{top}");
}

#[test]
fn holding_stderr() {
    survives_with("holding-stderr", "holding stderr");
}

#[test]
fn holding_stderr_when_the_report_cannot_be_written() {
    let outcome = dev("holding-stderr-on-full-spool");
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("main returns"));
    let warnings = outcome.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    // The next candidate takes what the state directory refuses.
    let elsewhere = outcome.home().join(".local/state/lastwords");
    let kept = format!("a report is kept in {} instead", elsewhere.display());
    assert!(warnings[0].ends_with(&kept), "{warnings:?}");
    assert_eq!(events_in(&elsewhere).len(), 1);
}

#[test]
fn holding_stdout() {
    survives_with("holding-stdout", "holding stdout");
}

#[test]
fn inside_backtrace_resolve() {
    let outcome = dev("in-backtrace");
    outcome.exits_with(0);
    assert_eq!(outcome.stdout, "died: true\ndied: true\nmain returns\n");
    let events = outcome.events();
    let messages: Vec<_> = events.iter().map(Event::message).collect();
    assert_eq!(messages, ["inside backtrace::resolve", "after a poisoned lock"]);
    // The panic poisons that crate's lock; both stacks have names all the same.
    for event in &events {
        let top = event.top_in_app()["function"].as_str().expect("a name");
        assert!(top.starts_with("victim::holding::"), "{top}");
    }
    assert!(!outcome.stderr.contains("PoisonError"));
    assert_eq!(outcome.stderr.matches("panicked at").count(), 2);
}

#[test]
fn inside_a_backtrace_of_the_standard_library() {
    survives_with("in-std-backtrace", "while a backtrace is formatted");
}

#[test]
fn while_other_threads_set_tags() {
    let outcome = dev("during-set-tag");
    outcome.exits_with(0);
    let events = outcome.events();
    assert_eq!(events.len(), 20);
    for event in events {
        assert_eq!(event.message(), "while tags are set");
        if let Some(tag) = event.0["tags"].get("hot") {
            assert_eq!(tag, &json!("x".repeat(200)), "a tag is whole or not there");
        }
    }
}

#[test]
fn inside_a_tag() {
    let outcome = dev("tag-panics");
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("caught: true"));
    let events = outcome.events();
    let said: Vec<_> = events.iter().map(|event| (event.message(), event.level())).collect();
    assert_eq!(said, [("a tag's value panics", "error"), ("with tags", "error")]);
    assert_eq!(events[0].0["tags"], json!({"before": "1"}));
    assert_eq!(events[1].0["tags"], json!({"before": "1", "after": "2"}));
}

#[test]
fn a_tag_may_set_a_tag() {
    let (_, event) = survives_with("tag-sets-tag", "with nested tags");
    assert_eq!(event.0["tags"], json!({"inner": "1", "outer": "2"}));
}

#[test]
fn holding_the_allocator() {
    let outcome = Run::of(Profile::Dev, "own_allocator").run();
    outcome.exits_with(0);
    assert_eq!(outcome.stdout, "died: true\n");
    // The reporter allocates: it has to wait until unwinding has freed the allocator.
    assert_eq!(outcome.event().messages(), ["holding the allocator"]);
}

#[test]
fn holding_the_allocator_when_the_process_aborts() {
    let outcome = Run::of(Profile::Abort, "own_allocator").run();
    outcome.dies_by(SIGABRT);
    // Nobody can write a report then; the region has what a reader needs.
    assert_eq!(outcome.events().len(), 0);
    let region = outcome.region();
    assert_eq!(region.panics.len(), 1);
    let panic = &region.panics[0];
    assert_eq!(panic.message, "holding the allocator");
    assert_eq!(panic.thread_name.as_deref(), Some("worker"));
    assert!(panic.complete && panic.aborts && !panic.addresses.is_empty());
}

#[test]
fn holding_the_allocator_in_a_breadcrumb() {
    let outcome = Run::of(Profile::Dev, "own_allocator").argument("breadcrumb").run();
    outcome.exits_with(0);
    let event = outcome.event();
    assert_eq!(event.messages(), ["after the breadcrumb"]);
    let crumbs = event.breadcrumbs();
    assert_eq!(crumbs[0]["data"]["statistics"], "<panicked>");
    assert!(!outcome.stderr.contains("holding the allocator"));
}

// Children forked without exec.

#[test]
fn a_forked_child_has_an_event_of_its_own() {
    let outcome = dev("fork");
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("child: 0\n"), "the child exits as it would");
    let events = outcome.events();
    let [child, parent] = &events[..] else { panic!("two events: {}", events.len()) };
    assert_eq!((child.message(), child.level()), ("the child panics", "error"));
    assert_eq!((parent.message(), parent.level()), ("the parent panics", "error"));
    assert_eq!(child.breadcrumb_messages(), ["child"]);
    assert_eq!(parent.breadcrumb_messages(), ["parent before", "parent after"]);
    let pid = |event: &Event| event.0["contexts"]["process"]["pid"].clone();
    assert_eq!(pid(parent), outcome.pid);
    assert_ne!(pid(child), pid(parent));
    for event in [child, parent] {
        assert_eq!(event.0["tags"], json!({"cid": "inherited"}));
    }
    outcome.leaves_no_region();
}

#[test]
fn two_forked_children_have_two_ids() {
    let outcome = dev("fork-twice");
    outcome.exits_with(0);
    let events = outcome.events();
    let messages: Vec<_> = events.iter().map(Event::message).collect();
    assert_eq!(messages, ["child 1 panics", "child 2 panics"]);
}

#[test]
fn a_forked_child_that_only_exits_leaves_its_parents_region() {
    let outcome = dev("fork-silent");
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("child: 0\nregions: 1\n"));
    assert_eq!(outcome.event().breadcrumb_messages(), ["parent before", "parent after"]);
}

#[test]
fn a_thread_may_fork() {
    let outcome = dev("fork-in-thread");
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("child: 0\n"));
    let event = outcome.event();
    assert_eq!((event.message(), event.level()), ("a forked thread panics", "error"));
}

// Values of breadcrumbs that misbehave.

#[test]
fn a_debug_that_panics_is_no_event() {
    let (outcome, event) = survives_with("debug-panics", "the end");
    assert_eq!(outcome.stderr.matches("panicked").count(), 1);
    assert_eq!(event.breadcrumb_messages(), ["bad value", "next"]);
    let data = &event.breadcrumbs()[0]["data"];
    assert_eq!(data["bad"], "<panicked>");
    assert_eq!((&data["before"], &data["after"]), (&json!(1), &json!(2)));
}

#[test]
fn a_debug_of_a_span_that_panics_is_no_event() {
    let (_, event) = survives_with("span-debug-panics", "the end");
    let span = &event.breadcrumbs()[0]["data"]["spans"][0];
    assert_eq!(span, &json!({"name": "outer", "bad": "<panicked>", "late": "<panicked>"}));
}

#[test]
fn a_debug_that_panics_for_good_is_heard_of() {
    let outcome = dev("debug-panics-twice");
    outcome.dies_by(SIGABRT);
    assert!(once(&outcome.stderr, "panic in a destructor during cleanup"));
    let event = outcome.event();
    assert_eq!(event.messages(), ["panic in a destructor during cleanup"]);
    assert_eq!(event.level(), "fatal");
}

#[test]
fn a_debug_that_logs_is_two_breadcrumbs() {
    let (_, event) = survives_with("debug-logs", "the end");
    assert_eq!(event.breadcrumb_messages(), ["from inside", "from outside"]);
    let crumbs = event.breadcrumbs();
    assert_eq!(crumbs[0]["data"]["inner"], 7);
    assert_eq!(crumbs[1]["data"]["value"], "talkative");
}

#[test]
fn a_debug_that_panics_with_much_on_the_heap() {
    survives_with("debug-allocates", "with 10000 texts");
}

#[test]
fn log_records_keep_their_target_and_level() {
    let (_, event) = survives_with("log-records", "the end");
    let crumbs = event.breadcrumbs();
    assert_eq!(crumbs.len(), 2);
    assert_eq!(crumbs[0]["message"], "from log: 7");
    assert_eq!(
        (&crumbs[0]["category"], &crumbs[0]["level"]),
        (&json!("library::inner"), &json!("warning"))
    );
    assert_eq!(crumbs[1]["category"], "victim::lines");
}

// The program must not notice.

#[test]
fn a_program_behaves_as_without() {
    for scenario in [
        "clean",
        "exit-3",
        "main",
        "thread",
        "caught-on-main",
        "hook-panics",
        "double",
        "extern-c",
        "message-panics",
        "payload-custom",
        "thread-local",
        "holding-stderr",
        "resume",
        "debug-allocates",
    ] {
        same_as_without(Profile::Dev, scenario, "0");
    }
}

#[test]
fn a_printed_backtrace_is_as_without() {
    for scenario in ["main", "thread"] {
        same_as_without(Profile::Dev, scenario, "1");
        same_as_without(Profile::Release, scenario, "1");
    }
}

#[test]
fn an_abort_is_as_without() {
    for scenario in ["main", "thread", "caught-on-main"] {
        same_as_without(Profile::Abort, scenario, "0");
    }
}

#[track_caller]
fn same_as_without(profile: Profile, scenario: &str, backtrace: &str) {
    let run = || Run::victim(profile, scenario).variable("RUST_BACKTRACE", backtrace);
    let (with, without) = (run().run(), run().plain().run());
    assert_eq!(with.status, without.status);
    assert_eq!(with.stdout, without.stdout);
    assert_eq!(with.normal_stderr(), without.normal_stderr());
}
