//! Stack frames as the protocol knows them: oldest first, with a file name that is the same on
//! every machine.
//!
//! `abs_path` is the path as the debug info names it. `filename` is the part of it that says where
//! in the sources the function stands, without the directory in which they were built:
//! `src/ingest.rs`, `tokio-1.48.0/src/runtime/task/core.rs`, `library/core/src/option.rs`.
//!
//! A panic's location fills the file and line of the innermost frame of the program where debug
//! info has none, but only if it can be that frame's: no frame but the standard library's (whose
//! functions name their caller, by `#[track_caller]`) lies between it and the panic.

use sentry::protocol::{Addr, Frame};

use crate::detect;

/// The frames of a thread, oldest first.
pub fn plain_frames(frames: &[detect::Frame]) -> Vec<Frame> {
    frames.iter().rev().map(|f| frame(f, None)).collect()
}

/// The frames of an exception, oldest first; empty where there are none.
pub fn frames(exception: &detect::Exception) -> Vec<Frame> {
    let located = located(&exception.frames, exception.location.as_ref());
    let base = exception.location.as_ref().and_then(|place| base(&exception.frames, &place.file));
    let mut frames: Vec<Frame> = exception.frames.iter().map(|f| frame(f, base)).collect();
    if let (Some(index), Some(place)) = (located, &exception.location) {
        locate(&mut frames[index], place, base);
    }
    frames.reverse();
    frames
}

fn frame(frame: &detect::Frame, base: Option<&str>) -> Frame {
    Frame {
        function: non_empty(&frame.function),
        symbol: non_empty(&frame.symbol),
        module: non_empty(&frame.module),
        filename: short_name(frame, base).map(str::to_owned),
        abs_path: frame.file.clone().filter(|file| short_name(frame, base) != Some(file)),
        lineno: frame.line.map(u64::from),
        colno: frame.column.map(u64::from),
        in_app: Some(frame.in_app),
        instruction_addr: frame.address.map(Addr),
        symbol_addr: frame.symbol_address.map(Addr),
        image_addr: frame.image.as_ref().map(|image| Addr(image.base)),
        package: frame.image.as_ref().map(|image| image.path.clone()).filter(|p| !p.is_empty()),
        ..Frame::default()
    }
}

fn non_empty(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

/// The frame that the location may fill, as an index into `frames` (innermost first).
fn located(frames: &[detect::Frame], place: Option<&detect::Location>) -> Option<usize> {
    let place = place?;
    let index = frames.iter().position(|frame| frame.in_app)?;
    let direct = frames[..index].iter().all(is_std);
    let same_file = match &frames[index].file {
        Some(file) => frames[index].line.is_none() && ends_with_path(file, &place.file),
        None => true,
    };
    (direct && same_file && !is_library(&place.file)).then_some(index)
}

fn locate(frame: &mut Frame, place: &detect::Location, base: Option<&str>) {
    if frame.filename.is_none() {
        frame.filename = Some(short(&place.file, base).to_owned());
        frame.abs_path = is_absolute(&place.file).then(|| place.file.clone());
    }
    frame.lineno = Some(u64::from(place.line));
    frame.colno = (place.column != 0).then_some(u64::from(place.column));
}

/// Whether a function is the standard library's: by its path, by its source, or because it is the
/// library's trait on a type without a path, as in `<usize as core::slice::SliceIndex>::index`.
fn is_std(frame: &detect::Frame) -> bool {
    const CRATES: [&str; 3] = ["core::", "std::", "alloc::"];
    let name = frame.function.as_deref().unwrap_or_default().trim_start_matches(['<', '&']);
    let (ty, trait_) = name.split_once(" as ").unwrap_or((name, ""));
    let of_std = |path: &str| CRATES.iter().any(|prefix| path.starts_with(prefix));
    let source = frame.file.as_deref().unwrap_or_default();
    of_std(ty)
        || (!ty.contains("::") && of_std(trait_))
        || source.starts_with("/rustc/")
        || source.contains(TOOLCHAIN)
}

/// Where a toolchain keeps the sources of the standard library.
const TOOLCHAIN: &str = "/lib/rustlib/src/rust/";

/// Whether a source file belongs to the standard library or to a dependency.
fn is_library(file: &str) -> bool {
    library_part(file).is_some()
}

/// The directory the program was built in: what an absolute path of one of its frames has before
/// the relative path the compiler gave the location.
fn base<'a>(frames: &'a [detect::Frame], located: &str) -> Option<&'a str> {
    if is_absolute(located) {
        return None;
    }
    frames
        .iter()
        .filter(|frame| frame.in_app)
        .filter_map(|frame| frame.file.as_deref())
        .find(|file| is_absolute(file) && ends_with_path(file, located))
        .map(|file| &file[..file.len() - located.len()])
}

/// A frame's file as it is the same on every machine: for Go, whose directories are its packages,
/// from the package on; the last directory and the file of a program's `main`.
fn short_name<'a>(frame: &'a detect::Frame, base: Option<&str>) -> Option<&'a str> {
    let file = frame.file.as_deref()?;
    if !file.ends_with(".go") || !is_absolute(file) {
        return Some(short(file, base));
    }
    let module = frame.module.as_deref().filter(|module| *module != "main");
    let package = module.and_then(|module| file.rfind(&format!("/{module}/")));
    let versioned = || file.find("/pkg/mod/").map(|at| at + "/pkg/mod".len());
    let parent = || file[..file.rfind('/')?].rfind('/');
    let from = package.or_else(versioned).or_else(parent);
    Some(from.map_or(file, |at| &file[at + 1..]))
}

