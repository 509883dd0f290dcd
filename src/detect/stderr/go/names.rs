//! Names of Go functions as a server should group by, and whose code they are.
//!
//! **Guarantee:** type arguments, closure numbers, wrappers' numbers and the `-fm` of a method value
//! never reach a function's name; cleaning twice changes nothing. **Lost:** which closure of a
//! function it was: that stays in the frame's `symbol`.

use crate::detect::Frame;

use super::super::text::decode;

/// First elements of the standard library's packages.
const STANDARD: [&str; 55] = [
    "archive",
    "bufio",
    "builtin",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "go:",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "simd",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "type:",
    "unicode",
    "unique",
    "unsafe",
    "uuid",
    "vendor",
    "weak",
];

/// The frame of a function as it is printed, without its arguments.
pub(super) fn frame(symbol: &[u8]) -> Frame {
    let symbol = decode(symbol);
    // The one function whose name is printed otherwise.
    let name = if symbol == "panic" { "runtime.gopanic" } else { &symbol };
    let (module, function) = split(name);
    let module = module.map(unescape);
    let function = clean(function);
    let said = match &module {
        Some(module) => format!("{module}.{function}"),
        None => function.clone(),
    };
    Frame {
        function: Some(function),
        module,
        symbol: (said != symbol).then_some(symbol),
        ..Frame::default()
    }
}

/// The package and the name in it: the package ends at the first dot behind the last slash of
/// what stands before type arguments and receivers.
fn split(name: &str) -> (Option<&str>, &str) {
    let plain = &name[..name.find(['[', '(']).unwrap_or(name.len())];
    let last = plain.rfind('/').map_or(0, |slash| slash + 1);
    match plain[last..].find('.') {
        Some(dot) if last + dot > 0 => (Some(&name[..last + dot]), &name[last + dot + 1..]),
        _ => (None, name),
    }
}

/// A package path with its `%2e` as dots.
fn unescape(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let byte = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    decode(&bytes)
}

/// Cleans a name within its package: `(*stack[...]).pop` gives `(*stack).pop`, `main.func1.2` and
/// `main.func1.gowrap2` give `main.func`, `(*server).serve-fm` gives `(*server).serve`.
fn clean(function: &str) -> String {
    let plain = without_type_arguments(function);
    let mut parts: Vec<&str> = Vec::new();
    for part in split_dots(&plain) {
        let part = clean_part(part);
        let numbered = !parts.is_empty() && !part.is_empty() && is_number(part);
        let again = part == "func" && parts.last() == Some(&"func");
        if !numbered && !again {
            parts.push(part);
        }
    }
    parts.join(".")
}

fn is_number(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_digit())
}

/// One part without the compiler's numbers.
fn clean_part(part: &str) -> &str {
    let part = part.strip_suffix("-fm").unwrap_or(part);
    // Go 1.17: `main·dwrap·1`.
    let part = part.split_once("·dwrap·").map_or(part, |(name, _)| name);
    let part = match part.split_once("-range") {
        Some((name, number)) if is_number(number) => name,
        _ => part,
    };
    let numbered = |word: &str| part.strip_prefix(word).is_some_and(is_number);
    for word in ["func", "gowrap", "deferwrap"] {
        // A closure in a closure is one closure.
        if numbered(word) {
            return "func";
        }
    }
    part
}

