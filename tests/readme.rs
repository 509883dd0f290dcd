//! The README says what the program does: its table of settings is the one that is parsed.
//!
//! `LASTWORDS_BLESS=1 cargo test --test readme` writes the table anew.

use std::path::Path;

const BEGIN: &str = "<!-- settings: begin -->\n";
const END: &str = "<!-- settings: end -->";

#[test]
fn the_table_of_settings_is_the_real_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("a README");
    let begin = readme.find(BEGIN).expect("the begin mark") + BEGIN.len();
    let end = readme.find(END).expect("the end mark");
    let real = lastwords::config::markdown_table();
    if std::env::var_os("LASTWORDS_BLESS").is_some() {
        let blessed = format!("{}{real}{}", &readme[..begin], &readme[end..]);
        std::fs::write(&path, blessed).expect("a writable README");
        return;
    }
    assert_eq!(readme[begin..end], real, "bless it with LASTWORDS_BLESS=1");
}

#[test]
fn the_first_example_is_the_one_in_the_documentation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("a README");
    let lib = std::fs::read_to_string(root.join("src/lib.rs")).expect("a library");
    let statement = "let recorder = lastwords::builder().release(\"alpha@24.1.0\")";
    assert!(readme.contains(statement) && lib.contains(statement));
}
