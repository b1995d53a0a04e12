import type { Random } from './seed.ts';

/** What a token of tenant-a's free tier may call, as a file of the upstreams. */
export const OWN_RESOURCE = 'tenant-a/llama-3-8b/infer';

/** What it must never reach: another tenant's, a dearer model, an undeclared operation, administration. */
export const PROTECTED_RESOURCES = [
  'tenant-b/llama-3-8b/infer',
  'tenant-a/mistral-7b/infer',
  'tenant-a/llama-3-8b/tune',
  'admin/keys',
  'admin.json',
] as const;

const UP = [
  ...['..', '%2e%2e', '.%2e', '%2E.', '%252e%252e', '%25252e%25252e', '%c0%ae%c0%ae', '%e0%80%ae%e0%80%ae'],
  ...['..;', '..;x=1', '.;/..', '..%3b', '..%00', '%2e%2e%00', '...', '....', '..%20', '..%09', '%u002e%u002e'],
  ...['%ef%bc%8e%ef%bc%8e', '%e2%80%a5', '%e2%80%ae..', '..%c2%ad', '..%0d%0a', '..%23', '..%3f', '.\u00ad.', '. .'],
] as const;

const SLASH = [
  ...['/', '%2f', '%2F', '%5c', '\\', '//', '///', '/./', '/.;/', '%252f', '%25252f', '%c0%af', '%e0%80%af'],
  ...['%ef%bc%8f', '%e2%88%95', '%e2%81%84', '/%2e/', ';/', '%3b/', '%00/', '/;/', '/;x=1/', '/%20/', '%09/', '%0a/'],
  ...['%2f%2f', '/\\', '%u2215', '%u002f', '%5C/', '/%00/'],
] as const;

const TAIL = [
  ...['', '/', '%2f', '/.', '/..', '//', '%00', '%00.html', ';x', ';x=/', '%3bx', '%20', '%09', '?', '?x=1', '#', '#x'],
  ...['%3f', '%23', '.json', '.', '%2e', '..;/', '/..;/x', '/x/..', '/x/%2e%2e', '~', '%0d%0a', '::$DATA', '\\', '%5c'],
] as const;

/** What stands before the path: schemes, authorities, the prefix of a door. */
const HEAD = [
  ...['//', '///', '/./', '/%2e/', '\\', '/\\', '/;/', '/%2f', '/%5c', '/.;/', '/%00', '?/', '#/', '/?/', '/#/', ' /'],
  ...['http://gateway.test/', 'HTTP://gateway.test/', 'https://gateway.test:443/', 'http://tenant-b@gateway.test/'],
  ...['http:/', 'http:', '//gateway.test/', 'http://gateway.test//', 'http://gateway.test/../', 'file:///', 'http:///'],
  ...[
    '/ext-authz/',
    '/ext-authz/../',
    '/ext-authz/%2e%2e/',
    '/../',
    '/../ext-authz/../',
    '/..%2f',
    '/%2e%2e/',
    '/..;/',
  ],
  ...['/../../', '/ext-authz//', '/ext-authz/..%2f', '/EXT-AUTHZ/../', '/ext-authz/..;/', '/./ext-authz/.././', '*'],
] as const;

