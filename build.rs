//! Tells the program which compiler built it: a report names it as the runtime's version.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output();
    let words = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    // "rustc 1.95.0 (59807616e 2026-04-14)": the second word. Unknown is no reason not to build.
    let version = words.ok().and_then(|words| words.split(' ').nth(1).map(str::to_owned));
    println!("cargo::rustc-env=LASTWORDS_RUSTC={}", version.unwrap_or_default().trim());
}
