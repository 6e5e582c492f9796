// The panel: a webhook's body goes in, and the message comes out in all languages, side by side.

import { bubble, el, notice } from '/message.js';

const $ = (id) => document.getElementById(id);
const panel = $('look');
const input = $('look-body');
const result = $('look-result');

const NAMES = { 'zh-CN': '中文', en: 'English', ru: 'Русский' };
const MAX_CHARS = 10 << 20; // the door takes 10 MiB
const PAUSE = 350;          // after the last key, in milliseconds

let samples = null;         // as /api/samples has them, once they were asked for
let group = { name: '', robot: '' };
// What the input was filled with, and the headers that belong to that.
let given = { text: '', event: '', ping: false };
let chosen = 'zh-CN';       // the language that is shown where there is room for one
let asked = 0;              // counts looks, so that an answer that was overtaken is not shown
let timer = 0;

// setGroup tells whose messages these would be.
export function setGroup(g) {
  group = g;
}

// look opens the panel with a body that came in: {url, event, ping}; without one, with what was there before.
export async function look(source) {
  if (!panel.open) panel.showModal();
  await fillSamples();
  if (source) {
    $('look-sample').value = '';
    await take(source);
  } else if (!input.value) {
    const first = samples.find((s) => s.kind === 'pull_request' && s.action === 'opened') ?? samples[0];
    if (first) await choose(first.name);
  }
}

async function fillSamples() {
  if (samples) return;
  try {
    samples = await (await fetch('/api/samples')).json();
  } catch {
    samples = null;
    return fail('The demo does not answer. Is it still running?');
  }
  const groups = new Map();
  for (const s of samples) {
    const kind = (s.kind || 'nothing to tell').replaceAll('_', ' ');
    if (!groups.has(kind)) groups.set(kind, el('optgroup', { label: kind }));
    groups.get(kind).append(el('option', { value: s.name }, s.title));
  }
  $('look-sample').append(...groups.values());
}

async function choose(name) {
  const s = (samples ?? []).find((s) => s.name === name);
  if (!s) return;
  $('look-sample').value = name;
  await take({ url: `/api/samples/${encodeURIComponent(name)}/body`, event: s.event, ping: s.ping });
}

async function take(source) {
  try {
    const answer = await fetch(source.url);
    const text = await answer.text();
    if (!answer.ok) return fail(text);
    given = { text, event: source.event ?? '', ping: !!source.ping };
    input.value = text;
    input.scrollTop = 0;
  } catch {
    return fail('The demo does not answer. Is it still running?');
  }
  await show();
}

// show asks what the group would see of the input, and shows it.
async function show() {
  clearTimeout(timer);
  const turn = ++asked;
  const text = input.value;
  if (!text.trim()) return fail('Paste the body of a webhook here, or choose a sample.');
  if (text.length > MAX_CHARS) return fail('The body is larger than 10 MiB, which is more than Belfry’s door takes.');
  const headers = { 'Content-Type': 'application/json' };
  // The headers of what was filled in are not those of what was pasted over it.
  if (text === given.text) {
    if (/^[\x20-\x7e]+$/.test(given.event)) headers['X-Gitee-Event'] = given.event;
    if (given.ping) headers['X-Gitee-Ping'] = 'true';
  }
  const shape = panel.querySelector('input[name="shape"]:checked').value;
  result.setAttribute('aria-busy', 'true');
  try {
    const answer = await fetch('/api/look?shape=' + encodeURIComponent(shape), { method: 'POST', headers, body: text });
    const view = await answer.json();
    if (turn === asked) draw(view);
  } catch {
    if (turn === asked) fail('The demo does not answer. Is it still running?');
  } finally {
    if (turn === asked) result.removeAttribute('aria-busy');
  }
}

function fail(words) {
  asked++;
  result.removeAttribute('aria-busy');
  result.replaceChildren(el('p', { class: 'look-fault', role: 'alert' }, words));
}

function draw(view) {
  if (view.ignored) {
    result.replaceChildren(el('p', { class: 'look-ignored' }, 'Nothing to tell: ' + view.ignored));
    return;
  }
  const parts = [];
  if (view.event) parts.push(eventLine(view.event));
  if (view.fault) parts.push(el('p', { class: 'look-fault', role: 'alert' }, view.fault));
  const previews = view.previews ?? [];
  if (previews.length) {
    if (!previews.some((p) => p.locale === chosen)) chosen = previews[0].locale;
    parts.push(tabs(previews), el('div', { class: 'look-columns' }, ...previews.map(column)));
  }
  result.replaceChildren(...parts);
}

