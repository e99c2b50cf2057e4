// What pages do by themselves: hear of changes, count clocks down, obey keys, go on holding a case while its holder works.
// No text of anybody is put into a page here: the server renders, and escapes, everything.
'use strict'

const body = document.body
const units = (body.dataset.units || 'd,h,min').split(',')

// --- changes ---------------------------------------------------------------------------------------------------------

function follow(part) {
  const source = new EventSource(part.dataset.live)
  source.addEventListener('changed', () => htmx.trigger(part, 'changed'))
  source.addEventListener('open', () => { document.getElementById('cut').hidden = true })
  source.addEventListener('error', () => { document.getElementById('cut').hidden = false })
  addEventListener('pagehide', () => source.close())
}

// A row that had the focus keeps it when the rows come anew.
let focused = null
body.addEventListener('htmx:beforeSwap', (event) => {
  const at = document.activeElement
  focused = at && event.detail.target.contains(at) ? (at.id ? '#' + CSS.escape(at.id) : at.getAttribute('href') && `a[href="${CSS.escape(at.getAttribute('href'))}"]`) : null
})
body.addEventListener('htmx:afterSwap', () => {
  tick()
  adopt()
  mayBeSent()
  if (focused) document.querySelector(focused)?.focus({ preventScroll: true })
  focused = null
})
body.addEventListener('htmx:responseError', (event) => {
  if (event.detail.xhr.status === 401 || event.detail.xhr.status === 404) location.reload()
})

// The forms name the version that was seen. If nothing has changed that people look at, they name the newest; else the
// page says so, and what is being written stays.
function adopt() {
  const state = document.querySelector('.case-head')
  const form = document.getElementById('decision')
  if (!state || !form) return
  const same = form.elements.seen.value === state.dataset.seen
  document.getElementById('moved-on').hidden = same
  if (same) document.querySelectorAll('input[name=version]').forEach((each) => { each.value = state.dataset.version })
}

// What a decision lacks, the preview says. The button stays where it is: one that came anew with each preview would be
// gone under the pointer of whoever leaves a field for it.
function mayBeSent() {
  const send = document.getElementById('send')
  if (send) send.disabled = !document.getElementById('lacks-nothing')
}

// --- clocks ----------------------------------------------------------------------------------------------------------

function span(ms) {
  let left = Math.abs(ms)
  const parts = []
  for (const [index, unit] of [86400000, 3600000, 60000].entries()) {
    const count = Math.floor(left / unit)
    left -= count * unit
    if (count || (index === 2 && !parts.length)) parts.push(`${count} ${units[index]}`)
    else if (parts.length) break
  }
  return parts.slice(0, 2).join(' ')
}

function tick() {
  const now = Date.now()
  for (const clock of document.querySelectorAll('.clock')) {
    const left = Number(clock.dataset.until) - now
    const text = (left < 0 ? body.dataset.over : body.dataset.left).replace('%', span(left))
    if (clock.textContent !== text) clock.textContent = text
    clock.classList.toggle('over', left < 0)
    clock.classList.toggle('soon', left >= 0 && left < Number(clock.dataset.soon))
  }
}

// --- holding a case --------------------------------------------------------------------------------------------------

let worked = Date.now()
for (const sign of ['keydown', 'pointerdown', 'scroll']) addEventListener(sign, () => { worked = Date.now() }, { passive: true })

function renew() {
  const state = document.querySelector('.case-head[data-held-until]')
  const part = document.querySelector('[data-case]')
  if (!state || !part || Date.now() - worked > 300000) return
  const left = Number(state.dataset.heldUntil) - Date.now()
  if (left > 900000) return
  fetch(`/cases/${part.dataset.case}/renew`, { method: 'POST', headers: { 'x-desk-token': body.dataset.token } })
}

// --- keys ------------------------------------------------------------------------------------------------------------

function keysOn() {
  try { return localStorage.getItem('keys') !== 'off' } catch { return true }
}

function step(by) {
  const rows = [...document.querySelectorAll('a.open')]
  if (!rows.length) return
  const at = rows.indexOf(document.activeElement)
  rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))].focus()
}

const keys = {
  n: () => document.getElementById('next')?.click(),
  j: () => step(1),
  k: () => step(-1),
  c: () => document.getElementById('claim')?.click(),
  b: () => document.getElementById('release')?.click(),
  d: () => document.querySelector('#decision input[name=outcome]')?.focus(),
  e: () => {
    const ask = document.getElementById('ask')
    if (!ask) return
    ask.open = true
    ask.querySelector('input[type=checkbox]').focus()
  },
  q: () => document.querySelector('.crumbs a')?.click(),
  '?': () => document.getElementById('help').showModal(),
}

addEventListener('keydown', (event) => {
  const at = event.target
  if (event.ctrlKey || event.metaKey || event.altKey || !keysOn() || document.getElementById('help').open) return
  if (at.closest('input:not([type=checkbox]):not([type=radio]), textarea, select')) return
  const act = keys[event.key.toLowerCase()]
  if (!act) return
  event.preventDefault()
  act()
})

const on = document.getElementById('keys-on')
if (on) {
  on.checked = keysOn()
  on.addEventListener('change', () => { try { localStorage.setItem('keys', on.checked ? 'on' : 'off') } catch { /* for this page only */ } })
}
document.querySelector('[data-help]')?.addEventListener('click', () => document.getElementById('help').showModal())

// A click that comes twice is one: the button rests until the answer is there.
addEventListener('submit', (event) => {
  const form = event.target
  if (form.method === 'dialog' || form.dataset.sent) { if (form.dataset.sent) event.preventDefault(); return }
  form.dataset.sent = 'yes'
  form.setAttribute('aria-busy', 'true')
  setTimeout(() => { delete form.dataset.sent; form.removeAttribute('aria-busy') }, 15000)
})
addEventListener('pageshow', () => document.querySelectorAll('form[data-sent]').forEach((form) => { delete form.dataset.sent; form.removeAttribute('aria-busy') }))

document.querySelectorAll('[data-live]').forEach(follow)
tick()
setInterval(tick, 5000)
setInterval(renew, 30000)
