import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import type { MiddlewareHandler } from 'hono'
import { BrokerError } from '../../model/errors.ts'

export interface AccessSettings {
  /** What a request must bear; undefined lets everybody in. */
  readonly token: string | undefined
  /** Listens on this machine only, so that only its browsers are to be wary of. */
  readonly isLocal: boolean
}

/** Probes carry no secrets, and the document has none. */
const openPaths: ReadonlySet<string> = new Set(['/livez', '/readyz', '/openapi.json'])

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()

/** True for a header that bears the token. Digests make the comparison take one time for all. */
export const bearerCheck = ({ token }: AccessSettings) => {
  if (token === undefined) return (): boolean => true
  const expected = digestOf(token)
  return (authorization: string | undefined): boolean => {
    const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''
    return timingSafeEqual(digestOf(given), expected)
  }
}

/**
 * Lets in who bears the token. Without a token, pages of other sites are refused, and on a local
 * port also a name that is neither an address nor localhost: a page could point its own name
 * here (DNS rebinding).
 */
export const access = (settings: AccessSettings): MiddlewareHandler => {
  const bearsToken = bearerCheck(settings)
  const isNameAllowed = settings.token !== undefined || !settings.isLocal
  return async (c, next) => {
    const { hostname } = new URL(c.req.url)
    if (!isNameAllowed && !isOwnName(hostname))
      throw new BrokerError('HOST_NOT_ALLOWED', { host: hostname })
    const origin = c.req.header('origin')
    if (settings.token === undefined && origin !== undefined && !isSameHost(origin, c.req.url))
      throw new BrokerError('HOST_NOT_ALLOWED', { host: origin })
    if (!openPaths.has(c.req.path) && !bearsToken(c.req.header('authorization')))
      throw new BrokerError('TOKEN_REQUIRED', {})
    await next()
  }
}

const isSameHost = (origin: string, url: string): boolean =>
  URL.canParse(origin) && new URL(origin).host === new URL(url).host

const isOwnName = (hostname: string): boolean =>
  hostname === 'localhost' || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0
