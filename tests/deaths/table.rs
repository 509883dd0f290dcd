//! The table in the README.

use std::collections::BTreeMap;
use std::path::Path;

use super::cell::Cell;
use super::ways::Way;
use crate::common::Setting;

const BEGIN: &str = "<!-- deaths: begin -->\n";
const END: &str = "<!-- deaths: end -->";

/// Holds the rows against those in the README. A way that this machine does not offer keeps its row.
pub fn is_in_readme(ways: &[&Way], cells: &BTreeMap<(usize, Setting), Cell>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("a README");
    let begin = readme.find(BEGIN).expect("the begin mark") + BEGIN.len();
    let end = readme.find(END).expect("the end mark");
    let there: Vec<&str> = readme[begin..end].lines().collect();
    let rows: Vec<String> = ways.iter().enumerate().map(|(at, way)| row(at, way, cells)).collect();
    if std::env::var_os("LASTWORDS_BLESS").is_some() {
        let table = format!("{}{}\n{}", HEAD, rows.join("\n"), NOTES);
        let blessed = format!("{}{table}{}", &readme[..begin], &readme[end..]);
        std::fs::write(&path, blessed).expect("a writable README");
        return;
    }
    for row in &rows {
        assert!(there.contains(&row.as_str()), "not in the README (LASTWORDS_BLESS=1):\n{row}");
    }
    assert!(readme[begin..end].starts_with(HEAD) && readme[begin..end].ends_with(NOTES));
}

const HEAD: &str = "\
| way to die | hook, and a sweep | `wrap` | `monitor` | without the library, under `run` |
| --- | --- | --- | --- | --- |
";

const NOTES: &str = "
Each cell: events, whether the lines are there up to the last, whether the innermost frame of the
program's own is the function it died in. `–` is none: no line was logged; or no stack was to be had,
because the program ran no code of its own, or printed none. ¹ The panic is raised before anything is
installed, and only its text, which nobody reads here, tells of it. ² Nobody sees the status, and `_exit`
looks like a kill.
";

fn row(at: usize, way: &Way, cells: &BTreeMap<(usize, Setting), Cell>) -> String {
    let words = Setting::ALL.map(|setting| {
        let note = way.except.iter().find(|(of, ..)| *of == setting);
        let mark = match note {
            Some((_, 0, _)) => "¹",
            Some(_) => "²",
            None => "",
        };
        format!("{}{mark}", words(cells[&(at, setting)]))
    });
    format!("| {} | {} |", way.title, words.join(" | "))
}

fn words(cell: Cell) -> String {
    let yes = |is: bool| if is { "✓" } else { "✗" };
    match cell.events {
        0 => "0".to_owned(),
        n => format!("{n} {} {}", cell.lines.map_or("–", yes), cell.place.map_or("–", yes)),
    }
}
