//! Dies, or does not, in the way that its argument names.

struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        panic!("while unwinding");
    }
}

#[inline(never)]
fn deep(n: u32) -> u32 {
    if n == 0 {
        panic!("deep down");
    }
    deep(n - 1) + 1
}

fn endless(n: &u64) -> u64 {
    if *n == u64::MAX {
        return 0;
    }
    let next = n + 1;
    endless(std::hint::black_box(&next)) + next
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("message") => panic!("disk full"),
        Some("lines") => panic!("first\n\n  second\n"),
        Some("unwrap") => drop(std::fs::read("/no/such/file").unwrap()),
        Some("thread") => {
            let worker = std::thread::Builder::new().name("worker 7".to_owned());
            let _ = worker.spawn(|| panic!("gave up")).expect("a thread").join();
        }
        Some("double") => {
            let _guard = Guard;
            panic!("first");
        }
        Some("deep") => drop(deep(200)),
        Some("endless") => drop(endless(&0)),
        Some("caught") => drop(std::panic::catch_unwind(|| panic!("caught"))),
        Some("abort") => std::process::abort(),
        _ => eprintln!("thread 'main' is well"),
    }
}