/** Every systematic variant once: hundreds of targets that some upstream may take for a protected resource. */
export function pathVariants(): readonly string[] {
  const all = new Set<string>();
  const [other, dear, , admin] = PROTECTED_RESOURCES;
  for (const up of UP) {
    all.add(`/tenant-a/${up}/${other}`);
    all.add(`/${OWN_RESOURCE}/${up}/${up}/${up}/${admin}`);
    all.add(`/tenant-a/llama-3-8b/${up}/mistral-7b/infer`);
    all.add(`/tenant-a/llama-3-8b/infer/${up}/tune`);
    all.add(`/${up}/${other}`);
    all.add(`/tenant-a/${up}%2f${other.replaceAll('/', '%2f')}`);
    all.add(`/ext-authz/${up}/${admin}`);
    all.add(`/tenant-a/llama-3-8b/infer${up}`);
    all.add(`/${up}/secret`);
  }
  for (const slash of SLASH) {
    for (const resource of PROTECTED_RESOURCES) all.add(`${slash}${resource.replaceAll('/', slash)}`);
    all.add(`/tenant-a${slash}..${slash}${other}`);
    all.add(`/tenant-a/llama-3-8b${slash}infer`);
    all.add(`/tenant-a/llama-3-8b/infer${slash}..${slash}tune`);
    all.add(`/tenant-a${slash}mistral-7b/infer`);
    all.add(`/admin${slash}keys`);
  }
  for (const tail of TAIL) {
    for (const resource of PROTECTED_RESOURCES) all.add(`/${resource}${tail}`);
    all.add(`/${OWN_RESOURCE}${tail}`);
    all.add(`/${OWN_RESOURCE}${tail}/../tune`);
    all.add(`/admin${tail}/keys`);
  }
  for (const head of HEAD) {
    for (const resource of [OWN_RESOURCE, other, dear, admin]) all.add(`${head}${resource}`);
  }
  for (const resource of [...PROTECTED_RESOURCES, OWN_RESOURCE]) {
    all.add(`/${resource.toUpperCase()}`);
    all.add(`/${resource.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase())}`);
    all.add(`/${escaped(resource, 1)}`);
    all.add(`/${escaped(resource, 2)}`);
    all.add(`/${escaped(resource, 3)}`);
    all.add(`/${resource.replace('a', '%61').replace('i', '%69')}`);
    all.add(`/${resource.replace('a', '%u0061')}`);
    all.add(`/${resource.replace('i', '%C4%B1')}`);
    all.add(`/${resource.replace('a', '%EF%BD%81')}`);
    all.add(`/${resource.replace('a', '%c1%a1')}`);
    all.add(`/${resource.replace('a', 'a%cc%80')}`);
    all.add(`/${resource.replace('a', 'a%E2%80%8B')}`);
    all.add(`/${resource.replace('e', '\u00e9')}`);
    all.add(`/${resource.replace('a', 'a\u0000')}`);
    all.add(`/${resource.replace('/', '\t/')}`);
    all.add(`/${OWN_RESOURCE}?/../../../${resource}`);
    all.add(`/${OWN_RESOURCE}#/../../../${resource}`);
    all.add(`/${OWN_RESOURCE}%23/../../../../${resource}`);
    all.add(`/${OWN_RESOURCE}%3f/../../../../${resource}`);
  }
  all.add('');
  all.add('/');
  all.add('?');
  return [...all];
}

/** Any mixture of the same pieces. */
export function randomPathVariant(random: Random): string {
  const words = ['tenant-a', 'tenant-b', 'llama-3-8b', 'mistral-7b', 'infer', 'tune', 'admin', 'keys', 'ext-authz', ''];
  const pieces = Array.from({ length: 1 + random.below(7) }, () => {
    const word = random.chance(0.3) ? random.pick(UP) : random.pick(words);
    return `${random.chance(0.6) ? '/' : random.pick(SLASH)}${random.chance(0.1) ? escaped(word, 1) : word}`;
  });
  const head = random.chance(0.15) ? random.pick(HEAD) : '';
  return `${head}${pieces.join('')}${random.chance(0.4) ? `/${random.pick(PROTECTED_RESOURCES)}` : ''}${random.pick(TAIL)}`;
}

/** Every character but the slashes as an escape, `times` over. */
function escaped(text: string, times: number): string {
  let result = text.replaceAll(/[^/%]/g, (one) => `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`);
  for (let round = 1; round < times; round++) result = result.replaceAll('%', '%25');
  return result;
}

/** Model names that people use, as they stand in a URL; all legal, some unusual. */
const MODELS = [
  ...['llama-3-8b', 'mistral_7b', 'gpt-4o', 'v1.2.3', '~user', 'a:b', 'user@example.com', 'a,b', "it's", 'a+b', 'x=y'],
  ...['$metadata', '(paren)', 'star*', 'bang!', 'amp&co', '.well-known', '..hidden', 'a..b', 'file...txt', 'a%20b'],
  ...['caf%C3%A9', '%E6%97%A5%E6%9C%AC', '%F0%9F%98%80', '%D0%9F%D1%80', '%7Eother', 'a%2Bc', '%40me', 'a%3Ac', '0'],
  ...['-', '_', 'predict:stream', 'sha256:0123abcd', 'a%27b', 'x%C2%BDy', 'q-4.0_K-M', 'qwen2.5-coder%3A32b', 'o1'],
] as const;

const QUERIES = ['', '?', '?a=1&b=%20c+d', '?url=https://x/../y//z&e=%2e%2e%2f&p=100%25', '?path=/admin/keys&x=..%5c'];

/** At least 200 ordinary targets, and the models that they name. */
export function ordinaryTargets(): { readonly targets: readonly string[]; readonly models: readonly string[] } {
  return {
    targets: MODELS.flatMap((model) => QUERIES.map((query) => `/tenant-a/${model}/infer${query}`)).concat(
      '/%74enant%2Da/llama-3-8b/infer',
      '/tenant-a/llama-3-8b/%69nfer',
      '/v1/chat/completions',
      '/v1/chat/completions?stream=1',
      '/v1/chat/%63ompletions',
    ),
    models: MODELS.map((model) => decodeURIComponent(model)),
  };
}
