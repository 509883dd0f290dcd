//! The parts of the kill tests: the account a child keeps, the child, and the parent that judges.

pub mod child;
pub mod ledger;
pub mod parent;
