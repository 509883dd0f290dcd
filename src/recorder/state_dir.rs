//! The state directory: where regions and reports are.
//!
//! **Guarantee:** the first candidate in which both can be made is used, and whatever was tried in
//! vain is said once. **Lost:** where no directory works, reports are kept by nobody, and the
//! warning says so. A region is never made on a network filesystem: a mapped file there may block,
//! or fail with SIGBUS.

use std::fmt;
use std::path::{Path, PathBuf};

use super::global::warn;
use crate::config::Settings;
use crate::deliver::{Spool, SpoolError, make_private_directory, make_state_directory};
use crate::record::{Identity, Place, Region};

/// Subdirectory of the regions.
pub(super) const REGIONS: &str = "regions";

/// What [`open`] opened.
pub(super) struct Opened {
    pub(super) region: Region,
    pub(super) spool: Option<Spool>,
    /// Where a forked child makes its own region.
    pub(super) place: Place,
}

/// A directory that may be the state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// Whether using it is a makeshift, worth a warning.
    pub(super) makeshift: bool,
}

/// Opens spool and region in the first candidate that works, else in memory. A region that is there
/// already is taken as it is.
pub(super) fn open(settings: &Settings, identity: &Identity, mut made: Option<Region>) -> Opened {
    let mut failures = Vec::new();
    for candidate in candidates_here(settings.state_dir.as_deref()) {
        match open_in(&candidate.path, settings, identity, &mut made) {
            Ok(opened) => {
                warn_of(&failures, &candidate);
                return opened;
            }
            Err(error) => failures.push(error),
        }
    }
    let tried: Vec<String> = failures.iter().map(ToString::to_string).collect();
    let tried = if tried.is_empty() { "none is known".to_owned() } else { tried.join("; ") };
    warn(&format!(
        "no state directory works ({tried}): breadcrumbs are in memory and reports are not kept; \
         set LASTWORDS_STATE_DIR"
    ));
    let place = Place::Memory;
    let region = made.unwrap_or_else(|| {
        Region::create(&place, settings.ring_size, identity)
            .unwrap_or_else(|_| Region::on_heap(settings.ring_size, identity))
    });
    Opened { region, spool: None, place }
}

/// One warning, if the directory is not the one that was meant.
fn warn_of(failures: &[OpenError], used: &Candidate) {
    if let Some(failure) = failures.first() {
        warn(&format!("{failure}; reports are kept in {} instead", used.path.display()));
    } else if used.makeshift {
        warn(&format!(
            "no home directory is known: reports are kept in {}; set LASTWORDS_STATE_DIR",
            used.path.display()
        ));
    }
}

fn open_in(
    dir: &Path,
    settings: &Settings,
    identity: &Identity,
    made: &mut Option<Region>,
) -> Result<Opened, OpenError> {
    let failed = |what| OpenError { dir: dir.to_owned(), what };
    let spool =
        Spool::open(dir, settings.spool_limit).map_err(|error| failed(Failure::Spool(error)))?;
    let regions = dir.join(REGIONS);
    make_state_directory(dir)
        .and_then(|()| make_private_directory(&regions))
        .map_err(|error| failed(Failure::Spool(error)))?;
    if is_on_network(&regions) {
        return Err(failed(Failure::OnNetwork));
    }
    let place = Place::File(regions);
    let region = match made.take() {
        Some(region) => region,
        None => Region::create(&place, settings.ring_size, identity)
            .map_err(|error| failed(Failure::Region(error)))?,
    };
    Ok(Opened { region, spool: Some(spool), place })
}

/// Why a directory was not used.
#[derive(Debug)]
struct OpenError {
    dir: PathBuf,
    what: Failure,
}

#[derive(Debug)]
enum Failure {
    Spool(SpoolError),
    Region(std::io::Error),
    OnNetwork,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {}: ", self.dir.display())?;
        let error: &dyn std::error::Error = match &self.what {
            Failure::Spool(error) => error,
            Failure::Region(error) => error,
            Failure::OnNetwork => return f.write_str("it is on a network filesystem"),
        };
        write!(f, "{error}")?;
        let mut source = error.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// What the candidates depend on besides the setting.
struct Surroundings {
    xdg_state_home: Option<PathBuf>,
    home: Option<PathBuf>,
    user: u32,
}

impl Surroundings {
    fn of_this_process() -> Surroundings {
        let absolute = |name| {
            std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute())
        };
        Surroundings {
            xdg_state_home: absolute("XDG_STATE_HOME"),
            home: absolute("HOME"),
            user: user_id(),
        }
    }
}

