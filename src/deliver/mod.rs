//! Room 4, deliver: an event becomes a file in the spool.
