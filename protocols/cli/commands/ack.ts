import { Command } from 'commander'
import { adminAction } from '../admin/action.ts'
import type { World } from '../world.ts'

/** `glasspost ack` */
export const ackCommand = (world: World): Command =>
  adminAction(
    world,
    new Command('ack')
      .description('acknowledge deliveries by their receipt handles; repeating it is harmless')
      .argument('<receipt-handle...>')
      .addHelpText('after', '\nExample: glasspost ack AQECAAABANLtrtefNAHVGTeF6eLL8VxL'),
    async ({ client, show }, [handles]) => {
      const all = [handles ?? []].flat()
      for (const receiptHandle of all) await client.post('/v1/receipts/ack', { receiptHandle })
      show({ acknowledged: all.length }, () => [`acknowledged ${all.length}`])
    },
  )
