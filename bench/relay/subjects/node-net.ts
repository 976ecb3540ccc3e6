// A relay that only passes bytes, in Node: what two sockets of `node:net` cost a token before anybody looks at it.
import { fileURLToPath } from 'node:url'
import { CORES, freePort, start, untilServing } from '../processes.ts'
import { HOST, START_MS, type Subject } from './subject.ts'

const SCRIPT = fileURLToPath(new URL('./node-net-process.ts', import.meta.url))

export const nodeNet: Subject = {
  name: 'node-net',
  about: 'bytes passed between two sockets in Node, nothing read: the floor of any gateway in Node',
  peer: false,
  installed: () => true,
  async start(enginePort) {
    const port = await freePort()
    const command = [process.execPath, SCRIPT, String(port), String(enginePort)]
    const started = start({ name: 'node-net', command, core: CORES.proxy })
    await untilServing('node-net', started, `http://${HOST}:${port}/health`, START_MS)
    return { name: 'node-net', host: HOST, port, model: 'bench', headers: {}, pid: started.pid, scale: 1, started }
  }
}
