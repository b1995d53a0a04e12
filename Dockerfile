# Builds with the development dependencies, ships without them. The second stage runs as a numeric non-root user and
# writes nothing, so that it works under `--read-only`:
#   docker run --read-only -v ./my-sallyport.yaml:/etc/sallyport/sallyport.yaml:ro sallyport
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build
# The image has its own Node; the one that package.json names for older machines is left out.
RUN npm ci --omit=dev --omit=optional

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json ./
COPY bin ./bin
COPY bundles ./bundles
USER 65532:65532
EXPOSE 9191 8181 8282
HEALTHCHECK --interval=10s --timeout=3s CMD ["node", "-e", "fetch('http://127.0.0.1:8282/health/live').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# A sidecar has a core or two: threads of V8's own that collect for the workers would take them from requests.
ENTRYPOINT ["node", "--v8-pool-size=1", "/app/bin/sallyport.js"]
# A config of your own: the demo's is not in the image.
CMD ["serve", "--config", "/etc/sallyport/sallyport.yaml"]
