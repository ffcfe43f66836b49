import { createBroker } from '../../index.ts'
import { loadSlowly } from './slow-load.ts'

/** As a process of its own, so that its flushes can be slowed from outside: directory, ms. */
const [dataDir = '', forMs = '0'] = process.argv.slice(2)
const broker = await createBroker({ dataDir })
const times = await loadSlowly(broker, Number(forMs))
process.stdout.write(JSON.stringify(times), () => process.exit(0))
