import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import { Accounts } from '../../../protocols/accounts/accounts.ts'
import { parseAccounts } from '../../../protocols/accounts/accounts-file.ts'
import { authenticate } from '../../../protocols/grpc/access.ts'
import { aCall, aDoor } from '../grpc/support/calls.ts'
import { holds } from '../../support/property.ts'

const Access = suite('accounts')

const SECRET = 'a secret of many letters'
const parse = (...accounts: object[]) => parseAccounts('a.json', JSON.stringify({ accounts }))
const anAccount = (rest: object = {}) => ({ accessKey: 'shop', secretKey: SECRET, ...rest })

const refusalOf = (act: () => unknown): string => {
  try {
    act()
    return ''
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return `${error.code}: ${error.message}`
  }
}

const sign = (text: string, secret = SECRET) => createHmac('sha1', secret).update(text)

/** A call with these headers, on a door with these accounts. */
const calling = (accounts: Accounts, headers: Record<string, string>) => {
  const { door } = aDoor()
  return aCall({ ...door, access: accounts }, { header: (name) => headers[name] ?? '' })
}

const at = '20260101T120000Z'
const headersOf = (authorization: string, text = at) => ({
  authorization,
  'x-mq-date-time': text,
})

for (const [client, credential, signature] of [
  ['Java and Node', 'shop', sign(at).digest('hex').toUpperCase()],
  ['Python', 'shop', sign(at).digest('hex')],
  ['Go', 'shop//Rocketmq', sign(at).digest('hex')],
] as const)
  Access(`know the header of ${client}`, () => {
    const accounts = new Accounts(parse(anAccount()))
    const header = `MQv2-HMAC-SHA1 Credential=${credential}, SignedHeaders=x-mq-date-time, Signature=${signature}`
    assert.is(authenticate(calling(accounts, headersOf(header)))?.accessKey, 'shop')
  })

const signed = sign(at).digest('hex')
for (const [what, headers] of [
  ['no header', {}],
  ['an empty one', headersOf('')],
  ['a scheme alone', headersOf('MQv2-HMAC-SHA1')],
  ['no key', headersOf(`MQv2-HMAC-SHA1 Credential=, Signature=${signed}`)],
  ['an unknown key', headersOf(`MQv2-HMAC-SHA1 Credential=shopp, Signature=${signed}`)],
  ['a disabled key', headersOf(`MQv2-HMAC-SHA1 Credential=off, Signature=${signed}`)],
  ['no signature', headersOf('MQv2-HMAC-SHA1 Credential=shop')],
  ['half a signature', headersOf(`MQv2-HMAC-SHA1 Credential=shop, Signature=${signed.slice(20)}`)],
  ['no hex', headersOf(`MQv2-HMAC-SHA1 Credential=shop, Signature=${'g'.repeat(40)}`)],
  ['another text', headersOf(`MQv2-HMAC-SHA1 Credential=shop, Signature=${signed}`, `${at} `)],
  ['no text', headersOf(`MQv2-HMAC-SHA1 Credential=shop, Signature=${signed}`, '')],
  [
    "another's secret",
    headersOf(
      `MQv2-HMAC-SHA1 Credential=shop, Signature=${sign(at, 'x'.repeat(16)).digest('hex')}`,
    ),
  ],
] satisfies [string, Record<string, string>][])
  Access(`refuse ${what}`, () => {
    const accounts = new Accounts(
      parse(anAccount(), anAccount({ accessKey: 'off', disabled: true })),
    )
    const refusal = refusalOf(() => authenticate(calling(accounts, headers)))
    assert.match(refusal, /^ACCESS_KEY_REFUSED: /)
    assert.not.ok(refusal.includes(SECRET))
  })

Access('say the same of a wrong key and of a wrong secret', () => {
  const accounts = new Accounts(parse(anAccount()))
  const signature = Buffer.alloc(20)
  const of = (accessKey: string) =>
    refusalOf(() => accounts.verify({ accessKey, signedText: at, signature }))
  assert.is(of('shop'), of('nobody'))
  assert.is(of('shop'), of(''))
  assert.ok(of('shop').startsWith('ACCESS_KEY_REFUSED'))
})

Access('accept one signature only: every change of a byte is refused', () =>
  holds(
    fc.property(
      fc.string({ minLength: 1 }),
      fc.nat({ max: 19 }),
      fc.integer({ min: 1, max: 255 }),
      (signedText, place, change) => {
        const accounts = new Accounts(parse(anAccount()))
        const signature = sign(signedText).digest()
        assert.is(accounts.verify({ accessKey: 'shop', signedText, signature }).accessKey, 'shop')
        signature[place] = (signature[place] ?? 0) ^ change
        assert.is.not(
          refusalOf(() => accounts.verify({ accessKey: 'shop', signedText, signature })),
          '',
        )
      },
    ),
  ),
)

