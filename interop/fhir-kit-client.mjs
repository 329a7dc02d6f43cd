// fhir-kit-client reads the simulator. It knows no sign-in, so it is given a token.
import { Client } from 'fhir-kit-client';
import { input, output } from './input.mjs';

const client = new Client({ baseUrl: input.base, bearerToken: input.token });
client.customHeaders = { Accept: 'application/fhir+json' };

const smart = await client.smartAuthMetadata();
const metadata = await client.capabilityStatement();
const patient = await client.read({ resourceType: 'Patient', id: input.patient });

const ids = [];
let pages = 0;
for (
  let bundle = await client.search({ resourceType: 'Observation', searchParams: input.search });
  bundle;
  bundle = await client.nextPage({ bundle })
) {
  pages++;
  for (const e of bundle.entry ?? []) if (e.search?.mode === 'match') ids.push(e.resource.id);
}

let missing;
try {
  await client.read({ resourceType: 'Patient', id: 'eNobody.Of.This.Name3' });
} catch (e) {
  missing = { status: e.response?.status, type: e.response?.data?.resourceType };
}

output({
  tokenURL: String(smart.tokenUrl ?? ''),
  fhirVersion: metadata.fhirVersion,
  types: metadata.rest[0].resource.map((r) => r.type),
  birthDate: patient.birthDate,
  ids,
  pages,
  missing,
});
