/* Starts the page, and the worker that opens it without a connection. */

import './app.js';

async function keepPage() {
  const address = '/service_worker.js';
  const policy = window.trustedTypes?.createPolicy('own-scripts', { createScriptURL: () => address });
  await navigator.serviceWorker.register(policy ? policy.createScriptURL(address) : address, { scope: '/' });
  const kept = await caches.open('chat-page');
  const own = performance.getEntriesByType('resource').map((each) => new URL(each.name)).filter((each) => each.origin === location.origin && each.pathname.startsWith('/web/'));
  await kept.addAll([...new Set(own.map((each) => each.pathname))]);
}

if ('serviceWorker' in navigator) {
  window.addEventListener('load', () => keepPage().catch((error) => console.info('the page is not kept for offline', error.name)));
}
