// The page: keeps what /events tells, shows it, and stays where the reader is.

import { bubble, el, notice } from '/message.js';
import { aside, quietRow } from '/aside.js';
import { setGroup } from '/panel.js';

const $ = (id) => document.getElementById(id);
const scroll = $('scroll');
const timeline = $('timeline');

let group = { name: '', robot: '', members: 0, keepMessages: 500, keepWebhooks: 500 };
let webhooks = new Map(); // by id
let rows = new Map();     // by key, "m" + n or "w" + id: {key, time, order, node, data}
let unread = 0;

// ---- What comes in ----

function apply(update) {
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
  const first = update.reset;
  if (first) reset(update.group);
  if (update.status) showStatus(update.status);

  const touched = new Set();
  for (const w of update.webhooks ?? []) {
    webhooks.set(w.id, w);
    touched.add(w.id);
    // One that brings no message of its own still stands in the timeline, where it happened.
    if (!w.deliveries?.length) put('w' + w.id, w.time, w.id, w, () => quietRow(w), !first);
  }
  const fresh = [];
  for (const m of update.messages ?? []) {
    if (!rows.has('m' + m.n)) fresh.push(m);
    put('m' + m.n, m.time, m.n, m, () => messageRow(m), !first);
  }
  // A message that was shown before its webhook was known is shown again with it.
  for (const row of rows.values()) {
    if (row.key[0] === 'm' && row.data.causes?.some((id) => touched.has(id))) redrawAside(row);
  }
  forget();
  showCounts();
  $('empty').hidden = rows.size > 0;

  if (first || atEnd) {
    scroll.scrollTop = scroll.scrollHeight;
  } else if (fresh.length) {
    unread += fresh.length;
  }
  showJump();
  if (!first && fresh.length) {
    $('announce').textContent = fresh.length === 1 ? 'New message: ' + notice(fresh[0]) : `${fresh.length} new messages`;
  }
}

function reset(g) {
  group = g;
  setGroup(g);
  webhooks = new Map();
  rows = new Map();
  unread = 0;
  timeline.replaceChildren();
  $('look-open').hidden = !g.looks;
  document.title = `${g.name} · Belfry demo`;
  $('group').textContent = g.name;
  $('initial').textContent = [...g.name][0] ?? '';
  $('members').textContent = g.members ? `(${g.members})` : '';
  $('members').title = g.members ? `${g.members} members` : '';
}

// put shows a row at its place in time, or replaces the one with its key.
function put(key, time, order, data, draw, arrives) {
  const old = rows.get(key);
  if (old) {
    old.data = data;
    if (key[0] === 'm') redrawAside(old);
    return;
  }
  const row = { key, time: Date.parse(time), order, data, node: draw() };
  rows.set(key, row);
  let next = null;
  for (let at = timeline.lastElementChild; at && after(at.row, row); at = at.previousElementSibling) next = at;
  row.node.row = row;
  if (arrives) row.node.classList.add('arrives');
  timeline.insertBefore(row.node, next);
}

const after = (a, b) => a.time > b.time || (a.time === b.time && a.key[0] === b.key[0] && a.order > b.order);

function messageRow(m) {
  return el('li', { class: 'row' },
    el('article', { class: 'message' },
      el('img', { class: 'avatar', src: '/icon.svg', alt: '', width: 36, height: 36 }),
      el('div', { class: 'said' },
        el('p', { class: 'who' },
          el('span', { class: 'name', lang: 'zh-CN' }, group.robot), ' ',
          el('span', { class: 'bot' }, 'robot'), ' ',
          el('time', { datetime: m.time, title: new Date(m.time).toLocaleString() }, clock(m.time))),
        bubble(m))),
    aside(m, webhooks, group));
}