function eventLine(e) {
  return el('p', { class: 'look-event chips' },
    el('span', { class: 'chip event' }, `${e.kind} · ${e.action}`.replaceAll('_', ' ')),
    e.repository && el('span', { class: 'chip' }, e.repository),
    e.sender && el('span', { class: 'chip' }, 'by ' + e.sender),
    el('span', { class: 'chip', title: 'The event’s id: equal whenever Gitee tells of it again' }, e.id));
}

// tabs are for narrow screens; on wide ones all languages stand side by side.
function tabs(previews) {
  const list = el('div', { class: 'look-tabs', role: 'tablist', 'aria-label': 'Language' });
  for (const p of previews) {
    list.append(el('button', {
      type: 'button', role: 'tab', id: 'look-tab-' + p.locale, 'aria-controls': 'look-' + p.locale,
      'aria-selected': String(p.locale === chosen), tabindex: p.locale === chosen ? 0 : -1, lang: p.locale,
      onclick: () => turnTo(p.locale),
      onkeydown: (e) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
        if (!step) return;
        const at = previews.findIndex((q) => q.locale === p.locale);
        turnTo(previews[(at + step + previews.length) % previews.length].locale, true);
      },
    }, NAMES[p.locale] ?? p.locale));
  }
  return list;
}

function turnTo(locale, focus) {
  chosen = locale;
  for (const tab of result.querySelectorAll('[role="tab"]')) {
    const on = tab.id === 'look-tab-' + locale;
    tab.setAttribute('aria-selected', String(on));
    tab.tabIndex = on ? 0 : -1;
    if (on && focus) tab.focus();
  }
  for (const c of result.querySelectorAll('.look-column')) c.classList.toggle('chosen', c.id === 'look-' + locale);
}

function column(p) {
  const m = p.message;
  return el('section', {
    class: 'look-column' + (p.locale === chosen ? ' chosen' : ''), id: 'look-' + p.locale, 'aria-label': NAMES[p.locale] ?? p.locale,
  },
  el('h3', { class: 'look-language', lang: p.locale }, NAMES[p.locale] ?? p.locale),
  p.failure && el('p', { class: 'look-fault', lang: p.locale }, p.failure),
  p.note && el('p', { class: 'look-note', lang: p.locale }, p.note),
  m && lock(m, p.locale),
  m && bubble(m, p.locale),
  el('ul', { class: 'facts' },
    el('li', {}, `${m ? m.type + ' · ' : ''}${p.bytes.toLocaleString('en-GB')} of 20,000 bytes`),
    el('li', {}, p.keyword),
    el('li', { class: 'look-called' }, called(m))),
  p.body && el('details', { class: 'body' },
    el('summary', {}, 'What DingTalk gets'),
    el('pre', { tabindex: 0, 'aria-label': 'The message as JSON' }, JSON.stringify(JSON.parse(p.body), null, 2))));
}

const lock = (m, locale) => el('div', { class: 'lock', title: 'What a phone’s lock screen shows' },
  el('img', { src: '/icon.svg', alt: '', width: 28, height: 28 }),
  el('div', {},
    el('p', { class: 'lock-app' }, el('span', { lang: 'zh-CN' }, group.name), el('span', { class: 'lock-now' }, 'notification')),
    el('p', { class: 'lock-text', lang: locale }, `${group.robot}: ${notice(m)}`)));

function called(m) {
  const names = (m?.mentions ?? []).map((at) => at.name || '@' + at.target);
  if (m?.mentionsAll) names.push('everybody');
  return names.length ? 'calls ' + names.join(', ') : 'calls nobody';
}

// ---- What the reader does ----

$('look-open').addEventListener('click', () => look());
$('look-close').addEventListener('click', () => panel.close());
// A press beside the panel's content, that is on its backdrop, closes it.
panel.addEventListener('click', (e) => {
  if (e.target === panel) panel.close();
});
$('look-sample').addEventListener('change', (e) => choose(e.target.value));
for (const radio of panel.querySelectorAll('input[name="shape"]')) radio.addEventListener('change', show);
input.addEventListener('input', () => {
  if (input.value !== given.text) $('look-sample').value = '';
  clearTimeout(timer);
  timer = setTimeout(show, PAUSE);
});
if (location.hash === '#look') look();
