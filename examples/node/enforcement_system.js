// An enforcement system: takes a listing down, publishes that, and puts it back when a reversal says so.
//
// KAFKA=localhost:9092 node enforcement_system.js USER LISTING
import { compatibilityPartitioner, Consumer, Producer } from '@platformatic/kafka'
import { randomUUID } from 'node:crypto'
import { decode, encode, kafka, prefix } from './contract.js'

const system = 'catalogue-node'
const [user, listing] = process.argv.slice(2)
const enforcement = `${system}-${user}-${listing}`
// The engine's users are spread by Kafka's own partitioner; this client's default is another one.
const producer = new Producer({ ...kafka, idempotent: true, partitioner: compatibilityPartitioner })
const consumer = new Consumer({ ...kafka, groupId: system, autocommit: false }) // reads committed records only

async function publish(topic, name, record) {
  const value = encode(name, { event_id: randomUUID(), ...record })
  await producer.send({ acks: -1, messages: [{ topic: prefix + topic, key: Buffer.from(record.user_id), value }] })
}

const restrictions = new Map([[listing, ['content_removal']]]) // a real system keeps these three in its database,
const revisions = new Map() // and changes them in one transaction
const obeyed = new Set()

function obey({ target, revision, state, idempotency_key: key }) {
  if (obeyed.has(key) || (revisions.get(target.id) ?? -1) > revision) return 'already_applied'
  restrictions.set(target.id, state.map((each) => each.action)) // the state that must hold, not a step back
  revisions.set(target.id, revision)
  obeyed.add(key)
  return 'applied'
}

await publish('enforcement.events', 'EnforcementIssued', {
  user_id: user, enforcement_id: enforcement, version: 1, issued_at: Date.now(), policy: 'spam', policy_version: '1',
  action: 'content_removal', target: { kind: 'listing', id: listing }, ground: 'DECISION_GROUND_INCOMPATIBLE_CONTENT',
  category: 'STATEMENT_CATEGORY_SCAMS_AND_FRAUD', source: 'SOURCE_VOLUNTARY', statement_of_reasons_id: enforcement,
  automation: 'AUTOMATED_DECISION_PARTIALLY',
  effects: [{ effect_id: `${enforcement}-1`, system, kind: 'content_status' }]
})
const topics = [`${prefix}resolution.events`]
const stream = await consumer.consume({ topics, mode: 'committed', fallbackMode: 'earliest' })
for await (const message of stream) {
  const { name, record } = decode(message.value)
  for (const directive of name === 'ReversalOrdered' ? record.directives : []) {
    if (directive.system !== system) continue
    const { user_id, reversal_id } = record
    const answer = { user_id, reversal_id, directive_id: directive.directive_id, system, status: obey(directive) }
    await publish('resolution.acks', 'DirectiveAcked', { ...answer, occurred_at: Date.now() })
  }
  await message.commit() // only now: after a crash the directive comes again, and its key is known
  if (name === 'ReversalConfirmed' && record.user_id === user) {
    console.log(`${listing} is restricted by ${restrictions.get(listing).join(', ') || 'nothing'}`)
    break
  }
}
await consumer.close(true)
await producer.close()