Access('ask for a signature of each text, whichever came before', () => {
  const accounts = new Accounts(parse(anAccount()))
  const of = (signedText: string, madeFor = signedText) =>
    refusalOf(() =>
      accounts.verify({ accessKey: 'shop', signedText, signature: sign(madeFor).digest() }),
    )
  assert.equal([of('first'), of('second'), of('first')], ['', '', ''])
  assert.is.not(of('second', 'first'), '')
})

const aName = fc.string({ unit: fc.constantFrom('a', 'b', '-'), minLength: 1, maxLength: 4 })
const aPattern = fc.oneof(
  aName,
  aName.map((name) => `${name}*`),
  fc.constant('*'),
)
const rights = ['publish', 'subscribe'] as const
const someRights = fc.subarray([...rights])

Access('give the rights of all patterns that match, and no others', () =>
  holds(
    fc.property(
      fc.dictionary(aPattern, someRights),
      fc.dictionary(aPattern, fc.subarray(['subscribe' as const])),
      aName,
      (topics, groups, name) => {
        const accounts = new Accounts(parse(anAccount({ topics, groups })))
        const signature = sign(at).digest()
        const shop = accounts.verify({ accessKey: 'shop', signedText: at, signature })
        const granted = (table: Record<string, string[]>, wanted: string) =>
          Object.entries(table).some(([pattern, given]) => {
            const prefix = pattern.replace('*', '')
            const isMatch = pattern.includes('*') ? name.startsWith(prefix) : name === prefix
            return isMatch && given.includes(wanted)
          })
        for (const right of rights)
          assert.is(shop.mayOnTopic(right, name), granted(topics, right), `${right} ${name}`)
        assert.is(shop.mayAsGroup(name), granted(groups, 'subscribe'))
      },
    ),
    { runs: 300 },
  ),
)

Access('are replaced whole', () => {
  const accounts = new Accounts(parse(anAccount(), anAccount({ accessKey: 'second' })))
  const signature = sign(at, 'another secret 1').digest()
  accounts.replace(parse(anAccount({ secretKey: 'another secret 1' })))
  assert.is(accounts.size, 1)
  assert.is(accounts.verify({ accessKey: 'shop', signedText: at, signature }).accessKey, 'shop')
  assert.ok(
    refusalOf(() =>
      accounts.verify({ accessKey: 'shop', signedText: at, signature: sign(at).digest() }),
    ),
  )
})

for (const [what, text, says] of [
  ['no JSON', `{"accounts": [{"secretKey": "${SECRET}"`, 'it is not JSON'],
  ['another form', '[]', 'the file: '],
  ['no account', '{"accounts":[]}', 'accounts: '],
  [
    'a short secret',
    JSON.stringify({ accounts: [anAccount({ secretKey: 'hunter2' })] }),
    'accounts.0.secretKey: give at least 16',
  ],
  [
    'a key with blanks',
    JSON.stringify({ accounts: [anAccount({ accessKey: 'a b' })] }),
    'accounts.0.accessKey: give no blanks',
  ],
  ['an unknown field', JSON.stringify({ accounts: [anAccount({ topic: {} })] }), 'accounts.0: '],
  [
    'an unknown right',
    JSON.stringify({ accounts: [anAccount({ topics: { a: ['read'] } })] }),
    'accounts.0.topics.a.0: ',
  ],
  [
    'a pattern in the middle',
    JSON.stringify({ accounts: [anAccount({ topics: { 'a*b': [] } })] }),
    'accounts.0.topics.a*b: ',
  ],
  [
    'a key twice',
    JSON.stringify({ accounts: [anAccount(), anAccount()] }),
    "access key 'shop' is there twice",
  ],
] as const)
  Access(`refuse a file with ${what}, without quoting it`, () => {
    const refusal = refusalOf(() => parseAccounts('a.json', text))
    assert.ok(
      refusal.startsWith(`ACCOUNTS_ILLEGAL: the accounts of a.json are illegal: ${says}`),
      refusal,
    )
    for (const secret of [SECRET, 'hunter2']) assert.not.ok(refusal.includes(secret))
  })

Access('do not show their secrets when they are logged', () => {
  const accounts = new Accounts(parse(anAccount()))
  const signature = sign(at).digest()
  const shop = accounts.verify({ accessKey: 'shop', signedText: at, signature })
  for (const text of [JSON.stringify([accounts, shop]), inspect([accounts, shop], { depth: 9 })])
    assert.not.ok(text.includes(SECRET))
})

Access.run()
