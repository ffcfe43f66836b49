import type { MetricFamily } from '../../model/ports.ts'

export const gauge = (name: string, help: string, alias?: string): MetricFamily => ({
  ...{ name, help, type: 'gauge' },
  ...(alias === undefined ? {} : { alias }),
})
export const counter = (name: string, help: string): MetricFamily => ({
  ...{ name, help, type: 'counter' },
})
export const histogram = (name: string, help: string, alias?: string): MetricFamily => ({
  ...{ name, help, type: 'histogram' },
  ...(alias === undefined ? {} : { alias }),
})
