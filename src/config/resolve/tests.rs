use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::form::{KIB, MIB};

const NOTHING: &[(&str, &str)] = &[];

fn code() -> Overrides {
    Overrides::default()
}

fn resolve_with(
    code: &Overrides,
    env: &[(&str, impl AsRef<OsStr>)],
    flags: &[(Key, &str)],
) -> Resolved {
    let lookup = |name: &str| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_ref().to_owned())
    };
    let mut given = Flags::default();
    for (key, value) in flags {
        given.push(*key, value);
    }
    resolve(code, &lookup, &given)
}

fn problems(resolved: &Resolved) -> String {
    resolved.problems.iter().map(|problem| problem.to_string()).collect::<Vec<_>>().join("\n")
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.into(), value.into())
}

#[test]
fn nothing_given_is_the_default() {
    let resolved = resolve_with(&code(), NOTHING, &[]);
    assert_eq!(resolved.settings, Settings::default());
    assert!(resolved.problems.is_empty());
    assert!(TABLE.iter().all(|setting| resolved.origins(setting.key) == [Origin::Default]));
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let code = Overrides { breadcrumbs: Some(1), ..code() };
    let env = [("LASTWORDS_BREADCRUMBS", "2")];
    let flags = [(Key::Breadcrumbs, "3"), (Key::Breadcrumbs, "4")];

    let resolved = resolve_with(&code, NOTHING, &[]);
    assert_eq!(resolved.settings.breadcrumbs, 1);
    assert_eq!(resolved.origins(Key::Breadcrumbs), [Origin::Code]);

    let resolved = resolve_with(&code, &env, &[]);
    assert_eq!(resolved.settings.breadcrumbs, 2);
    assert_eq!(resolved.origins(Key::Breadcrumbs), [Origin::Variable("LASTWORDS_BREADCRUMBS")]);

    let resolved = resolve_with(&code, &env, &flags);
    assert_eq!(resolved.settings.breadcrumbs, 4);
    assert_eq!(resolved.origins(Key::Breadcrumbs), [Origin::Flag("breadcrumbs")]);
    assert!(resolved.problems.is_empty());
}

#[test]
fn every_variable_is_read() {
    let values = [
        ("LASTWORDS_ENABLE_SENTRY", "off", "false"),
        ("LASTWORDS_DSN", "https://k@a/1", "https://***@a/1"),
        ("SENTRY_DSN", "https://k@b/2", "https://***@b/2"),
        ("LASTWORDS_RELEASE", "alpha@1.2.3", "alpha@1.2.3"),
        ("SENTRY_RELEASE", "beta/1", "beta/1"),
        ("LASTWORDS_ENVIRONMENT", "none", "none"),
        ("SENTRY_ENVIRONMENT", "lab", "lab"),
        ("LASTWORDS_EDITION", "oss", "oss"),
        ("LASTWORDS_TAGS", r"a=1,b=x\,y", r"a=1,b=x\,y"),
        ("LASTWORDS_FILTER", "warn,db=trace", "db=trace,warn"),
        ("LASTWORDS_BREADCRUMBS", "7", "7"),
        ("LASTWORDS_RING_SIZE", "4M", "4MiB"),
        ("LASTWORDS_STDERR_TAIL", "0", "0"),
        ("LASTWORDS_STATE_DIR", "/srv/state", "/srv/state"),
        ("LASTWORDS_SPOOL_LIMIT", "1GiB", "1GiB"),
        ("LASTWORDS_FLUSH", "500ms", "500ms"),
        ("LASTWORDS_RATE_LIMIT", "0", "0"),
        ("LASTWORDS_SCRUB_KEYS", "pin, iban", "pin,iban"),
        ("LASTWORDS_SUPERVISE", "wrap", "wrap"),
        ("LASTWORDS_SESSIONS", "1", "true"),
        ("LASTWORDS_MINIDUMP", "yes", "true"),
    ];
    let known = TABLE.iter().flat_map(|it| it.variables.iter().map(move |name| (it.key, *name)));
    for (key, variable) in known {
        let (_, value, shown) =
            values.iter().find(|(name, ..)| *name == variable).expect("a value for each variable");
        let resolved = resolve_with(&code(), &[(variable, *value)], &[]);
        assert_eq!(resolved.settings.show(key), *shown, "{variable}");
        assert_eq!(resolved.origins(key), [Origin::Variable(variable)]);
        assert!(resolved.problems.is_empty(), "{}", problems(&resolved));
    }
}

