// Makes API keys and takes them out: prints a new key once, and stores its hash in a key file for the gateway to read.
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  readFileSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  writeFileSync
} from 'node:fs'
import { parseArgs } from 'node:util'
import { hashKey } from '../admission/keys.ts'
import { describeProblems, FILES } from '../contract.ts'
import { locateMistake } from '../json-mistake.ts'
import { type KeyFile, keyFileSchema } from '../key-schema.ts'

const USAGE = `usage: npm run keys -- ID [--file keys.json] [--max-output-tokens N] [--models a,b]
       npm run keys -- ID --remove [--file keys.json]

Makes an API key named ID, prints it once, and adds its hash to the file, which is created if it is not there.
With --remove takes the key of that name out of the file.
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
        remove: { type: 'boolean', default: false },
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
  const text = readText(file)
  try {
    return parseKeyFile(JSON.parse(text), file)
  } catch {
    return fail(`${file}: not valid JSON: ${locateMistake(text)}; nothing was changed`)
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    return fail(`${file} cannot be read: ${(cause as Error).message}`)
  }
}

/**
 * A new file beside the old one, then a rename: whoever reads in between sees the one or the other, never a half. A link stays
 * one, and who may read the old file may read the new one: a gateway that reads it elsewhere, or as another user, gets it, too.
 */
function writeKeyFile(file: string, content: KeyFile): void {
  const text = `${JSON.stringify(parseKeyFile(content, file), null, 2)}\n`
  try {
    const target = existsSync(file) ? realpathSync(file) : file
    const next = `${target}.new`
    writeFileSync(next, text, { mode: 0o600 })
    if (existsSync(target)) giveTo(next, statSync(target))
    renameSync(next, target)
  } catch (cause) {
    fail(`${file} cannot be written: ${(cause as Error).message}`)
  }
}

/** The owner and the mode of the file before; only root may give a file away. */
function giveTo(file: string, { mode, uid, gid }: Stats): void {
  if (process.getuid?.() === 0) chownSync(file, uid, gid)
  chmodSync(file, mode & 0o777)
}

function readLimit(text: string | undefined): { maxOutputTokens?: number } {
  if (text === undefined) return {}
  if (!/^[1-9]\d*$/.test(text)) fail(`--max-output-tokens: "${text}" is no number of tokens; use one from 1 on`)
  return { maxOutputTokens: Number(text) }
}

function add({ id, file, models, ...options }: ReturnType<typeof readOptions>): void {
  const before = readKeyFile(file)
  if (before.keys.some((one) => one.id === id)) fail(`${file} has a key named ${id} already`)
  const key = `sk-${randomBytes(32).toString('base64url')}`
  const entry = {
    ...{ id, hash: hashKey(before.salt, key) },
    ...readLimit(options['max-output-tokens']),
    ...(models === undefined ? {} : { models: models.split(',') })
  }
  writeKeyFile(file, { ...before, keys: [...before.keys, entry] })
  process.stderr.write(`Added ${id} to ${file}. The key, shown this once:\n`)
  process.stdout.write(`${key}\n`)
}

function remove({ id, file, models, ...options }: ReturnType<typeof readOptions>): void {
  if (models !== undefined || options['max-output-tokens'] !== undefined)
    fail('--remove takes a key out as it is; leave --models and --max-output-tokens out')
  const { keys, ...rest } = readKeyFile(file)
  const left = keys.filter((one) => one.id !== id)
  if (left.length === keys.length) fail(`${file} has no key named ${id}`)
  writeKeyFile(file, { ...rest, keys: left })
  process.stderr.write(`Took ${id} out of ${file}; keys left: ${left.length}\n`)
}

const options = readOptions()
if (options.remove) remove(options)
else add(options)
