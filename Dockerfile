# A server image: the binary, a folder for its data, and nothing to build with.
#
#   docker build -t accrue .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" -w /work accrue init --config accrue.toml
#   mkdir -p data && docker run -d --name accrue --user "$(id -u):$(id -g)" -p 127.0.0.1:7171:7171 --ulimit nofile=65536 \
#     -v "$PWD/accrue.toml:/etc/accrue/accrue.toml:ro" -v "$PWD/data:/data" accrue serve --config /etc/accrue/accrue.toml
#
# contrib/test-dockerfile builds and runs it, or runs its steps where there is no builder.

FROM rust:1-slim-bookworm AS build
# Another profile builds faster (`release`) or for debugging (`dev`).
ARG PROFILE=dist
WORKDIR /src
COPY . .
RUN cargo build --locked --profile "$PROFILE" --package accrue --bin accrue --target-dir /target
RUN install -D /target/*/accrue /out/accrue

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home accrue && install -d -o accrue -g accrue /data
COPY --from=build /out/accrue /usr/local/bin/accrue
# The server answers from outside the container only with a key: see `accrue init`.
ENV ACCRUE_DATA=/data ACCRUE_HTTP_LISTEN=0.0.0.0:7171
USER accrue
VOLUME /data
EXPOSE 7171
# bash, because the image has no program to ask over HTTP.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7171 && printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["accrue"]
CMD ["serve"]