#[test]
fn every_flag_is_read() {
    for setting in TABLE.iter().filter(|setting| setting.flag.is_some()) {
        let value = match setting.key {
            Key::EnableSentry => "no",
            Key::Dsn => "https://k@a/1",
            Key::Tags => "a=1",
            Key::Sessions | Key::Minidump => "on",
            Key::Breadcrumbs => "12",
            Key::RingSize | Key::StderrTail => "512KiB",
            _ => "word",
        };
        let resolved = resolve_with(&code(), NOTHING, &[(setting.key, value)]);
        let name = setting.flag.map(|flag| flag.name).expect("only settings with flags are asked");
        assert_eq!(resolved.origins(setting.key), [Origin::Flag(name)]);
        let default = Settings::default().show(setting.key);
        assert_ne!(resolved.settings.show(setting.key), default, "--{name}");
    }
}

#[test]
fn every_value_in_code_is_used() {
    let code = Overrides {
        enable_sentry: Some(false),
        dsn: parse::dsn("https://k@a/1"),
        release: Some("1.2.3".into()),
        environment: Some("lab".into()),
        edition: Some("oss".into()),
        tags: vec![pair("a", "1")],
        tag_subcommand: Some("dgraph".into()),
        filter: parse::filter("warn"),
        breadcrumbs: Some(3),
        ring_size: Some(512 * KIB),
        stderr_tail: Some(1),
        state_dir: Some("/srv".into()),
        spool_limit: Some(0),
        flush: Some(Duration::ZERO),
        rate_limit: Some(7),
        scrub_keys: vec!["pin".into()],
        supervise: Some(SuperviseMode::Wrap),
        sessions: Some(true),
        minidump: Some(true),
    };
    let resolved = resolve_with(&code, NOTHING, &[]);
    let default = Settings::default();
    for setting in &TABLE {
        assert_eq!(resolved.origins(setting.key), [Origin::Code], "{}", setting.name);
        assert_ne!(resolved.settings.show(setting.key), default.show(setting.key));
    }
    assert!(resolved.problems.is_empty(), "{}", problems(&resolved));
}

#[test]
fn sentry_variables_are_the_second_choice() {
    let both = [("LASTWORDS_RELEASE", "ours"), ("SENTRY_RELEASE", "theirs")];
    let resolved = resolve_with(&code(), &both, &[]);
    assert_eq!(resolved.settings.release.as_deref(), Some("ours"));

    let empty = [("LASTWORDS_RELEASE", ""), ("SENTRY_RELEASE", "theirs")];
    let resolved = resolve_with(&code(), &empty, &[]);
    assert_eq!(resolved.settings.release.as_deref(), Some("theirs"));
    assert_eq!(resolved.origins(Key::Release), [Origin::Variable("SENTRY_RELEASE")]);
}

#[test]
fn blank_values_are_not_given() {
    let code = Overrides {
        release: Some(" ".into()),
        state_dir: Some("".into()),
        scrub_keys: vec!["".into()],
        ..code()
    };
    let blanks: Vec<_> =
        TABLE.iter().flat_map(|setting| setting.variables).map(|name| (*name, " \n")).collect();
    let flags: Vec<_> =
        TABLE.iter().filter(|it| it.flag.is_some()).map(|setting| (setting.key, "")).collect();
    let resolved = resolve_with(&code, &blanks, &flags);
    assert_eq!(resolved.settings, Settings::default());
    assert!(resolved.problems.is_empty(), "{}", problems(&resolved));
}

