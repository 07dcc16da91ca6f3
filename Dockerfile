# mcp-ext-authz in an image: compiled in one stage, run in another that has neither compiler nor development packages.
#
#     docker build -t mcp-ext-authz .
#     docker run --read-only --cap-drop ALL -v "$PWD/config:/etc/mcp-ext-authz:ro" mcp-ext-authz
#
# Nothing is run in the last stage, so its base needs Node and no shell: `--build-arg RUNTIME_BASE=…` takes another one.
ARG BUILD_BASE=node:26-bookworm-slim
ARG RUNTIME_BASE=node:26-bookworm-slim

FROM ${BUILD_BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY proto proto/
COPY templates templates/
COPY policies/schemas/input.v1.json policies/schemas/
COPY compiler/opa.wasm.zst compiler/LICENSES.md compiler/
COPY src src/
# Readable for every user, whatever the umask was where the files come from; writable for none but root.
RUN npm run build \
    && npm prune --omit=dev --omit=optional \
    && find node_modules -type d -empty -delete \
    && chmod -R u=rwX,go=rX .

FROM ${RUNTIME_BASE}
ARG VERSION=development
LABEL org.opencontainers.image.title="mcp-ext-authz" \
      org.opencontainers.image.description="An Envoy external-authorization sidecar for MCP servers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# Some bases without a shell keep their node in /nodejs/bin.
ENV NODE_ENV=production \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/nodejs/bin \
    ADMIN=http://127.0.0.1:9192
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules/
COPY --from=build /app/proto proto/
COPY --from=build /app/compiler compiler/
COPY --from=build /app/templates templates/
COPY --from=build /app/policies policies/
COPY --from=build /app/dist dist/
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 9191 9192
STOPSIGNAL SIGTERM
# Where `admin.listen` is another address, set ADMIN to it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["node", "-e", "fetch(process.env.ADMIN + '/livez').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve", "--config", "/etc/mcp-ext-authz/config.yaml"]
