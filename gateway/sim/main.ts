// Stands in for the `vllm` command: `node gateway/sim/main.ts serve MODEL --port 8000 …`, and SIGTERM ends it as it does vLLM.
import { readCommandLine } from './command-line.ts'
import { startSimEngine } from './engine.ts'

const say = (line: string) => process.stderr.write(`simulated vllm: ${line}\n`)

try {
  const options = readCommandLine(process.argv.slice(2), (flag) => say(`${flag} is ignored`))
  const engine = await startSimEngine(options)
  say(`serving ${options.models.join(', ')} on ${engine.url}`)
  const leave = () => engine.shutdown().then(() => process.exit(0))
  process.once('SIGTERM', leave)
  process.once('SIGINT', leave)
} catch (cause) {
  say((cause as Error).message)
  process.exitCode = 1
}