/// The part of a path that is the same on every machine.
fn short<'a>(file: &'a str, base: Option<&str>) -> &'a str {
    if !is_absolute(file) {
        return file.strip_prefix("./").unwrap_or(file);
    }
    if let Some(part) = library_part(file) {
        return part;
    }
    if let Some(rest) = base.and_then(|base| file.strip_prefix(base)) {
        return rest;
    }
    // `/home/ann/service/src/ingest.rs`: from the crate's directory on.
    match file.rfind("/src/") {
        Some(src) => file[file[..src].rfind('/').unwrap_or(src)..].trim_start_matches('/'),
        None => file.rsplit(['/', '\\']).next().unwrap_or(file),
    }
}

/// Within the standard library or the registry of crates: the path from the library on.
fn library_part(file: &str) -> Option<&str> {
    if let Some(rest) = file.strip_prefix("/rustc/") {
        return rest.split_once('/').map(|(_hash, path)| path);
    }
    if let Some((_, path)) = file.split_once(TOOLCHAIN) {
        return Some(path);
    }
    let (_, rest) = file.split_once("/registry/src/")?;
    rest.split_once('/').map(|(_index, path)| path)
}

fn is_absolute(file: &str) -> bool {
    file.starts_with('/') || file.starts_with('\\') || file.get(1..3) == Some(":\\")
}

/// Whether `path` ends in the whole components of `tail`.
fn ends_with_path(path: &str, tail: &str) -> bool {
    !tail.is_empty()
        && path
            .strip_suffix(tail)
            .is_some_and(|before| before.is_empty() || before.ends_with(['/', '\\']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Exception, Location, Mechanism};

    fn app(function: &str, file: Option<&str>) -> detect::Frame {
        detect::Frame {
            function: Some(function.to_owned()),
            file: file.map(str::to_owned),
            in_app: !function.starts_with("core::") && !function.starts_with("dep::"),
            ..detect::Frame::default()
        }
    }

    fn exception(frames: Vec<detect::Frame>, file: &str) -> Exception {
        Exception {
            ty: "panic".to_owned(),
            value: "boom".to_owned(),
            mechanism: Mechanism::Panic,
            signal: None,
            created_by: None,
            location: Some(Location { file: file.to_owned(), line: 12, column: 5 }),
            frames,
            frames_elided: 0,
        }
    }

    #[test]
    fn the_oldest_frame_stands_first() {
        let shaped = frames(&exception(vec![app("a::inner", None), app("a::outer", None)], "x"));
        assert_eq!(shaped[0].function.as_deref(), Some("a::outer"));
    }

    #[test]
    fn a_location_fills_the_frame_that_panicked() {
        let index = detect::Frame {
            in_app: false,
            ..app("<usize as core::slice::index::SliceIndex>::index", None)
        };
        let stack = vec![index, app("core::ops::f", None), app("a::parse", None)];
        let shaped = frames(&exception(stack, "src/a.rs"));
        assert_eq!(shaped[0].filename.as_deref(), Some("src/a.rs"));
        assert_eq!((shaped[0].lineno, shaped[0].colno), (Some(12), Some(5)));
        assert_eq!(shaped[1].filename, None);
    }

    #[test]
    fn a_location_in_a_dependency_fills_nothing() {
        let stack = vec![app("dep::raise", None), app("a::parse", None)];
        assert_eq!(frames(&exception(stack, "src/dep.rs"))[0].lineno, None);
        let stack = vec![app("a::parse", None)];
        let registry = "/home/u/.cargo/registry/src/index-1/dep-1.0.0/src/lib.rs";
        assert_eq!(frames(&exception(stack, registry))[0].lineno, None);
    }

    #[test]
    fn a_location_of_another_file_fills_no_line() {
        let stack = vec![app("a::parse", Some("/w/src/b.rs"))];
        assert_eq!(frames(&exception(stack, "src/a.rs"))[0].lineno, None);
    }

    #[test]
    fn file_names_are_the_same_on_every_machine() {
        let cases = [
            ("/rustc/0123abc/library/core/src/option.rs", "library/core/src/option.rs"),
            ("/r/.cargo/registry/src/index-1/tokio-1.4.0/src/lib.rs", "tokio-1.4.0/src/lib.rs"),
            ("/home/ann/service/src/ingest.rs", "service/src/ingest.rs"),
            ("/home/ann/build.rs", "build.rs"),
            ("./src/main.rs", "src/main.rs"),
            ("src/main.rs", "src/main.rs"),
            ("/src/main.rs", "src/main.rs"),
        ];
        for (file, expected) in cases {
            assert_eq!(short(file, None), expected, "{file}");
        }
    }

    #[test]
    fn the_location_tells_where_the_sources_begin() {
        let stack = vec![
            app("a::parse", Some("/home/ann/ws/service/src/a.rs")),
            app("a::main", Some("/home/ann/ws/cli/main.rs")),
            app("dep::run", Some("/home/ann/ws/vendor/registry/src/index-1/dep-1.0.0/src/lib.rs")),
        ];
        let shaped = frames(&exception(stack, "service/src/a.rs"));
        let names: Vec<_> = shaped.iter().filter_map(|frame| frame.filename.as_deref()).collect();
        assert_eq!(names, ["dep-1.0.0/src/lib.rs", "cli/main.rs", "service/src/a.rs"]);
    }
}
