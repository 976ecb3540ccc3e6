// No proxy at all: the engine itself, as the yardstick of every delay.
import { HOST, type Subject } from './subject.ts'

export const direct: Subject = {
  name: 'direct',
  about: 'the engine without a proxy',
  peer: false,
  installed: () => true,
  start: async (enginePort) => ({
    name: 'direct',
    host: HOST,
    port: enginePort,
    model: 'bench',
    headers: {},
    pid: undefined,
    scale: 1
  })
}
