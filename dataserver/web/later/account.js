/* The user's own panel: profile and picture, password, devices, settings; and signing out. */

import './words.js';
import { CallFailed, call } from '../net/api.js';
import { newId } from '../outbox/rules.js';
import { avatar } from '../page/avatar.js';
import { button, el, timeOf } from '../page/dom.js';
import { reasonOf, text } from '../page/texts.js';
import { labelled, sure, valuesOf } from './dialogs.js';
import { shrunk } from './pictures.js';
import { fillSettings } from './settings_panel.js';

const TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];
const MAX_PICTURE_BYTES = 524288;
const PICTURE_PX = 256;

export function fillAccount(panel) {
  const parts = [profile, password, devices, fillSettings].map((fill) => {
    const part = el('section');
    fill(panel.app, part);
    return part;
  });
  panel.content.append(...parts);
}

function profile(app, part) {
  const { me } = app.model;
  const fields = {
    display_name: { label: text('dialog.display_name'), value: me.display_name, required: true, most: 100, autocomplete: 'name' },
    about: { label: text('dialog.about'), value: me.fields?.about ?? '', type: 'textarea', most: 4000 },
  };
  const face = el('div', { class: 'picture' });
  const problem = el('p', { class: 'problem', role: 'alert' });
  const file = el('input', { type: 'file', accept: TYPES.join(','), class: 'for-readers', tabIndex: -1, 'aria-label': text('account.picture'), onchange: () => change(file.files[0]) });
  let shown;
  const follow = () => {
    if (!face.isConnected) app.model.removeEventListener('change', follow);
    else if (shown !== app.model.pictures.get(me.id)) showFace();
  };
  const showFace = () => {
    shown = app.model.pictures.get(me.id);
    face.replaceChildren(avatar(app.model, me.id, app.model.me.display_name || me.name), file, button(text('account.choose'), () => file.click()),
      shown ? button(text('account.no_picture'), () => change(null)) : '');
  };
  const change = async (picture) => {
    problem.textContent = '';
    try {
      await changePicture(app, picture);
    } catch (error) {
      if (!(error instanceof CallFailed || error instanceof RangeError)) throw error;
      problem.textContent = error instanceof RangeError ? error.message : text('error.any', { reason: reasonOf(error) || text('status.offline') });
    }
    file.value = '';
    showFace();
  };
  const form = el('form', { onsubmit: (event) => {
    event.preventDefault();
    const said = valuesOf(form, fields);
    const before = { display_name: app.model.me.display_name, about: app.model.me.fields?.about ?? '' };
    const changed = Object.fromEntries(Object.entries(said).filter(([name, value]) => value !== before[name]));
    if (Object.keys(changed).length) app.act('update-profile', { fields: changed });
  } }, ...Object.entries(fields).map(([name, field]) => labelled(name, field)), el('button', { type: 'submit', class: 'primary' }, text('dialog.save')));
  showFace();
  app.model.addEventListener('change', follow);
  part.append(el('h3', {}, text('account.profile')), face, problem, form);
}

/* Raises RangeError with words for what is no picture, or too large. */
async function changePicture(app, picture) {
  const { me } = app.model;
  if (picture === null) {
    await call('DELETE', `/v1/me/avatar?client_id=${newId()}`);
  } else {
    if (!TYPES.includes(picture.type)) throw new RangeError(text('account.wrong_type'));
    const image = picture.size > MAX_PICTURE_BYTES ? await shrunk(picture, PICTURE_PX) : picture;
    const most = MAX_PICTURE_BYTES / 1024;
    if (!image || image.size > MAX_PICTURE_BYTES) throw new RangeError(text('account.too_large', { size: Math.ceil(picture.size / 1024), most }));
    await call('PUT', `/v1/me/avatar?client_id=${newId()}`, image);
  }
  await app.model.reload();
  await app.use('people', 'refresh');
  if (picture === null) app.model.pictures.delete(me.id);
}

function password(app, part) {
  const fields = {
    current: { label: text('account.current'), type: 'password', required: true, autocomplete: 'current-password' },
    new: { label: text('account.new'), type: 'password', required: true, autocomplete: 'new-password' },
  };
  const said = el('p', { role: 'status' });
  const form = el('form', { onsubmit: async (event) => {
    event.preventDefault();
    try {
      await call('POST', '/v1/auth/password', valuesOf(form, fields));
      form.reset();
      said.className = 'done';
      said.textContent = text('account.password_changed');
      part.dispatchEvent(new Event('devices', { bubbles: true }));
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      said.className = 'problem';
      said.textContent = error.code === 'wrong_password' ? text('account.wrong_password') : text('error.any', { reason: reasonOf(error) || text('status.offline') });
    }
  } }, ...Object.entries(fields).map(([name, field]) => labelled(name, field)), el('small', {}, text('account.others_end')), el('button', { type: 'submit', class: 'primary' }, text('account.change_password')));
  part.append(el('h3', {}, text('account.password')), form, said);
}

function devices(app, part) {
  const list = el('ul', { class: 'devices' });
  const read = async () => {
    try {
      const found = (await call('GET', '/v1/auth/devices')).devices;
      list.replaceChildren(...found.map((each) => deviceOf(app, each, read)));
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      list.replaceChildren(el('li', { class: 'problem' }, text('error.any', { reason: reasonOf(error) || text('status.offline') })));
    }
  };
  part.append(el('h3', {}, text('account.devices')), list);
  app.panel.content.addEventListener('devices', read);
  read();
}

function deviceOf(app, device, read) {
  const name = device.label || text('account.unnamed');
  const end = async () => {
    await app.now('DELETE', `/v1/auth/devices/${device.id}`);
    read();
  };
  return el('li', {}, el('span', { class: 'who', dir: 'auto' }, name, el('small', {}, device.is_this ? ` ${text('account.this')}` : [` ${text('account.seen')} `, timeOf(device.seen_at_ms, true)])),
    !device.is_this && button(text('account.end'), end, { 'aria-label': text('account.end_of', { name }) }));
}

export async function signOut(app) {
  const { outbox, model, store } = app;
  const count = outbox.waiting().length;
  if (count && !(await sure(text('side.sure_sign_out', { count }), text('side.sign_out')))) return;
  try {
    await call('POST', '/v1/auth/logout', {});
  } catch (error) {
    console.info('the server was not told', error.code);
  }
  model.live.stop();
  await store.forget();
  localStorage.clear();
  location.reload();
}
