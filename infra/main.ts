// Synthesizes the stack: one folder of manifests for each region, deterministic, or a list of what is wrong with it.
import { ApiObject, App } from 'cdk8s'
import { buildRegions } from './charts/environment.ts'
import { GitopsDelivery } from './charts/gitops.ts'
import { noticeUnplaced } from './charts/notices.ts'
import type { RegionalEndpoint } from './charts/regional-endpoint.ts'
import { isHelmChart, renderHelmChart } from './lib/helm.ts'
import { renderKustomizations } from './lib/kustomization.ts'
import { renderManifests, writeFiles } from './lib/manifests.ts'
import { findDuplicates } from './lib/uniqueness.ts'
import { GITOPS_FOLDER } from './schema/environments.ts'
import { parseEnvironments, StackError, type StackInput } from './schema.ts'
import { stack } from './stack.ts'

export { StackError } from './schema.ts'

interface Build {
  readonly app: App
  readonly endpoints: readonly RegionalEndpoint[]
  readonly notices: readonly string[]
}

/** What a synth has written. */
interface Synthesis {
  /** Relative to the output folder. */
  readonly files: string[]
  /** Those of regions, relative to the output folder: each is applied to a cluster of its own. */
  readonly folders: readonly string[]
  /** What has to be set outside of these manifests. */
  readonly notices: readonly string[]
}

/** Builds every region of every environment, checked as a whole; nothing is written. */
function build(input: StackInput, outdir: string): Build {
  const environments = parseEnvironments(input)
  const app = new App({ outdir })
  app.node.addValidation({ validate: () => findDuplicates(app) })
  const endpoints = environments.flatMap((environment) => buildRegions(app, environment))
  const gitops = new GitopsDelivery(app, GITOPS_FOLDER, { environments })
  const problems = app.node.findAll().flatMap((construct) => construct.node.validate())
  if (problems.length > 0) throw new StackError(problems)
  const notices = [
    ...endpoints.flatMap((endpoint) => endpoint.notices),
    ...environments.flatMap((environment) => noticeUnplaced(environment.stack)),
    ...gitops.notices
  ]
  return { app, endpoints, notices: [...new Set(notices)] }
}

/**
 * Writes `<outdir>/[<environment>/]<region>/<concern>.yaml` with a kustomization beside it, and the GitOps objects into
 * `<outdir>/gitops/`; removes what an earlier synth made and this one does not. In the templates folder of a Helm chart
 * it writes the regions only, as templates.
 * @throws StackError before anything is written
 */
export function synthesize(input: StackInput, outdir: string): Synthesis {
  const { app, endpoints, notices } = build(input, outdir)
  const folders = endpoints.map(({ node }) => node.path)
  const manifests = renderManifests(app)
  const files = isHelmChart(outdir)
    ? renderHelmChart(manifests, folders)
    : [...manifests, ...renderKustomizations(manifests, folders)]
  return { files: writeFiles(files, outdir), folders, notices }
}

/**
 * The objects of each region by its folder, without writing them.
 * @throws StackError of a stack that is refused
 */
export function listObjects(input: StackInput): ReadonlyMap<string, readonly ApiObject[]> {
  const { endpoints } = build(input, 'never-written')
  return new Map(endpoints.map(({ node }) => [node.path, node.findAll().filter((one) => ApiObject.isApiObject(one))]))
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
