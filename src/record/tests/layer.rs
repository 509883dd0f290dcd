//! Round trips through the real layer: what was logged comes back equal.

use std::error::Error;
use std::fmt;

use proptest::prelude::*;
use serde_json::{Value, json};
use tracing::{Level, debug, error, field, info, info_span, trace, warn};

use super::support::Bench;

/// How many cases a property tries; an interpreter gets few.
pub(super) const CASES: u32 = 64;

#[derive(Debug)]
struct Layered(&'static str, Option<Box<Layered>>);

impl fmt::Display for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Layered {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as &dyn Error)
    }
}

#[test]
fn every_type_of_value_comes_back() {
    let bench = Bench::new(1 << 20);
    let _guard = bench.subscribe();
    let inner = Layered("disk full", None);
    let failed = Layered("cannot write", Some(Box::new(inner)));
    info!(
        unsigned = u64::MAX,
        signed = i64::MIN,
        float = 0.5,
        nan = f64::NAN,
        infinite = f64::NEG_INFINITY,
        yes = true,
        no = false,
        wide = u128::MAX,
        narrow = 7_u128,
        wide_signed = i128::MIN,
        narrow_signed = -7_i128,
        text = "größer",
        empty = "",
        debug = ?Some(3),
        display = %"shown",
        failed = &failed as &(dyn Error + 'static),
        "all of them: {}",
        1
    );
    let crumbs = bench.breadcrumbs();
    let [crumb] = &crumbs[..] else { panic!("{crumbs:?}") };
    assert_eq!(crumb.message, "all of them: 1");
    assert!(!crumb.cut);
    assert_eq!((crumb.level, crumb.line.is_some()), (Level::INFO, true));
    assert_eq!(crumb.target, module_path!());
    let expected = json!({
        "unsigned": u64::MAX, "signed": i64::MIN, "float": 0.5, "nan": "NaN", "infinite": "-inf",
        "yes": true, "no": false, "wide": u128::MAX.to_string(), "narrow": 7,
        "wide_signed": i128::MIN.to_string(), "narrow_signed": -7, "text": "größer", "empty": "",
        "debug": "Some(3)", "display": "shown", "failed": "cannot write: disk full",
    });
    assert_eq!(Value::Object(crumb.fields.clone()), expected);
}

#[test]
fn levels_and_order_come_back() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    trace!("1");
    debug!("2");
    info!("3");
    warn!("4");
    error!("5");
    let seen: Vec<_> =
        bench.breadcrumbs().into_iter().map(|crumb| (crumb.message, crumb.level)).collect();
    let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
    let expected: Vec<_> = (1..).map(|i| i.to_string()).zip(levels).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_long_text_is_cut_at_a_character_and_counted() {
    for lead in 0..4 {
        let bench = Bench::new(1 << 20);
        let _guard = bench.subscribe();
        let text = format!("{}{}", "a".repeat(lead), "€".repeat(3000));
        info!(text, after = 9, "long");
        let snapshot = bench.snapshot();
        let crumb = &snapshot.breadcrumbs[0];
        assert!(crumb.cut);
        assert_eq!(snapshot.losses.cut, 1);
        assert_eq!((crumb.message.as_str(), &crumb.fields["after"]), ("long", &json!(9)));
        let shown = crumb.fields["text"].as_str().unwrap();
        let (kept, note) = shown.split_once('…').unwrap();
        assert!(text.starts_with(kept) && kept.len() > 3500, "{} kept", kept.len());
        assert_eq!(note, format!(" ({} more bytes)", text.len() - kept.len()));
    }
}

#[test]
fn a_debug_that_panics_or_logs_spoils_nothing() {
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half of it")?;
            std::panic::resume_unwind(Box::new("in a Debug"))
        }
    }
    struct Logs;
    impl fmt::Debug for Logs {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!(depth = 1, "inner");
            f.write_str("logged")
        }
    }
    let bench = Bench::small();
    let _guard = bench.subscribe();
    info!(before = 1, panics = ?Panics, logs = ?Logs, after = 2, "outer");
    let fields: Vec<_> = bench.breadcrumbs().into_iter().map(|crumb| crumb.fields).collect();
    // `tracing` itself keeps a thread from dispatching inside of its own dispatching, except that
    // the event of a `Debug` reaches the layer while the outer one is being formatted.
    let outer = json!({"before": 1, "panics": "<panicked>", "logs": "logged", "after": 2});
    assert_eq!(fields.last().map(|fields| Value::Object(fields.clone())), Some(outer));
}

