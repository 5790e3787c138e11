/** The catalogue of events, and what an event is. */
import { expect, test } from '@jest/globals'
import { eventsOfPage, renderEvents } from '../../scripts/events-table.ts'
import { EVENTS, STATES } from '../../src/events/catalogue.ts'
import { createEvent } from '../../src/events/event.ts'

test('the page of events has the catalogue (scripts/events-table.ts writes it)', () => {
  expect(eventsOfPage()).toBe(renderEvents())
})

test('each message names fields that its event has', () => {
  for (const [name, { message, fields }] of Object.entries(EVENTS))
    for (const [, field] of message.matchAll(/\{([\w-]+)\}/g)) expect([name, ...Object.keys(fields), 'subject']).toContain(field)
})

test('each state has three events of its own', () => {
  const names = Object.values(STATES).flatMap(({ bad, good, again }) => [bad, good, again])
  expect(new Set(names).size).toBe(names.length)
})

test('texts of strangers are one short line each, and name nothing of the program', () => {
  const note = {
    subject: 'a\nb\x1b[2Jc',
    fields: { address: '{key}', code: 'AUTH', reason: `${'x'.repeat(1_000)}\u2028y`, toString: 'z' },
  }
  const event = createEvent('inner-layer.refused', note, { id: '1', atMs: 0, count: 1 })
  expect(event.subject).toBe('a b [2Jc')
  expect(event.fields['reason']).toHaveLength(301)
  expect(event.message).toBe(`an inner layer from {key} was refused: ${'x'.repeat(300)}…`)
})
