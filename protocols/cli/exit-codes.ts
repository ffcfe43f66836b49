/** What a script can branch on. `glasspost --help` prints this table. */
export const exitCodes = {
  ok: 0,
  /** Refused or failed; an audit or a doctor found something. */
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  /** Throttled or unavailable: trying again may help. */
  tryAgain: 5,
} as const

export const exitCodesHelp = `
Exit codes:
  0  done
  1  refused or failed; for audit and doctor: something was found
  2  the command line or a setting is wrong
  3  no broker answers at --url
  4  there is no such topic, group or message
  5  throttled or unavailable now: try again`
