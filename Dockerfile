# Both services: `docker build --target store .` and `--target warehouse`. `.ci/image` runs the same steps without Docker, for a test.

FROM rust:1.95-slim-bookworm AS chef
WORKDIR /build
RUN cargo install --locked cargo-chef@0.1.78

# What the dependencies are: a recipe that stays the same while only our own code changes.
FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

# The dependencies are a layer of their own, built again only when the recipe changes.
FROM chef AS build
ARG PROFILE=release
COPY --from=plan /build/recipe.json recipe.json
RUN cargo chef cook --locked --profile $PROFILE --recipe-path recipe.json --package store --package warehouse --package migrations
COPY . .
RUN cargo build --locked --profile $PROFILE --bins --package store --package warehouse --package migrations
# Cargo calls the folder of the profile dev another name. Names of functions stay for backtraces; lines would be four fifths of the image.
RUN mkdir out && cp target/*/store target/*/warehouse target/*/migrate out/ && strip --strip-debug out/*

# A C library, certificates, and a user who is not root: no shell, and nothing that a service needs to write to.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
COPY --from=build /build/out/migrate /usr/local/bin/migrate
WORKDIR /
USER 65532:65532
EXPOSE 3000
# Finishes what it has begun, for at most DRAIN_SECONDS.
STOPSIGNAL SIGTERM

FROM runtime AS store
COPY --from=build /build/out/store /usr/local/bin/store
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["/usr/local/bin/store", "health"]
ENTRYPOINT ["/usr/local/bin/store"]

FROM runtime AS warehouse
COPY --from=build /build/out/warehouse /usr/local/bin/warehouse
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["/usr/local/bin/warehouse", "health"]
ENTRYPOINT ["/usr/local/bin/warehouse"]
