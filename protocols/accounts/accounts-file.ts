import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { BrokerError } from '../../model/errors.ts'

/** A name, or the beginning of names with a `*` behind it. */
const pattern = z.string().regex(/^[^*]+\*?$|^\*$/, 'give a name, or a prefix followed by *')

const account = z.strictObject({
  accessKey: z.string().regex(/^[^\s/,=]+$/, 'give no blanks and none of / , ='),
  secretKey: z.string().min(16, 'give at least 16 characters'),
  /** Refused as if it were not there, until this is taken away. */
  disabled: z.boolean().default(false),
  topics: z.record(pattern, z.array(z.enum(['publish', 'subscribe']))).default({}),
  groups: z.record(pattern, z.array(z.enum(['subscribe']))).default({}),
})

const accountsFile = z.strictObject({ accounts: z.array(account).min(1) })

export type AccountEntry = z.infer<typeof account>

const reasonOf = ({ issues: [issue] }: z.ZodError): string =>
  issue === undefined ? 'unknown' : `${issue.path.join('.') || 'the file'}: ${issue.message}`

const contentOf = (file: string, text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    // The platform's reason quotes the text, which holds secrets.
    throw new BrokerError('ACCOUNTS_ILLEGAL', { file, reason: 'it is not JSON' })
  }
}

/** Throws `ACCOUNTS_ILLEGAL` with the place that is wrong; never with what it says. */
export const parseAccounts = (file: string, text: string): readonly AccountEntry[] => {
  const { data, error } = accountsFile.safeParse(contentOf(file, text))
  if (error !== undefined)
    throw new BrokerError('ACCOUNTS_ILLEGAL', { file, reason: reasonOf(error) })
  const keys = data.accounts.map(({ accessKey }) => accessKey)
  const repeated = keys.find((key, index) => keys.indexOf(key) !== index)
  if (repeated !== undefined)
    throw new BrokerError('ACCOUNTS_ILLEGAL', {
      file,
      reason: `access key '${repeated}' is there twice`,
    })
  return data.accounts
}

/** As `parseAccounts`, from the file itself. */
export const readAccounts = async (file: string): Promise<readonly AccountEntry[]> => {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const reason = (error as Error).message
    throw new BrokerError('ACCOUNTS_ILLEGAL', { file, reason }, { cause: error })
  })
  return parseAccounts(file, text)
}
