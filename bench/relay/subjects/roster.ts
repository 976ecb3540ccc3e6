// All subjects, in the order of the report.
import { direct } from './direct.ts'
import { litellm } from './litellm.ts'
import { nginx } from './nginx.ts'
import { nodeNet } from './node-net.ts'
import { portkey } from './portkey.ts'
import { sluice } from './sluice.ts'
import type { Subject } from './subject.ts'

/** The subject that ratios are taken against. */
export const YARDSTICK = 'nginx'
/** The subject that added delays are taken over. */
export const FLOOR = 'direct'
/** The subject that the targets are for. */
export const OURS = 'sluice'

export const subjectNames = [
  'direct',
  YARDSTICK,
  'node-net',
  OURS,
  'sluice-fastify',
  'sluice-undici',
  'litellm',
  'portkey',
  'portkey-patched'
] as const

/** @param profileFolder where the gateway leaves its CPU profiles, if anywhere */
export const createSubjects = (profileFolder?: string): readonly Subject[] => [
  direct,
  nginx,
  nodeNet,
  sluice(OURS, {}, profileFolder),
  sluice('sluice-fastify', { clientServer: 'fastify' }, profileFolder),
  sluice('sluice-undici', { clientServer: 'fastify', engineClient: 'undici' }, profileFolder),
  litellm,
  portkey('portkey', false),
  portkey('portkey-patched', true)
]
