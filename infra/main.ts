// Synthesizes the stack: one folder of manifests for each region, deterministic, or a list of what is wrong with it.
import { App } from 'cdk8s'
import { noticeUnplaced } from './charts/notices.ts'
import { RegionalEndpoint } from './charts/regional-endpoint.ts'
import { writeManifests } from './lib/manifests.ts'
import { findDuplicates } from './lib/uniqueness.ts'
import { parseStack, StackError, type StackInput } from './schema.ts'
import { stack } from './stack.ts'

export { StackError } from './schema.ts'

/** Builds every region, checked as a whole; nothing is written. */
function build(input: StackInput, outdir: string): { app: App; notices: string[] } {
  const checked = parseStack(input)
  const app = new App({ outdir })
  app.node.addValidation({ validate: () => findDuplicates(app) })
  const endpoints = checked.regions.map(
    (region) => new RegionalEndpoint(app, region.name, { region, models: checked.models })
  )
  const problems = app.node.findAll().flatMap((construct) => construct.node.validate())
  if (problems.length > 0) throw new StackError(problems)
  return {
    app,
    notices: [...new Set([...endpoints.flatMap((endpoint) => endpoint.notices), ...noticeUnplaced(checked)])]
  }
}

/**
 * Writes `<outdir>/<region>/<concern>.yaml` and removes the manifests of an earlier synth that are no longer made.
 * Returns the files, relative to `outdir`, and what has to be set outside of these manifests.
 * @throws StackError before anything is written
 */
export function synthesize(input: StackInput, outdir: string): { files: string[]; notices: string[] } {
  const { app, notices } = build(input, outdir)
  return { files: writeManifests(app, outdir), notices }
}

/** Runs `work`; problems of the stack go to stderr, a line each, and end the process with 1. */
function explain(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    for (const problem of error.problems) console.error(problem)
    process.exitCode = 1
  }
}

/** Synthesizes and prints: the files to stdout, notices and problems to stderr, a line each. */
export function run(input: StackInput, outdir: string): void {
  explain(() => {
    const { files, notices } = synthesize(input, outdir)
    for (const file of files) console.log(`${outdir}/${file}`)
    for (const notice of notices) console.error(`notice: ${notice}`)
  })
}

if (import.meta.main) {
  const outdir = process.env.CDK8S_OUTDIR ?? 'charts-out'
  // `cdk8s synth` empties the output folder before it runs this file, so a bad stack must be found out earlier
  if (process.argv.includes('--check')) explain(() => build(stack, outdir))
  else run(stack, outdir)
}
