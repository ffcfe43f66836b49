/** What a store bills, by kind: writes and lists cost most. */
export const requestKinds = ['put', 'get', 'head', 'list', 'remove'] as const
export type RequestKind = (typeof requestKinds)[number]
