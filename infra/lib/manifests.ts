// Renders an app's charts as files, and writes them in the place of those that an earlier run left.
import { existsSync, globSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ApiObject, type App, Chart, DependencyGraph, Yaml } from 'cdk8s'

/** The first line of every file, by which a file that may be deleted is known. */
export const HEADER = '# Generated from infra/stack.ts by `npm run synth`; edits here are lost.\n'

/** A file that is not written yet. */
export interface RenderedFile {
  /** Relative to the output folder, with forward slashes. */
  readonly file: string
  readonly text: string
}

/**
 * Each chart that has objects as `<path of the chart>.yaml`, sorted by that path: the order in which kubectl applies a folder.
 * cdk8s itself can only write folders by chart with a file by object, where a Namespace does not sort first.
 */
export function renderManifests(app: App): RenderedFile[] {
  const charts = app.node.findAll().filter((construct) => Chart.isChart(construct))
  // Resolves the dependencies of the whole app, once.
  charts[0]?.toJson()
  return sortFiles(
    charts
      .map((chart) => ({ file: `${chart.node.path}.yaml`, objects: objectsOf(chart) }))
      .filter(({ objects }) => objects.length > 0)
      .map(({ file, objects }) => ({ file, text: HEADER + Yaml.stringify(...objects) }))
  )
}

/** What `chart.toJson()` returns, which prepares the whole app anew for each chart: seconds, with hundreds of them. */
function objectsOf(chart: Chart): unknown[] {
  return new DependencyGraph(chart.node)
    .topology()
    .filter((construct) => ApiObject.isApiObject(construct) && Chart.of(construct) === chart)
    .map((object) => (object as ApiObject).toJson())
}

/** Writes `files` below `outdir`, removes what an earlier run generated there, and returns their names, sorted. */
export function writeFiles(files: readonly RenderedFile[], outdir: string): string[] {
  removeGenerated(outdir)
  for (const { file, text } of files) {
    mkdirSync(dirname(join(outdir, file)), { recursive: true })
    writeFileSync(join(outdir, file), text)
  }
  return sortFiles(files).map(({ file }) => file)
}

function sortFiles(files: readonly RenderedFile[]): RenderedFile[] {
  return [...files].sort((a, b) => (a.file < b.file ? -1 : 1))
}

/** The folders that files are written to, the deepest first: `gitops/flux/<environment>` is the deepest of all. */
const FOLDERS = ['*/*/*/', '*/*/', '*/']

/** Removes generated files only: an `outdir` given by mistake loses nothing. */
function removeGenerated(outdir: string): void {
  if (!existsSync(outdir)) return
  for (const folder of FOLDERS.flatMap((pattern) => globSync(pattern, { cwd: outdir }))) {
    for (const file of globSync('*.yaml', { cwd: join(outdir, folder) })) {
      const path = join(outdir, folder, file)
      if (readFileSync(path, 'utf8').startsWith(HEADER)) rmSync(path)
    }
    if (globSync('{*,.*}', { cwd: join(outdir, folder) }).length === 0) rmdirSync(join(outdir, folder))
  }
}
