//! The schema of both services and its command line.
