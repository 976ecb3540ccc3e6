// A certificate of the test's own for the hosts of a region, by openssl.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from './shell.ts'

export interface Certificate {
  readonly certificate: string
  readonly key: string
}

/** Writes `tls.crt` and `tls.key` into a folder. @returns their paths */
export async function makeCertificate(folder: string, hosts: readonly string[]): Promise<Certificate> {
  const config = join(folder, 'openssl.cnf')
  const names = hosts.map((host) => `DNS:${host}`).join(',')
  const lines = [
    '[req]',
    'distinguished_name=name',
    'x509_extensions=more',
    '[name]',
    '[more]',
    `subjectAltName=${names}`
  ]
  writeFileSync(config, [...lines, 'basicConstraints=critical,CA:TRUE'].join('\n'))
  const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  const what = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const where = ['-config', config, '-subj', `/CN=${hosts[0]}`, '-keyout', key, '-out', certificate]
  await runProgram(['openssl', 'req', ...what, ...where])
  return { certificate, key }
}
