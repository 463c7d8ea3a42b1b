/* Name and password; over everything else when the session has ended, so that nothing is lost behind it. */

import { CallFailed } from '../net/api.js';
import { button, el } from './dom.js';
import { text } from './texts.js';

export class SignIn extends HTMLElement {
  /* `isAgain`: the session has ended, and the name is known. */
  show(model, { isAgain = false, onDone }) {
    Object.assign(this, { model, onDone, isNew: false });
    this.heading = el('h1', {}, text('sign_in.title'));
    this.about = el('p', { hidden: !isAgain }, text('sign_in.expired'));
    this.problem = el('p', { class: 'problem', role: 'alert' });
    this.name = el('input', { name: 'name', autocomplete: 'username', required: true, autocapitalize: 'none', spellcheck: false, value: isAgain ? model.me.name : '' });
    this.password = el('input', { type: 'password', name: 'password', required: true, autocomplete: 'current-password' });
    this.display = el('input', { name: 'display_name', autocomplete: 'name', maxLength: 100 });
    this.displayLabel = el('label', { hidden: true }, text('sign_in.display_name'), this.display);
    this.go = el('button', { type: 'submit', class: 'primary' }, text('sign_in.go'));
    this.other = button(text('sign_in.to_register'), () => this.turn(), { class: 'link' });
    this.form = el('form', { onsubmit: (event) => { event.preventDefault(); this.submit(); } }, this.heading, this.about,
      el('label', {}, text('sign_in.name'), this.name), el('label', {}, text('sign_in.password'), this.password), this.displayLabel, this.problem, this.go, isAgain ? '' : this.other);
    this.replaceChildren(this.form);
    this.hidden = false;
    (isAgain ? this.password : this.name).focus();
  }

  turn() {
    this.isNew = !this.isNew;
    this.heading.textContent = this.go.textContent = text(this.isNew ? 'sign_in.register' : 'sign_in.go');
    this.other.textContent = text(this.isNew ? 'sign_in.to_sign_in' : 'sign_in.to_register');
    this.password.autocomplete = this.isNew ? 'new-password' : 'current-password';
    this.displayLabel.hidden = !this.isNew;
    this.problem.textContent = '';
  }

  async submit() {
    if (this.isBusy) return;
    this.isBusy = true;
    this.go.disabled = true;
    const body = { name: this.name.value.trim(), password: this.password.value, device: 'browser' };
    if (this.isNew) body.display_name = this.display.value.trim();
    try {
      await this.model.signIn(`/v1/auth/${this.isNew ? 'register' : 'login'}`, body);
      this.hidden = true;
      this.replaceChildren();
      this.onDone();
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      const offline = error.kind === 'unreachable' || error.kind === 'answer_lost';
      this.problem.textContent = offline ? text('sign_in.offline') : error.code === 'wrong_password' ? text('sign_in.wrong') : error.message;
      this.password.focus();
    } finally {
      this.isBusy = false;
      this.go.disabled = false;
    }
  }
}

customElements.define('sign-in', SignIn);
