# The engine's image for a node without GPUs: `vllm` is the simulator, which reads vLLM's own command line.
# Its first steps are those of gateway/Dockerfile, so that they are carried out once.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY gateway ./gateway
COPY test/cluster/images/vllm /usr/local/bin/vllm
ENTRYPOINT ["vllm", "serve"]
