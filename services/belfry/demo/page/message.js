// One message of the group, in each of DingTalk's five shapes.

import { anchor, picture, rawHTML, render, withMentions } from '/markdown.js';

// el makes an element: el('p', {class: 'x'}, 'text', node). A property that is null or false is left out.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

// bubble returns what the group sees of a message, which is in the language of locale.
export function bubble(m, locale = 'zh-CN') {
  const node = el('div', { class: 'bubble ' + m.type, lang: locale });
  switch (m.type) {
    case 'text':
      node.append(el('p', { class: 'plain' }, ...withMentions(m.text, m.mentions ?? [])));
      break;
    case 'markdown':
      node.append(...markdown(m));
      break;
    case 'actionCard':
      node.append(...markdown(m), buttons(m));
      break;
    case 'link':
      node.append(linkCard(m));
      break;
    case 'feedCard':
      node.append(...(m.links ?? []).map(feedEntry));
      break;
    default:
      node.append(el('p', { class: 'plain' }, `(a message of type "${m.type}", which this page does not know)`));
  }
  if (m.mentionsAll) node.append(el('p', { class: 'everyone' }, el('span', { class: 'mention' }, '@所有人')));
  return node;
}

// notice returns what the phone's lock screen says about a message, in one line.
export function notice(m) {
  const said = m.type === 'text' ? m.text : m.type === 'feedCard' ? m.links?.[0]?.title : m.title;
  return (said ?? '').replace(/\s+/g, ' ').trim();
}

function markdown(m) {
  const tag = rawHTML(m.text);
  if (!tag) return [el('div', { class: 'markdown' }, render(m.text, m.mentions ?? []))];
  const warning = el('div', { class: 'blank', lang: 'en' },
    el('strong', {}, 'Blank on phones. '),
    'This message holds raw HTML (', el('code', {}, tag.length > 40 ? tag.slice(0, 39) + '…' : tag),
    '). DingTalk’s app shows such a message as an empty one. What was sent:');
  return [warning, el('p', { class: 'plain source' }, m.text)];
}

function buttons(m) {
  const list = m.buttons ?? [];
  // Side by side takes effect with exactly two.
  const node = el('div', { class: m.horizontal && list.length === 2 ? 'buttons across' : 'buttons' });
  for (const b of list) {
    const button = anchor(b.url, b.title || '(no title)');
    button.classList.add('button');
    node.append(button);
  }
  return node;
}

function linkCard(m) {
  const card = anchor(m.url,
    el('span', { class: 'link-title' }, m.title),
    el('span', { class: 'link-text' }, m.text),
    m.picture ? picture(m.picture) : el('span', { class: 'picture none', 'aria-hidden': 'true' }));
  card.classList.add('link-card');
  return card;
}

function feedEntry(entry, i) {
  const node = anchor(entry.url, el('span', { class: 'feed-title' }, entry.title), picture(entry.picture ?? ''));
  node.classList.add('feed-entry');
  if (i === 0) node.classList.add('first');
  return node;
}
