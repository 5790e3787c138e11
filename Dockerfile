# The image of both layers: `docker run … socket-gateway outer-layer …`, `docker run … socket-gateway inner-layer …`.
# test/docker runs these very steps, without Docker.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY console ./console
COPY src ./src
RUN npm run build
RUN npm prune --omit=dev

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY scripts/healthcheck.js ./healthcheck.js
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
RUN chmod +x /app/dist/main.cjs && ln -s /app/dist/main.cjs /usr/local/bin/socket-gateway
# Relative paths of options (innerLayer.key, targets.yaml) mean this folder; a volume mounted here belongs to the user below.
RUN mkdir /data && chown node:node /data
WORKDIR /data
USER node
EXPOSE 3000 3001
# The outer layer is asked over HTTP. The inner layer listens nowhere: it is healthy while it runs, and it ends by itself when it cannot
# go on, so the script looks at the command of process 1 to know which of them it is.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "/app/healthcheck.js"]
ENTRYPOINT ["socket-gateway"]
CMD ["--help"]
