// The row of a dashboard that shows the gateways' own processes.
import { PROCESS_METRICS } from '../../lib/gateway-metrics.ts'
import { type Matcher, rate, select, sum, sumBy } from '../../lib/promql.ts'
import { graph, type Row, WINDOW } from './panel.ts'

/** @param where matches the scrapes of gateways only: engines have metrics of the same names */
export function showGateways(...where: Matcher[]): Row {
  const own = (metric: string) => select(metric, ...where)
  const worst = (metric: string) => `max by (pod) (${own(metric)})`
  const cpu = sumBy(['pod'], rate(own(PROCESS_METRICS.cpu), WINDOW))
  return {
    title: 'Gateways',
    graphs: [
      graph('Gateways that are scraped', 'short', 'Pods whose metrics came at the last try.', [
        'gateways',
        sum(own('up'))
      ]),
      graph('CPU', 'short', 'Cores in use: relaying is one thread, so 1 is full.', ['{{pod}}', cpu]),
      graph('Memory', 'bytes', 'Resident.', ['{{pod}}', worst(PROCESS_METRICS.memory)]),
      graph('Event loop lag', 's', 'p99; every token is as late.', ['{{pod}}', worst(PROCESS_METRICS.eventLoopLag)])
    ]
  }
}
