// The part of Markdown that DingTalk documents for robots (document robot-message-type): headings, quotes,
// bold, italic, links, images and flat lists, with backslash escapes and character references. Everything
// else is shown as the characters that it is. Nodes are made one by one; no text is ever read as HTML.

const MAX_DEPTH = 32;  // of emphasis in emphasis
const MAX_QUOTES = 3;  // of quotes in quotes
const MAX_PARENS = 32; // of parentheses in a link's address

const PUNCTUATION = /[\p{P}\p{S}]/u;
const WIDE = /[\u3000-\u9fff\uff00-\uff60]/;
const ESCAPABLE = /[!-/:-@[-`{-~]/;
const NAMED = { nbsp: '\u00a0', lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

// render returns the nodes that a message's text becomes. mentions are {target, name, effective, masked} of those
// named: where one takes effect its "@target" is marked, with the name in place of the target where one is known.
export function render(source, mentions = []) {
  const fragment = document.createDocumentFragment();
  const lines = source.replace(/\r\n?/g, '\n').replaceAll('\0', '\ufffd').split('\n');
  for (const block of blocks(lines, 0)) fragment.append(blockNode(block, mentions));
  return fragment;
}

// rawHTML returns the first thing in the text that reads as HTML, or null. DingTalk on phones has shown
// messages that hold such a thing blank.
export function rawHTML(source) {
  for (const m of source.matchAll(/\\[^]|<(?:\/?[a-z][^<>]*|![^<>]*|\?[^<>]*)>/gi)) {
    if (m[0][0] === '<') return m[0];
  }
  return null;
}

// openable returns the address that a tap would open, or null where the page must not offer it. DingTalk's
// own page/link address is replaced by the one that it opens.
export function openable(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (url.protocol === 'dingtalk:') {
    const inner = url.searchParams.get('url');
    return inner && /^https?:/i.test(inner) ? openable(inner) : url.href;
  }
  return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
}

// anchor returns a link to address around children; a plain span where that can't be opened.
export function anchor(address, ...children) {
  const href = openable(address);
  const node = document.createElement(href ? 'a' : 'span');
  if (href) {
    node.href = href;
    node.target = '_blank';
    node.rel = 'noopener noreferrer';
    node.title = address;
  } else {
    node.className = 'dead-link';
    node.title = 'Not a web address: ' + address;
  }
  node.append(...children);
  return node;
}

// picture returns what stands for an image: the page fetches nothing from elsewhere.
export function picture(address, alt = '') {
  const node = document.createElement('span');
  node.className = 'picture';
  node.setAttribute('role', 'img');
  node.setAttribute('aria-label', 'Image: ' + (alt || address));
  node.title = address;
  node.append(alt || shortAddress(address));
  return node;
}

function shortAddress(address) {
  try {
    const url = new URL(address);
    return url.host + url.pathname;
  } catch {
    return address;
  }
}

// withMentions returns text as nodes, in which the effective mentions are marked, and the numbers of
// people outside the group are masked, as DingTalk shows them.
export function withMentions(text, mentions) {
  const nodes = [];
  const found = mentions.filter((m) => m.target).sort((a, b) => b.target.length - a.target.length);
  let plain = 0;
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const m = found.find((m) => text.startsWith(m.target, at + 1) && !/^[\w-]/.test(text.slice(at + 1 + m.target.length)));
    if (!m?.effective && !m?.masked) continue;
    if (at > plain) nodes.push(text.slice(plain, at));
    plain = at + 1 + m.target.length;
    const node = document.createElement('span');
    node.className = m.masked ? 'masked' : 'mention';
    node.append('@' + (m.masked ? m.target.slice(0, 3) + '****' + m.target.slice(-4) : m.name || m.target));
    nodes.push(node);
    at = plain - 1;
  }
  if (plain < text.length) nodes.push(text.slice(plain));
  return nodes;
}

// ---- Blocks ----

// Blanks at the ends of lines mean nothing; others, such as a no-break space, are there to be seen.
function trimEnd(s) {
  let end = s.length;
  while (end > 0 && (s[end - 1] === ' ' || s[end - 1] === '\t')) end--;
  return s.slice(0, end);
}

const trimStart = (s) => s.replace(/^[ \t]+/, '');
const blank = (s) => /^[ \t]*$/.test(s);

function heading(line) {
  const m = /^ {0,3}(#{1,6})[ \t]/.exec(line);
  if (!m) return null;
  let text = trimEnd(trimStart(line.slice(m[0].length)));
  let end = text.length;
  while (end > 0 && text[end - 1] === '#') end--;
  if (end < text.length && (end === 0 || /[ \t]/.test(text[end - 1]))) text = trimEnd(text.slice(0, end));
  return text && { type: 'heading', level: m[1].length, text };
}

function item(line) {
  const m = /^ {0,3}(?:-|(\d{1,9})\.)[ \t]+(?=[^ \t])/.exec(line);
  if (!m) return null;
  return { ordered: m[1] !== undefined, start: Number(m[1] ?? 1), text: line.slice(m[0].length) };
}

const quoted = (line) => /^ {0,3}> ?/.exec(line);

function blocks(lines, depth) {
  const out = [];
  let open = null; // the lines of the paragraph or item that a plain line would continue
  let list = null;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    if (blank(line)) {
      open = null;
      continue;
    }
    const head = heading(line);
    if (head) {
      out.push(head);
      open = list = null;
      continue;
    }
    if (depth < MAX_QUOTES && quoted(line)) {
      const inner = [];
      for (; i < lines.length; i++) {
        const mark = quoted(lines[i]);
        if (mark) inner.push(lines[i].slice(mark[0].length));
        else if (continues(lines[i], inner.at(-1))) inner.push(lines[i]);
        else break;
      }
      i--;
      out.push({ type: 'quote', blocks: blocks(inner, depth + 1) });
      open = list = null;
      continue;
    }
    const it = item(line);
    // As in CommonMark, only a list that starts with 1 may begin inside a paragraph.
    if (it && (list || !open || !it.ordered || it.start === 1)) {
      if (!list || list.ordered !== it.ordered) {
        list = { type: 'list', ordered: it.ordered, start: it.start, items: [] };
        out.push(list);
      }
      open = [it.text];
      list.items.push(open);
      continue;
    }
    if (open) {
      open.push(trimStart(line));
      continue;
    }
    list = null;
    open = [trimStart(line)];
    out.push({ type: 'paragraph', lines: open });
  }
  return out;
}

// continues says that a line without ">" goes on with the text that the quote's last line began.
function continues(line, last) {
  return !blank(line) && !blank(last) && !heading(last) && !heading(line) && !item(line);
}

function blockNode(block, mentions) {
  const make = (tag, text) => {
    const node = document.createElement(tag);
    node.append(...inlineNodes(text, mentions));
    return node;
  };
  switch (block.type) {
    case 'heading':
      return make('h' + block.level, block.text);
    case 'paragraph':
      return make('p', trimEnd(block.lines.join('\n')));
    case 'quote': {
      const node = document.createElement('blockquote');
      node.append(...block.blocks.map((b) => blockNode(b, mentions)));
      return node;
    }
    default: {
      const node = document.createElement(block.ordered ? 'ol' : 'ul');
      if (block.ordered && block.start !== 1) node.start = block.start;
      node.append(...block.items.map((lines) => make('li', trimEnd(lines.join('\n')))));
      return node;
    }
  }
}

// ---- Text within a block ----

// A piece is {text}, {stars, opens, closes} or {node: 'strong' | 'em' | 'a' | 'img' | 'br', children, url}.
function inlineNodes(source, mentions) {
  return toNodes(pieces(source), mentions);
}

function pieces(s) {
  const out = [];
  const brackets = [];
  let text = '';
  const flush = () => {
    if (text) out.push({ text });
    text = '';
  };
  for (let i = 0; i < s.length; ) {
    const c = s[i];
    if (c === '\\' && i + 1 < s.length && ESCAPABLE.test(s[i + 1])) {
      text += s[i + 1];
      i += 2;
    } else if (c === '\n') {
      // Two blanks before it make a line break; alone it is swallowed.
      const hard = text.endsWith('  ');
      text = trimEnd(text);
      if (hard) {
        flush();
        out.push({ node: 'br', children: [] });
      } else if (!(WIDE.test(text.at(-1)) && WIDE.test(s[i + 1]))) {
        text += ' '; // between words it leaves a blank, between Chinese characters nothing
      }
      i++;
    } else if (c === '&') {
      const ref = reference(s, i);
      text += ref ? ref.text : c;
      i += ref ? ref.length : 1;
    } else if (c === '*') {
      flush();
      const piece = stars(s, i);
      out.push(piece);
      i += piece.stars;
    } else if (c === '[' || (c === '!' && s[i + 1] === '[')) {
      flush();
      brackets.push({ at: out.length, image: c === '!', active: true });
      out.push({ text: c === '!' ? '![' : '[' });
      i += c === '!' ? 2 : 1;
    } else if (c === ']' && brackets.length) {
      const opener = brackets.pop();
      const target = opener.active && s[i + 1] === '(' ? destination(s, i + 2) : null;
      if (!target) {
        text += c;
        i++;
        continue;
      }
      flush();
      const children = emphasis(out.splice(opener.at).slice(1));
      out.push({ node: opener.image ? 'img' : 'a', url: target.url, children, depth: depthOf(children) });
      // A link holds no other link, so what was opened before it is no link any more.
      if (!opener.image) for (const b of brackets) if (!b.image) b.active = false;
      i = target.end;
    } else {
      text += c;
      i++;
    }
  }
  flush();
  return emphasis(out);
}

function reference(s, i) {
  const m = /^&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-z]{2,4}));/.exec(s.slice(i, i + 12));
  if (!m) return null;
  if (m[3]) return Object.hasOwn(NAMED, m[3]) ? { text: NAMED[m[3]], length: m[0].length } : null;
  const code = m[1] ? parseInt(m[1], 10) : parseInt(m[2], 16);
  const valid = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return { text: valid ? String.fromCodePoint(code) : '\ufffd', length: m[0].length };
}

// destination reads a link's address up to its closing parenthesis.
function destination(s, i) {
  let url = '';
  for (let depth = 0; i < s.length; i++) {
    const c = s[i];
    if (c <= ' ' || c === '\x7f' || (c === '<' && !url)) return null;
    if (c === '\\' && i + 1 < s.length && ESCAPABLE.test(s[i + 1])) {
      url += s[++i];
      continue;
    }
    if (c === '&') {
      const ref = reference(s, i);
      url += ref ? ref.text : c;
      i += ref ? ref.length - 1 : 0;
      continue;
    }
    if (c === '(' && ++depth > MAX_PARENS) return null;
    if (c === ')' && depth-- === 0) return { url, end: i + 1 };
    url += c;
  }
  return null;
}

// stars reads a run of "*" and tells, by CommonMark's rules, whether it can open and close emphasis.
function stars(s, i) {
  let end = i;
  while (s[end] === '*') end++;
  const before = charBefore(s, i);
  const after = end < s.length ? String.fromCodePoint(s.codePointAt(end)) : ' ';
  const spaceBefore = /\s/.test(before), spaceAfter = /\s/.test(after);
  const punctBefore = PUNCTUATION.test(before), punctAfter = PUNCTUATION.test(after);
  return {
    stars: end - i,
    length: end - i,
    opens: !spaceAfter && (!punctAfter || spaceBefore || punctBefore),
    closes: !spaceBefore && (!punctBefore || spaceAfter || punctAfter),
  };
}

function charBefore(s, i) {
  if (i === 0) return ' ';
  const low = s.charCodeAt(i - 1) & 0xfc00;
  return low === 0xdc00 && i > 1 ? s.slice(i - 2, i) : s[i - 1];
}

const depthOf = (list) => list.reduce((d, p) => Math.max(d, p.depth ?? 0), 0);

// emphasis turns runs of stars into strong and em, and what is left of them into text.
function emphasis(list) {
  const out = [];
  let openers = []; // places in out
  const bottom = {};  // for each kind of closer, below which no opener fits
  for (const piece of list) {
    if (!piece.stars) {
      out.push(piece);
      continue;
    }
    const run = { ...piece };
    while (run.closes && run.stars) {
      const kind = `${run.opens} ${run.length % 3}`;
      let k = openers.length - 1;
      while (k >= (bottom[kind] ?? 0) && !pairs(out[openers[k]], run)) k--;
      if (k < (bottom[kind] ?? 0)) {
        bottom[kind] = openers.length;
        break;
      }
      const at = openers[k];
      const opener = out[at];
      const children = out.splice(at + 1).map(settled);
      const depth = depthOf(children) + 1;
      const n = opener.stars >= 2 && run.stars >= 2 ? 2 : 1;
      openers.length = k + 1;
      for (const key in bottom) bottom[key] = Math.min(bottom[key], k);
      if (depth > MAX_DEPTH) {
        out.push(...children);
        openers.length = k;
        break;
      }
      opener.stars -= n;
      run.stars -= n;
      out.push({ node: n === 2 ? 'strong' : 'em', children, depth });
      if (!opener.stars) {
        out.splice(at, 1);
        openers.length = k;
      }
    }
    if (run.stars) {
      if (run.opens) openers.push(out.length);
      out.push(run);
    }
  }
  return out.map(settled);
}

const pairs = (opener, closer) =>
  !((opener.closes || closer.opens) && (opener.length + closer.length) % 3 === 0 &&
    (opener.length % 3 !== 0 || closer.length % 3 !== 0));

const settled = (piece) => (piece.stars ? { text: '*'.repeat(piece.stars) } : piece);

function toNodes(list, mentions) {
  const nodes = [];
  let text = '';
  const flush = () => {
    nodes.push(...withMentions(text, mentions));
    text = '';
  };
  for (const piece of list) {
    if (piece.text !== undefined) {
      text += piece.text;
      continue;
    }
    flush();
    if (piece.node === 'img') {
      nodes.push(picture(piece.url, plainText(piece.children)));
    } else if (piece.node === 'a') {
      nodes.push(anchor(piece.url, ...toNodes(piece.children, mentions)));
    } else {
      const node = document.createElement(piece.node);
      node.append(...toNodes(piece.children, mentions));
      nodes.push(node);
    }
  }
  flush();
  return nodes;
}

const plainText = (list) => list.map((p) => p.text ?? plainText(p.children)).join('');