#[test]
fn an_old_span_is_written_again_before_an_event_that_needs_it() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    let outer = info_span!("outer", job = 7).entered();
    let _inner = info_span!("inner", step = field::Empty).entered();
    tracing::Span::current().record("step", 3);
    // 700 bytes: a block each, more than two rings.
    let text = "x".repeat(700);
    for number in 0..600 {
        info!(number, text);
    }
    let snapshot = bench.snapshot();
    assert!(snapshot.leases >= 512 && snapshot.breadcrumbs.len() >= 128);
    let newest = &snapshot.breadcrumbs[snapshot.breadcrumbs.len() - 128..];
    for (crumb, number) in newest.iter().zip(600 - 128..) {
        assert_eq!(crumb.fields["number"], number);
        let path: Vec<_> = crumb.spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(path, ["outer", "inner"], "at {number}");
        assert_eq!(
            (&crumb.spans[0].fields["job"], &crumb.spans[1].fields["step"]),
            (&json!(7), &json!(3))
        );
    }
    drop(outer);
}

#[test]
fn a_field_is_as_it_was_at_the_event() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    let span = info_span!("batch", at = field::Empty, kept = "k").entered();
    for at in 0..3 {
        span.record("at", at);
        info!(at);
    }
    for crumb in bench.breadcrumbs() {
        assert_eq!(crumb.spans[0].fields["at"], crumb.fields["at"]);
        assert_eq!(crumb.spans[0].fields["kept"], "k");
    }
}

#[test]
fn a_million_values_of_a_field_take_the_room_of_one() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    let span = info_span!("loop", at = field::Empty, name = "n").entered();
    // Unoptimised, a million take most of a minute.
    let times = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
    for at in 1..=times {
        span.record("at", at);
    }
    info!("after");
    let crumbs = bench.breadcrumbs();
    let [crumb] = &crumbs[..] else { panic!("{} breadcrumbs", crumbs.len()) };
    assert_eq!(crumb.spans[0].fields, *json!({"at": times, "name": "n"}).as_object().unwrap());
    assert!(!crumb.cut);
    assert_eq!(bench.snapshot().losses.cut, 0, "the span's values grew beyond a record");
}

/// Two long values must not take the short one with them.
#[test]
fn a_span_with_more_than_fits_keeps_what_fits() {
    let bench = Bench::new(1 << 20);
    let _guard = bench.subscribe();
    let span =
        info_span!("request", id = 42, question = field::Empty, answer = field::Empty).entered();
    span.record("question", "q".repeat(3000));
    span.record("answer", "a".repeat(3000));
    info!("done");
    let snapshot = bench.snapshot();
    let fields = &snapshot.breadcrumbs[0].spans[0].fields;
    assert_eq!(fields["id"], 42);
    assert_eq!(fields["question"].as_str().map(str::len), Some(3000));
    assert!(snapshot.losses.cut > 0, "what was left out is counted");
}

/// A span's values are encoded for the largest record; in a small ring they must not all be lost.
#[test]
fn a_span_too_long_for_a_small_block_keeps_its_other_fields() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    let _span = info_span!("request", id = 42, text = "t".repeat(2000)).entered();
    info!("inside");
    let snapshot = bench.snapshot();
    assert_eq!(snapshot.breadcrumbs[0].spans[0].fields["id"], 42);
    assert!(snapshot.losses.cut > 0);
}

