// Every open connection to the engines of the fast way, and which of them are idle, by origin.
import { Connection, type ConnectionOwner } from './connection.ts'

export interface ConnectionsOptions {
  readonly connectMs: number
  /** How long an idle connection is kept. */
  readonly poolIdleMs: number
  /** An answer that had begun turned out to be one that is not read here. */
  readonly onRefused: ConnectionOwner['onRefused']
}

/** An idle connection is closed at so many sweeps: never later than its idle time, and at most a quarter of it earlier. */
const SWEEPS = 4

export class Connections implements ConnectionOwner {
  readonly connectMs: number
  readonly onRefused: ConnectionOwner['onRefused']
  /** Idle ones by origin, the one used last at the end: the others may grow old and close. */
  readonly #idle = new Map<string, Connection[]>()
  readonly #all = new Set<Connection>()
  readonly #sweeper: NodeJS.Timeout

  constructor({ connectMs, poolIdleMs, onRefused }: ConnectionsOptions) {
    this.connectMs = connectMs
    this.onRefused = onRefused
    // one timer for all of them: setting one at each rest costs every request
    this.#sweeper = setInterval(() => this.#sweep(), poolIdleMs / SWEEPS)
    this.#sweeper.unref()
  }

  add(origin: string): Connection {
    const connection = new Connection(origin, this)
    this.#all.add(connection)
    return connection
  }

  onIdle(connection: Connection): void {
    const list = this.#idle.get(connection.origin)
    if (list === undefined) this.#idle.set(connection.origin, [connection])
    else list.push(connection)
    connection.rest()
  }

  onClose(connection: Connection): void {
    this.#all.delete(connection)
    const list = this.#idle.get(connection.origin)
    const at = list?.indexOf(connection) ?? -1
    if (at !== -1) list?.splice(at, 1)
  }

  /** The idle connection that was used last; one that is closing at this very moment is none. */
  takeIdle(origin: string): Connection | undefined {
    const list = this.#idle.get(origin)
    let connection = list?.pop()
    while (connection?.socket.destroyed) connection = list?.pop()
    return connection
  }

  closeIdle(origin: string): void {
    for (const connection of this.#idle.get(origin) ?? []) connection.socket.destroy()
    this.#idle.delete(origin)
  }

  destroy(): void {
    clearInterval(this.#sweeper)
    for (const connection of this.#all) connection.socket.destroy()
  }

  #sweep(): void {
    for (const list of this.#idle.values())
      for (const connection of list) if (connection.grownOld(SWEEPS)) connection.socket.destroy()
  }
}
