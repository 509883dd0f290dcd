//! Programs that do not die, and must not notice lastwords.

use std::io::Read;

pub(crate) const SCENARIOS: [crate::Scenario; 5] = [
    ("clean", clean),
    ("exit-3", exit_3),
    ("wait", wait),
    ("second-install", second_install),
    ("bad-literals", bad_literals),
];

fn clean() {
    tracing::info!("all is well");
    println!("all is well");
    eprintln!("all is well");
}

fn exit_3() {
    tracing::info!("leaving");
    println!("leaving");
    std::process::exit(3);
}

/// Logs, says that it is ready, and waits to be killed, or for the end of its input.
fn wait() {
    lastwords::set_tag("cid", "c-1");
    for number in 0..5 {
        let _span = tracing::info_span!("loop", number).entered();
        tracing::info!(number, "line {number}");
    }
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn second_install() {
    println!("{:?}", lastwords::builder().install().expect_err("the second"));
    let _ = std::thread::spawn(|| panic!("after a second install")).join();
}

fn bad_literals() {
    let refused = |builder: lastwords::Builder| {
        println!("{}", builder.install().expect_err("a mistake"));
    };
    // Before the second install is looked at: these are mistakes on their own.
    refused(lastwords::builder().dsn("x"));
    refused(lastwords::builder().filter("="));
    refused(lastwords::builder().breadcrumbs(100_000));
}
