//! The one table of every setting, and how a setting gets its value.
//!
//! # What is guaranteed
//!
//! - **A bad value never keeps the program from running.** It counts as not given: the next lower
//!   layer decides, and one [`Problem`] names the variable, the value and the accepted form.
//!   Whatever bytes a variable or a flag holds, nothing here panics or overflows.
//! - **A misspelt switch is off.** Where a value of `LASTWORDS_ENABLE_SENTRY` is no boolean, nothing
//!   leaves the machine: the one setting of which a bad value does not leave the decision to the
//!   next lower layer.
//! - **The operator has the last word.** The layers, lowest first: defaults, values set in code
//!   ([`Overrides`]), environment variables, command-line flags ([`Flags`]). Where a setting has two
//!   variables, the first of them is the higher layer: `LASTWORDS_DSN` before `SENTRY_DSN`.
//! - **Nothing is undocumented.** Every setting is a row of [`TABLE`], from which come the flags and
//!   variables that are read, the text of `--help` ([`help`]), the table of the README
//!   ([`markdown_table`]) and the list of `lastwords doctor` ([`Resolved::rows`]).
//! - **No key of a DSN is shown**, neither in a problem, nor in a row, nor in a `Debug` text.
//!
//! # The rules that are easily forgotten
//!
//! - An empty variable or flag, or one of nothing but white space, counts as not given, so
//!   `--release "$VERSION"` does no harm where `VERSION` is unset. The same holds for text set in
//!   code.
//! - Tags merge: for each key the highest layer that names it wins. Scrub keys add up. Of both only
//!   the bad entries are left out, each with its problem, and the good ones are kept.
//! - An environment that was given stays as given. Only the default, derived from the release,
//!   carries the edition: `prod-oss`.
//! - `K`, `M` and `G` are powers of 1024, with or without `B` or `iB`: `64k`, `64KB` and `64KiB` are
//!   all 65,536 bytes.
//! - A value that is hidden by a good one of a higher layer is not looked at, so it raises no
//!   problem.
//!
//! # What is not offered
//!
//! There is no settings file. Settings are read once: a variable changed later changes nothing. A
//! release, environment or tag that Sentry would refuse is kept as given here, because mending it
//! is the report's business. A relative state directory is not made absolute, and no directory is
//! looked for or created.
//!
//! ```
//! use lastwords::config::{self, Flags, Key, Overrides};
//!
//! let code = Overrides { ring_size: Some(2 << 20), ..Overrides::default() };
//! let env = |name: &str| (name == "LASTWORDS_RING_SIZE").then(|| "12 parsecs".into());
//! let resolved = config::resolve(&code, &env, &Flags::default());
//!
//! assert_eq!(resolved.settings.ring_size, 2 << 20);
//! assert_eq!(resolved.origins(Key::RingSize), [config::Origin::Code]);
//! assert_eq!(
//!     resolved.problems[0].to_string(),
//!     "LASTWORDS_RING_SIZE: \"12 parsecs\" is not a size: give bytes, or a number with KiB, MiB \
//!      or GiB, from 256KiB to 256MiB; using 2MiB",
//! );
//! ```

mod docs;
mod environment;
mod form;
mod layers;
pub mod parse;
mod problem;
mod redact;
mod resolve;
mod settings;
mod show;
mod table;

pub use docs::{help, markdown_table};
pub use form::Form;
pub use layers::{Flags, Origin, Overrides};
pub use problem::Problem;
pub use redact::redacted;
pub use resolve::{Resolved, Row, resolve};
pub use settings::{Settings, SuperviseMode};
pub use table::{Flag, FlagValue, Key, Setting, TABLE};
