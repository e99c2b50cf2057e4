// The contract, as a program sees it: topics and schemas from the AsyncAPI document, records by avsc.
import avro from 'avsc'
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

const root = process.env.CONTRACT ?? `${import.meta.dirname}/../..` // holds docs/generated/asyncapi.yaml and schemas/
const { messages } = parse(readFileSync(`${root}/docs/generated/asyncapi.yaml`, 'utf8'), { maxAliasCount: -1 }).components
const types = {}
const versions = {} // by fingerprint
for (const [name, message] of Object.entries(messages)) {
  types[name] = avro.Type.forSchema(message.payload.schema)
  for (const { fingerprint, schema } of message['x-versions']) {
    versions[fingerprint] = { name, schema }
  }
}
export const kafka = { clientId: 'example', bootstrapBrokers: process.env.KAFKA.split(',') }
export const prefix = process.env.TOPIC_PREFIX ?? ''

// Single-object encoding: C3 01, the fingerprint of the newest version, the record.
export function encode(name, record) {
  const { fingerprint } = messages[name]['x-versions'].at(-1)
  return Buffer.concat([Buffer.from(`c301${fingerprint}`, 'hex'), types[name].toBuffer(record)])
}

// The record's name and content, whichever version its writer had.
export function decode(data) {
  const version = versions[data.toString('hex', 2, 10)]
  version.type ??= avro.Type.forSchema(JSON.parse(readFileSync(`${root}/${version.schema}`, 'utf8')))
  version.resolver ??= types[version.name].createResolver(version.type)
  return { name: version.name, record: types[version.name].fromBuffer(data.subarray(10), version.resolver) }
}
