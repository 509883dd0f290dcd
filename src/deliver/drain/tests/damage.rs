//! Files that are not what they should be, and directories that are not ours.

use proptest::prelude::*;

use super::*;

#[test]
fn what_cannot_be_read_is_kept_with_its_reason_and_blocks_nobody() {
    let bench = Bench::new();
    let whole = report(1, Some(HOST_A)).to_bytes();
    let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bench.put_bytes(1, b"");
    bench.put_bytes(2, b"\xff\xfe\n");
    bench.put(3, &report(1, Some(HOST_A)));
    bench.put_bytes(4, &report(4, Some(HOST_A)).to_bytes()[..first_line]);
    bench.put_bytes(5, &report(5, Some(HOST_A)).to_bytes()[..whole.len() - 5]);
    bench.put_bytes(6, &vec![b'{'; 100_000]);
    bench.put(7, &report(7, Some(HOST_A)));
    let fates = bench.fates(&order());
    let reasons: Vec<_> = fates
        .iter()
        .map(|fate| match fate {
            Fate::Kept(Kept::Unreadable(why)) => why.as_str(),
            Fate::Sent => "sent",
            _ => "",
        })
        .collect();
    assert_eq!(reasons[0], "the envelope is empty");
    assert!(reasons[1].starts_with("the envelope's header is not a JSON object: "), "{fates:?}");
    assert_eq!(reasons[2], "its event has another id than its file");
    assert_eq!(reasons[3], "the envelope has no item of type `event`");
    assert!(reasons[4].contains("announces"), "{fates:?}");
    assert!(reasons[5].starts_with("the envelope's header is"), "{fates:?}");
    assert_eq!(reasons[6], "sent");
    assert_eq!(bench.posted_ids(), [7]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_damaged_report_costs_itself_alone(at in 0usize..4096, byte: u8, end in 0usize..4096) {
        let bench = Bench::new();
        let mut bytes = report(1, Some(HOST_A)).to_bytes();
        let (at, end) = (at % bytes.len(), end % (bytes.len() + 1));
        bytes[at] = byte;
        bytes.truncate(end);
        bench.put_bytes(1, &bytes);
        bench.put(2, &report(2, Some(HOST_B)));
        let (fates, _) = bench.drain(&order());
        prop_assert_eq!(fates.len(), 2);
        prop_assert_eq!(&fates[1], &(2, Fate::Sent));
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn what_is_planted_is_passed_over() {
        let bench = Bench::with(&[9]);
        let waiting = bench.spool.dir().join("waiting");
        let name = |n: u128| waiting.join(format!("{}.envelope", id(n).simple()));
        symlink(waiting.join(name(9)), name(1)).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, name(2), rustix::fs::Mode::RWXU).unwrap();
        fs::create_dir(name(3)).unwrap();
        assert_eq!(bench.drain(&order()).0, [(9, Fate::Sent)]);
        assert_eq!(bench.posted_ids(), [9]);
    }

    #[test]
    fn what_could_not_be_marked_as_sent_is_not_sent() {
        let bench = Bench::with(&[1]);
        let sent = bench.spool.dir().join("sent");
        fs::remove_dir(&sent).unwrap();
        fs::write(&sent, b"").unwrap();
        let (fates, drained) = bench.drain(&requested());
        let Fate::Kept(Kept::Failed { why, .. }) = &fates[0].1 else { panic!("{fates:?}") };
        assert!(why.contains("is not a directory"), "{why}");
        assert!(drained.next.is_some());
        assert_eq!(bench.posted_ids(), []);
    }

    #[test]
    fn an_answer_that_cannot_be_noted_is_asked_for_no_sooner_than_a_failure() {
        struct Spoiler<'a>(&'a Spool);
        impl Courier for Spoiler<'_> {
            fn post(&self, _: &Dsn, _: &[u8], _: Duration) -> Result<Answer, NotAnswered> {
                let sent = self.0.dir().join("sent");
                fs::remove_dir(&sent).unwrap();
                fs::write(&sent, b"").unwrap();
                answer(200, "")
            }
        }
        let bench = Bench::with(&[1, 2]);
        let mut fates = Vec::new();
        let spoiler = Spoiler(&bench.spool);
        let drained = drain(&bench.spool, &spoiler, &requested(), &mut |_, fate| {
            fates.push(fate.clone());
        });
        assert!(matches!(&fates[0], Fate::Kept(Kept::Failed { .. })), "{fates:?}");
        assert!(matches!(&fates[1], Fate::Kept(Kept::BackingOff { .. })), "{fates:?}");
        assert!(drained.next.is_some());
    }

    #[test]
    fn nothing_is_sent_from_a_directory_that_cannot_be_written() {
        if rustix::process::geteuid().is_root() {
            eprintln!("skipped: root may write anywhere");
            return;
        }
        let bench = Bench::with(&[1]);
        let waiting = bench.spool.dir().join("waiting");
        for dir in [waiting.as_path(), bench.spool.dir()] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o500)).unwrap();
            let fates = bench.fates(&requested());
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
            assert!(matches!(&fates[0], Fate::Kept(Kept::Failed { .. })), "{fates:?}");
        }
        assert_eq!(bench.posted_ids(), []);
    }

    #[test]
    fn nothing_is_sent_from_the_directory_of_another_user() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can give a directory away");
            return;
        }
        let bench = Bench::with(&[1]);
        chown(bench.spool.dir(), Some(12345), None).unwrap();
        let fates = bench.fates(&requested());
        assert!(matches!(&fates[0], Fate::Kept(Kept::Failed { .. })), "{fates:?}");
        chown(bench.spool.dir().join("waiting"), Some(12345), None).unwrap();
        let (fates, drained) = bench.drain(&requested());
        assert_eq!(fates, []);
        assert!(matches!(drained.trouble, Some(SpoolError::NotOurs { owner: 12345, .. })));
        assert_eq!(bench.posted_ids(), []);
    }
}
