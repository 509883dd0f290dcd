use std::collections::HashSet;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::report::Envelope;

const ROOM: u64 = 1 << 20;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// A spool in a directory that does not exist yet.
fn spool(limit: u64) -> (tempfile::TempDir, Spool) {
    let root = tempfile::tempdir().unwrap();
    let spool = Spool::open(&root.path().join("state/spool"), limit).unwrap();
    (root, spool)
}

/// Makes a report look `seconds` old.
fn age(path: &Path, seconds: u64) {
    let file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

fn ids(spool: &Spool, state: State) -> Vec<u128> {
    let entries = spool.list().unwrap().into_iter().filter(|entry| entry.state == state);
    entries.map(|entry| entry.id.as_u128()).collect()
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[test]
fn a_report_is_published_read_sent_and_found() {
    let (_root, spool) = spool(ROOM);
    let path = spool.publish(id(7), b"one").unwrap();
    assert!(path.ends_with("waiting/00000000000000000000000000000007.envelope"));
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(spool.read(id(7)).unwrap(), b"one");
    assert!(spool.contains(id(7)) && !spool.contains(id(8)));
    assert!(spool.mark_sent(id(7)).unwrap());
    assert!(!spool.mark_sent(id(7)).unwrap());
    assert!(spool.contains(id(7)));
    assert_eq!(spool.read(id(7)).unwrap(), b"one");
    assert_eq!(ids(&spool, State::Sent), [7]);
    assert!(!spool.withdraw(id(7)).unwrap(), "what was sent cannot be withdrawn");
}

#[test]
fn a_later_report_of_the_same_id_replaces_the_first() {
    let (_root, spool) = spool(ROOM);
    let path = spool.publish(id(1), b"first").unwrap();
    assert_eq!(spool.publish(id(1), b"second, longer").unwrap(), path);
    assert_eq!(spool.read(id(1)).unwrap(), b"second, longer");
    assert_eq!(spool.list().unwrap().len(), 1);
    assert!(spool.withdraw(id(1)).unwrap());
    assert!(!spool.withdraw(id(1)).unwrap());
    assert!(matches!(spool.read(id(1)), Err(SpoolError::NotFound { .. })));
}

#[test]
fn the_newest_report_is_listed_first() {
    let (_root, spool) = spool(ROOM);
    for (n, old) in [(1, 10), (2, 30), (3, 20)] {
        age(&spool.publish(id(n), b"x").unwrap(), old);
    }
    spool.mark_sent(id(3)).unwrap();
    let listed: Vec<_> = spool.list().unwrap().iter().map(|e| e.id.as_u128()).collect();
    assert_eq!(listed, [1, 3, 2]);
    assert_eq!(spool.list().unwrap()[0].size, 1);
}

#[test]
fn the_oldest_sent_go_first_then_the_oldest_waiting() {
    let (_root, spool) = spool(40);
    for n in 1..=4 {
        age(&spool.publish(id(n), &[b'x'; 10]).unwrap(), 100 - n as u64);
    }
    spool.mark_sent(id(2)).unwrap();
    spool.mark_sent(id(3)).unwrap();
    spool.publish(id(5), &[b'x'; 10]).unwrap();
    assert_eq!(ids(&spool, State::Sent), [3]);
    spool.publish(id(6), &[b'x'; 20]).unwrap();
    assert_eq!(ids(&spool, State::Sent), []);
    assert_eq!(ids(&spool, State::Waiting), [6, 5, 4]);
}

#[test]
fn a_report_comes_to_rest_and_back() {
    let (_root, spool) = spool(ROOM);
    assert!(!spool.dir().join("rejected").exists() && !spool.dir().join("limited").exists());
    for n in 1..=3 {
        spool.publish(id(n), b"x").unwrap();
    }
    assert!(spool.mark_rejected(id(1), 413, "too large").unwrap());
    assert!(spool.mark_limited(id(2)).unwrap());
    assert!(!spool.mark_limited(id(2)).unwrap());
    assert!(!spool.mark_rejected(id(9), 400, "nothing").unwrap());
    assert_eq!(ids(&spool, State::Rejected), [1]);
    assert_eq!(ids(&spool, State::Limited), [2]);
    assert!(spool.contains(id(1)) && spool.contains(id(2)) && !spool.is_waiting(id(1)));
    assert_eq!(spool.read(id(1)).unwrap(), b"x");
    let verdict = spool.verdict(id(1)).unwrap();
    assert_eq!((verdict.status, verdict.words.as_str()), (413, "too large"));
    assert!(verdict.time.ends_with('Z'), "{}", verdict.time);
    assert_eq!((spool.verdict(id(2)), spool.verdict(id(9))), (None, None));
    assert!(spool.requeue(id(1)).unwrap() && spool.requeue(id(2)).unwrap());
    assert!(!spool.requeue(id(3)).unwrap() && !spool.requeue(id(9)).unwrap());
    assert_eq!(spool.verdict(id(1)), None);
    assert_eq!(ids(&spool, State::Waiting).len(), 3);
    assert_eq!(files(&spool.dir().join("rejected")), 0);
}

#[test]
fn what_was_sent_at_last_is_rejected_no_more() {
    let (_root, spool) = spool(ROOM);
    spool.publish(id(1), b"first").unwrap();
    spool.mark_rejected(id(1), 413, "too large").unwrap();
    spool.publish(id(1), b"second").unwrap();
    assert!(!spool.requeue(id(1)).unwrap(), "the newer one waits already");
    spool.mark_sent(id(1)).unwrap();
    assert_eq!(spool.read(id(1)).unwrap(), b"second");
    assert_eq!(files(&spool.dir().join("rejected")), 0);
    assert_eq!(spool.list().unwrap().len(), 1);
}

#[test]
fn what_goes_unsent_is_told_and_takes_its_verdict_along() {
    let (_root, spool) = spool(10);
    let envelope = Envelope::new(id(1)).with_dsn("https://key@host.invalid/1").to_bytes();
    for n in 1..=4 {
        let spool = Spool::open(spool.dir(), ROOM).unwrap();
        age(&spool.publish(id(n), &envelope).unwrap(), 100 - n as u64);
    }
    spool.mark_rejected(id(1), 413, "too large").unwrap();
    spool.mark_limited(id(2)).unwrap();
    spool.mark_sent(id(3)).unwrap();
    let pruned = spool.prune(id(99));
    let told: Vec<_> = pruned.iter().map(|p| (p.entry.id.as_u128(), p.entry.state)).collect();
    assert_eq!(told, [(2, State::Limited), (1, State::Rejected), (4, State::Waiting)]);
    assert_eq!(pruned[2].dsn.as_deref(), Some("https://key@host.invalid/1"));
    assert_eq!(pruned[0].dsn, None);
    assert_eq!(files(&spool.dir().join("rejected")), 0);
    assert_eq!(spool.list().unwrap(), []);
}

#[test]
fn a_verdict_without_report_goes_in_time() {
    let (_root, spool) = spool(ROOM);
    spool.publish(id(1), b"x").unwrap();
    spool.mark_rejected(id(1), 413, "").unwrap();
    let rejected = spool.dir().join("rejected");
    for (name, old) in [
        (format!("{}.json", id(1).simple()), 4000),
        (format!("{}.json", id(2).simple()), 4000),
        (format!("{}.json", id(3).simple()), 60),
        ("notes.json".to_owned(), 4000),
        (".x.1.0.tmp".to_owned(), 4000),
    ] {
        fs::write(rejected.join(&name), b"{}").unwrap();
        age(&rejected.join(name), old);
    }
    Spool::open(spool.dir(), ROOM).unwrap();
    assert!(!rejected.join(format!("{}.json", id(2).simple())).exists());
    assert!(!rejected.join(".x.1.0.tmp").exists());
    assert_eq!(files(&rejected), 4);
    assert_eq!(spool.verdict(id(1)), None, "a verdict without a status is none");
}

#[test]
fn a_report_is_replaced_only_while_it_waits_for_nobody() {
    let (_root, spool) = spool(ROOM);
    assert!(!spool.change(id(1), |_| Some(b"second".to_vec())).unwrap());
    spool.publish(id(1), b"first").unwrap();
    spool.sync(State::Waiting, id(1)).unwrap();
    let claim = spool.claim(id(1)).unwrap().unwrap();
    assert!(!spool.change(id(1), |_| Some(b"second".to_vec())).unwrap());
    assert_eq!(spool.read(id(1)).unwrap(), b"first");
    drop(claim);
    assert!(spool.change(id(1), |_| Some(b"second".to_vec())).unwrap());
    assert_eq!(spool.read(id(1)).unwrap(), b"second");
    spool.mark_sent(id(1)).unwrap();
    assert!(!spool.change(id(1), |_| Some(b"third".to_vec())).unwrap());
    assert!(spool.sync(State::Waiting, id(1)).is_err());
}

#[test]
fn a_replacement_waits_for_another_one() {
    let (_root, spool) = spool(ROOM);
    spool.publish(id(1), b"first").unwrap();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let spool = spool.clone();
            std::thread::spawn(move || {
                let until = Instant::now() + Duration::from_secs(60);
                (0..20).all(|_| spool.claim_until(id(1), until).unwrap().is_some())
            })
        })
        .collect();
    assert!(writers.into_iter().all(|writer| writer.join().unwrap()));
}