#[test]
fn a_bad_value_leaves_the_next_lower_layer_to_decide() {
    let code = Overrides { ring_size: Some(2 * MIB), ..code() };
    let env = [
        ("LASTWORDS_ENABLE_SENTRY", "maybe"),
        ("LASTWORDS_FILTER", "db=loud"),
        ("LASTWORDS_BREADCRUMBS", "1001"),
        ("LASTWORDS_RING_SIZE", "12 parsecs"),
        ("LASTWORDS_STDERR_TAIL", "1GiB"),
        ("LASTWORDS_SPOOL_LIMIT", "99999999999G"),
        ("LASTWORDS_FLUSH", "1h"),
        ("LASTWORDS_SUPERVISE", "always"),
    ];
    let resolved = resolve_with(&code, &env, &[(Key::RingSize, "255KiB")]);
    let expected = Settings { enable_sentry: false, ring_size: 2 * MIB, ..Settings::default() };
    assert_eq!(resolved.settings, expected);
    assert_eq!(resolved.origins(Key::RingSize), [Origin::Code]);
    insta::assert_snapshot!(problems(&resolved), @r#"
    LASTWORDS_ENABLE_SENTRY: "maybe" is not a boolean: give true, yes, on or 1; false, no, off or 0; using false
    LASTWORDS_FILTER: "db=loud" is not a filter: give LEVEL, TARGET=LEVEL or several with commas between, where LEVEL is off, error, warn, info, debug or trace; using info
    LASTWORDS_BREADCRUMBS: "1001" is out of range: give a whole number from 0 to 1000; using 100
    --ring-size: "255KiB" is out of range: give bytes, or a number with KiB, MiB or GiB, from 256KiB to 256MiB; using 2MiB
    LASTWORDS_RING_SIZE: "12 parsecs" is not a size: give bytes, or a number with KiB, MiB or GiB, from 256KiB to 256MiB; using 2MiB
    LASTWORDS_STDERR_TAIL: "1GiB" is out of range: give bytes, or a number with KiB, MiB or GiB, from 0 to 16MiB; using 64KiB
    LASTWORDS_SPOOL_LIMIT: "99999999999G" is not a size: give bytes, or a number with KiB, MiB or GiB, from 0 to 1024GiB; using 64MiB
    LASTWORDS_FLUSH: "1h" is not a duration: give seconds, or a number with ms, s or m, from 0s to 1m; using 2s
    LASTWORDS_SUPERVISE: "always" is not a mode: give off, wrap or monitor; using what the code asks for
    "#);
}

#[test]
fn a_hidden_bad_value_is_no_problem() {
    let env = [("LASTWORDS_FLUSH", "1s"), ("LASTWORDS_RING_SIZE", "12 parsecs")];
    let code = Overrides { flush: Some(Duration::MAX), ..code() };
    let resolved = resolve_with(&code, &env, &[(Key::RingSize, "1MiB")]);
    assert!(resolved.problems.is_empty(), "{}", problems(&resolved));
}

#[test]
fn code_is_held_to_the_same_bounds() {
    let code = Overrides {
        breadcrumbs: Some(usize::MAX),
        ring_size: Some(3),
        stderr_tail: Some(u64::MAX),
        spool_limit: Some(u64::MAX),
        flush: Some(Duration::MAX),
        tags: vec![pair("", "value"), pair("a", "1")],
        ..code()
    };
    let resolved = resolve_with(&code, NOTHING, &[]);
    assert_eq!(resolved.settings, Settings { tags: vec![pair("a", "1")], ..Settings::default() });
    assert!(resolved.problems.iter().all(|problem| problem.origin == Origin::Code));
    insta::assert_snapshot!(problems(&resolved), @r#"
    tags set in code: "=value" is not a tag: give KEY=VALUE; leaving it out
    breadcrumbs set in code: "18446744073709551615" is out of range: give a whole number from 0 to 1000; using 100
    ring_size set in code: "3" is out of range: give bytes, or a number with KiB, MiB or GiB, from 256KiB to 256MiB; using 1MiB
    stderr_tail set in code: "18446744073709551615" is out of range: give bytes, or a number with KiB, MiB or GiB, from 0 to 16MiB; using 64KiB
    spool_limit set in code: "18446744073709551615" is out of range: give bytes, or a number with KiB, MiB or GiB, from 0 to 1024GiB; using 64MiB
    flush set in code: "18446744073709551615.999999999s" is out of range: give seconds, or a number with ms, s or m, from 0s to 1m; using 2s
    "#);
}

#[test]
fn rings_are_rounded_down_to_whole_steps() {
    for (given, bytes) in [("256KiB", 256 * KIB), ("1000000", 999_424), ("268435456", 256 * MIB)] {
        let resolved = resolve_with(&code(), NOTHING, &[(Key::RingSize, given)]);
        assert_eq!(resolved.settings.ring_size, bytes);
        assert_eq!(bytes % (256 * 64), 0);
    }
    let coded = Overrides { ring_size: Some(MIB + 1), ..code() };
    assert_eq!(resolve_with(&coded, NOTHING, &[]).settings.ring_size, MIB);
}

#[test]
fn environments_are_derived_or_as_given() {
    let environment = |env: &[(&str, &str)]| resolve_with(&code(), env, &[]).settings.environment;
    assert_eq!(environment(&[]), "dev");
    assert_eq!(environment(&[("LASTWORDS_RELEASE", "alpha@24.1.0")]), "prod");
    assert_eq!(
        environment(&[("SENTRY_RELEASE", "v24.1.0"), ("LASTWORDS_EDITION", "oss")]),
        "prod-oss"
    );
    assert_eq!(environment(&[("SENTRY_ENVIRONMENT", "lab"), ("LASTWORDS_EDITION", "oss")]), "lab");
    let derived = resolve_with(&code(), &[("LASTWORDS_RELEASE", "1.2.3")], &[]);
    assert_eq!(derived.origins(Key::Environment), [Origin::Default]);
}

#[test]
fn tags_merge_by_key() {
    let code =
        Overrides { tags: vec![pair("a", "code"), pair("b", "code"), pair("c", "code")], ..code() };
    let env = [("LASTWORDS_TAGS", "b=env,c=env,d=env")];
    let flags = [(Key::Tags, "c=flag"), (Key::Tags, "e=1,f=2")];
    let resolved = resolve_with(&code, &env, &flags);
    assert_eq!(resolved.settings.show(Key::Tags), r"a=code,b=env,c=flag,d=env,e=1\,f=2");
    assert_eq!(
        resolved.origins(Key::Tags),
        [Origin::Code, Origin::Variable("LASTWORDS_TAGS"), Origin::Flag("tag")]
    );
}

#[test]
fn bad_tags_are_left_out_one_by_one() {
    let env = [("LASTWORDS_TAGS", "a=1,loose,=3,loose,b=2")];
    let resolved = resolve_with(&code(), &env, &[(Key::Tags, "bad")]);
    assert_eq!(resolved.settings.tags, [pair("a", "1"), pair("b", "2")]);
    insta::assert_snapshot!(problems(&resolved), @r#"
    LASTWORDS_TAGS: "loose" is not a tag: give k=v,k=v, with \, for a comma and \\ for a backslash; leaving it out
    LASTWORDS_TAGS: "=3" is not a tag: give k=v,k=v, with \, for a comma and \\ for a backslash; leaving it out
    --tag: "bad" is not a tag: give KEY=VALUE; leaving it out
    "#);
}

#[test]
fn scrub_keys_add_up() {
    let code = Overrides { scrub_keys: vec!["pin".into(), "iban".into()], ..code() };
    let resolved = resolve_with(&code, &[("LASTWORDS_SCRUB_KEYS", "iban,ssn,ssn")], &[]);
    assert_eq!(resolved.settings.scrub_keys, ["pin", "iban", "ssn"]);
}

#[test]
fn supervision_can_be_changed_but_not_added() {
    let mode = |coded: Option<SuperviseMode>, given: &str| {
        let code = Overrides { supervise: coded, ..code() };
        resolve_with(&code, &[("LASTWORDS_SUPERVISE", given)], &[])
    };
    let off = mode(Some(SuperviseMode::Monitor), "off");
    assert_eq!(off.settings.supervise, Some(SuperviseMode::Off));
    let wrap = mode(Some(SuperviseMode::Monitor), "wrap");
    assert_eq!(wrap.settings.supervise, Some(SuperviseMode::Wrap));

    let none = mode(Some(SuperviseMode::Off), "wrap");
    assert_eq!(none.settings.supervise, Some(SuperviseMode::Off));
    assert_eq!(none.origins(Key::Supervise), [Origin::Code]);
    insta::assert_snapshot!(problems(&none), @r#"LASTWORDS_SUPERVISE: "wrap" cannot add supervision to a program that asks for none; using off"#);
}

#[test]
fn problems_never_show_a_key() {
    let key = "0123456789abcdef0123456789abcdef";
    let no_project = format!("https://{key}@o1.ingest.sentry.io/");
    let swapped = format!("o1.ingest.sentry.io@{key}");
    let good = format!("https://{key}@host/42");
    let env = [("LASTWORDS_DSN", &no_project), ("SENTRY_DSN", &good)];
    let resolved = resolve_with(&code(), &env, &[(Key::Dsn, key), (Key::Dsn, &swapped)]);
    assert_eq!(resolved.settings.dsn.as_ref().map(|dsn| dsn.public_key()), Some(key));
    assert_eq!(resolved.origins(Key::Dsn), [Origin::Variable("SENTRY_DSN")]);
    let rows: String = resolved.rows().map(|row| row.to_string()).collect();
    let shown = format!("{resolved:?} {rows} {}", problems(&resolved));
    assert!(!shown.contains(key), "{shown}");
    insta::assert_snapshot!(problems(&resolved), @r#"
    --dsn: "***@***" is not a DSN: give https://KEY@HOST/PROJECT; using https://***@host/42
    --dsn: "***" is not a DSN: give https://KEY@HOST/PROJECT; using https://***@host/42
    LASTWORDS_DSN: "https://***@o1.ingest.sentry.io/" is not a DSN: give https://KEY@HOST/PROJECT; using https://***@host/42
    "#);
}

#[cfg(unix)]
#[test]
fn values_that_are_not_utf8() {
    use std::os::unix::ffi::OsStrExt as _;

    let broken = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    let env = [
        ("LASTWORDS_DSN", broken(b"https://k\xff@host/1")),
        ("LASTWORDS_RELEASE", broken(b"1.2\xff")),
        ("SENTRY_RELEASE", broken(b"1.2.3")),
        ("LASTWORDS_TAGS", broken(b"a=1,b=\xff,loose\xff,c=3")),
        ("LASTWORDS_STATE_DIR", broken(b"/srv/\xff")),
        ("LASTWORDS_SCRUB_KEYS", broken(b"pin,\xff")),
        ("LASTWORDS_SUPERVISE", broken(b"\xff")),
    ];
    let resolved = resolve_with(&code(), &env, &[]);
    assert_eq!(resolved.settings.release.as_deref(), Some("1.2.3"));
    assert_eq!(resolved.settings.tags, [pair("a", "1"), pair("c", "3")]);
    assert_eq!(resolved.settings.state_dir, Some(PathBuf::from(broken(b"/srv/\xff"))));
    assert_eq!(resolved.settings.scrub_keys, ["pin"]);
    insta::assert_snapshot!(problems(&resolved), @r#"
    LASTWORDS_DSN: "https://***@host/1" is not valid UTF-8; using none
    LASTWORDS_RELEASE: "1.2�" is not valid UTF-8; using 1.2.3
    LASTWORDS_TAGS: "b=�" is not valid UTF-8; leaving it out
    LASTWORDS_TAGS: "loose�" is not a tag: give k=v,k=v, with \, for a comma and \\ for a backslash; leaving it out
    LASTWORDS_SCRUB_KEYS: "�" is not valid UTF-8; leaving it out
    LASTWORDS_SUPERVISE: "�" is not valid UTF-8; using what the code asks for
    "#);
}

#[test]
fn rows_for_doctor() {
    let code = Overrides { scrub_keys: vec!["pin".into()], ..code() };
    let env = [
        ("LASTWORDS_DSN", "https://public:secret@host:9000/42"),
        ("LASTWORDS_RELEASE", "alpha@24.1.0\n"),
        ("LASTWORDS_TAGS", "a=1"),
        ("LASTWORDS_SCRUB_KEYS", "iban"),
    ];
    let resolved = resolve_with(&code, &env, &[(Key::Tags, "b=2"), (Key::Sessions, "true")]);
    let rows: Vec<_> = resolved.rows().map(|row| row.to_string()).collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    enable_sentry = true (default)
    dsn = https://***@host:9000/42 (LASTWORDS_DSN)
    release = alpha@24.1.0\n (LASTWORDS_RELEASE)
    environment = dev (default)
    edition = none (default)
    tags = a=1,b=2 (LASTWORDS_TAGS, --tag)
    tag_subcommand = none (default)
    filter = info (default)
    breadcrumbs = 100 (default)
    ring_size = 1MiB (default)
    stderr_tail = 64KiB (default)
    state_dir = the first that works of $XDG_STATE_HOME/lastwords, ~/.local/state/lastwords, /var/lib/lastwords (root), /tmp/lastwords-UID, memory (default)
    spool_limit = 64MiB (default)
    flush = 2s (default)
    rate_limit = 30 (default)
    scrub_keys = pin,iban (code, LASTWORDS_SCRUB_KEYS)
    supervise = what the code asks for (default)
    sessions = true (--sessions)
    minidump = false (default)
    ");
}

proptest! {
    /// Whatever the operator writes anywhere, the settings stay within their bounds.
    #[test]
    fn no_text_panics_or_leaves_the_bounds(text in any::<String>(), digits in "[0-9]{0,30}[kmgs]?") {
        for text in [&text, &digits] {
            let mut flags = Flags::default();
            for setting in TABLE.iter().filter(|setting| setting.flag.is_some()) {
                flags.push(setting.key, text);
            }
            let env = |_: &str| Some(OsString::from(text));
            let resolved = resolve(&Overrides::default(), &env, &flags);
            let settings = &resolved.settings;
            prop_assert!(RING_SIZE.contains(&settings.ring_size));
            prop_assert_eq!(settings.ring_size % RING_STEP, 0);
            prop_assert!(BREADCRUMBS.contains(&settings.breadcrumbs));
            prop_assert!(STDERR_TAIL.contains(&settings.stderr_tail));
            prop_assert!(SPOOL_LIMIT.contains(&settings.spool_limit));
            prop_assert!(FLUSH.contains(&settings.flush));
            prop_assert!(!settings.environment.is_empty());
            for line in resolved.problems.iter().map(|it| it.to_string()) {
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            }
            for row in resolved.rows() {
                prop_assert!(!row.origins.is_empty());
                prop_assert!(!row.to_string().chars().any(char::is_control), "{row:?}");
            }
        }
    }

    /// A ring of any size in code is used, rounded down, or is a problem.
    #[test]
    fn any_number_in_code(number: u64) {
        let code = Overrides {
            ring_size: Some(number),
            spool_limit: Some(number),
            breadcrumbs: Some(number as usize),
            flush: Some(Duration::from_nanos(number)),
            ..Overrides::default()
        };
        let resolved = resolve(&code, &|_| None, &Flags::default());
        prop_assert!(RING_SIZE.contains(&resolved.settings.ring_size));
        prop_assert!(FLUSH.contains(&resolved.settings.flush));
        prop_assert_eq!(
            resolved.problems.iter().any(|problem| problem.key == Key::RingSize),
            !RING_SIZE.contains(&number)
        );
    }
}
