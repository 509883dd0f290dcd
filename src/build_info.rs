//! Where a program was built from: [`build_info!`](crate::build_info!).

/// What is known of a build, from [`build_info!`](crate::build_info!).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildInfo {
    /// The package's name.
    pub name: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The commit it was built from, where the build says so.
    pub commit: Option<&'static str>,
    /// The branch it was built from, where the build says so.
    pub branch: Option<&'static str>,
    /// When it was built, where the build says so.
    pub time: Option<&'static str>,
}

impl BuildInfo {
    /// The release: `name@version`.
    #[must_use]
    pub fn release(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// The tags `commit`, `branch` and `build_time`, as far as they are known.
    #[must_use]
    pub fn tags(&self) -> Vec<(String, String)> {
        let known = [("commit", self.commit), ("branch", self.branch), ("build_time", self.time)];
        let given = known.into_iter().filter_map(|(key, value)| Some((key, value?)));
        // An unset variable of a container build arrives as an empty one.
        let given = given.filter(|(_, value)| !value.trim().is_empty());
        given.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

/// The [`BuildInfo`] of the crate it is written in, for
/// [`Builder::build_info`](crate::Builder::build_info): name and version from Cargo; commit, branch
/// and time from variables that are set while it is compiled.
///
/// | value | the first that is set |
/// | --- | --- |
/// | commit | `LASTWORDS_BUILD_COMMIT`, `VERGEN_GIT_SHA` |
/// | branch | `LASTWORDS_BUILD_BRANCH`, `VERGEN_GIT_BRANCH` |
/// | time | `LASTWORDS_BUILD_TIME`, `VERGEN_BUILD_TIMESTAMP` |
///
/// The crates `vergen-gitcl`, `vergen-gix` and `vergen-git2` set the second ones in a build script; where
/// there is no repository, as in a container build, the first ones are set by hand:
/// `docker build --build-arg LASTWORDS_BUILD_COMMIT=$(git rev-parse HEAD)`.
///
/// ```
/// // build.rs, with the features `build` and `cargo` of `vergen-gitcl`:
/// // let build = Build::builder().build_timestamp(true).build();
/// // let git = Gitcl::builder().sha(true).branch(true).build();
/// // Emitter::default().add_instructions(&build)?.add_instructions(&git)?.emit()?;
/// let info = lastwords::build_info!();
/// assert_eq!(info.release(), concat!(env!("CARGO_PKG_NAME"), "@", env!("CARGO_PKG_VERSION")));
/// ```
#[macro_export]
macro_rules! build_info {
    () => {
        $crate::BuildInfo {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            commit: match option_env!("LASTWORDS_BUILD_COMMIT") {
                Some(commit) => Some(commit),
                None => option_env!("VERGEN_GIT_SHA"),
            },
            branch: match option_env!("LASTWORDS_BUILD_BRANCH") {
                Some(branch) => Some(branch),
                None => option_env!("VERGEN_GIT_BRANCH"),
            },
            time: match option_env!("LASTWORDS_BUILD_TIME") {
                Some(time) => Some(time),
                None => option_env!("VERGEN_BUILD_TIMESTAMP"),
            },
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_no_tag() {
        let info = BuildInfo {
            name: "alpha",
            version: "24.1.0",
            commit: Some("deadbee"),
            branch: Some(""),
            time: None,
        };
        assert_eq!(info.release(), "alpha@24.1.0");
        assert_eq!(info.tags(), [("commit".to_owned(), "deadbee".to_owned())]);
    }
}