#[test]
fn a_report_larger_than_the_limit_is_kept_alone() {
    let (_root, spool) = spool(40);
    spool.publish(id(1), b"small").unwrap();
    spool.publish(id(2), &[b'x'; 100]).unwrap();
    assert_eq!(ids(&spool, State::Waiting), [2]);
}

#[test]
fn a_limit_of_zero_keeps_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("spool");
    let spool = Spool::open(&dir, 0).unwrap();
    assert!(matches!(spool.publish(id(1), b"x"), Err(SpoolError::KeepsNothing)));
    assert!(!dir.exists());
    assert_eq!(spool.list().unwrap(), []);
}

#[test]
fn opening_for_the_command_makes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("spool");
    let existing = Spool::open_existing(&dir).unwrap();
    assert_eq!(existing.list().unwrap(), []);
    assert!(!existing.contains(id(1)));
    assert_eq!(existing.publish(id(1), b"x").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!dir.exists());
}

#[test]
fn a_removed_directory_is_made_again() {
    let (_root, spool) = spool(ROOM);
    fs::remove_dir_all(spool.dir()).unwrap();
    spool.publish(id(1), b"x").unwrap();
    assert_eq!(spool.read(id(1)).unwrap(), b"x");
}

#[test]
fn only_temporary_files_of_the_dead_are_removed() {
    let (_root, spool) = spool(ROOM);
    let waiting = spool.dir().join("waiting");
    // No system gives a process id this large.
    let of_the_dead = format!(".c.{}.0.tmp", i32::MAX);
    let temporary = [(".a.1.0.tmp", 4000), (".b.1.0.tmp", 60), (&of_the_dead, 0)];
    for (name, old) in temporary.into_iter().chain([("notes.txt", 9000)]) {
        fs::write(waiting.join(name), b"half").unwrap();
        age(&waiting.join(name), old);
    }
    assert_eq!(Spool::open(spool.dir(), ROOM).unwrap().list().unwrap(), []);
    assert!(!waiting.join(".a.1.0.tmp").exists());
    assert_eq!(waiting.join(of_the_dead).exists(), cfg!(not(unix)), "nobody has to wait an hour");
    assert!(waiting.join(".b.1.0.tmp").exists() && waiting.join("notes.txt").exists());
}

