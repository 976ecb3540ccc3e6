// The connection to Redis: commands, and channels to listen to; it comes back by itself, and fails at once while it is away.
import type { RedisArgument } from '@redis/client'

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

type Redis = typeof import('@redis/client')
type Client = ReturnType<Redis['createClient']>

export class RedisConnection {
  readonly #url: string
  readonly #deps: RedisConnectionDeps
  #client: Client | undefined
  /** Whoever listens to channels sends nothing else. */
  #listening: Client | undefined
  #isLost = false
  #closed = false

  /** @param url `redis://` or `rediss://`, checked; it may hold a password, so no message repeats it */
  constructor(url: string, deps: RedisConnectionDeps) {
    this.#url = url
    this.#deps = deps
  }

  /** Resolves when Redis answers, or after a moment without it: it is then tried again until `close`. */
  async connect(): Promise<void> {
    // most gateways have no Redis, and loading its client takes longer than all the rest
    const redis = await import('@redis/client')
    this.#client = this.#create(redis, true)
    this.#listening = this.#create(redis, false)
    this.#client.on('ready', () => {
      this.#isLost = false
      this.#deps.onReady()
    })
    const connected = Promise.all([this.#client.connect(), this.#listening.connect()]).catch(this.#lost)
    let timer: NodeJS.Timeout | undefined
    await Promise.race([
      connected,
      new Promise((resolve) => {
        timer = setTimeout(resolve, FIRST_WAIT_MS)
      })
    ])
    clearTimeout(timer)
  }

  /** Sends one command; those of one tick leave in one write. Strings of the reply are buffers. Rejects while Redis is away. */
  async send(...command: RedisArgument[]): Promise<unknown> {
    if (this.#client === undefined || this.#closed) throw new Error('there is no connection to Redis')
    return this.#client.sendCommand(command)
  }

  /** Listens to a channel; after an interruption, too. */
  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    await this.#listening?.subscribe(channel, (message) => listener(String(message)))
  }

  async unsubscribe(channel: string): Promise<void> {
    if (!this.#closed) await this.#listening?.unsubscribe(channel)
  }

  close(): void {
    this.#closed = true
    for (const client of [this.#client, this.#listening]) if (client?.isOpen) client.destroy()
  }

  #create({ createClient, RESP_TYPES }: Redis, disableOfflineQueue: boolean): Client {
    const client = createClient({
      url: this.#url,
      RESP: 2,
      disableOfflineQueue,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      pingInterval: PING_MS,
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
      socket: { socketTimeout: SILENT_MS, reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, MOST_RETRY_MS) }
    }) as unknown as Client
    return client.on('error', this.#lost)
  }

  readonly #lost = (cause: Error) => {
    if (!this.#isLost && !this.#closed) this.#deps.onLost(cause)
    this.#isLost = true
  }
}
