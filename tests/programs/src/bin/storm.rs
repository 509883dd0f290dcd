//! A program that publishes reports and sends what waits, its own and other processes', until it has
//! published its share. It may be killed at any time, and started again for what is left of it.
//!
//! Arguments: the state directory, the DSN, the numbers of its first report, of the one it ends before,
//! and the distance from one of its reports to the next. Its output has a line for each report that
//! was published, `published NUMBER ID`, and for each that was sent in vain, `unheard ID WHY`.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use lastwords::deliver::{Client, Fate, Kept, Order, Spool, drain};
use lastwords::report::{Attachment, Envelope};
use lastwords::sentry::types::Uuid;

/// More than all reports together.
const LIMIT: u64 = 1 << 40;

/// How many reports are published between two drains.
const BETWEEN: u64 = 4;

/// How many drains follow one another: a server that fails ends one.
const DRAINS: usize = 3;

/// The longest that a drain takes, so that a server which stands still holds nobody up.
const LONGEST: Duration = Duration::from_secs(2);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [state, dsn, first, end, distance] = &arguments[..] else { panic!("five arguments") };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let spool = Spool::open(Path::new(state), LIMIT).expect("a spool");
    let client = Client::new();
    let mut published = 0;
    for number in (number(first)..number(end)).step_by(number(distance) as usize) {
        publish(&spool, dsn, number);
        published += 1;
        if published % BETWEEN == 0 {
            send(&spool, &client);
        }
    }
    send(&spool, &client);
}

/// Publishes the report of this number. One that was killed before it could say so may have done it.
fn publish(spool: &Spool, dsn: &str, number: u64) {
    let id = Uuid::from_u128(u128::from(mixed(number)) << 64 | u128::from(number));
    if !spool.contains(id) {
        let hex = id.simple();
        let mut envelope = Envelope::new(id).with_dsn(dsn);
        let event = format!(
            r#"{{"event_id":"{hex}","platform":"native","level":"error","message":"number {number}"}}"#
        );
        envelope.push_event(event.into_bytes());
        let length = 1 + mixed(number) as usize % 3000;
        envelope.push_attachment(&Attachment {
            filename: "stderr.txt".to_owned(),
            content_type: "text/plain".to_owned(),
            data: format!("{hex}\n").into_bytes().into_iter().cycle().take(length).collect(),
        });
        spool.write(id, &envelope.to_bytes()).expect("it is written");
    }
    say(&format!("published {number} {}", id.simple()));
}

fn send(spool: &Spool, client: &Client) {
    for _ in 0..DRAINS {
        let order = Order {
            ready: &|_| true,
            wants: &|_, _| true,
            fallback: None,
            instead: None,
            on_request: true,
            insist: &[],
            until: Some(Instant::now() + LONGEST),
            hold: Duration::ZERO,
            pause: Duration::ZERO,
            rate_limit: 0,
        };
        let mut failed = false;
        let drained = drain(spool, client, &order, &mut |id, fate| {
            if let Fate::Kept(Kept::Failed { why, .. }) = fate {
                failed = true;
                say(&format!("unheard {} {why}", id.simple()));
            }
        });
        if let Some(error) = drained.trouble {
            panic!("{error}");
        }
        if !failed {
            return;
        }
    }
}

/// A whole line, or none: nobody reads half of what a process said that was killed.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).expect("somebody listens");
}

/// A well mixed number for each number.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