#[test]
fn spans_across_threads_keep_their_parents() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    let parent = info_span!("parent", n = 1);
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    std::thread::Builder::new()
        .name("other".to_owned())
        .spawn(move || {
            let _default = tracing::dispatcher::set_default(&dispatch);
            let _child = info_span!(parent: &parent, "child").entered();
            info!("there");
            info!(parent: &parent, "beside");
            info!(parent: None, "outside");
        })
        .unwrap()
        .join()
        .unwrap();
    let seen: Vec<_> = bench
        .breadcrumbs()
        .into_iter()
        .map(|crumb| {
            let path: Vec<_> = crumb.spans.into_iter().map(|span| span.name).collect();
            (crumb.message, crumb.thread.name.unwrap(), path.join("/"))
        })
        .collect();
    let other = || "other".to_owned();
    let expected = [
        ("there".to_owned(), other(), "parent/child".to_owned()),
        ("beside".to_owned(), other(), "parent".to_owned()),
        ("outside".to_owned(), other(), String::new()),
    ];
    assert_eq!(seen, expected);
}

/// One step of a random program.
#[derive(Debug, Clone)]
enum Step {
    Event { message: String, number: i64, float: f64, wide: u128, flag: bool },
    Text(String),
    Enter { name: u8, text: String },
    Record(u64),
    Leave,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = || prop_oneof![".{0,40}", "[a-z€]{0,300}"];
    let step = prop_oneof![
        3 => (text(), any::<i64>(), any::<f64>(), any::<u128>(), any::<bool>()).prop_map(
            |(message, number, float, wide, flag)| Step::Event { message, number, float, wide, flag }
        ),
        2 => prop_oneof![text(), ".{900,1500}"].prop_map(Step::Text),
        1 => (any::<u8>(), text()).prop_map(|(name, text)| Step::Enter { name, text }),
        1 => any::<u64>().prop_map(Step::Record),
        1 => Just(Step::Leave),
    ];
    proptest::collection::vec(step, 0..40)
}

fn float(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

fn wide(value: u128) -> Value {
    u64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_logged_comes_back_equal(steps in steps()) {
        let bench = Bench::new(1 << 20);
        let _guard = bench.subscribe();
        let mut spans: Vec<(tracing::span::EnteredSpan, Value)> = Vec::new();
        let mut expected = Vec::new();
        for step in steps {
            let path: Vec<Value> = spans.iter().map(|(_, fields)| fields.clone()).collect();
            match step {
                Step::Event { message, number, float: real, wide: big, flag } => {
                    info!(number, real, big, flag, "{message}");
                    let fields = json!({
                        "number": number, "real": float(real), "big": wide(big), "flag": flag,
                    });
                    expected.push((message, fields, path));
                }
                Step::Text(text) => {
                    warn!(text);
                    expected.push((String::new(), json!({ "text": text }), path));
                }
                Step::Enter { name, text } => {
                    let span = info_span!("span", name, text, at = field::Empty).entered();
                    spans.push((span, json!({"name": name, "text": text})));
                }
                Step::Record(at) => {
                    if let Some((span, fields)) = spans.last_mut() {
                        span.record("at", at);
                        fields["at"] = at.into();
                    }
                }
                Step::Leave => drop(spans.pop()),
            }
        }
        let snapshot = bench.snapshot();
        let seen: Vec<_> = snapshot
            .breadcrumbs
            .into_iter()
            .map(|crumb| {
                let path: Vec<_> =
                    crumb.spans.into_iter().map(|span| Value::Object(span.fields)).collect();
                (crumb.message, Value::Object(crumb.fields), path, crumb.cut)
            })
            .collect();
        let cut = seen.iter().filter(|(.., cut)| *cut).count() as u64;
        prop_assert_eq!(seen.len(), expected.len());
        for ((message, fields, path, cut), (message_in, fields_in, path_in)) in seen.iter().zip(&expected) {
            prop_assert_eq!(path, path_in);
            if !cut {
                prop_assert_eq!((message, fields), (message_in, fields_in));
            } else {
                let text = fields_in["text"].as_str().expect("only texts are long");
                let kept = fields["text"].as_str().and_then(|text| text.split_once("… ("));
                prop_assert!(kept.is_some_and(|(kept, _)| text.starts_with(kept)));
            }
        }
        prop_assert_eq!(snapshot.losses.cut, cut);
        let losses = snapshot.losses;
        prop_assert_eq!((losses.torn, losses.dropped, losses.spans_missing), (0, 0, 0));
    }
}
