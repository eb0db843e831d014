//! The test kit: PostgreSQL clusters, processes and a TCP proxy that misbehaves on demand.
