//! The one table of every setting.
