// The connection to Redis: commands, and channels to listen to; it comes back by itself, and fails at once while it is away.
import type { RedisArgument } from '@redis/client'

export interface RedisConnection {
  /** Resolves when Redis answers, or after a moment without it: it is then tried again until `close`. */
  connect(): Promise<void>
  /** Sends one command; those of one tick leave in one write. Strings of the reply are buffers. Rejects while Redis is away. */
  send(...command: RedisArgument[]): Promise<unknown>
  /** Listens to a channel; after an interruption, too. */
  subscribe(channel: string, listener: (message: string) => void): Promise<void>
  unsubscribe(channel: string): Promise<void>
  close(): void
}

export interface RedisConnectionDeps {
  /** Told when the connection breaks or can't be made, once until it is there again. Its message names no credential. */
  readonly onLost: (cause: Error) => void
  /** Told each time that the connection is there. */
  readonly onReady: () => void
}

/** The start of a gateway waits for Redis so long at most, in ms. */
const FIRST_WAIT_MS = 2_000
/** A connection that says nothing for so long is broken, in ms; pings make a healthy one speak. */
const SILENT_MS = 10_000
const PING_MS = 3_000
const MOST_RETRY_MS = 2_000

type Client = ReturnType<typeof import('@redis/client')['createClient']>

/** @param url `redis://` or `rediss://`, checked; it may hold a password, so no message repeats it */
export function createRedisConnection(url: string, deps: RedisConnectionDeps): RedisConnection {
  let client: Client | undefined
  let listening: Client | undefined
  let isLost = false
  let closed = false
  const ready = () => {
    isLost = false
    deps.onReady()
  }
  const lost = (cause: Error) => {
    if (!isLost && !closed) deps.onLost(cause)
    isLost = true
  }
  return {
    async connect() {
      const { createClient, RESP_TYPES } = await import('@redis/client')
      const options = {
        ...{ url, RESP: 2, disableOfflineQueue: true, pingInterval: PING_MS, disableClientInfo: true },
        maintNotifications: 'disabled',
        commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
        socket: { socketTimeout: SILENT_MS, reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, MOST_RETRY_MS) }
      } satisfies Parameters<typeof createClient>[0]
      client = createClient(options) as unknown as Client
      client.on('ready', ready).on('error', lost)
      listening = createClient({ ...options, disableOfflineQueue: false }) as unknown as Client
      listening.on('error', lost)
      const connected = Promise.all([client.connect(), listening.connect()]).catch(lost)
      let timer: NodeJS.Timeout | undefined
      await Promise.race([connected, new Promise((resolve) => (timer = setTimeout(resolve, FIRST_WAIT_MS)))])
      clearTimeout(timer)
    },
    async send(...command) {
      if (client === undefined || closed) throw new Error('there is no connection to Redis')
      return client.sendCommand(command)
    },
    async subscribe(channel, listener) {
      await listening?.subscribe(channel, (message) => listener(String(message)))
    },
    async unsubscribe(channel) {
      if (!closed) await listening?.unsubscribe(channel)
    },
    close() {
      closed = true
      for (const one of [client, listening]) if (one?.isOpen) one.destroy()
    }
  }
}
