# wecom-gate in a small image: no shell, no package manager, not root.
#
#   docker build -t wecom-gate .
#   docker run -p 8080:8080 -v ./wecom-gate.toml:/etc/wecom-gate/wecom-gate.toml:ro wecom-gate
#
# Both stages are of the same Debian release: the binary needs its libc, libm and libgcc_s, and nothing else.
FROM docker.io/library/rust:1.91-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# As `make release`: with a profile of the gate's work. Takes a quarter of an hour on two cores.
RUN mkdir /configuration && ./benches/release/build.sh

# Has libc, libm, libgcc_s and the certificates of the public authorities; its user is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/wecom-gate /usr/local/bin/wecom-gate
# A volume made from it belongs to the gate's user, so that `wecom-gate init` can write its configuration.
COPY --from=build --chown=65532:65532 --chmod=700 /configuration /etc/wecom-gate
WORKDIR /etc/wecom-gate
ENV WECOM_GATE_CONF=/etc/wecom-gate/wecom-gate.toml
EXPOSE 8080
# Asks /readyz at listen.ops, which stays inside the container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/local/bin/wecom-gate", "healthcheck"]
# The gate waits up to 30 seconds for requests in flight: docker stop --time 40.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/wecom-gate"]
CMD ["run"]
