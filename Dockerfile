# One image for every role of the `switchboard` program. The runtime stage holds the program, the libraries that it is linked with and
# the certificate authorities: no shell, no package manager, no user but a number. Time zones are inside the program.
#
# `make image` builds the runtime stage alone, from a root file system made on the machine (image/build.sh), so it needs no registry.

FROM docker.io/library/rust:1.95-slim-bookworm AS build
RUN apt-get update -q && apt-get install -yq --no-install-recommends ca-certificates clang cmake make perl
WORKDIR /src
COPY . .
ARG SOURCE_DATE_EPOCH=0
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target,sharing=locked \
    image/compile.sh && image/rootfs.sh target/dist/switchboard /rootfs

FROM scratch AS rootfs
COPY --from=build /rootfs/ /

FROM scratch AS runtime
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="switchboard" \
      org.opencontainers.image.description="Kubernetes operator that links the tenants of a phone platform to Salesforce" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
COPY --from=rootfs / /
# Any other user works as well: nothing inside belongs to one, and nothing is written.
USER 65532:65532
ENTRYPOINT ["/usr/bin/switchboard"]
