import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import type { MtlsConfig } from '../../../src/identity/config.ts';
import { createMtlsPeers, type PeerFound } from '../../../src/identity/mtls-peers.ts';
import { toMtlsPrincipal } from '../../../src/identity/mtls-principal.ts';
import { type CertificateFiles, type CertificateMaker, createCertificateMaker } from '../../support/certificates.ts';
import { accessRequest } from '../../support/core.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';

const CONFIG: MtlsConfig = { trust_domains: ['td'], from_listener: false };
const INGRESS = 'spiffe://td/ingress';
const EDGE = 'spiffe://td/edge';
const BEHIND: MtlsConfig = { ...CONFIG, xfcc: { trusted_peers: [INGRESS, EDGE] } };
const XFCC = 'x-forwarded-client-cert';
const HASH = 'ab'.repeat(32);
const REFUSED = { kind: 'refused', code: 'invalid_credential' };

interface Parts {
  readonly sourcePrincipal?: string;
  readonly sourceCertificate?: string;
  readonly callerCertificate?: string;
  readonly xfcc?: string | readonly string[];
}

function requestOf({ xfcc = [], ...parts }: Parts): AccessRequest {
  const values = typeof xfcc === 'string' ? [xfcc] : xfcc;
  return accessRequest({ ...parts, headerList: values.map((value) => [XFCC, value]) });
}

function found(parts: Parts, config: MtlsConfig = CONFIG): PeerFound {
  return createMtlsPeers(config)(requestOf(parts));
}

const workload = (name: string) => ({ spiffeId: `spiffe://td/${name}`, trustDomain: 'td', dnsSans: [] });

let maker: CertificateMaker;
const pems = new Map<string, string>();

/** Each made once, by its names. */
function pem(sans: readonly string[], isCa = false): string {
  const key = `${sans.join()}${isCa}`;
  const known = pems.get(key);
  if (known !== undefined) return known;
  const files: CertificateFiles = maker.make(`peer-${pems.size}`, { sans, isCa });
  const text = readFileSync(files.cert, 'utf8');
  pems.set(key, text);
  return text;
}
const encoded = (sans: readonly string[]): string => encodeURIComponent(pem(sans));
const fingerprint = (text: string): string =>
  new X509Certificate(text).fingerprint256.replaceAll(':', '').toLowerCase();

beforeAll(() => {
  maker = createCertificateMaker();
});
afterAll(() => maker.remove());

describe('the principal that a gateway names', () => {
  test.each<[string, string, object]>([
    ['a SPIFFE ID', 'spiffe://td/web', workload('web')],
    ['a DNS name', 'Web.example', { dnsSans: ['web.example'] }],
    ['a name of one label', 'web', { dnsSans: ['web'] }],
    ['a wildcard name, which stands for itself', '*.example', { dnsSans: ['*.example'] }],
    ['a subject', 'CN=web,O=Example', { dnsSans: [], subject: 'CN=web,O=Example' }],
    ['a subject that mentions a SPIFFE ID', 'CN=spiffe://td/admin', { dnsSans: [], subject: 'CN=spiffe://td/admin' }],
  ])('as %s is that and nothing else', (_title, sourcePrincipal, peer) => {
    expect(found({ sourcePrincipal })).toEqual(peer);
  });

  test.each([
    ['a SPIFFE ID of another trust domain', 'spiffe://other/web'],
    ['a SPIFFE ID of a domain that begins like ours', 'spiffe://td.evil/web'],
    ['the trust domain itself', 'spiffe://td'],
    ['a SPIFFE ID with a trailing slash', 'spiffe://td/web/'],
    ['a SPIFFE ID in upper case', 'SPIFFE://td/web'],
    ['a SPIFFE ID with a space in front', ' spiffe://td/web'],
    ['a SPIFFE ID with a query', 'spiffe://td/web?x=1'],
    ['two SPIFFE IDs in one text', 'spiffe://td/web,spiffe://td/admin'],
    ['another URI', 'https://td/web'],
    ['a URI with an equals sign', 'https://td/web?CN=x'],
    ['a name with a space', 'web example'],
    ['a name beyond ASCII', 'wéb'],
    ['a name that is too long', 'a'.repeat(254)],
    ['a subject that is too long', `CN=${'a'.repeat(1_100)}`],
  ])('as %s is refused', (_title, sourcePrincipal) => {
    expect(found({ sourcePrincipal })).toMatchObject(REFUSED);
  });

  test('that is absent makes no peer', () => {
    expect(found({})).toBeNull();
  });
});

