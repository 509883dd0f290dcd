//! Becoming the program, as `execvp` does it: the search in `PATH`, and `/bin/sh` for a script
//! without a first line that names its interpreter.
//!
//! All memory is made ready before the fork; the child only calls `execve`.

use std::ffi::{CString, OsStr, c_char, c_int};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use super::environment::Environment;
use crate::supervise::{Born, Command};

/// Where programs are looked for without `PATH`, as the C library does.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";
const SHELL: &std::ffi::CStr = c"/bin/sh";

/// A program to become.
pub(super) struct Image {
    /// The files it may be, in the order they are tried.
    candidates: Vec<CString>,
    /// What `argv` and `shell_argv` point to. Never changed once it is pointed to.
    _words: Vec<CString>,
    argv: Vec<*const c_char>,
    /// The same for `/bin/sh`: its second pointer is the script's.
    shell_argv: Vec<*const c_char>,
    environment: Environment,
    born: Option<Born>,
}

impl Image {
    pub(super) fn new(command: &Command) -> io::Result<Self> {
        let environment = Environment::new(&command.variables)?;
        let words = [&command.program].into_iter().chain(&command.arguments);
        let words = words.map(|word| CString::new(word.as_bytes()));
        let words = words.collect::<Result<Vec<_>, _>>()?;
        let path = environment.get("PATH").unwrap_or(DEFAULT_PATH);
        let candidates = match &command.files[..] {
            [] => candidates(&command.program, path)?,
            files => {
                files.iter().map(|file| c_string(file.as_os_str())).collect::<Result<_, _>>()?
            }
        };
        let arguments = words[1..].iter().map(|word| word.as_ptr());
        let ends = arguments.chain([ptr::null()]);
        let argv = [words[0].as_ptr()].into_iter().chain(ends.clone()).collect();
        let shell_argv = [SHELL.as_ptr(), ptr::null()].into_iter().chain(ends).collect();
        Ok(Image {
            candidates,
            _words: words,
            argv,
            shell_argv,
            environment,
            born: command.born.clone(),
        })
    }

    /// Whether one of the files is there: then a program that is not found lacks its interpreter.
    pub(super) fn is_there(&self) -> bool {
        let there =
            |path: &CString| std::path::Path::new(OsStr::from_bytes(path.to_bytes())).exists();
        self.candidates.iter().any(there)
    }

    /// Becomes the program; returns the error if it cannot. For a forked child: async-signal-safe,
    /// allocates nothing, as what it calls promises.
    pub(super) fn execute(&mut self) -> c_int {
        self.environment.name_this_process();
        if let Some(Born(born)) = &self.born {
            born(std::process::id());
        }
        let mut denied = false;
        let mut last = libc::ENOENT;
        for candidate in &self.candidates {
            let candidate = candidate.as_ptr();
            last = try_file(candidate, self.argv.as_ptr(), &self.environment);
            if last == libc::ENOEXEC {
                self.shell_argv[1] = candidate;
                last = try_file(SHELL.as_ptr(), self.shell_argv.as_ptr(), &self.environment);
            }
            match last {
                libc::EACCES => denied = true,
                libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT => {}
                other => return other,
            }
        }
        if denied { libc::EACCES } else { last }
    }
}

/// Calls `execve`; returns its error. `argv` is an array of strings that ends in a null pointer.
fn try_file(file: *const c_char, argv: *const *const c_char, environment: &Environment) -> c_int {
    // SAFETY: all three are NUL-terminated strings, or arrays of them that end in a null pointer,
    // made by `Image::new` and `Environment::new` and kept by the `Image` that is borrowed here.
    // `errno` is this thread's own.
    unsafe {
        libc::execve(file, argv, environment.pointers());
        *libc::__errno_location()
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

/// The files that a program's name may mean.
fn candidates(program: &OsStr, path: &[u8]) -> io::Result<Vec<CString>> {
    let program = program.as_bytes();
    if program.is_empty() {
        return Ok(Vec::new());
    }
    if program.contains(&b'/') {
        return Ok(vec![CString::new(program)?]);
    }
    let in_folder = |folder: &[u8]| {
        let mut file = folder.to_vec();
        if !folder.is_empty() {
            file.push(b'/');
        }
        file.extend(program);
        Ok(CString::new(file)?)
    };
    path.split(|byte| *byte == b':').map(in_folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: &str, path: &str) -> Vec<String> {
        let files = candidates(program.as_ref(), path.as_bytes()).unwrap();
        files.into_iter().map(|file| file.into_string().unwrap()).collect()
    }

    #[test]
    fn names_are_looked_for_and_paths_are_not() {
        assert_eq!(of("ls", "/bin:/usr/bin"), ["/bin/ls", "/usr/bin/ls"]);
        assert_eq!(of("./ls", "/bin"), ["./ls"]);
        assert_eq!(of("a/b", ""), ["a/b"]);
        assert_eq!(of("", "/bin"), [""; 0]);
    }

    #[test]
    fn an_empty_folder_is_the_current_one() {
        assert_eq!(of("ls", ":/bin:"), ["ls", "/bin/ls", "ls"]);
        assert_eq!(of("ls", ""), ["ls"]);
    }
}
