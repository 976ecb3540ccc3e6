// Makes API keys: prints a new key once, and stores its hash in a key file for the gateway to read.
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { hashKey } from '../admission/keys.ts'
import { describeProblems, FILES, type KeyFile, keyFileSchema } from '../contract.ts'

const USAGE = `usage: npm run keys -- ID [--file keys.json] [--max-output-tokens N] [--models a,b]

Makes an API key named ID, prints it once, and adds its hash to the file, which is created if it is not there.
The gateway reads the file from ${FILES.keys}, and again when it has changed; put it there as a Secret:

  kubectl -n NAMESPACE create secret generic sluice-api-keys --from-file=keys.json --dry-run=client -o yaml | kubectl apply -f -
`

function fail(message: string): never {
  process.stderr.write(`keys: ${message}\n`)
  process.exit(1)
}

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        file: { type: 'string', default: 'keys.json' },
        'max-output-tokens': { type: 'string' },
        models: { type: 'string' },
        help: { type: 'boolean', short: 'h' }
      }
    })
    if (values.help || positionals.length !== 1) {
      process.stdout.write(USAGE)
      process.exit(values.help ? 0 : 1)
    }
    return { ...values, id: positionals[0] as string }
  } catch (cause) {
    return fail(`${(cause as Error).message}\n\n${USAGE}`)
  }
}

function parseKeyFile(input: unknown, file: string): KeyFile {
  const result = keyFileSchema.safeParse(input)
  return result.success ? result.data : fail(`${file}: ${describeProblems(result.error).join('; ')}`)
}

function readKeyFile(file: string): KeyFile {
  if (!existsSync(file)) return { salt: randomBytes(32).toString('base64'), keys: [] }
  try {
    return parseKeyFile(JSON.parse(readFileSync(file, 'utf8')), file)
  } catch {
    return fail(`${file}: cannot be read as JSON; nothing was changed`)
  }
}

const options = readOptions()
const before = readKeyFile(options.file)
if (before.keys.some(({ id }) => id === options.id)) fail(`${options.file} has a key named ${options.id} already`)
const key = `sk-${randomBytes(32).toString('base64url')}`
const limit = options['max-output-tokens']
const entry = {
  id: options.id,
  hash: hashKey(before.salt, key),
  ...(limit === undefined ? {} : { maxOutputTokens: Number(limit) }),
  ...(options.models === undefined ? {} : { models: options.models.split(',') })
}
const after = parseKeyFile({ ...before, keys: [...before.keys, entry] }, options.file)
// a new file beside the old one, then a rename: whoever reads in between sees the one or the other, never a half
try {
  writeFileSync(`${options.file}.new`, `${JSON.stringify(after, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${options.file}.new`, options.file)
} catch (cause) {
  fail(`${options.file} cannot be written: ${(cause as Error).message}`)
}
process.stderr.write(`Added ${options.id} to ${options.file}. The key, shown this once:\n`)
process.stdout.write(`${key}\n`)