describe('the certificate that a gateway hands on', () => {
  test('adds its fingerprint and its DNS names', () => {
    const sans = ['URI:spiffe://td/web', 'DNS:web.example'];
    const peer = { ...workload('web'), dnsSans: ['web.example'], fingerprintSha256: fingerprint(pem(sans)) };
    const sourceCertificate = encoded(sans);
    expect(found({ sourcePrincipal: 'spiffe://td/web', sourceCertificate })).toEqual(peer);
    expect(found({ sourceCertificate })).toEqual(peer);
  });

  test('without SANs is known by its subject, without a SPIFFE ID by its DNS names', () => {
    const [subject] = /peer-\d+/.exec(new X509Certificate(pem([])).subject) ?? [];
    expect(found({ sourcePrincipal: `CN=${subject}`, sourceCertificate: encoded([]) })).toMatchObject({
      dnsSans: [],
      subject: `CN=${subject}`,
    });
    const named = found({ sourcePrincipal: 'web.example', sourceCertificate: encoded(['DNS:web.example']) });
    expect(named).toMatchObject({ dnsSans: ['web.example'] });
    expect(named).not.toHaveProperty('subject');
    expect(named).not.toHaveProperty('spiffeId');
  });

  test('whose only URIs are no SPIFFE IDs is known by its other names', () => {
    const sans = ['URI:https://web.example/', 'DNS:web.example'];
    const peer = found({ sourcePrincipal: 'https://web.example/', sourceCertificate: encoded(sans) });
    expect(peer).toEqual({ dnsSans: ['web.example'], fingerprintSha256: fingerprint(pem(sans)) });
  });

  test.each<[string, () => Parts]>([
    [
      'two SPIFFE IDs',
      () => ({
        sourcePrincipal: 'spiffe://td/a',
        sourceCertificate: encoded(['URI:spiffe://td/a', 'URI:spiffe://td/b']),
      }),
    ],
    [
      'another URI beside the SPIFFE ID',
      () => ({ sourceCertificate: encoded(['URI:spiffe://td/a', 'URI:https://a']) }),
    ],
    [
      'another URI before the SPIFFE ID',
      () => ({ sourceCertificate: encoded(['URI:https://a', 'URI:spiffe://td/a']) }),
    ],
    [
      'another principal',
      () => ({ sourcePrincipal: 'spiffe://td/b', sourceCertificate: encoded(['URI:spiffe://td/a']) }),
    ],
    [
      'a DNS name where the principal is a SPIFFE ID',
      () => ({ sourcePrincipal: 'spiffe://td/a', sourceCertificate: encoded(['DNS:a']) }),
    ],
    [
      'a SPIFFE ID where the principal is its DNS name',
      () => ({ sourcePrincipal: 'a', sourceCertificate: encoded(['URI:spiffe://td/a', 'DNS:a']) }),
    ],
    ['another trust domain', () => ({ sourceCertificate: encoded(['URI:spiffe://other/a']) })],
    ['a malformed SPIFFE ID', () => ({ sourceCertificate: encoded(['URI:spiffe://td/a//b']) })],
    ['a SPIFFE ID in a DNS name', () => ({ sourceCertificate: encoded(['DNS:spiffe://td/a']) })],
    ['an authority’s rights', () => ({ sourceCertificate: encodeURIComponent(pem(['URI:spiffe://td/ca'], true)) })],
    [
      'nothing readable',
      () => ({ sourcePrincipal: 'spiffe://td/a', sourceCertificate: '-----BEGIN%20CERTIFICATE-----' }),
    ],
    ['no encoding', () => ({ sourcePrincipal: 'spiffe://td/a', sourceCertificate: '%' })],
    [
      'two certificates',
      () => ({ sourceCertificate: encoded(['URI:spiffe://td/a']) + encoded(['URI:spiffe://td/b']) }),
    ],
  ])('with %s is refused', (_title, parts) => {
    expect(found(parts())).toMatchObject(REFUSED);
  });

  test('is read once, and answers for no other request', () => {
    const peers = createMtlsPeers(CONFIG);
    const certificate = encoded(['URI:spiffe://td/a']);
    const good = requestOf({ sourcePrincipal: 'spiffe://td/a', sourceCertificate: certificate });
    const bad = requestOf({ sourcePrincipal: 'spiffe://td/b', sourceCertificate: certificate });
    expect(peers(good)).toMatchObject(workload('a'));
    expect(peers(bad)).toMatchObject(REFUSED);
    expect(peers(good)).toMatchObject(workload('a'));
  });
});

