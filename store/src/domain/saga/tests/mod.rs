//! The saga against a world in memory: warehouses and a payment gateway that keep their promises, and a journal.

mod crashes;
mod random;
mod steps;
mod stories;
mod world;
