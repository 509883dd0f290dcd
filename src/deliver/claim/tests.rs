use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;

const HOLDER_DIR: &str = "LASTWORDS_TEST_CLAIM_DIR";

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn spool() -> (tempfile::TempDir, Spool) {
    let root = tempfile::tempdir().unwrap();
    let spool = Spool::open(root.path(), 1 << 20).unwrap();
    (root, spool)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn one_holds_a_claim_and_others_hold_others() {
    let (_root, spool) = spool();
    let claim = spool.claim(id(1)).unwrap().unwrap();
    assert_eq!(claim.id(), id(1));
    assert!(spool.claim(id(1)).unwrap().is_none());
    let _journal = spool.lock(Place::Journal, Instant::now()).unwrap().unwrap();
    #[cfg(target_os = "linux")]
    assert!(spool.claim(id(2)).unwrap().is_some());
    drop(claim);
    assert!(spool.claim(id(1)).unwrap().is_some());
}

#[test]
fn threads_hold_a_claim_one_after_the_other() {
    let (_root, spool) = spool();
    let holders = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let claim = spool.claim_until(id(7), soon()).unwrap();
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                    holders.fetch_sub(1, Ordering::SeqCst);
                    drop(claim.unwrap());
                }
            });
        }
    });
}

#[test]
fn where_there_is_no_spool_nothing_is_claimed() {
    let (root, spool) = spool();
    std::fs::remove_dir_all(root.path()).unwrap();
    let error = spool.claim(id(1)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

/// Started by the tests below in a process of its own: it claims, says so, and holds.
#[test]
fn holder() {
    let Some(dir) = std::env::var_os(HOLDER_DIR) else { return };
    let spool = Spool::open_existing(dir.as_ref()).unwrap();
    let _claim = spool.claim_until(id(1), soon()).unwrap().unwrap();
    std::fs::write(spool.dir().join("held"), b"").unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

/// A process that holds the claim of report 1.
fn start_holder(spool: &Spool) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "deliver::claim::tests::holder", "--nocapture"])
        .env(HOLDER_DIR, spool.dir())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !spool.dir().join("held").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the holder has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_claim_ends_with_its_holder_and_not_before() {
    let (_root, spool) = spool();
    spool.publish(id(1), b"x").unwrap();
    let mut holder = start_holder(&spool);
    assert!(spool.claim(id(1)).unwrap().is_none());
    assert!(!spool.change(id(1), |_| Some(b"y".to_vec())).unwrap());
    // On Unix this is SIGKILL.
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(spool.claim(id(1)).unwrap().is_some());
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use crate::deliver::lock::Lock;

    /// A child that was forked while a claim was held, by what a shell would do.
    #[test]
    fn a_claim_given_back_is_free_though_a_forked_child_has_its_file() {
        let (_root, spool) = spool();
        let claim = spool.claim(id(1)).unwrap().unwrap();
        // SAFETY: the child calls nothing but `alarm`, `pause` and `_exit`, which are
        // async-signal-safe.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: as above; the child never returns into the test.
            unsafe {
                libc::alarm(60);
                libc::pause();
                libc::_exit(0);
            }
        }
        assert!(child > 0);
        drop(claim);
        let again = spool.claim(id(1)).unwrap();
        // SAFETY: the child is ours and was not waited for, so the id is still its own.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        assert!(again.is_some());
    }

    #[test]
    fn what_is_planted_as_the_lock_is_not_opened() {
        let (root, spool) = spool();
        let lock = root.path().join("lock");
        let secret = root.path().join("secret");
        for plant in 0..3 {
            match plant {
                0 => std::os::unix::fs::symlink(&secret, &lock).unwrap(),
                1 => std::fs::create_dir(&lock).unwrap(),
                _ => rustix::fs::mkfifoat(rustix::fs::CWD, &lock, rustix::fs::Mode::RWXU).unwrap(),
            }
            assert!(spool.claim(id(1)).is_err());
            assert!(!secret.exists());
            std::fs::remove_file(&lock).or_else(|_| std::fs::remove_dir(&lock)).unwrap();
        }
        assert!(spool.claim(id(1)).unwrap().is_some());
    }

    #[test]
    fn a_lock_leaves_no_file_but_its_own() {
        let (root, spool) = spool();
        for n in 0..100 {
            drop(spool.claim(id(n)).unwrap().unwrap());
        }
        let mut names: Vec<_> = std::fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["lock", "sent", "waiting"]);
        let folder = crate::deliver::folder::Folder::open(root.path()).unwrap().unwrap();
        assert!(Lock::take(&folder, Place::Report(u128::MAX)).unwrap().is_some());
    }
}
