//! The scrubber as a report's writer sees it: no secret survives, and nothing else is touched.

use lastwords::report::Scrubber;

/// A line of a table with its signs for what a line cannot hold.
fn unfolded(line: &str) -> String {
    let signs =
        [("⏎", "\n"), ("␍", "\r"), ("⇥", "\t"), ("␛", "\x1b"), ("␀", "\0"), ("\\a", "\x07")];
    signs.into_iter().fold(line.to_owned(), |line, (sign, is)| line.replace(sign, is))
}

fn lines(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

fn scrubber() -> Scrubber {
    Scrubber::new(&["pin", "tax_id"])
}

#[test]
fn no_secret_survives() {
    let mut wrong = Vec::new();
    let scrubber = scrubber();
    let mut count = 0;
    for line in lines(include_str!("scrub/secrets.txt")) {
        let fields: Vec<&str> = line.split("|||").collect();
        let [text, secrets, kept] = fields[..] else { panic!("not three fields: {line}") };
        let text = unfolded(text.trim_end());
        let scrubbed = scrubber.text(&text).unwrap_or_else(|| text.clone());
        for secret in secrets.split("~~").map(|field| unfolded(field.trim())) {
            assert!(text.contains(&secret), "{secret} is not in {line}");
            count += 1;
            if scrubbed.contains(&secret) {
                wrong.push(format!("{secret:?} survives in {scrubbed:?}"));
            }
        }
        for kept in kept.split("~~").map(|field| unfolded(field.trim())) {
            assert!(text.contains(&kept), "{kept} is not in {line}");
            if !scrubbed.contains(&kept) {
                wrong.push(format!("{kept:?} is gone from {scrubbed:?}"));
            }
        }
        if let Some(again) = scrubber.text(&scrubbed) {
            wrong.push(format!("{scrubbed:?} becomes {again:?}"));
        }
        if scrubber.bytes(text.as_bytes()).unwrap_or_default() != scrubbed.as_bytes() {
            wrong.push(format!("bytes differ from text: {text:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 300, "{count}");
}

#[test]
fn nothing_else_is_touched() {
    let scrubber = scrubber();
    let lines: Vec<String> = lines(include_str!("scrub/innocent.txt")).map(unfolded).collect();
    let changed = |line: &String| Some(format!("{line:?} becomes {:?}", scrubber.text(line)?));
    let wrong: Vec<String> = lines.iter().filter_map(changed).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(lines.len() >= 300, "{}", lines.len());
}
