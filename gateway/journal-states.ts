// Puts together what resumable streams need: the journals of this gateway and, where there is a Redis, those of the others.
import type { Logger } from 'pino'
import type { Settings } from './config.ts'
import { JournalSharing } from './stream/journal-sharing.ts'
import { Journals } from './stream/journals.ts'
import { RedisConnection } from './stream/redis-connection.ts'
import { SharedJournals } from './stream/shared-journals.ts'
import { logStream, logView } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** What makes this gateway's journals its own. */
export interface JournalsParts {
  /** A monotonic clock in ms. */
  readonly now: () => number
  /** A name that no other gateway has. */
  readonly newGatewayId: () => string
  /** Random bytes that nobody can guess. */
  readonly newSecret: () => Buffer
}

/** While Redis is away every stream meets it; the log says so once in so many ms. */
const TROUBLE_LINE_MS = 10_000

export function createJournals(settings: Settings, deps: JournalsParts, metrics: Metrics, log: Logger): Journals {
  const { streams, budget } = settings.config
  const { heartbeatMs, stalledMs } = budget
  const onTrouble = noteTrouble(deps.now, metrics, log)
  const journals = new Journals(
    { ...streams, heartbeatMs, stalledMs },
    {
      newId: () => `stream_${deps.newSecret().toString('base64url')}`,
      now: deps.now,
      onJournalEnd(journal) {
        metrics.endJournal(journal.state)
        logStream(log, journal)
      },
      onViewerEnd(record) {
        metrics.endView(record.end, record.after > 0)
        logView(log, record)
      },
      onTrouble
    }
  )
  const { redisUrl } = settings.streams
  if (redisUrl !== undefined) share(journals, redisUrl, settings, { newGatewayId: deps.newGatewayId, onTrouble, log })
  return journals
}

interface ShareDeps extends Pick<JournalsParts, 'newGatewayId'> {
  readonly onTrouble: (cause: Error) => void
  readonly log: Logger
}

function share(journals: Journals, redisUrl: string, { config }: Settings, deps: ShareDeps): void {
  const { streams, budget } = config
  const { onTrouble, log } = deps
  const onReady = () => {
    log.info('streams are shared with other gateways')
    sharing.renew()
  }
  const redis = new RedisConnection(redisUrl, { onLost: onTrouble, onReady })
  const { retentionMs, replayGraceMs } = streams
  const shared = new SharedJournals(redis, {
    ...streams.redis,
    gateway: deps.newGatewayId(),
    retentionMs,
    replayGraceMs,
    runningMs: budget.streamMs + retentionMs
  })
  const sharing = new JournalSharing(redis, shared, streams.redis.lostMs, {
    createLog: () => journals.createLog(),
    onCancel: (id) => void journals.cancelOwn(id).catch(onTrouble),
    onTrouble
  })
  journals.join(sharing)
}

function noteTrouble(now: () => number, metrics: Metrics, log: Logger): (cause: Error) => void {
  let saidAtMs = Number.NEGATIVE_INFINITY
  return (cause) => {
    metrics.failSharing()
    if (now() - saidAtMs < TROUBLE_LINE_MS) return
    saidAtMs = now()
    log.warn({ cause: cause.message }, 'streams can’t be shared with other gateways')
  }
}