#[test]
fn many_publish_and_prune_at_once() {
    let (_root, spool) = spool(10 * 100);
    let dir = spool.dir().to_owned();
    let writers: Vec<_> = (0..4u128)
        .map(|writer| {
            let dir = dir.clone();
            std::thread::spawn(move || {
                let spool = Spool::open(&dir, 10 * 100).unwrap();
                for n in 0..100 {
                    spool.publish(id(writer * 1000 + n), &[b'x'; 100]).unwrap();
                    // Another writer may already have pruned it: that is no error.
                    spool.mark_sent(id(writer * 1000 + n / 2)).unwrap();
                    spool.list().unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    spool.publish(id(9999), &[b'x'; 100]).unwrap();
    let entries = spool.list().unwrap();
    assert!(entries.iter().map(|entry| entry.size).sum::<u64>() <= 1000);
    assert!(entries.iter().all(|entry| entry.size == 100), "half a report was published");
    assert_eq!(entries.iter().map(|e| e.id).collect::<HashSet<_>>().len(), entries.len());
    assert_eq!(files(&dir.join("waiting")) + files(&dir.join("sent")), entries.len());
}

#[test]
fn errors_name_the_path_and_carry_the_cause() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Spool::open(&file.join("spool"), ROOM).unwrap_err();
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    let error = Spool::open(&file, ROOM).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} is not a directory (links are not followed)", file.display())
    );
    assert_eq!(io::Error::from(error).kind(), ErrorKind::NotADirectory);
}

proptest! {
    #[test]
    fn only_a_reports_own_name_is_a_report(name in "[0-9a-fA-F-]{30,38}(.envelope)?|.{0,48}", n: u128) {
        if let Some(id) = id_of(&name) {
            prop_assert_eq!(file_name(id), name);
        }
        prop_assert_eq!(id_of(&file_name(id(n))), Some(id(n)));
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn directories_and_files_are_private() {
        let (_root, spool) = spool(ROOM);
        let report = spool.publish(id(1), b"x").unwrap();
        assert_eq!(mode(&report), 0o600);
        drop(spool.claim(id(1)).unwrap());
        spool.mark_rejected(id(1), 413, "").unwrap();
        assert_eq!(mode(&spool.dir().join("lock")), 0o600);
        let verdict = spool.dir().join(format!("rejected/{}.json", id(1).simple()));
        assert_eq!(mode(&verdict), 0o600);
        let (sent, rejected) = (spool.dir().join("sent"), spool.dir().join("rejected"));
        for dir in [spool.dir(), &spool.dir().join("waiting"), &sent, &rejected] {
            assert_eq!(mode(dir), 0o700, "{}", dir.display());
            chmod(dir, 0o775);
        }
        Spool::open(spool.dir(), ROOM).unwrap();
        for dir in [&spool.dir().join("waiting"), &sent, &rejected] {
            assert_eq!(mode(dir), 0o700, "{}", dir.display());
        }
        assert_eq!(mode(spool.dir()), 0o775, "it may be somebody's");
    }

    #[test]
    fn a_shared_directory_is_refused_and_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        chmod(root.path(), 0o1777);
        let error = Spool::open(root.path(), ROOM).unwrap_err();
        assert!(matches!(error, SpoolError::Shared { .. }), "{error}");
        assert_eq!(mode(root.path()), 0o1777);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    /// As a volume that is made for a container.
    #[test]
    fn in_a_directory_that_is_open_to_all_what_is_ours_is_not() {
        let root = tempfile::tempdir().unwrap();
        chmod(root.path(), 0o777);
        let spool = Spool::open(root.path(), ROOM).unwrap();
        spool.publish(id(1), b"x").unwrap();
        assert_eq!(mode(root.path()), 0o777);
        for folder in ["waiting", "sent"] {
            assert_eq!(mode(&root.path().join(folder)), 0o700);
        }
    }

    #[test]
    fn a_linked_directory_is_refused() {
        let (root, spool) = spool(ROOM);
        let link = root.path().join("link");
        symlink(spool.dir(), &link).unwrap();
        for opened in [Spool::open(&link, ROOM), Spool::open_existing(&link)] {
            assert!(matches!(opened, Err(SpoolError::NotADirectory { .. })));
        }
        let waiting = spool.dir().join("waiting");
        fs::rename(&waiting, root.path().join("elsewhere")).unwrap();
        symlink(root.path().join("elsewhere"), &waiting).unwrap();
        assert!(matches!(spool.publish(id(1), b"x"), Err(SpoolError::NotADirectory { .. })));
        assert_eq!(files(&root.path().join("elsewhere")), 0);
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can give a directory away");
            return;
        }
        let (_root, spool) = spool(ROOM);
        std::os::unix::fs::chown(spool.dir().join("waiting"), Some(12345), None).unwrap();
        let errors = [
            Spool::open(spool.dir(), ROOM).unwrap_err(),
            Spool::open_existing(spool.dir()).unwrap_err(),
            spool.publish(id(1), b"x").unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, SpoolError::NotOurs { owner: 12345, .. }), "{error}");
        }
    }

    #[test]
    fn what_is_planted_is_never_opened() {
        let (root, spool) = spool(ROOM);
        let secret = root.path().join("secret");
        fs::write(&secret, b"secret").unwrap();
        let waiting = spool.dir().join("waiting");
        symlink(&secret, waiting.join(file_name(id(1)))).unwrap();
        let pipe = waiting.join(file_name(id(2)));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        fs::create_dir(waiting.join(file_name(id(3)))).unwrap();
        assert_eq!(spool.list().unwrap(), []);
        for n in 1..=3 {
            assert!(!spool.contains(id(n)));
            let error = spool.read(id(n)).unwrap_err();
            assert!(matches!(error, SpoolError::NotARegularFile { .. }), "{error}");
        }
        // A report of the same id takes the place of a link, and what it points at stays.
        spool.publish(id(1), b"report").unwrap();
        assert_eq!(spool.read(id(1)).unwrap(), b"report");
        assert_eq!(fs::read(&secret).unwrap(), b"secret");
        // Nothing takes the place of a directory, and nothing is left of the attempt.
        assert!(spool.publish(id(3), b"report").is_err());
        assert_eq!(files(&waiting), 3);
    }
}
