// Process entry: loads the configuration, builds the app, listens, and leaves in order when it is told to.
import { createApp } from './app.ts'
import { ConfigError, loadSettings } from './config.ts'
import { createLog } from './telemetry/log.ts'

function fail(cause: unknown): never {
  const known =
    cause instanceof ConfigError || ['listen', 'getaddrinfo'].includes((cause as NodeJS.ErrnoException).syscall ?? '')
  process.stderr.write(`sluice: ${known ? (cause as Error).message : (cause as Error).stack}\n`)
  process.exit(1)
}

try {
  const settings = loadSettings()
  const log = createLog(settings.config.logLevel)
  const app = createApp(settings, log)
  const address = await app.listen()
  log.info(
    { address, region: settings.config.region, pools: settings.config.pools.map(({ name }) => name) },
    'listening'
  )
  let leaving = false
  const leave = async (signal: NodeJS.Signals) => {
    if (leaving) process.exit(1)
    leaving = true
    log.info({ signal }, 'leaving; a second signal ends at once')
    await app.drain()
    process.exit(0)
  }
  process.on('SIGTERM', leave)
  process.on('SIGINT', leave)
} catch (cause) {
  fail(cause)
}