describe('XFCC', () => {
  const of = (who: string, by = INGRESS): string => `By=${by};Hash=${HASH};URI=spiffe://td/${who}`;
  const client = (who: string) => ({ ...workload(who), fingerprintSha256: HASH });

  test.each<[string, Parts, object | null]>([
    ['from a trusted peer names its client', { sourcePrincipal: INGRESS, xfcc: of('web') }, client('web')],
    [
      'with more in front is read from the right',
      { sourcePrincipal: INGRESS, xfcc: `${of('admin')},${of('web')}` },
      client('web'),
    ],
    [
      'in two headers is read from the last',
      { sourcePrincipal: INGRESS, xfcc: [of('admin'), of('web')] },
      client('web'),
    ],
    [
      'is followed through every trusted peer and no further',
      { sourcePrincipal: INGRESS, xfcc: `${of('admin', EDGE)},${of('web', EDGE)},${of('edge')}` },
      client('web'),
    ],
    ['that ends at a trusted peer names nobody', { sourcePrincipal: INGRESS, xfcc: of('edge') }, null],
    ['that is absent names nobody', { sourcePrincipal: INGRESS }, null],
    [
      'with nothing but a hash names a fingerprint',
      { sourcePrincipal: INGRESS, xfcc: `By=${INGRESS};Hash=${HASH}` },
      { dnsSans: [], fingerprintSha256: HASH },
    ],
    [
      'with a DNS name names that',
      { sourcePrincipal: INGRESS, xfcc: `By=${INGRESS};DNS=Web.example;Subject="CN=x"` },
      { dnsSans: ['web.example'] },
    ],
    [
      'with a subject names that',
      { sourcePrincipal: INGRESS, xfcc: `By=${INGRESS};Subject="CN=x";URI=` },
      { dnsSans: [], subject: 'CN=x' },
    ],
    ['from an untrusted peer is nothing', { sourcePrincipal: 'spiffe://td/web', xfcc: of('admin') }, workload('web')],
    [
      'from an untrusted peer is nothing, malformed or not',
      { sourcePrincipal: 'spiffe://td/web', xfcc: ',;"' },
      workload('web'),
    ],
    [
      'from a peer with a DNS name is nothing',
      { sourcePrincipal: 'ingress', xfcc: of('admin') },
      { dnsSans: ['ingress'] },
    ],
    ['from nobody is nothing', { xfcc: of('admin') }, null],
  ])('%s', (_title, parts, peer) => {
    expect(found(parts, BEHIND)).toEqual(peer);
  });

  test.each<[string, Parts]>([
    ['that is malformed', { sourcePrincipal: INGRESS, xfcc: 'URI="spiffe://td/web' }],
    ['that is malformed left of what is read', { sourcePrincipal: INGRESS, xfcc: `x="${of('web')}` }],
    ['that is empty', { sourcePrincipal: INGRESS, xfcc: '' }],
    ['without `By`', { sourcePrincipal: INGRESS, xfcc: 'URI=spiffe://td/web' }],
    ['with another `By`', { sourcePrincipal: INGRESS, xfcc: of('web', 'spiffe://td/other') }],
    ['with a second, other `By`', { sourcePrincipal: INGRESS, xfcc: `By=spiffe://td/other;${of('web')}` }],
    ['whose `By` is the next trusted peer', { sourcePrincipal: INGRESS, xfcc: of('web', EDGE) }],
    [
      'whose second element was not written by the peer before',
      { sourcePrincipal: INGRESS, xfcc: `${of('web', INGRESS)},${of('edge')}` },
    ],
    ['that names nobody', { sourcePrincipal: INGRESS, xfcc: `By=${INGRESS}` }],
    ['of another trust domain', { sourcePrincipal: INGRESS, xfcc: `By=${INGRESS};URI=spiffe://other/web` }],
    ['with two URIs', { sourcePrincipal: INGRESS, xfcc: `${of('web')};URI=spiffe://td/admin` }],
    ['with a malformed SPIFFE ID', { sourcePrincipal: INGRESS, xfcc: `By=${INGRESS};URI=spiffe://td/web/../admin` }],
  ])('from a trusted peer %s is refused', (_title, parts) => {
    expect(found(parts, BEHIND)).toMatchObject(REFUSED);
  });

  test('is not looked at where no peer is trusted', () => {
    expect(found({ sourcePrincipal: INGRESS, xfcc: of('admin') })).toEqual(workload('ingress'));
  });

  test('may be written by our own gateway about the trusted peer first', () => {
    const config = { ...CONFIG, xfcc: { trusted_peers: [INGRESS], by: ['spiffe://td/gateway'] } };
    const xfcc = `${of('web')},${of('ingress', 'spiffe://td/gateway')}`;
    expect(found({ sourcePrincipal: INGRESS, xfcc }, config)).toEqual(client('web'));
    expect(found({ sourcePrincipal: INGRESS, xfcc }, BEHIND)).toMatchObject(REFUSED);
  });

  test('with the client’s certificate must agree with it', () => {
    const sans = ['URI:spiffe://td/web', 'DNS:web.example'];
    const hash = fingerprint(pem(sans));
    const xfcc = (more: string): Parts => ({
      sourcePrincipal: INGRESS,
      xfcc: `By=${INGRESS};${more}Cert="${encoded(sans)}"`,
    });
    const peer = { ...workload('web'), dnsSans: ['web.example'], fingerprintSha256: hash };
    for (const more of ['', `Hash=${hash};`, 'URI=spiffe://td/web;', 'DNS=web.example;']) {
      expect(found(xfcc(more), BEHIND)).toEqual(peer);
    }
    for (const more of [`Hash=${HASH};`, 'URI=spiffe://td/admin;', 'DNS=other;', 'Subject="CN=admin";']) {
      expect(found(xfcc(more), BEHIND)).toMatchObject(REFUSED);
    }
  });

  test('of an untrusted peer never changes who it is, whatever is in it', () => {
    const random = createRandom(seedOf('XFCC of untrusted peers'));
    const peers = createMtlsPeers(BEHIND);
    const count = caseCount(1_000);
    for (let done = 0; done < count; done += 1) {
      const peer = peers(requestOf({ sourcePrincipal: 'spiffe://td/web', xfcc: hostileXfcc(random) }));
      expect(peer).toEqual(workload('web'));
      expect(peers(requestOf({ xfcc: hostileXfcc(random) }))).toBeNull();
    }
    console.info(`XFCC of untrusted peers: ${count} headers, 0 identities`);
  });

  test('left of what the trusted peer wrote never changes whom it named', () => {
    const random = createRandom(seedOf('XFCC before a trusted peer'));
    const peers = createMtlsPeers(BEHIND);
    const count = caseCount(2_000);
    let refused = 0;
    for (let done = 0; done < count; done += 1) {
      // What a client sends, and what an ingress that appends makes of it.
      const peer = peers(
        requestOf({ sourcePrincipal: INGRESS, xfcc: `${hostileXfcc(random)},${of('web')};Subject="CN=web"` }),
      );
      if (peer !== null && 'kind' in peer) refused += 1;
      else expect(peer).toEqual(client('web'));
    }
    console.info(`XFCC before a trusted peer: ${count} headers, ${refused} refused, 0 other identities`);
    expect(refused).toBeLessThan(count);
  });
});

