# The server and the client in one image: docker build -t shacache .
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
# Each alone: built together, the server would have the client's features, too.
RUN cargo build --locked --release --package shacache-server --bin shacached \
    && cargo build --locked --release --package shacache-cli --bin shacache

FROM debian:bookworm-slim
COPY --from=build /source/target/release/shacached /source/target/release/shacache /usr/local/bin/
RUN cd /usr/local/bin \
    && ln -s shacache networkcache-upload \
    && ln -s shacache networkcache-download \
    && ln -s shacache generate-signature-key \
    && useradd --system --user-group --home-dir /data --no-create-home shacache \
    && install --directory --owner=shacache --group=shacache --mode=0750 /data
USER shacache
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENV SHACACHED_DATA=/data SHACACHED_LISTEN=0.0.0.0:8080
HEALTHCHECK --interval=30s --timeout=5s CMD ["shacached", "health"]
ENTRYPOINT ["shacached"]
CMD ["serve"]
