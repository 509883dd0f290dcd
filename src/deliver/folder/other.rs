//! Folders by path, for systems without `*at` calls.
//!
//! Not offered: checks of owner and permissions.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Facts;
use crate::deliver::SpoolError;

/// A directory.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens a directory; `None` if there is nothing at `path`.
    pub fn open(path: &Path) -> Result<Option<Folder>, SpoolError> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(Some(Folder { path: path.to_owned() })),
            Ok(_) => Err(SpoolError::NotADirectory { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SpoolError::io("open", path, source)),
        }
    }

    /// As [`open_private`](Self::open_private).
    pub fn open_or_make(path: &Path) -> Result<Folder, SpoolError> {
        Folder::open_private(path)
    }

    /// Opens a directory, made with its parents where it is missing.
    pub fn open_private(path: &Path) -> Result<Folder, SpoolError> {
        if let Some(folder) = Folder::open(path)? {
            return Ok(folder);
        }
        fs::create_dir_all(path).map_err(|source| SpoolError::io("create", path, source))?;
        Ok(Folder { path: path.to_owned() })
    }

    /// Creates a file that must not exist.
    pub fn create_new(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(self.path.join(name))
    }

    /// Opens a regular file for reading and writing, made where it is missing; `None` if it is
    /// anything else.
    pub fn open_or_create(&self, name: &str) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        match self.facts(name) {
            Ok(None) => Ok(None),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(Some(_)) | Err(_) => options.open(self.path.join(name)).map(Some),
        }
    }

    /// Flushes a file to the disk.
    pub fn sync(&self, name: &str) -> io::Result<()> {
        // Some systems flush only what is open for writing.
        OpenOptions::new().write(true).open(self.path.join(name))?.sync_data()
    }

    /// Whether files can be moved out of it and into it, as far as is known.
    pub fn is_writable(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| !metadata.permissions().readonly())
    }

    /// Opens a regular file for reading; `None` if it is anything else.
    pub fn open_file(&self, name: &str) -> io::Result<Option<(File, Facts)>> {
        let Some(facts) = self.facts(name)? else { return Ok(None) };
        Ok(Some((File::open(self.path.join(name))?, facts)))
    }

    /// The facts of a regular file; `None` if it is anything else.
    pub fn facts(&self, name: &str) -> io::Result<Option<Facts>> {
        let metadata = fs::symlink_metadata(self.path.join(name))?;
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(metadata.is_file().then_some(Facts { size: metadata.len(), modified }))
    }

    /// Renames a file into a folder, over what is there.
    pub fn rename(&self, from: &str, to_folder: &Folder, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), to_folder.path.join(to))
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// The names in it, those that are UTF-8, in no order.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }
}
