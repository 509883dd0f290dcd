//! Room 2, detect: a panic becomes a [`Crash`].
mod crash;

pub use crash::{
    Crash, CrashedThread, Exception, Frame, Location, Mechanism, Runtime, Severity,
};
