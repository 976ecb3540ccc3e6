// Renders manifests as the templates of one Helm chart, whose value `region` says which region is installed.
import { existsSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import { Yaml } from 'cdk8s'
import { HEADER, type RenderedFile } from './manifests.ts'

/** Whether cdk8s asks for templates: with `--format helm` it makes a Chart.yaml and names the folder beside it. */
export function isHelmChart(outdir: string): boolean {
  return basename(outdir) === 'templates' && existsSync(join(outdir, '../Chart.yaml'))
}

/**
 * The files of `folders` as templates, each for its region only, and the values beside them. A region is never chosen
 * by default where there are several: it would be installed into another region's cluster.
 */
export function renderHelmChart(files: readonly RenderedFile[], folders: readonly string[]): RenderedFile[] {
  const templates = files.flatMap(({ file, text }) => {
    const region = posix.dirname(file)
    return folders.includes(region) ? [{ file, text: renderTemplate(text, region) }] : []
  })
  return [
    ...templates,
    { file: '../values.yaml', text: HEADER + Yaml.stringify({ region: folders.length === 1 ? folders[0] : '' }) },
    { file: '../values.schema.json', text: `${JSON.stringify(renderSchema(folders), null, 2)}\n` }
  ]
}

/** Helm would take `{{`, which alerts and dashboards have, for its own. */
function renderTemplate(text: string, region: string): string {
  const escaped = text.replaceAll('{{', '{{ "{{" }}')
  return `{{- if eq .Values.region ${JSON.stringify(region)} }}\n${escaped}{{- end }}\n`
}

function renderSchema(folders: readonly string[]): object {
  return {
    $schema: 'https://json-schema.org/draft-07/schema#',
    type: 'object',
    required: ['region'],
    additionalProperties: false,
    properties: { region: { description: 'The region that is installed.', enum: folders } }
  }
}
