// Builds the regions of one environment below its folder, each object labelled with the region it belongs to.
import { Construct } from 'constructs'
import { labelObjects, REGION_LABEL, regionLabelValue } from '../lib/labels.ts'
import type { Environment } from '../schema.ts'
import { RegionalEndpoint } from './regional-endpoint.ts'

/** Adds every region of `environment` to `root`: below a folder of the environment's name, if it has one. */
export function buildRegions(root: Construct, { name, stack }: Environment): RegionalEndpoint[] {
  const scope = name === undefined ? root : new Construct(root, name)
  return stack.regions.map((region) => {
    const endpoint = new RegionalEndpoint(scope, region.name, { region, models: stack.models })
    labelObjects(endpoint, REGION_LABEL, regionLabelValue(stack.name, name, region.name))
    return endpoint
  })
}
