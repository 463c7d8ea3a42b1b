/* A user's picture, or the first letters of the name where there is none. What is not known of whoever is shown is looked
 * up by `later/people.js`. */

import { el } from './dom.js';

const TINTS = 6;

export function avatar(model, userId, name) {
  const address = model.pictures.get(userId);
  if (!address) model.wanted.add(userId);
  const shown = address ? el('img', { src: address, alt: '', draggable: false }) : initials(name);
  return el('span', { class: `avatar tint${Number(userId) % TINTS}`, 'aria-hidden': 'true' }, shown);
}

export function initials(name) {
  const words = name.trim().split(/\s+/);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((each) => [...each][0] ?? '').join('').toUpperCase();
}
