import { isIPv4, isIPv6 } from 'node:net'
import type { CallContext } from '../context.ts'
import { type Address, addressSchemes, type Endpoints } from '../wire/common.ts'

const PORT_MAX = 65_535

/** `host:port`, `[v6]:port`; undefined when it is neither. */
export const parseAddress = (text: string): Address | undefined => {
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text.trim())
  const host = parts?.[1] ?? parts?.[2]
  const port = Number(parts?.[3])
  return host === undefined || !(port >= 1 && port <= PORT_MAX) ? undefined : { host, port }
}

const schemeOf = (host: string): number => {
  if (isIPv4(host)) return addressSchemes.ipv4
  return isIPv6(host.replace(/^\[|\]$/g, '')) ? addressSchemes.ipv6 : addressSchemes.domain
}

/**
 * The one address at which this client shall find every queue: the advertised one, else the one
 * it asked with, which is right through NAT and container networks alike (RocketMQ gRPC 4.1).
 * Never more than one: Java refuses several with a domain name. The scheme follows from the host,
 * whatever the client wrote.
 */
export const routeEndpoints = (context: CallContext, asked: Endpoints | undefined): Endpoints => {
  const { advertised, storeHost } = context.door
  const echo = asked?.addresses.find(({ host, port }) => host !== '' && port >= 1)
  const address = advertised ??
    echo ??
    parseAddress(context.authority) ??
    parseAddress(storeHost) ?? { host: '127.0.0.1', port: 1 }
  return { scheme: schemeOf(address.host), addresses: [address] }
}
