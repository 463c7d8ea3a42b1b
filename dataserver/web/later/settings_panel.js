/* The part of the user's panel that is about settings: colours, whether they are the same on all devices, and what did
 * not count when two devices changed the same. */

import { button, el } from '../page/dom.js';
import { text } from '../page/texts.js';
import { summaryOf } from './conflict_words.js';
import { ask } from './dialogs.js';
import { SettingsRefused } from './settings_document.js';
import { asBytes, asText, isSupported, newSeed } from './settings_seal.js';
import { allow, apply, change, forbid, forgetLost, nameOfField, stateOf } from './settings_sync.js';

const THEMES = ['system', 'light', 'dark'];

export function fillSettings(app, part) {
  const present = document.documentElement.dataset.theme;
  const theme = el('select', { onchange: () => {
    app.wear(theme.value);
    app.store.keep('theme', theme.value);
    app.setting({ 'preferences.theme': theme.value });
  } }, ...THEMES.map((each) => el('option', { value: each, selected: each === present }, text(`theme.${each}`))));
  const sync = el('div', { class: 'sync' });
  part.append(el('h3', {}, text('settings.title')), el('label', {}, text('settings.theme'), theme), sync);
  showSync(app, sync);
}

async function showSync(app, part, newKey = null) {
  const { keys, lost } = await stateOf(app);
  const again = (key) => showSync(app, part, key);
  const parts = [el('h3', {}, text('settings.sync')), el('p', {}, text('settings.about'))];
  if (!isSupported()) parts.push(el('p', { class: 'problem' }, text('settings.unsupported')));
  else if (keys) {
    parts.push(el('p', { class: 'done' }, text('settings.on')));
    if (newKey) parts.push(el('p', {}, text('settings.keep')), el('p', { class: 'told' }, newKey));
    parts.push(button(text('settings.off'), async () => { await forbid(app); again(); }));
  } else {
    const problem = el('p', { class: 'problem', role: 'alert' });
    parts.push(el('div', { class: 'rows' }, button(text('settings.make'), () => make(app, again)), button(text('settings.have'), () => have(app, again, problem))), problem);
  }
  if (lost.length) parts.push(el('h3', {}, text('settings.lost')), el('ul', { class: 'lost' }, ...lost.map((each) => lostOf(app, each, again))));
  part.replaceChildren(...parts);
}

async function make(app, again) {
  const seed = newSeed();
  await allow(app, seed);
  await again(asText(seed));
}

async function have(app, again, problem) {
  const said = await ask(text('settings.have'), { key: { label: text('settings.key'), required: true, most: 100, type: 'password' } });
  if (!said) return;
  try {
    await allow(app, asBytes(said.key.trim()));
    await again();
  } catch (error) {
    if (!(error instanceof SettingsRefused)) throw error;
    problem.textContent = text('settings.wrong_key');
  }
}

function lostOf(app, one, again) {
  const restore = async () => {
    await change(app, { [one.name]: one.lost });
    apply(app, (await stateOf(app)).document);
    await forgetLost(app, one);
    again();
  };
  const forget = async () => {
    await forgetLost(app, one);
    again();
  };
  return el('li', {}, el('strong', {}, nameOfField(one.name)), ` ${text(one.was_mine ? 'settings.mine' : 'settings.theirs')}: `, el('span', { dir: 'auto' }, summaryOf(one.lost)),
    el('div', { class: 'rows' }, button(text('settings.restore'), restore), button(text('settings.forget'), forget)));
}