#[cfg(unix)]
fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn user_id() -> u32 {
    1
}

/// The directories to try, best first: the setting, `$XDG_STATE_HOME/lastwords`,
/// `~/.local/state/lastwords`, `/var/lib/lastwords` for root, `/tmp/lastwords-UID`.
fn candidates(setting: Option<&Path>, around: &Surroundings) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut add = |path: PathBuf, makeshift| found.push(Candidate { path, makeshift });
    if let Some(path) = setting {
        // Made absolute now: the program may change its directory.
        add(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), false);
    }
    if let Some(state) = &around.xdg_state_home {
        add(state.join("lastwords"), false);
    }
    if let Some(home) = &around.home {
        add(home.join(".local/state/lastwords"), false);
    }
    if around.user == 0 {
        add("/var/lib/lastwords".into(), false);
    }
    let temporary = if cfg!(unix) { PathBuf::from("/tmp") } else { std::env::temp_dir() };
    add(temporary.join(format!("lastwords-{}", around.user)), true);
    found
}

/// Spools in the candidates other than `not`, as far as they can be opened, best first.
pub(super) fn other_spools(not: &Path, limit: u64) -> impl Iterator<Item = Spool> {
    state_dir_candidates(None)
        .into_iter()
        .filter(move |path| path != not)
        .filter_map(move |path| Spool::open(&path, limit).ok())
}

/// The directories in which a recorder with this setting looks for its state, best first. A reader
/// takes the first that exists.
#[must_use]
pub fn state_dir_candidates(setting: Option<&Path>) -> Vec<PathBuf> {
    candidates_here(setting).into_iter().map(|candidate| candidate.path).collect()
}

/// The candidates of this process.
pub(super) fn candidates_here(setting: Option<&Path>) -> Vec<Candidate> {
    candidates(setting, &Surroundings::of_this_process())
}

/// Magic numbers of filesystems whose files are somewhere else, from `statfs(2)` and the kernel's
/// `include/uapi/linux/magic.h`. FUSE is among them: it may be anything.
#[cfg(target_os = "linux")]
const NETWORK: [u64; 11] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFE53_4D42, // SMB2
    0xFF53_4D42, // CIFS
    0x5346_414F, // AFS
    0x7375_7245, // Coda
    0x0102_1997, // 9P
    0x00C3_6400, // Ceph
    0x6573_5546, // FUSE
    0x0BD0_0BD0, // Lustre
    0x0116_1970, // GFS2
];

#[cfg(target_os = "linux")]
pub(super) fn is_on_network(dir: &Path) -> bool {
    // The width of the field differs between architectures; the numbers have 32 bits.
    rustix::fs::statfs(dir).is_ok_and(|fs| NETWORK.contains(&(fs.f_type as u64 & 0xFFFF_FFFF)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_on_network(_dir: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(
        setting: Option<&str>,
        xdg: Option<&str>,
        home: Option<&str>,
        user: u32,
    ) -> Vec<String> {
        let around = Surroundings {
            xdg_state_home: xdg.map(PathBuf::from),
            home: home.map(PathBuf::from),
            user,
        };
        let found = candidates(setting.map(Path::new), &around);
        found.into_iter().map(|candidate| candidate.path.display().to_string()).collect()
    }

    #[cfg(unix)]
    #[test]
    fn the_order_is_the_documented_one() {
        assert_eq!(
            paths(Some("/s"), Some("/x"), Some("/h"), 0),
            [
                "/s",
                "/x/lastwords",
                "/h/.local/state/lastwords",
                "/var/lib/lastwords",
                "/tmp/lastwords-0"
            ]
        );
        assert_eq!(paths(None, None, None, 1000), ["/tmp/lastwords-1000"]);
    }
}