/// The name without all that stands in square brackets.
fn without_type_arguments(function: &str) -> String {
    let mut depth = 0usize;
    let mut plain = String::with_capacity(function.len());
    for c in function.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// Splits at the dots outside of parentheses.
fn split_dots(name: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0i32, 0, Vec::new());
    for (at, c) in name.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '.' if depth == 0 => {
                parts.push(&name[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&name[start..]);
    parts
}

/// Whether a function is the program's own: not the standard library's, the module cache's, a
/// vendored package's, or what `cgo` made.
pub(super) fn is_in_app(frame: &Frame) -> bool {
    let Some(module) = frame.module.as_deref() else { return false };
    let file = frame.file.as_deref().unwrap_or_default().replace('\\', "/");
    let cached = file.contains("/pkg/mod/") || is_versioned(&file);
    let vendored = file.contains("/vendor/") || file.starts_with("vendor/");
    !(cached || vendored || file.ends_with("_cgo_gotypes.go") || is_standard(module, &file))
}

/// `github.com/acme/widget@v1.2.3/widget.go`, as `-trimpath` writes paths of the module cache.
fn is_versioned(file: &str) -> bool {
    file.split_once("@v").is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// A package of the standard library, in a file of it: `/usr/local/go/src/net/http/server.go`, or
/// `net/http/server.go` under `-trimpath`.
fn is_standard(module: &str, file: &str) -> bool {
    let first = module.split('/').next().unwrap_or(module);
    let placed = file.is_empty()
        || file.contains("/src/")
        || !(file.starts_with('/') || file.get(1..3) == Some(":/"));
    STANDARD.contains(&first) && placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn names(symbol: &str, module: Option<&str>, function: &str) {
        let frame = frame(symbol.as_bytes());
        assert_eq!(frame.module.as_deref(), module, "{symbol}");
        assert_eq!(frame.function.as_deref(), Some(function), "{symbol}");
        assert_eq!(clean(function), function, "cleaning twice");
    }

    #[test]
    fn functions_and_methods() {
        names("main.main", Some("main"), "main");
        names("main.(*registry).add", Some("main"), "(*registry).add");
        names("main.worker.run", Some("main"), "worker.run");
        names(
            "example.com/orders/internal/wire.(*Decoder).take",
            Some("example.com/orders/internal/wire"),
            "(*Decoder).take",
        );
        names("gopkg.in/yaml%2ev2.(*parser).init", Some("gopkg.in/yaml.v2"), "(*parser).init");
        names("main.init.0", Some("main"), "init");
        names("panic", Some("runtime"), "gopanic");
        names("crosscall2", None, "crosscall2");
        names("main.operator.go/x.f", Some("main.operator.go/x"), "f");
    }

    #[test]
    fn what_the_compiler_numbers() {
        names("main.main.func1", Some("main"), "main.func");
        names("main.main.func1.1", Some("main"), "main.func");
        names("main.main.func2.3.1", Some("main"), "main.func");
        names("main.(*pool).run.func1.gowrap2", Some("main"), "(*pool).run.func");
        names("main.main.gowrap1", Some("main"), "main.func");
        names("main.main.deferwrap1", Some("main"), "main.func");
        names("main.main·dwrap·1", Some("main"), "main");
        names("main.(*server).serve-fm", Some("main"), "(*server).serve");
        names("main.each.func1-range2", Some("main"), "each.func1".trim_end_matches('1'));
        names("main.glob..func1", Some("main"), "glob..func");
        names("main.init.0.func1", Some("main"), "init.func");
    }

    #[test]
    fn type_arguments() {
        names("main.(*stack[...]).pop", Some("main"), "(*stack).pop");
        names("main.drain[...]", Some("main"), "drain");
        names("main.Map[go.shape.int,example.com/a/b.T].Get", Some("main"), "Map.Get");
        names("a.b/c.F[...].func1", Some("a.b/c"), "F.func");
    }

    #[test]
    fn the_symbol_is_kept_where_it_says_more() {
        assert_eq!(frame(b"main.main").symbol, None);
        assert_eq!(frame(b"main.main.func1").symbol.as_deref(), Some("main.main.func1"));
        assert_eq!(frame(b"panic").symbol.as_deref(), Some("panic"));
        assert_eq!(frame(b"a/b%2ec.f").symbol.as_deref(), Some("a/b%2ec.f"));
    }

    #[track_caller]
    fn own(symbol: &str, file: &str, in_app: bool) {
        let frame = Frame { file: Some(file.to_owned()), ..frame(symbol.as_bytes()) };
        assert_eq!(is_in_app(&frame), in_app, "{symbol} in {file}");
    }

    #[test]
    fn whose_code_it_is() {
        own("main.main", "/srv/app/main.go", true);
        own("orders/wire.f", "/srv/app/wire/f.go", true);
        own("example.com/orders/wire.f", "example.com/orders/wire/f.go", true);
        own("panic", "/usr/local/go/src/runtime/panic.go", false);
        own("panic", "runtime/panic.go", false);
        own("log.Panicf", "/usr/lib/go-1.19/src/log/log.go", false);
        own("net/http.(*conn).serve", "C:/Program Files/Go/src/net/http/server.go", false);
        own("github.com/a/b.F", "/home/u/go/pkg/mod/github.com/a/b@v1.2.3/f.go", false);
        own("github.com/a/b.F", "github.com/a/b@v1.2.3/f.go", false);
        own("github.com/a/b.F", "/srv/app/vendor/github.com/a/b/f.go", false);
        own("main._Cfunc_deref", "_cgo_gotypes.go", false);
        own("crosscall2", "/usr/local/go/src/runtime/cgo/asm_amd64.s", false);
        // A program's own package may have a name of the standard library's.
        own("log.Write", "/srv/app/log/log.go", true);
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_cleaned(name in "[a-z./()*\\[\\]0-9%-]{0,40}|.{0,40}") {
            let once = frame(name.as_bytes());
            let _ = is_in_app(&once);
            let function = once.function.expect("a function");
            proptest::prop_assert_eq!(clean(&function), function);
        }
    }
}
