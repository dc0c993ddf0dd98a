# The agent's image: two stages, no development dependency, no shell needed, uid 10001, read-only root.
#
#   docker build -t morphling .
#   docker build --build-arg NODE_IMAGE=node:24.22.3-bookworm-slim -t morphling .
#
# The Node version must carry the security fixes of its line: 22.23.5, 24.22.3, 26.13.1 or later.
ARG NODE_IMAGE=node:26.13.1-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Node comes from the image, so the packaged Node (an optional dependency) stays out.
RUN npm ci --ignore-scripts --omit=optional
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY sidecar sidecar
RUN npm run build \
 && npm ci --ignore-scripts --omit=optional --omit=dev

FROM ${NODE_IMAGE}
# npm, npx, corepack and yarn are not part of a sidecar.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn* \
 && mkdir -p /var/lib/morphling && chown 10001:10001 /var/lib/morphling
WORKDIR /opt/morphling
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY --from=build /build/sidecar/lab/data sidecar/lab/data
COPY src/cli/morphling.mjs src/cli/morphling.mjs
COPY package.json LICENSE ./
USER 10001:10001
ENV NODE_ENV=production MORPHLING_STATE_DIR=/var/lib/morphling
VOLUME /var/lib/morphling
# data, metrics; the control port is on loopback only
EXPOSE 8080 9464
HEALTHCHECK --interval=10s --timeout=2s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9464/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/morphling/src/cli/morphling.mjs"]
CMD ["agent"]
