// A reviewer tool: reads the queue of a pod, claims the most urgent case and overturns it.
//
// KAFKA=localhost:9092 node reviewer_tool.js POD REVIEWER
import { compatibilityPartitioner, Consumer, Producer } from '@platformatic/kafka'
import { randomUUID } from 'node:crypto'
import { decode, encode, kafka, prefix } from './contract.js'

const [pod, reviewer] = process.argv.slice(2)
// The engine's users are spread by Kafka's own partitioner; this client's default is another one.
const producer = new Producer({ ...kafka, idempotent: true, partitioner: compatibilityPartitioner })
const consumer = new Consumer({ ...kafka, groupId: randomUUID(), autocommit: false }) // a group of one: it reads it all
const queue = new Map()
const asked = new Set()

// A review event; it names the version that was seen, so whoever is late changes nothing.
async function write(name, { user_id, case_id, version }, content) {
  if (asked.has(`${name} ${case_id} ${version}`)) return // the engine has not answered yet
  asked.add(`${name} ${case_id} ${version}`)
  const event = { event_id: randomUUID(), user_id, case_id, actor: reviewer, expected_version: version }
  const value = encode(name, { ...event, occurred_at: Date.now(), ...content })
  await producer.send({ acks: -1, messages: [{ topic: `${prefix}review.events`, key: Buffer.from(user_id), value }] })
}

let mine
async function act() {
  const cases = [...queue.values()]
  const held = cases.find(({ state, claim }) => state === 'claimed' && claim.reviewer === reviewer)
  const free = cases.filter((each) => each.state === 'queued' && !each.excluded_reviewers.includes(reviewer))
  if (held) {
    mine = held.case_id
    const reasons = { reasons_ref: 's3://reasons/1', policy_version: '1', cited_evidence: [] }
    await write('DecisionProposed', held, { outcome: 'overturned', ...reasons })
  } else if (free.length) {
    await write('CaseClaimed', free.reduce((one, other) => (other.rank_at < one.rank_at ? other : one))) // most urgent
  }
}

const stream = await consumer.consume({ topics: [`${prefix}cases.${pod}`], mode: 'earliest' })
for await (const { key, value } of stream) {
  if (!value?.length) queue.delete(key.toString()) // a tombstone: the case has left this pod
  else queue.set(key.toString(), decode(value).record)
  if (mine && !queue.has(mine)) break
  await act()
}
console.log(`${mine} is decided`)
await consumer.close(true)
await producer.close()
