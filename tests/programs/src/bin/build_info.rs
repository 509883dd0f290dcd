//! A program that says what it was built from.

fn main() {
    let recorder = lastwords::builder().build_info(lastwords::build_info!()).install();
    recorder.expect("nothing is wrong with these settings");
    panic!("the end");
}
