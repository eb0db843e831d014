//! What every service stands on: configuration, telemetry, database, accounts, routes, problems.
