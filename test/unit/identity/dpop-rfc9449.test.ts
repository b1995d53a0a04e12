import { expect, test } from 'vitest';
import { verifyProof } from '../../../src/identity/dpop-proof.ts';
import { normaliseTarget } from '../../../src/identity/dpop-target.ts';
import { jwkThumbprint } from '../../../src/identity/jwk-thumbprint.ts';

/** RFC 9449 §7.1, the request of figure 12 and the thumbprint of §6.1. */
const TOKEN = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';
const PROOF = [
  'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo',
  'RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJq',
  'dGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNv',
  'dXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRq',
  'zhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA',
].join('');
const JKT = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';
const WANTED = {
  jkt: JKT,
  token: TOKEN,
  method: 'GET',
  target: 'https://resource.example.org/protectedresource',
  maxAgeMs: 60_000,
};
const AT = { epochMs: 1_562_262_618_000, monotonicMs: 0 };

test('the proof of the RFC verifies', async () => {
  expect(await verifyProof(PROOF, WANTED, AT)).toEqual({ jti: 'e1j3V_bKic8-LAEB', issuedAtMs: AT.epochMs });
});

test('the thumbprint of the RFC', () => {
  const x = 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs';
  const y = '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA';
  expect(jwkThumbprint({ kty: 'EC', x, y, crv: 'P-256' })).toBe(JKT);
});

test.each([
  ['another token', { token: `${TOKEN}x` }],
  ['another key', { jkt: 'AZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' }],
  ['another method', { method: 'POST' }],
  ['another target', { target: 'https://resource.example.org/' }],
])('the proof of the RFC does not verify for %s', async (_name, changes) => {
  await expect(verifyProof(PROOF, { ...WANTED, ...changes }, AT)).rejects.toMatchObject({ code: 'invalid_credential' });
});

test.each([
  ['HTTP://EXAMPLE.test', 'http://example.test/'],
  ['http://example.test:80/a', 'http://example.test/a'],
  ['https://example.test:80/a', 'https://example.test:80/a'],
  ['https://example.test:0443/a', 'https://example.test/a'],
  ['https://[2001:DB8::1]:443/a', 'https://[2001:db8::1]/a'],
  ['https://example.test/%7e%2f%41', 'https://example.test/~%2FA'],
  ['https://example.test/a/../b//c', 'https://example.test/a/../b//c'],
  ['ftp://example.test/', undefined],
  ['https://example.test/a?b', undefined],
  ['https://example.test/a#b', undefined],
  ['https://user@example.test/', undefined],
  ['https://example.test/é', undefined],
  ['https:///a', undefined],
  [`https://example.test/${'a'.repeat(20_000)}`, undefined],
])('the target %s', (text, wanted) => {
  expect(normaliseTarget(text)).toBe(wanted);
});
