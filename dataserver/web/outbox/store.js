/* The page's database: actions that wait, and what was last seen, so that the page opens without a connection.
 * What is written here is on disk before it counts (`durability: strict`). */

const NAME = 'chat';
const VERSION = 1;

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export class Store {
  static async open() {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('actions', { keyPath: 'client_id' });
      request.result.createObjectStore('seen');
    };
    const store = new Store();
    store.database = await done(request);
    store.database.onversionchange = () => store.database.close();
    return store;
  }

  actions() {
    return done(this.database.transaction('actions').objectStore('actions').getAll());
  }

  /* Let `change` see all actions and say what to put and to delete; all of that is stored, or nothing. */
  update(change) {
    return this.written((actions) => actions.getAll(), change);
  }

  /* Change one action, by what is stored of it now; nothing if `change` returns null. */
  async updateOne(clientId, change) {
    let after = null;
    await this.written((actions) => actions.get(clientId), (found) => {
      after = found ? change(found) : null;
      return after?.is_gone ? { put: [], gone: [after] } : { put: after ? [after] : [], gone: [] };
    });
    return after;
  }

  /* Store an action that changes no other one; it is kept even if the page is closed this moment. */
  add(action) {
    return this.written(null, () => ({ put: [action], gone: [] }));
  }

  written(read, change) {
    return new Promise((resolve, reject) => {
      const made = this.database.transaction('actions', 'readwrite', { durability: 'strict' });
      const actions = made.objectStore('actions');
      let said = null;
      const write = (found) => {
        said = change(found);
        for (const each of said.put) actions.put(each);
        for (const each of said.gone) actions.delete(each.client_id);
        made.commit();
      };
      if (read) read(actions).onsuccess = (event) => write(event.target.result);
      else write();
      made.oncomplete = () => resolve(said);
      made.onabort = made.onerror = () => reject(made.error);
    });
  }

  seen(key) {
    return done(this.database.transaction('seen').objectStore('seen').get(key));
  }

  /* What was seen is kept as well as it goes: it can be read from the server again. */
  async keep(key, value) {
    try {
      await done(this.database.transaction('seen', 'readwrite').objectStore('seen').put(value, key));
    } catch (error) {
      console.info('not kept for later', key, error.name);
    }
  }

  /* Change what is kept by what is kept of it now, whichever tab does so. */
  revise(key, change) {
    return new Promise((resolve, reject) => {
      const made = this.database.transaction('seen', 'readwrite', { durability: 'strict' });
      const seen = made.objectStore('seen');
      let after;
      seen.get(key).onsuccess = (event) => {
        after = change(event.target.result);
        seen.put(after, key);
      };
      made.oncomplete = () => resolve(after);
      made.onabort = made.onerror = () => reject(made.error);
    });
  }

  /* Forget what was seen, but for what is kept under names that begin like this. */
  async forgetSeen(start) {
    const seen = this.database.transaction('seen', 'readwrite').objectStore('seen');
    for (const key of await done(seen.getAllKeys())) if (!key.startsWith(start)) seen.delete(key);
  }

  async forget() {
    const made = this.database.transaction(['actions', 'seen'], 'readwrite');
    made.objectStore('actions').clear();
    await done(made.objectStore('seen').clear());
  }
}