function redrawAside(row) {
  const old = row.node.querySelector('.aside');
  const fresh = aside(row.data, webhooks, group);
  const shown = old.querySelector('.toggle')?.getAttribute('aria-expanded');
  if (shown === 'true') fresh.querySelector('.toggle')?.click();
  // What the reader has open, or is using, stays as it is until it is closed.
  if (old.querySelector('details[open]') || old.contains(document.activeElement)) return;
  old.replaceWith(fresh);
}

// forget lets go of the oldest, so that a page that is left open for days stays as small as it was.
function forget() {
  for (const id of webhooks.keys()) {
    if (webhooks.size <= group.keepWebhooks) break;
    webhooks.delete(id);
    drop('w' + id);
  }
  const messages = [...rows.keys()].filter((key) => key[0] === 'm');
  for (const key of messages.slice(0, Math.max(0, messages.length - group.keepMessages))) drop(key);
}

function drop(key) {
  rows.get(key)?.node.remove();
  rows.delete(key);
}

// ---- What the header says ----

function showStatus(s) {
  if ($('curl').textContent !== s.curl) $('curl').textContent = s.curl;
  document.querySelector('.bottom').hidden = !s.curl;
  const box = $('budget');
  box.hidden = false;
  box.setAttribute('aria-valuemax', s.budget);
  box.setAttribute('aria-valuenow', s.left);
  box.setAttribute('aria-valuetext', `${s.left} of ${s.budget} calls left`);
  box.dataset.low = s.left <= s.budget / 4;
  $('cells').replaceChildren(...Array.from({ length: Math.min(s.budget, 60) }, (_, i) => el('i', { class: i < s.left ? 'full' : null })));
  const text = $('budget-text');
  text.textContent = `${s.left} of ${s.budget} calls left in this minute`;
  if (s.tooFast) text.append(' · ', el('strong', { class: 'bad' }, `“too fast” ${s.tooFast} times`));
}

function showCounts() {
  const messages = [...rows.values()].filter((r) => r.key[0] === 'm');
  const told = new Set(messages.flatMap((r) => r.data.causes ?? []));
  let waiting = 0;
  for (const w of webhooks.values()) if (w.deliveries?.length && !told.has(w.id)) waiting++;
  const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
  $('counts').textContent = [!group.alone && plural(webhooks.size, 'webhook') + ' in', plural(messages.length, 'message') + ' here',
    waiting && `${waiting} on the way`].filter(Boolean).join(' · ');
}

function setLive(state, text) {
  $('live').dataset.state = state;
  $('live').textContent = text;
}

const clock = (time) => new Date(time).toLocaleTimeString('en-GB');

// ---- The connection ----

function connect() {
  const events = new EventSource('/events');
  const take = (e) => {
    setLive('live', 'live');
    apply(JSON.parse(e.data));
  };
  events.addEventListener('snapshot', take);
  events.addEventListener('update', take);
  events.addEventListener('bye', () => setLive('gone', 'demo stopped'));
  events.addEventListener('error', () => {
    if ($('live').dataset.state !== 'gone') setLive('lost', 'reconnecting…');
    // The browser tries again by itself unless it was refused.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  });
}

// ---- Where the reader is ----

function showJump() {
  $('jump').hidden = unread === 0;
  $('jump').textContent = unread === 1 ? '1 new message ↓' : `${unread} new messages ↓`;
}

scroll.addEventListener('scroll', () => {
  if (unread && scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60) {
    unread = 0;
    showJump();
  }
}, { passive: true });

$('jump').addEventListener('click', () => {
  scroll.scrollTop = scroll.scrollHeight;
  scroll.focus({ preventScroll: true });
});

$('copy').addEventListener('click', async () => {
  const button = $('copy');
  try {
    await navigator.clipboard.writeText($('curl').textContent);
    button.textContent = 'Copied';
  } catch {
    // Over plain http from another machine there is no clipboard: select it for the reader's own keys.
    getSelection().selectAllChildren($('curl'));
    button.textContent = 'Selected';
  }
  $('announce').textContent = button.textContent;
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
});

connect();
