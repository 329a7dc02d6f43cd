// What the Go test passes: one JSON value on stdin.
import { readFileSync } from 'node:fs';

export const input = JSON.parse(readFileSync(0, 'utf8'));
export const output = (value) => process.stdout.write(JSON.stringify(value) + '\n');