function hostileXfcc(random: Random): string {
  const pieces = [
    'URI=spiffe://td/admin',
    `By=${INGRESS}`,
    `By=${EDGE}`,
    `Hash=${HASH}`,
    'Subject="CN=a"',
    'Subject="',
    '"',
    '\\',
    '\\"',
    'DNS=admin',
    'x="',
    '=',
  ];
  return Array.from({ length: 1 + random.below(6) }, () => random.pick(pieces)).join(random.pick([';', ',', '', ';,']));
}

describe('the certificate that the door itself verified', () => {
  const config = { ...CONFIG, from_listener: true, xfcc: { trusted_peers: [INGRESS] } };
  const sans = ['URI:spiffe://td/web'];

  test('makes the peer where nothing else is known, and only where config says so', () => {
    const callerCertificate = pem(sans);
    const peer = { ...workload('web'), fingerprintSha256: fingerprint(callerCertificate) };
    expect(found({ callerCertificate }, config)).toEqual(peer);
    expect(found({ callerCertificate })).toBeNull();
    expect(found({ callerCertificate, sourcePrincipal: 'spiffe://td/other' }, config)).toEqual(workload('other'));
  });

  test('lets nobody speak by XFCC', () => {
    const callerCertificate = pem([`URI:${INGRESS}`]);
    const xfcc = `By=${INGRESS};URI=spiffe://td/admin`;
    expect(found({ callerCertificate, xfcc }, config)).toMatchObject({ spiffeId: INGRESS });
  });

  test('of another trust domain is refused', () => {
    expect(found({ callerCertificate: pem(['URI:spiffe://other/a']) }, config)).toMatchObject(REFUSED);
  });
});

describe('the principal that a peer makes', () => {
  test.each([
    [workload('web'), 'spiffe://td/web'],
    [{ dnsSans: ['web.example', 'other'] }, 'web.example'],
    [{ dnsSans: [], subject: 'CN=web' }, 'CN=web'],
  ])('is named by its one identity, and has no tenant and no roles', (peer, subject) => {
    expect(toMtlsPrincipal(peer)).toEqual({
      kind: 'mtls',
      subject,
      roles: [],
      scopes: [],
      claims: {},
      credentials: [{ kind: 'mtls' }],
      demo: false,
    });
  });

  test('is nobody where only a fingerprint is known', () => {
    expect(toMtlsPrincipal({ dnsSans: [], fingerprintSha256: HASH })).toBeUndefined();
  });
});
