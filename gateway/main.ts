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
  app.followKeys()
  log.info(
    { address, region: settings.config.region, pools: settings.config.pools.map(({ name }) => name) },
    'listening'
  )
  let leaving = false
  const leave = async (exitCode: number) => {
    leaving = true
    try {
      await app.drain()
    } finally {
      process.exit(exitCode)
    }
  }
  const onSignal = (signal: NodeJS.Signals) => {
    if (leaving) process.exit(1)
    log.info({ signal }, 'leaving; a second signal ends at once')
    void leave(0)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  // What nobody caught is a defect, and new work is better off elsewhere; the open streams have nothing to do with it.
  process.on('uncaughtException', (err) => {
    log.fatal({ err }, 'leaving: nobody caught an error')
    if (!leaving) void leave(1)
  })
} catch (cause) {
  fail(cause)
}
