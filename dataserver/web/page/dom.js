/* Elements from data, never from HTML: whatever a user wrote becomes a text node and nothing else. */

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'class') made.className = value;
    else if (name in made && name !== 'list' && name !== 'role') made[name] = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return made;
}

export function button(label, onclick, properties = {}) {
  return el('button', { type: 'button', onclick, ...properties }, label);
}

const PICTURE = /^data:image\/(png|gif|webp|jpeg);base64,[A-Za-z0-9+/=]+$/;

/* Whether an address is of a picture that nobody has to be asked for. */
export function isPicture(address) {
  return PICTURE.test(address);
}

export function pictureOf(name, address) {
  return el('img', { class: 'emoji', src: address, alt: `:${name}:`, title: `:${name}:`, draggable: false });
}

const OWN = /:([^\s:]{1,62}):/g;
const LINK = /https?:\/\/[^\s<>"']+/g;
const MENTION = /<@(\d{1,15})>/g;

/* What somebody wrote, with links, names and the space's own emoji (`own`: their pictures); `nameOf` gives the name of a
 * user's id. */
export function written(content, nameOf, me, own = null) {
  const parts = [];
  let at = 0;
  const emoji = own?.size ? [...content.matchAll(OWN)].filter((each) => own.has(each[1])) : [];
  const found = [...content.matchAll(LINK), ...content.matchAll(MENTION), ...emoji].sort((a, b) => a.index - b.index);
  for (const each of found) {
    if (each.index < at) continue;
    parts.push(content.slice(at, each.index));
    if (each[0][0] === ':') parts.push(pictureOf(each[1], own.get(each[1])));
    else parts.push(each[1] ? el('span', { class: each[1] === me ? 'mention me' : 'mention' }, `@${nameOf(each[1])}`) : link(each[0]));
    at = each.index + each[0].length;
  }
  parts.push(content.slice(at));
  return parts;
}

function link(address) {
  const bare = address.replace(/[.,;:!?)\]]+$/, '');
  let url;
  try {
    url = new URL(bare);
  } catch {
    return address;
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return address;
  const made = el('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow', referrerPolicy: 'no-referrer' }, bare);
  return el('span', {}, made, address.slice(bare.length));
}

export function timeOf(ms, isLong = false) {
  const at = new Date(ms);
  const shown = isLong ? at.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' }) : at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  return el('time', { dateTime: at.toISOString(), title: at.toLocaleString() }, shown);
}
