// What stands beside a message: the phone's notification, and the webhooks that caused it.

import { el, notice } from '/message.js';
import { look } from '/panel.js';

let ids = 0;

// aside returns the column beside a message.
export function aside(m, webhooks, group) {
  const causes = (m.causes ?? []).map((id) => webhooks.get(id)).filter(Boolean);
  return folded(summary(m, causes, group), [
    lockScreen(m, group),
    m.items > 1 && el('p', { class: 'digest' }, `Digest: ${m.items} notifications in one message`),
    m.folded > 0 && el('p', { class: 'digest' }, `Tells ${m.folded} more along: they belong to the same thing`),
    ...origin(m, causes, group),
    facts(m),
  ]);
}

// quietRow returns the row of a webhook that brought no message.
export function quietRow(w) {
  const [short, why] = w.ignored ? ['nothing to tell', 'Nothing to tell: ' + w.ignored]
    : w.spooled ? ['spooled', 'The notifier was away, so the gateway keeps it and sends it later.']
      : ['answered ' + w.status, w.message || w.reason || 'No message came of it.'];
  return el('li', { class: 'row quiet' },
    el('p', { class: 'no-message' }, `${label(w)}: ${short}`),
    folded('Why', [el('div', { class: 'cause' }, chips(w), el('p', { class: 'why' }, why), details(w))]));
}

// folded returns a column. Where the screen is narrow it is hidden until its button is pressed.
function folded(name, children) {
  const id = 'aside-' + ++ids;
  const panel = el('div', { class: 'panel', id }, ...children);
  const toggle = el('button', {
    class: 'toggle', type: 'button', 'aria-expanded': 'false', 'aria-controls': id,
    onclick: () => {
      const open = toggle.getAttribute('aria-expanded') !== 'true';
      toggle.setAttribute('aria-expanded', open);
      panel.classList.toggle('open', open);
    },
  }, name);
  return el('aside', { class: 'aside', 'aria-label': 'Where it comes from' }, toggle, panel);
}

function summary(m, causes, group) {
  if (group.alone) return 'About this message';
  if (m.items > 1) return `Digest of ${m.items} · ${causes.length} webhooks`;
  if (m.folded) return `${label(causes[0] ?? {})} · ${m.folded} more told along`;
  if (causes.length) return `${label(causes[0])} · HTTP ${causes[0].status}`;
  return m.looking ? 'Looking for its webhook…' : m.causes?.length ? 'An earlier webhook' : 'Sent through the notifier’s API';
}

function lockScreen(m, group) {
  return el('div', { class: 'lock', title: 'What a phone’s lock screen shows' },
    el('img', { src: '/icon.svg', alt: '', width: 28, height: 28 }),
    el('div', {},
      el('p', { class: 'lock-app' }, el('span', { lang: 'zh-CN' }, group.name), el('span', { class: 'lock-now' }, 'notification')),
      el('p', { class: 'lock-text', lang: 'zh-CN' }, `${group.robot}: ${notice(m)}`)));
}

function origin(m, causes, group) {
  if (group.alone) return [el('p', { class: 'none' }, 'What caused it is not seen from here.')];
  if (causes.length === 1) {
    return [el('div', { class: 'cause' }, el('p', { class: 'caption' }, 'Caused by'), chips(causes[0]), details(causes[0]))];
  }
  if (causes.length) {
    return [el('ol', { class: 'causes' }, ...causes.map((w) =>
      el('li', {}, el('details', { class: 'cause' }, el('summary', {}, chips(w)), details(w)))))];
  }
  if (m.looking) return [el('p', { class: 'none' }, 'Looking for its webhook…')];
  if (m.causes?.length) return [el('p', { class: 'none' }, 'Its webhook came too long ago to be remembered.')];
  return [el('p', { class: 'none' }, 'No webhook: sent through the notifier’s API.')];
}

const label = (w) => (w.ping ? 'Test of ' : '') + (w.event || 'A webhook without event header');

function chips(w) {
  const kind = [w.kind, w.action].filter(Boolean).join(' · ').replaceAll('_', ' ');
  return el('span', { class: 'chips' },
    el('span', { class: 'chip event' }, label(w)),
    kind && el('span', { class: 'chip' }, kind),
    el('span', { class: 'chip status ' + (w.status < 300 ? 'good' : 'bad') }, String(w.status)),
    w.duplicate && el('span', { class: 'chip' }, 'repeat'));
}

function details(w) {
  const names = w.deliveries ?? [];
  return el('div', { class: 'details' },
    el('p', { class: 'line' }, `/hooks/${w.hook} · ${new Date(w.time).toLocaleTimeString('en-GB')}`, el('br'),
      `${size(w.size)}, answered in ${w.millis || 'under 1'} ms`),
    names.length > 0 && el('ul', { class: 'names' }, ...names.slice(0, 5).map((n) => el('li', {}, el('code', {}, n))),
      names.length > 5 && el('li', {}, `and ${names.length - 5} more`)),
    w.duplicate && el('p', { class: 'line' }, 'It had come before, so nothing new was sent.'),
    body(w),
    // A longer body is shown cut, so it can't be read again.
    w.size > 0 && w.size < 48000 && w.status < 400 && el('button', {
      class: 'look-this', type: 'button', 'aria-haspopup': 'dialog',
      onclick: () => look({ url: `/api/webhooks/${w.id}/body`, event: w.event, ping: w.ping }),
    }, 'See it in all languages'));
}

// body shows what came in once it is asked for.
function body(w) {
  const pre = el('pre', { tabindex: 0, 'aria-label': 'The webhook’s body' }, 'Loading…');
  let asked = false;
  return el('details', {
    class: 'body',
    ontoggle: async (e) => {
      if (!e.currentTarget.open || asked) return;
      asked = true;
      try {
        const answer = await fetch(`/api/webhooks/${w.id}/body`);
        pre.textContent = await answer.text();
      } catch {
        asked = false;
        pre.textContent = 'The demo does not answer; close and open this to try again.';
      }
    },
  }, el('summary', {}, 'Body, without its secrets'), pre);
}

function facts(m) {
  const list = el('ul', { class: 'facts' },
    el('li', {}, `${m.type} · ${m.bytes.toLocaleString('en-GB')} of 20,000 bytes`),
    m.duplicates > 0 && el('li', {}, `DingTalk was called ${m.duplicates + 1} times with the same msgUuid and showed it once`));
  for (const p of m.mentions ?? []) {
    const why = p.effective ? 'is mentioned' : 'is not mentioned' + (p.why ? ': ' + p.why : '');
    list.append(el('li', {}, el('code', {}, '@' + p.target), p.name ? ` (${p.name}) ` : ' ', why));
  }
  if (m.mentionsAll) list.append(el('li', {}, 'everybody is mentioned'));
  for (const w of m.warnings ?? []) list.append(el('li', { class: 'warn' }, w));
  return list;
}

const size = (n) => (n < 1000 ? `${n} bytes` : `${(n / 1000).toFixed(n < 10000 ? 1 : 0)} KB`);
