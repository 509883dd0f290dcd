//! The environment of a program that was not told its environment.

/// `prod` for a released version, else `dev`; plus `-EDITION` where there is an edition.
pub(super) fn derive(release: Option<&str>, edition: Option<&str>) -> String {
    let stage = if release.is_some_and(is_released) { "prod" } else { "dev" };
    match edition {
        Some(edition) => format!("{stage}-{edition}"),
        None => stage.to_owned(),
    }
}

/// Whether a release is a semantic version without pre-release, after an optional `name@`, an
/// optional `v`, or both. Build metadata (`+abc`) is allowed: it does not make a version less final.
fn is_released(release: &str) -> bool {
    let version = release.rsplit_once('@').map_or(release, |(_, version)| version);
    let version = version.strip_prefix('v').unwrap_or(version);
    let (core, build) = match version.split_once('+') {
        Some((core, build)) => (core, Some(build)),
        None => (version, None),
    };
    let mut numbers = core.split('.');
    let three = numbers.by_ref().take(3).filter(|number| is_number(number)).count() == 3;
    three
        && numbers.next().is_none()
        && build.is_none_or(|build| build.split('.').all(is_identifier))
}

/// Decimal digits without leading zero, of any length.
fn is_number(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn released_versions() {
        for release in [
            "24.1.0",
            "v24.1.0",
            "alpha@24.1.0",
            "alpha@v24.1.0",
            "@scope/alpha@0.0.0",
            "1.2.3+build.5",
            "1.2.3+sha-abc",
            "99999999999999999999999999.0.1",
        ] {
            assert!(is_released(release), "{release}");
        }
    }

    #[test]
    fn everything_else_is_no_released_version() {
        for release in [
            "",
            "v",
            "@",
            "24.1",
            "24.1.0.1",
            "24.01.0",
            "24.1.0-rc1",
            "24.1.0-rc1+build",
            "v24.1.0-3-gdeadbee",
            "24.1.0+",
            "24.1.0+a..b",
            "24.1.0+a b",
            "vv1.2.3",
            "V1.2.3",
            "1.2.x",
            "+1.2.3",
            " 1.2.3",
            "1.2.3\n",
            "1.2.٣",
            "24.1.0@alpha",
            "deadbeef",
        ] {
            assert!(!is_released(release), "{release}");
        }
    }

    #[test]
    fn editions_are_appended() {
        assert_eq!(derive(None, None), "dev");
        assert_eq!(derive(None, Some("oss")), "dev-oss");
        assert_eq!(derive(Some("alpha@1.2.3"), None), "prod");
        assert_eq!(derive(Some("alpha@1.2.3"), Some("enterprise")), "prod-enterprise");
        assert_eq!(derive(Some("alpha@1.2.3-dev"), Some("oss")), "dev-oss");
    }

    proptest! {
        #[test]
        fn any_release_has_an_environment(release in any::<String>()) {
            derive(Some(&release), None);
        }

        #[test]
        fn any_three_numbers_are_released(major: u64, minor: u64, patch: u64) {
            let release = format!("{major}.{minor}.{patch}");
            prop_assert!(is_released(&release));
            let candidate = format!("{release}-rc1");
            prop_assert!(!is_released(&candidate));
        }
    }
}
