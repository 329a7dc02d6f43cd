// fhirclient reads the simulator with a token that jose's signature bought. In Node the constructor of
// lib/Client is the way in; a small object stands for the browser environment that it wants.
import { createRequire } from 'node:module';
import { importPKCS8, SignJWT } from 'jose';
import { randomUUID } from 'node:crypto';
import { input, output } from './input.mjs';

const Client = createRequire(import.meta.url)('fhirclient/lib/Client.js').default;

const now = Math.floor(Date.now() / 1000);
const key = await importPKCS8(input.pem, input.alg);

// ask signs an assertion as SMART App Launch has it, but for what a case changes, and sends it.
async function ask({ claims = {}, header = {}, assertion } = {}) {
  assertion ??= await new SignJWT({
    iss: input.client, sub: input.client, aud: input.tokenURL, jti: randomUUID(),
    iat: now, nbf: now, exp: now + 240, ...claims,
  }).setProtectedHeader({ alg: input.alg, kid: input.kid, typ: 'JWT', ...header }).sign(key);
  const r = await fetch(input.tokenURL, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }),
  });
  return { status: r.status, body: await r.json(), assertion };
}

const good = await ask();
const refusals = {};
for (const [name, how] of Object.entries({
  'replayed assertion': { assertion: good.assertion },
  'aud of another server': { claims: { aud: 'https://elsewhere.example/token' } },
  'expired': { claims: { iat: now - 900, nbf: now - 900, exp: now - 600 } },
  'unknown kid': { header: { kid: 'nobody-registered-this' } },
  'iss of another client': { claims: { iss: 'somebody-else', sub: 'somebody-else' } },
  'exp an hour ahead': { claims: { exp: now + 3600 } },
  'no jti': { claims: { jti: undefined } },
})) {
  const r = await ask(how);
  refusals[name] = { status: r.status, error: r.body.error, token: 'access_token' in r.body };
}
const again = await ask();

const client = new Client(
  { getUrl: () => new URL('http://127.0.0.1/'), getAbortController: () => AbortController, btoa, atob,
    getStorage: () => ({ get() {}, set() {}, unset() {} }), options: {} },
  { serverUrl: input.base, tokenResponse: good.body },
);
const patient = await client.request(`Patient/${input.patient}`);
let pages = 0;
const ids = [];
await client.request('Observation?' + new URLSearchParams(input.search), {
  pageLimit: 0,
  onPage: (bundle) => {
    pages++;
    for (const e of bundle.entry ?? []) if (e.search?.mode === 'match') ids.push(e.resource.id);
  },
});
output({
  good: { status: good.status, error: good.body.error, type: good.body.token_type, expires: good.body.expires_in },
  again: again.status, refusals, birthDate: patient.birthDate, ids, pages,
});
