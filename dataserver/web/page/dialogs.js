/* Questions to the user: small forms in the browser's own dialogs, which hold the focus and close by Escape. */

import { button, el } from './dom.js';
import { text } from './texts.js';

const EMOJI = ['👍', '❤️', '😂', '🎉', '😮', '😢', '🙏', '👀', '✅', '❌', '🔥', '🚀', '👎', '🤔', '💯', '😊'];

/* Show a form; resolves to its values, null if it was left. `fields`: {name: {label, value, type, required}}. */
export function ask(title, fields, go = text('dialog.save')) {
  const inputs = Object.entries(fields).map(([name, field]) => {
    const properties = { name, required: field.required, dir: 'auto', maxLength: field.most ?? 1000 };
    const input = field.type === 'textarea' ? el('textarea', { rows: 3, ...properties }) : el('input', { type: field.type ?? 'text', ...properties });
    if (field.type === 'checkbox') input.checked = Boolean(field.value);
    else input.value = field.value ?? '';
    return el('label', { class: field.type ?? 'text' }, field.label, input);
  });
  return opened(title, inputs, go, (form) => Object.fromEntries(Object.entries(fields).map(([name, field]) => {
    const input = form.elements[name];
    return [name, field.type === 'checkbox' ? input.checked : input.value.trim()];
  })));
}

export async function sure(question, go = text('dialog.ok')) {
  return (await opened(question, [], go, () => true)) === true;
}

export function tell(title, words) {
  return opened(title, [el('p', { class: 'told' }, words)], text('dialog.ok'), () => true);
}

function opened(title, children, go, valuesOf) {
  return new Promise((resolve) => {
    let values = null;
    const form = el('form', { method: 'dialog' }, el('h2', { id: 'dialog-title' }, title), ...children,
      el('div', { class: 'buttons' }, button(text('dialog.cancel'), () => dialog.close()), el('button', { type: 'submit', class: 'primary' }, go)));
    const dialog = el('dialog', { 'aria-labelledby': 'dialog-title', onclose: () => { dialog.remove(); resolve(values); } }, form);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      values = valuesOf(form);
      dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export function chooseEmoji() {
  return new Promise((resolve) => {
    let chosen = null;
    const dialog = el('dialog', { class: 'emoji', 'aria-label': text('message.react'), onclose: () => { dialog.remove(); resolve(chosen); } },
      ...EMOJI.map((each) => button(each, () => { chosen = each; dialog.close(); }, { 'aria-label': each })));
    document.body.append(dialog);
    dialog.showModal();
  });
}
